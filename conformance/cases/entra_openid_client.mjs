// openid-client, which insists that the issuer of the discovery document is the URL it began from, byte for byte.

// needs: npm
// client: entra / openid-client

import assert from 'node:assert/strict';
import { load, main, refusal, test } from '../daypass.mjs';
import { Provoking, checkToken, good, plain } from '../entra.mjs';

const client = await load('openid-client');

const configuration = (asker, authentication, more = {}) =>
  client.discovery(new URL(asker.issuer), asker.id, {}, authentication, more);

async function token(authentication, asker = good, more) {
  return client.clientCredentialsGrant(await configuration(asker, authentication, more), { scope: asker.scope });
}

const refused = ({ status, error, error_description: description }) => ({ status, error, description });

const asked = async (asker) => refused(await refusal(token(client.ClientSecretPost(asker.secret), asker)));
const inBody = new Provoking(asked, ['status', 'error']);

function check(answer, asker) {
  assert.equal(answer.token_type, 'bearer');
  assert.equal(answer.expires_in, 3599);
  return checkToken(answer.access_token, asker);
}

test('client_secret_post', async () => check(await token(client.ClientSecretPost(good.secret))));

test('client_secret_basic', async () => {
  // It percent-encodes what it puts there, `-` and `_` too.
  check(await token(client.ClientSecretBasic(good.secret)));
});

test('discovery by RFC 8414', async () =>
  check(await token(client.ClientSecretPost(good.secret), good, { algorithm: 'oauth2' })));

test('over http', async () =>
  check(await token(client.ClientSecretPost(plain.secret), plain, { execute: [client.allowInsecureRequests] }), plain));

test('an issuer that is not the URL it began from', async () => {
  // Another name of the same machine, for which the certificate is good as well.
  const elsewhere = good.but({ base: good.base.replace('127.0.0.1', 'localhost') });
  const error = await refusal(configuration(elsewhere, client.ClientSecretPost(good.secret)));
  assert.equal(error.code, 'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED');
});

test('wrong secret', () => inBody.wrongSecret());

test('wrong secret by Basic', async () => {
  const error = await refusal(token(client.ClientSecretBasic('wrong')));
  assert.equal(error.status, 401);
  assert.match(error.response.headers.get('WWW-Authenticate'), /^Basic /);
});

test('unknown client', () => inBody.unknownClient());

test('secret that has run out', () => inBody.endedSecret());

test('disabled client', () => inBody.disabledClient());

test('unknown tenant', async () => {
  const error = await refusal(token(client.ClientSecretPost(good.secret), good.but({ tenant: 'no-tenant' })));
  assert.equal(error.cause?.status ?? error.status, 400);
});

test('scope without /.default', () => inBody.narrowScope());

test('unknown resource', () => inBody.unknownResource());

test('a resource that is not granted', () => inBody.notGranted());

test('wrong grant', async () => {
  const known = await configuration(good, client.ClientSecretPost(good.secret));
  const asked = client.genericGrantRequest(known, 'password', { username: 'ada', password: 'x', scope: good.scope });
  inBody.wrongGrant(refused(await refusal(asked)));
});

await main();
