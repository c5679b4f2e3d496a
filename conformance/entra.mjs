// What the cases of OAuth's clients for Node share: the server that speaks https (this process trusts its authority by
// NODE_EXTRA_CA_CERTS), clients of it in every state, and what any library can provoke.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { promisify } from 'node:util';
import { credentials, here, once, Skipped, waitUntil } from './daypass.mjs';

const { DAYPASS_BINARY, DAYPASS_PYTHON, DAYPASS_SECURE, DAYPASS_WORK } = process.env;
const [major] = process.versions.node.split('.').map(Number);

export const stranger = '00000000-0000-4000-8000-000000000000';

/** What a client of OAuth is configured with: the demo's client, which gets a token. */
export class Asker {
  constructor({ url, entra }) {
    this.base = url;
    this.tenant = entra.tenant;
    this.id = entra.client_id;
    this.secret = entra.client_secret;
    this.scope = entra.scope;
  }

  get authority() {
    return `${this.base}/${this.tenant}`;
  }

  get issuer() {
    return `${this.authority}/v2.0`;
  }

  get tokenUrl() {
    return `${this.authority}/oauth2/v2.0/token`;
  }

  /** The same with changes. */
  but(changes) {
    return Object.assign(Object.create(Asker.prototype), this, changes);
  }
}

export const good = new Asker(JSON.parse(fs.readFileSync(path.join(DAYPASS_SECURE, 'credentials.json'), 'utf8')));

/** Of the server that speaks http. */
export const plain = new Asker(credentials);

/** A library that Debian 12's Node is too old for. */
export const since20 = (load) =>
  once(async () => {
    if (major < 20) throw new Skipped(`it needs Node 20, and this is ${process.version}`);
    return load();
  });

async function run(...args) {
  const { stdout } = await promisify(execFile)(DAYPASS_BINARY, [...args, '--data', DAYPASS_SECURE, '--json']);
  return JSON.parse(stdout);
}

/** The command line beside the running server, which has noticed it then; what it printed as JSON. */
export async function cli(...args) {
  const said = await run(...args);
  await noticed();
  return said;
}

/**
 * Waits until the running server knows what was changed up to now. It takes changes up in their order, so a client that is added
 * last is known last.
 */
async function noticed() {
  const mark = own(`mark-${randomUUID()}`);
  const made = await run('client', 'add', mark, '--kind', 'client-secret', '--role', 'devcenter');
  const [{ client_secret }] = made.keys;
  const body = new URLSearchParams({ grant_type: 'client_credentials', client_id: made.client.id, client_secret });
  const codes = async () => (await (await fetch(good.tokenUrl, { method: 'POST', body })).json()).error_codes;
  await waitUntil(async () => !(await codes()).includes(700016), 60, 'the server does not notice a change');
}

/** A name that no other file has: they share the server. */
const own = (name) => `${path.basename(process.argv[1], '.mjs')}-${name}`;

/** Adds a client with one role; who it is, and its key as the command line shows it once. */
export async function add(name, { kind = 'client-secret', role = 'devcenter', args = [] } = {}) {
  const made = await cli('client', 'add', own(name), '--kind', kind, '--role', role, ...args);
  return { asker: good.but({ id: made.client.id, secret: made.keys[0].client_secret }), key: made.keys[0] };
}

const narrow = once(async () => (await add('narrow')).asker);
/** A client with two secrets, one of which has run out: that one. */
const ended = once(async () => {
  const { asker } = await add('ended', { args: ['--expires', '1s'] });
  await cli('client', 'rotate', own('ended'), '--kind', 'client-secret');
  await new Promise((done) => setTimeout(done, 1000));
  return asker;
});
const disabled = once(async () => {
  const { asker } = await add('disabled');
  await cli('client', 'disable', own('disabled'));
  return asker;
});

/** What a token says; who verifies it is another case. */
export const claims = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));

/** A token for this client and its resource. `proof` is how it proved itself: by a secret, or otherwise. */
export function checkToken(token, asker = good, proof = '1') {
  const said = claims(token);
  assert.equal(said.aud, asker.scope.replace(/\/\.default$/, ''));
  assert.deepEqual([said.azp, said.azpacr, said.tid, said.iss], [asker.id, proof, asker.tenant, asker.issuer]);
  return said;
}

/**
 * `ask` asks for a token as one that an Asker describes, and returns what the library's own error says: description,
 * and those of status, error and code that `tells` names. A token is an error of its own.
 */
export class Provoking {
  constructor(ask, tells) {
    this.ask = ask;
    this.tells = tells;
  }

  async refused(status, error, code, asker, says = '') {
    return this.told(await this.ask(asker), status, error, code, says);
  }

  told(said, status, error, code, says = '') {
    const expected = { status, error, code };
    for (const name of this.tells) assert.equal(said[name], expected[name], `${name} of ${JSON.stringify(said)}`);
    assert.match(said.description, new RegExp(`\\bAADSTS${code}: .*${says}`));
    return said;
  }

  wrongSecret = () => this.refused(401, 'invalid_client', 7000215, good.but({ secret: 'wrong' }));

  /** Told apart from a wrong one, for whoever has it. */
  endedSecret = async () => this.refused(401, 'invalid_client', 7000222, await ended());

  unknownClient = () => this.refused(400, 'unauthorized_client', 700016, good.but({ id: stranger }));

  disabledClient = async () => this.refused(400, 'unauthorized_client', 7000112, await disabled());

  /** The error says which scope would have worked. */
  narrowScope = () => {
    const scope = good.scope.replace('.default', 'orders.read');
    return this.refused(400, 'invalid_scope', 1002012, good.but({ scope }), '/\\.default');
  };

  unknownResource = () =>
    this.refused(400, 'invalid_resource', 500011, good.but({ scope: `${stranger}/.default` }));

  /** A resource of the tenant for which this client has no role is for it one that does not exist. */
  notGranted = async () => {
    const scope = '0f2b6d1c-8a47-4c3e-9d5a-71e6b0c84f29/.default';
    return this.refused(400, 'invalid_resource', 500011, (await narrow()).but({ scope }));
  };

  /** What came of another grant, however the library asks for one. */
  wrongGrant = (said) => this.told(said, 400, 'unsupported_grant_type', 70003);
}

/** Makes keys by a program in Python, which has certificates in its libraries; what it said of them. */
async function make(...names) {
  const folder = path.join(DAYPASS_WORK, own('keys'));
  fs.mkdirSync(folder, { recursive: true });
  const program = [path.join(here, 'entra_keys.py'), folder, ...names];
  const { stdout } = await promisify(execFile)(DAYPASS_PYTHON, program);
  return { folder, stdout };
}

/** What a server of the file's own shows, which everyone trusts who trusts the one that all share. */
export async function serverKey() {
  const { folder } = await make('server');
  return { certificate: path.join(folder, 'server.pem'), key: path.join(folder, 'server.key') };
}

/** Makes keys by their algorithms (`RS256`, `ES256-other`); each with its texts and its thumbprints in hexadecimal. */
export async function makeKeys(...names) {
  const { folder, stdout } = await make(...names);
  return Object.entries(JSON.parse(stdout)).map(([name, thumbprints]) => {
    const file = (suffix) => path.join(folder, `${name}.${suffix}`);
    const text = (suffix) => fs.readFileSync(file(suffix), 'utf8');
    const files = { certificate: file('pem'), public: file('pub'), both: file('both') };
    return { ...thumbprints, files, key: text('key'), certificate: text('pem') };
  });
}

/** What a client says in its assertion. */
export function said(asker, changes = {}) {
  const iat = Math.floor(Date.now() / 1000);
  const { id, tokenUrl: aud } = asker;
  return { iss: id, sub: id, aud, jti: crypto.randomUUID(), iat, exp: iat + 600, ...changes };
}

/** Adds a client that signs its assertions with this key. */
export const withKey = async (name, file, ...args) =>
  (await add(name, { kind: 'public-key', args: ['--public-key', file, ...args] })).asker;
