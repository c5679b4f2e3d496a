// What every Node case shares: naming and reporting cases, running a service of their own, and loading a vendor's
// package from where the runner installed it.

import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { randomBytes, randomInt, webcrypto } from 'node:crypto';

// Debian 12's Node 18 keeps Web Cryptography behind a flag; from Node 20 on it is a global.
globalThis.crypto ??= webcrypto;
globalThis.CryptoKey ??= webcrypto.CryptoKey;

const { DAYPASS_BINARY, DAYPASS_CREDENTIALS, DAYPASS_NODE_MODULES, DAYPASS_PYTHON, DAYPASS_WORK } = process.env;
const installed = createRequire(path.join(DAYPASS_NODE_MODULES, 'x'));

/** The folder of this file. */
export const here = path.dirname(fileURLToPath(import.meta.url));

/** The demo clients of the server that the runner started. */
export const credentials = JSON.parse(fs.readFileSync(DAYPASS_CREDENTIALS, 'utf8'));

/** Imports an npm package, an ES module or not. */
export const load = (name) => import(pathToFileURL(installed.resolve(name)));

/** The text of a file inside an npm package. */
export const packaged = (file) => fs.readFileSync(path.join(DAYPASS_NODE_MODULES, file));

/** This case cannot run here; the text says why. */
export class Skipped extends Error {}

const cases = [];
const endings = [];

/**
 * Registers a case. The name is a literal, because the runner also reads it from the source to report a case
 * whose file could not run at all.
 */
export function test(name, run) {
  cases.push({ name, run });
}

/** Has something undone after the file's last case, the newest first. */
export function atEnd(undo) {
  endings.unshift(undo);
}

/** Runs the file's cases and prints one line for each. */
export async function main() {
  const stem = path.basename(process.argv[1], '.mjs');
  const line = (verdict, name, why) => console.log(`${verdict} ${stem}: ${name}${why ? `: ${why}` : ''}`);
  for (const { name, run } of cases) {
    try {
      await run();
      line('PASS', name);
    } catch (error) {
      const why = String(error?.message ?? error).replace(/\s+/g, ' ');
      if (!(error instanceof Skipped)) console.error(error);
      line(error instanceof Skipped ? 'SKIPPED' : 'FAIL', name, why);
    }
  }
  for (const undo of endings) await undo();
}

/** Makes a value once, when a case first needs it; what failed, fails for every case. */
export function once(make) {
  let made;
  return () => (made ??= make());
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

/**
 * Polls; fails naming what did not happen in time. A machine that has other things to do is slow: a minute is what nothing takes that
 * works.
 */
export async function waitUntil(condition, seconds, what) {
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline) {
    if (await condition()) return;
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error(`${what} within ${seconds} seconds`);
}

/** A folder of the case's own under the runner's scratch folder, empty. */
export function fresh(name) {
  const folder = path.join(DAYPASS_WORK, name);
  fs.mkdirSync(folder);
  return folder;
}

/** To servers that may not listen yet. */
const given = new Set();

/**
 * A port for a server that others must know before it listens. It is none of those that the system gives to
 * connections, so that nothing takes it in between.
 */
export async function freePort() {
  for (let n = 0; n < 100; n++) {
    const port = randomInt(20000, 32000);
    if (given.has(port)) continue;
    const probe = net.createServer();
    const free = await new Promise((done) => {
      probe.once('error', () => done(false)).listen(port, '127.0.0.1', () => probe.close(() => done(true)));
    });
    if (free) {
      given.add(port);
      return port;
    }
  }
  throw new Error('no port is free');
}

/** Whether a server listens on a port of this machine. */
export const listening = (port) =>
  new Promise((done) => {
    const socket = net.connect(port, '127.0.0.1', () => done(true)).once('error', () => done(false));
    socket.once('connect', () => socket.destroy());
  });

/** Runs a program until the end of the file's cases, and returns once it listens on the port. */
export async function running(program, args, port, { env = {}, log }) {
  const output = fs.openSync(log, 'a');
  const child = spawn(program, args, { stdio: ['ignore', output, output], env: { ...process.env, ...env } });
  fs.closeSync(output);
  let ended = false;
  const exit = new Promise((done) => child.once('error', done).once('exit', done)).then(() => (ended = true));
  const stop = async () => {
    child.kill('SIGTERM');
    await exit;
  };
  atEnd(stop);
  const tail = () => fs.readFileSync(log, 'utf8').slice(-2000);
  await waitUntil(
    async () => {
      assert.ok(!ended, `${path.basename(program)} ${args[0]} ended: ${tail()}`);
      return listening(port);
    },
    60,
    `${path.basename(program)} ${args[0]} did not listen on ${port}`,
  );
  return { child, stop };
}

/** Runs a Python program of the conformance folder, which tells by environment variables what it needs. */
export const python = (file, port, options) => running(DAYPASS_PYTHON, [path.join(here, file)], port, options);

/**
 * A `daypass serve` with a configuration of its own. `rest` is what follows the first [[tenant]] in the file; clients
 * are added by the command line, before the start or after it. `tls` names two files, certificate and key.
 */
export class Service {
  static async make(name, rest, { port, server = '', tls } = {}) {
    const service = new Service();
    service.port = port ?? (await freePort());
    service.host = `127.0.0.1:${service.port}`;
    service.url = `${tls ? 'https' : 'http'}://${service.host}`;
    if (tls) {
      server += `\npublic_url = "${service.url}"\ntls = { certificate = "${tls.certificate}", key = "${tls.key}" }`;
    }
    service.folder = fresh(name);
    service.config = path.join(service.folder, 'daypass.toml');
    fs.mkdirSync(path.join(service.folder, 'data'), { mode: 0o700 });
    fs.writeFileSync(path.join(service.folder, 'seal.key'), randomBytes(32).toString('hex'), { mode: 0o600 });
    fs.writeFileSync(
      service.config,
      `[server]\nlisten = "${service.host}"\n${server}\n` +
        '[store]\nurl = "sqlite:data/daypass.db"\n[seal]\nkey = { file = "seal.key" }\n' +
        '[[tenant]]\nname = "acme"\nguid = "387c56a8-cf86-45de-b9f5-b4de88cac054"\naccount = "100000000001"\n' +
        rest,
    );
    await service.command('check');
    return service;
  }

  /** The command line about this service, and what it printed as JSON. */
  async command(...args) {
    return JSON.parse(await this.print(...args));
  }

  async print(...args) {
    const place = ['--config', this.config, '--json'];
    const options = { timeout: 30_000, maxBuffer: 1 << 24 };
    const { stdout } = await promisify(execFile)(DAYPASS_BINARY, [...args, ...place], options).catch((error) => {
      throw new Error(`daypass ${args.join(' ')}: ${error.stdout}${error.stderr}`);
    });
    return stdout;
  }

  /** Adds a client; its key as the command line shows it once. */
  async client(name, kind, ...args) {
    const { client, keys } = await this.command('client', 'add', name, '--kind', kind, ...args);
    return { client: client.id, ...keys[0] };
  }

  /** The newest records, oldest first. */
  async records() {
    const printed = await this.print('audit', 'tail', '-n', '200');
    return printed.trim().split('\n').filter(Boolean).map((line) => JSON.parse(line));
  }

  /** Serves until the end of the file's cases. */
  async start() {
    const log = path.join(this.folder, 'serve.log');
    this.process = await running(DAYPASS_BINARY, ['serve', '--config', this.config], this.port, { log });
    return this;
  }
}
