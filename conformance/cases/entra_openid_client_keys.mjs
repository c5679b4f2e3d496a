// openid-client with a private key, and with tokens that are bound to one (DPoP). Its assertions are for the issuer,
// not for the token endpoint.

// needs: pypi npm
// client: entra / openid-client

import assert from 'node:assert/strict';
import { load, main, once, refusal, test } from '../daypass.mjs';
import { Provoking, checkToken, claims, good, makeKeys, withKey } from '../entra.mjs';

const client = await load('openid-client');
const jose = await load('jose');
const algorithms = ['RS256', 'ES256', 'EdDSA'];
const keys = once(() => makeKeys(...algorithms, 'ES256-stranger'));
const registered = once(async () => {
  const made = await keys();
  return Promise.all(algorithms.map((algorithm, n) => withKey(algorithm, made[n].files.public)));
});

async function configuration(n, by = n, { kid, modify, algorithm = algorithms[n] } = {}) {
  const asker = (await registered())[n];
  const key = await jose.importPKCS8((await keys())[by].key, algorithm);
  const options = modify && { [client.modifyAssertion]: modify };
  const authentication = client.PrivateKeyJwt({ key, kid }, options);
  return client.discovery(new URL(asker.issuer), asker.id, {}, authentication);
}

const ask = async (asked, parameters = {}, options) =>
  client.clientCredentialsGrant(await asked, { scope: good.scope, ...parameters }, options);

const provoking = new Provoking(undefined, ['status', 'error']);

async function refused(code, asked, { status = 401, error = 'invalid_client' } = {}) {
  const { status: told, error: name, error_description: description } = await refusal(asked);
  provoking.told({ status: told, error: name, description }, status, error, code);
}

async function signsWith(n, options) {
  const answer = await ask(configuration(n, n, options));
  checkToken(answer.access_token, (await registered())[n], '2');
}

test('private_key_jwt with RS256', () => signsWith(0));

test('private_key_jwt with PS256', () => signsWith(0, { algorithm: 'PS256' }));

test('private_key_jwt with ES256', () => signsWith(1));

test('private_key_jwt with EdDSA', () => signsWith(2));

test('private_key_jwt that names its key', async () => {
  const key = await jose.importPKCS8((await keys())[1].key, 'ES256', { extractable: true });
  const { d: _, ...jwk } = await jose.exportJWK(key);
  await signsWith(1, { kid: await jose.calculateJwkThumbprint(jwk) });
});

test('assertion with a key that nobody registered', async () => refused(700027, ask(configuration(1, 3))));

test('private_key_jwt that names another key', async () =>
  refused(700027, ask(configuration(1, 1, { kid: 'another' }))));

test('assertion for somebody else', async () => {
  const modify = (_, payload) => (payload.aud = 'https://login.example.com');
  await refused(700023, ask(configuration(1, 1, { modify })));
});

test('assertion that has ended', async () => {
  const modify = (_, payload) => {
    for (const time of ['iat', 'nbf', 'exp']) payload[time] -= 700;
  };
  await refused(700024, ask(configuration(1, 1, { modify })));
});

test('assertion shown twice', async () => {
  const asked = configuration(1, 1, { modify: (_, payload) => (payload.jti = 'once') });
  await ask(asked);
  await refused(700027, ask(asked));
});

/** A client with a secret, and a key that its tokens are bound to. */
async function bound(algorithm, modify) {
  const known = await client.discovery(new URL(good.issuer), good.id, {}, client.ClientSecretPost(good.secret));
  const pair = await client.randomDPoPKeyPair(algorithm);
  const options = modify && { [client.modifyAssertion]: modify };
  return { known, pair, DPoP: client.getDPoPHandle(known, pair, options) };
}

async function dpop(algorithm) {
  const { known, pair, DPoP } = await bound(algorithm);
  const answer = await ask(known, {}, { DPoP });
  assert.equal(answer.token_type, 'dpop');
  const jwk = await jose.exportJWK(pair.publicKey);
  assert.equal(claims(answer.access_token).cnf.jkt, await jose.calculateJwkThumbprint(jwk));
}

test('DPoP with ES256', () => dpop('ES256'));

test('DPoP with RS256', () => dpop('RS256'));

test('DPoP with EdDSA', () => dpop('Ed25519'));

test('each DPoP proof is good once', async () => {
  const { known, DPoP } = await bound('ES256', (_, payload) => (payload.jti = 'once'));
  await ask(known, {}, { DPoP });
  await invalidProof(known, DPoP);
});

async function invalidProof(known, DPoP) {
  const error = await refusal(ask(known, {}, { DPoP }));
  assert.deepEqual([error.status, error.error], [400, 'invalid_dpop_proof']);
}

test('DPoP proof for another address', async () => {
  const { known, DPoP } = await bound('ES256', (_, payload) => (payload.htu = `${good.base}/elsewhere`));
  await invalidProof(known, DPoP);
});

test('DPoP proof for another method', async () => {
  const { known, DPoP } = await bound('ES256', (_, payload) => (payload.htm = 'GET'));
  await invalidProof(known, DPoP);
});

test('DPoP proof that is too old', async () => {
  const { known, DPoP } = await bound('ES256', (_, payload) => (payload.iat -= 600));
  await invalidProof(known, DPoP);
});

test('DPoP proof whose key is not the one that it shows', async () => {
  const other = await client.randomDPoPKeyPair('ES256', { extractable: true });
  const jwk = await jose.exportJWK(other.publicKey);
  const { known, DPoP } = await bound('ES256', (header) => (header.jwk = jwk));
  await invalidProof(known, DPoP);
});

await main();
