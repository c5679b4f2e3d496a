// openid-client, which insists that the issuer of the discovery document is the URL it began from, byte for byte.

// needs: npm
// client: entra / openid-client

import assert from 'node:assert/strict';
import { credentials, load, main, refusal, test } from '../daypass.mjs';

const client = await load('openid-client');
const { tenant, client_id: id, client_secret: secret, scope } = credentials.entra;
const issuer = new URL(`${credentials.url}/${tenant}/v2.0`);
const options = { execute: [client.allowInsecureRequests] };

async function token(authentication, more = {}) {
  const configuration = await client.discovery(issuer, id, {}, authentication, { ...options, ...more });
  return client.clientCredentialsGrant(configuration, { scope });
}

function checkToken(answer) {
  assert.equal(answer.token_type, 'bearer');
  assert.equal(answer.expires_in, 3599);
  assert.equal(answer.access_token.split('.').length, 3);
}

test('client_secret_post', async () => checkToken(await token(client.ClientSecretPost(secret))));

test('client_secret_basic, which it percent-encodes', async () => checkToken(await token(client.ClientSecretBasic(secret))));

test('discovery by RFC 8414', async () => checkToken(await token(client.ClientSecretPost(secret), { algorithm: 'oauth2' })));

test('wrong secret in the body', async () => {
  const error = await refusal(token(client.ClientSecretPost('wrong')));
  assert.equal(error.error, 'invalid_client');
  assert.match(error.error_description, /^AADSTS7000215: /);
});

test('wrong secret by Basic', async () => {
  const error = await refusal(token(client.ClientSecretBasic('wrong')));
  assert.equal(error.status, 401);
});

await main();
