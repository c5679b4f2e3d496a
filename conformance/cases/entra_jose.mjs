// jose, as an API verifies the token: by the remote key set, the issuer and the audience.

// needs: npm
// client: entra / jose

import assert from 'node:assert/strict';
import { load, main, refusal, test } from '../daypass.mjs';
import { checkToken, good } from '../entra.mjs';

const jose = await load('jose');
const resources = {
  RS256: 'd6b7c858-55fa-4d04-85a6-131af690abd4',
  ES256: '0f2b6d1c-8a47-4c3e-9d5a-71e6b0c84f29',
  EdDSA: '5c9e13d7-42f8-4b6a-8e01-d3a97f5b2c64',
};

async function issued(audience = resources.RS256) {
  const scope = `${audience}/.default`;
  const body = { grant_type: 'client_credentials', client_id: good.id, client_secret: good.secret, scope };
  const answer = await fetch(good.tokenUrl, { method: 'POST', body: new URLSearchParams(body) });
  assert.equal(answer.status, 200);
  return (await answer.json()).access_token;
}

const keys = (path) => jose.createRemoteJWKSet(new URL(good.base + path));
const ours = keys(`/${good.tenant}/discovery/v2.0/keys`);

const verified = (token, audience, more = {}) =>
  jose.jwtVerify(token, ours, { issuer: good.issuer, audience, ...more });

async function signedBy(algorithm) {
  const audience = resources[algorithm];
  const token = await issued(audience);
  const { payload, protectedHeader } = await verified(token, audience, { algorithms: [algorithm] });
  checkToken(token, good.but({ scope: `${audience}/.default` }));
  assert.deepEqual(payload.roles, ['orders.read']);
  assert.equal(protectedHeader.typ, 'JWT');
}

test('RS256', () => signedBy('RS256'));

test('ES256', () => signedBy('ES256'));

test('EdDSA', () => signedBy('EdDSA'));

test('the keys of the common document', async () => {
  const token = await issued();
  await jose.jwtVerify(token, keys('/common/discovery/v2.0/keys'), { issuer: good.issuer });
});

test('another audience', async () => {
  const error = await refusal(verified(await issued(), resources.ES256));
  assert.deepEqual([error.code, error.claim], ['ERR_JWT_CLAIM_VALIDATION_FAILED', 'aud']);
});

test('another issuer', async () => {
  const error = await refusal(verified(await issued(), resources.RS256, { issuer: good.authority }));
  assert.deepEqual([error.code, error.claim], ['ERR_JWT_CLAIM_VALIDATION_FAILED', 'iss']);
});

test('after its end', async () => {
  const later = new Date(Date.now() + 3700_000);
  const error = await refusal(verified(await issued(), resources.RS256, { currentDate: later }));
  assert.equal(error.code, 'ERR_JWT_EXPIRED');
});

test('five minutes before it was made', async () => {
  // Where the verifier's clock is late.
  await verified(await issued(), resources.RS256, { currentDate: new Date(Date.now() - 290_000) });
});

test('changed by one letter', async () => {
  const [head, body, signature] = (await issued()).split('.');
  const other = signature.startsWith('A') ? 'B' : 'A';
  const error = await refusal(verified(`${head}.${body}.${other}${signature.slice(1)}`, resources.RS256));
  assert.equal(error.code, 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED');
});

test('a key that nobody published', async () => {
  const { privateKey } = await jose.generateKeyPair('ES256');
  const forged = await new jose.SignJWT(checkToken(await issued()))
    .setProtectedHeader({ alg: 'ES256', kid: 'nobody' })
    .sign(privateKey);
  assert.equal((await refusal(verified(forged, resources.RS256))).code, 'ERR_JWKS_NO_MATCHING_KEY');
});

await main();
