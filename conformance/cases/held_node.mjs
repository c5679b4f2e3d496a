// Programs in Node that get their key from `daypass exec`, `credential-process` and `agent`.

// needs: npm

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { atEnd, credentials, here, main, test } from '../daypass.mjs';

const { DAYPASS_BINARY, DAYPASS_CREDENTIALS, DAYPASS_NODE_MODULES, PATH } = process.env;
// Not below the working tree: nothing is kept below a folder that a group may write to.
const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'daypass-'));
atEnd(() => fs.rmSync(folder, { recursive: true }));
const [runtime, home] = ['run', 'home'].map((name) => path.join(folder, name));
for (const one of [runtime, home]) fs.mkdirSync(one, { mode: 0o700 });

const environment = {
  PATH,
  HOME: home,
  XDG_RUNTIME_DIR: runtime,
  STS_HOST: credentials.url.replace('http://', ''),
  PACKAGES: path.join(DAYPASS_NODE_MODULES, 'x'),
};

/** Runs a program of this user; what it printed. */
const run = async (program, args, more = {}) => {
  const { stdout } = await promisify(execFile)(program, args, { timeout: 60_000, env: { ...environment, ...more } });
  return stdout.trim();
};

/** Runs a Node program that a verb starts: a file of the documentation, or a text. */
const started = (verb, vendor, options, node, more) =>
  run(DAYPASS_BINARY, [verb, vendor, '--from', DAYPASS_CREDENTIALS, ...options, '--', process.execPath, ...node], more);

const require = `const load = require('node:module').createRequire(process.env.PACKAGES);`;
const alibaba = `${require}
const loaded = load('@alicloud/credentials').default;
const Credential = loaded.default ?? loaded;
new Credential().getCredential().then((key) => console.log(key.accessKeyId, key.securityToken.length > 20, key.providerName));`;

test("exec: Tencent's EnvironmentVariableCredential finds the key and its token", async () => {
  const file = path.join(here, 'snippets/programs/tencent_env.mjs');
  assert.match(await started('exec', 'tencent', [], [file]), /^qcs::sts:\d{12}:federated-user\//);
});

test("exec: Alibaba's credentials library finds the key in the environment", async () => {
  assert.match(await started('exec', 'alibaba', ['--sts'], ['-e', alibaba]), /^STS\.\S+ true default\/env$/);
});

test("agent: Alibaba's default chain fetches the key", async () => {
  assert.match(await started('agent', 'alibaba', ['--sts'], ['-e', alibaba]), /^STS\.\S+ true default\/credential_uri$/);
});

test('credential-process: a profile of mode External', async () => {
  const process_command = `'${DAYPASS_BINARY}' credential-process alibaba --sts --from '${DAYPASS_CREDENTIALS}'`;
  const profile = { name: 'default', mode: 'External', process_command, region_id: 'cn-hangzhou' };
  fs.mkdirSync(path.join(home, '.aliyun'));
  fs.writeFileSync(path.join(home, '.aliyun/config.json'), JSON.stringify({ current: 'default', profiles: [profile] }));
  const said = await run(process.execPath, ['-e', alibaba], { ALIBABA_CLOUD_ECS_METADATA_DISABLED: 'true' });
  assert.match(said, /^STS\.\S+ true default\/cli_profile$/);
  fs.rmSync(path.join(home, '.aliyun'), { recursive: true });
});

test('agent: @azure/identity takes it for the managed identity of an App Service', async () => {
  const { scope } = credentials.entra;
  const code = `${require}
const { ManagedIdentityCredential } = load('@azure/identity');
new ManagedIdentityCredential().getToken(${JSON.stringify(scope)}).then(({ token }) => console.log(token));`;
  const token = await started('agent', 'entra', [], ['-e', code]);
  const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));
  assert.equal(`${claims.aud}/.default`, scope);
});

await main();
