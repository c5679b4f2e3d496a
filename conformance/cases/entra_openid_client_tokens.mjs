// openid-client asks about tokens (RFC 7662), revokes them (RFC 7009) and exchanges them (RFC 8693).

// needs: npm
// client: entra / openid-client

import assert from 'node:assert/strict';
import { load, main, once, refusal, test } from '../daypass.mjs';
import { add, claims, cli, good } from '../entra.mjs';

const client = await load('openid-client');
const resource = good.scope.replace('/.default', '');
const elsewhere = '0f2b6d1c-8a47-4c3e-9d5a-71e6b0c84f29';
const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange';
const accessToken = 'urn:ietf:params:oauth:token-type:access_token';

const known = (asker) => client.discovery(new URL(asker.issuer), asker.id, {}, client.ClientSecretPost(asker.secret));

async function issued(asker = good) {
  const answer = await client.clientCredentialsGrant(await known(asker), { scope: asker.scope });
  return answer.access_token;
}

const inspected = async (asker, token) => client.tokenIntrospection(await known(asker), token);
const revoked = async (asker, token) => client.tokenRevocation(await known(asker), token);

// The API behind the resource, which may also ask for tokens of another; and someone who has nothing to do with it.
const api = once(async () => (await add('api', { role: 'devcenter-es256', args: ['--audience', resource] })).asker);
const stranger = once(async () => (await add('stranger')).asker);

test('introspection by the owner of the token', async () => {
  const token = await issued();
  const said = claims(token);
  const answer = await inspected(good, token);
  assert.equal(answer.active, true);
  const { exp, iat, nbf, iss, aud } = said;
  assert.deepEqual(
    { exp: answer.exp, iat: answer.iat, nbf: answer.nbf, iss: answer.iss, aud: answer.aud },
    { exp, iat, nbf, iss, aud },
  );
  assert.equal(answer.client_id, good.id);
  assert.deepEqual(answer.roles, ['orders.read']);
});

test('introspection by the API', async () => {
  const answer = await inspected(await api(), await issued());
  assert.deepEqual([answer.active, answer.client_id], [true, good.id]);
});

test('introspection by anyone else', async () =>
  assert.deepEqual(await inspected(await stranger(), await issued()), { active: false }));

test('introspection of what is no live token', async () => {
  const token = await issued();
  for (const no of ['x', `${token}x`, token.slice(0, -10)]) {
    assert.deepEqual(await inspected(good, no), { active: false });
  }
});

test('introspection after the client was disabled', async () => {
  const { asker } = await add('disabled');
  const token = await issued(asker);
  assert.equal((await inspected(await api(), token)).active, true);
  await cli('client', 'disable', asker.id);
  assert.deepEqual(await inspected(await api(), token), { active: false });
});

test('introspection after the secret was retired that the token was asked for with', async () => {
  const { asker, key } = await add('retired');
  const { keys } = await cli('client', 'rotate', asker.id);
  const [before, after] = [await issued(asker), await issued(asker.but({ secret: keys[0].client_secret }))];
  await cli('client', 'retire', asker.id, key.id, '--force');
  assert.deepEqual(await inspected(await api(), before), { active: false });
  assert.equal((await inspected(await api(), after)).active, true);
});

test('introspection with a wrong secret', async () => {
  const error = await refusal(inspected(good.but({ secret: 'wrong' }), await issued()));
  assert.deepEqual([error.status, error.error], [401, 'invalid_client']);
});

test('revocation by the owner of the token', async () => {
  const token = await issued();
  const kept = await issued();
  await revoked(good, token);
  for (const asker of [good, await api()]) assert.deepEqual(await inspected(asker, token), { active: false });
  assert.equal((await inspected(good, kept)).active, true);
});

test('revocation of what is no live token', async () => {
  for (const no of ['x', 'e30.e30.']) await revoked(good, no);
});

test('revocation by anyone else', async () => {
  const token = await issued();
  for (const asker of [await stranger(), await api()]) {
    const error = await refusal(revoked(asker, token));
    assert.equal(error.status, 400);
  }
  assert.equal((await inspected(good, token)).active, true);
});

test('revocation with a wrong secret', async () => {
  const error = await refusal(revoked(good.but({ secret: 'wrong' }), await issued()));
  assert.deepEqual([error.status, error.error], [401, 'invalid_client']);
});

async function exchanged(asker, parameters) {
  const asked = { subject_token_type: accessToken, scope: `${elsewhere}/.default`, ...parameters };
  return client.genericGrantRequest(await known(asker), exchangeGrant, asked);
}

test('exchange by the API that was shown the token', async () => {
  const subject = await issued();
  const answer = await exchanged(await api(), { subject_token: subject });
  assert.equal(answer.issued_token_type, accessToken);
  const [before, said] = [claims(subject), claims(answer.access_token)];
  assert.equal(said.aud, elsewhere);
  assert.deepEqual([said.sub, said.oid, said.azp], [before.sub, before.oid, (await api()).id]);
  assert.ok(said.act, 'it does not say who acts');
  assert.ok(said.exp <= before.exp, 'it lives longer than what it was made of');
});

test('an exchanged token falls with the one that it was made of', async () => {
  const subject = await issued();
  const { access_token: made } = await exchanged(await api(), { subject_token: subject });
  assert.equal((await inspected(await api(), made)).active, true);
  await revoked(good, subject);
  assert.deepEqual(await inspected(await api(), made), { active: false });
});

test('exchange by anyone else', async () => {
  const error = await refusal(exchanged(await stranger(), { subject_token: await issued(), scope: good.scope }));
  assert.equal(error.status, 400);
});

test('exchange for more than the actor has', async () => {
  const error = await refusal(exchanged(await api(), { subject_token: await issued(), scope: good.scope }));
  assert.equal(error.status, 400);
});

test('exchange of a token that is bound to a key', async () => {
  const configuration = await known(good);
  const bound = async () => client.getDPoPHandle(configuration, await client.randomDPoPKeyPair('ES256'));
  const [mine, other] = [await bound(), await bound()];
  const { scope } = good;
  const { access_token: token } = await client.clientCredentialsGrant(configuration, { scope }, { DPoP: mine });
  const asked = { subject_token: token, subject_token_type: accessToken, scope: `${elsewhere}/.default` };
  const exchange = (DPoP) => client.genericGrantRequest(configuration, exchangeGrant, asked, { DPoP });
  for (const DPoP of [undefined, other]) {
    const error = await refusal(exchange(DPoP));
    assert.deepEqual([error.status, error.error], [400, 'invalid_dpop_proof']);
  }
  const made = await exchange(mine);
  assert.deepEqual(claims(made.access_token).cnf, claims(token).cnf);
});

test('exchange of what is no live token', async () => {
  const token = await issued();
  await revoked(good, token);
  for (const no of ['x', token]) {
    const error = await refusal(exchanged(await api(), { subject_token: no }));
    assert.deepEqual([error.status, error.error], [400, 'invalid_request']);
  }
});

await main();
