// The Azure SDK for Node without a secret.

// needs: pypi npm
// client: entra / azure-identity (Node)

import { load, main, once, refusal, test } from '../daypass.mjs';
import { Provoking, checkToken, makeKeys, said, since20, withKey } from '../entra.mjs';

const identity = since20(() => load('@azure/identity'));
const jose = await load('jose');

const keys = once(() => makeKeys('RS256', 'RS256-stranger'));
const registered = once(async () => withKey('client', (await keys())[0].files.certificate));
const where = (asker) => ({ authorityHost: asker.base, disableInstanceDiscovery: true });

async function certificate(by, options = {}) {
  const { ClientCertificateCredential } = await identity();
  const asker = await registered();
  const certificatePath = (await keys())[by].files.both;
  return new ClientCertificateCredential(asker.tenant, asker.id, { certificatePath }, { ...where(asker), ...options });
}

async function assertion(by, changes = {}) {
  const { ClientAssertionCredential } = await identity();
  const asker = await registered();
  const key = await jose.importPKCS8((await keys())[by].key, 'RS256');
  const make = () => new jose.SignJWT(said(asker, changes)).setProtectedHeader({ alg: 'RS256' }).sign(key);
  return new ClientAssertionCredential(asker.tenant, asker.id, make, where(asker));
}

async function check(credential) {
  const asker = await registered();
  checkToken((await credential.getToken(asker.scope)).token, asker, '2');
}

async function refused(code, credential) {
  const { message } = await refusal(credential.getToken((await registered()).scope));
  new Provoking(undefined, []).told({ description: message }, 401, 'invalid_client', code);
}

test('certificate by its SHA-256 thumbprint', async () => check(await certificate(0)));

test('certificate with its chain', async () => check(await certificate(0, { sendCertificateChain: true })));

test('assertion that the application makes', async () => check(await assertion(0)));

test('a certificate that is not registered', async () => refused(700027, await certificate(1)));

test('assertion with a key that nobody registered', async () => refused(700027, await assertion(1)));

test('assertion for somebody else', async () =>
  refused(700023, await assertion(0, { aud: 'https://login.example.com' })));

test('assertion that has ended', async () => {
  const now = Math.floor(Date.now() / 1000);
  await refused(700024, await assertion(0, { iat: now - 700, exp: now - 100 }));
});

test('assertion shown twice', async () => {
  await check(await assertion(0, { jti: 'once' }));
  await refused(700027, await assertion(0, { jti: 'once' }));
});

await main();
