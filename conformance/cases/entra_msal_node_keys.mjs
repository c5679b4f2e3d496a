// MSAL for Node without a secret.

// needs: pypi npm
// client: entra / MSAL Node

import { load, main, once, refusal, test } from '../daypass.mjs';
import { Provoking, checkToken, makeKeys, said, since20, withKey } from '../entra.mjs';

const msal = since20(() => load('@azure/msal-node'));
const jose = await load('jose');

const keys = once(() => makeKeys('RS256', 'RS256-stranger'));
const registered = once(async () => withKey('client', (await keys())[0].files.certificate));

async function ask(proof) {
  const { ConfidentialClientApplication } = await msal();
  const asker = await registered();
  const knownAuthorities = [new URL(asker.base).host];
  const client = new ConfidentialClientApplication({
    auth: { clientId: asker.id, authority: asker.authority, knownAuthorities, ...proof },
  });
  return client.acquireTokenByClientCredential({ scopes: [asker.scope] });
}

const provoking = new Provoking(undefined, ['error', 'code']);

async function refused(code, proof) {
  const { message, errorCode, errorNo } = await refusal(ask(proof));
  provoking.told({ description: message, error: errorCode, code: Number(errorNo) }, 401, 'invalid_client', code);
}

async function check(proof) {
  checkToken((await ask(proof)).accessToken, await registered(), '2');
}

/** What the application signs by itself. */
async function signed(changes = {}, by = 0) {
  const asker = await registered();
  const key = await jose.importPKCS8((await keys())[by].key, 'RS256');
  return new jose.SignJWT(said(asker, changes)).setProtectedHeader({ alg: 'RS256' }).sign(key);
}

test('certificate by its SHA-1 thumbprint', async () => {
  const [{ key, sha1 }] = await keys();
  await check({ clientCertificate: { thumbprint: sha1, privateKey: key } });
});

test('certificate by its SHA-256 thumbprint', async () => {
  const [{ key, sha256 }] = await keys();
  await check({ clientCertificate: { thumbprintSha256: sha256, privateKey: key } });
});

test('certificate with its chain', async () => {
  const [{ key, sha256, certificate }] = await keys();
  await check({ clientCertificate: { thumbprintSha256: sha256, privateKey: key, x5c: certificate } });
});

test('assertion that the application makes', async () => {
  await check({ clientAssertion: await signed() });
  await check({ clientAssertion: () => signed() });
});

test('a certificate that is not registered', async () => {
  const [, { key, sha256, certificate }] = await keys();
  await refused(700027, { clientCertificate: { thumbprintSha256: sha256, privateKey: key, x5c: certificate } });
});

test('assertion with a key that nobody registered', async () =>
  refused(700027, { clientAssertion: await signed({}, 1) }));

test('assertion for somebody else', async () =>
  refused(700023, { clientAssertion: await signed({ aud: 'https://login.example.com/token' }) }));

test('assertion that has ended', async () => {
  const now = Date.now() / 1000;
  await refused(700024, { clientAssertion: await signed({ iat: now - 700, exp: now - 100 }) });
});

test('assertion that has not begun', async () =>
  refused(700024, { clientAssertion: await signed({ nbf: Date.now() / 1000 + 300 }) }));

test('assertion shown twice', async () => {
  const clientAssertion = await signed();
  await check({ clientAssertion });
  await refused(700027, { clientAssertion });
});

await main();
