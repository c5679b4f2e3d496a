// What every Node case shares: naming and reporting cases, and loading a vendor's package from where the runner
// installed it.

import fs from 'node:fs';
import path from 'node:path';
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { webcrypto } from 'node:crypto';

// Debian 12's Node 18 keeps Web Cryptography behind a flag; from Node 20 on it is a global.
globalThis.crypto ??= webcrypto;
globalThis.CryptoKey ??= webcrypto.CryptoKey;

const installed = createRequire(path.join(process.env.DAYPASS_NODE_MODULES, 'x'));

/** The demo clients of the server that the runner started. */
export const credentials = JSON.parse(fs.readFileSync(process.env.DAYPASS_CREDENTIALS, 'utf8'));

/** Imports an npm package, an ES module or not. */
export const load = (name) => import(pathToFileURL(installed.resolve(name)));

const cases = [];

/**
 * Registers a case. The name is a literal, because the runner also reads it from the source to report a case
 * whose file could not run at all.
 */
export function test(name, run) {
  cases.push({ name, run });
}

/** Runs the file's cases and prints one line for each. */
export async function main() {
  const stem = path.basename(process.argv[1], '.mjs');
  for (const { name, run } of cases) {
    try {
      await run();
      console.log(`PASS ${stem}: ${name}`);
    } catch (error) {
      console.error(error);
      console.log(`FAIL ${stem}: ${name}: ${String(error?.message ?? error).replace(/\s+/g, ' ')}`);
    }
  }
}

/** The error that a promise ends with; an answer in its place is a failure. */
export async function refusal(promise) {
  const outcome = await promise.then(
    (answer) => ({ answer }),
    (error) => ({ error }),
  );
  assert.ok(outcome.error, `should have been refused, and was answered ${JSON.stringify(outcome.answer)}`);
  return outcome.error;
}
