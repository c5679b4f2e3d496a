// The Azure SDK for Node, with an MSAL of its own inside.

// needs: npm
// client: entra / azure-identity (Node)

import assert from 'node:assert/strict';
import { load, main, refusal, test } from '../daypass.mjs';
import { Provoking, checkToken, good, since20 } from '../entra.mjs';

const identity = since20(() => load('@azure/identity'));
const where = (asker) => ({ authorityHost: asker.base, disableInstanceDiscovery: true });

async function credential(asker = good) {
  const { ClientSecretCredential } = await identity();
  return new ClientSecretCredential(asker.tenant, asker.id, asker.secret, where(asker));
}

const ask = async (asker) => (await credential(asker)).getToken(asker.scope);

/** It makes an AuthenticationRequiredError of every refusal, and puts MSAL's text into that. */
function refused({ name, message }) {
  assert.equal(name, 'AuthenticationRequiredError');
  const [, error, code] = /^(\w+): Error\(s\): (\d+) - /.exec(message) ?? assert.fail(message);
  return { description: message, error, code: Number(code) };
}

const provoking = new Provoking(async (asker) => refused(await refusal(ask(asker))), ['error', 'code']);

test('client_secret_post', async () => checkToken((await ask(good)).token));

test('everything from the environment', async () => {
  // As a program is moved that knows nothing of where its tokens come from.
  Object.assign(process.env, {
    AZURE_AUTHORITY_HOST: good.base,
    AZURE_TENANT_ID: good.tenant,
    AZURE_CLIENT_ID: good.id,
    AZURE_CLIENT_SECRET: good.secret,
  });
  const { EnvironmentCredential } = await identity();
  const made = new EnvironmentCredential({ disableInstanceDiscovery: true });
  checkToken((await made.getToken(good.scope)).token);
});

test('the second token is the first one', async () => {
  const made = await credential();
  const first = await made.getToken(good.scope);
  assert.equal((await made.getToken(good.scope)).token, first.token);
});

test('over http it does not even ask', async () => {
  const error = await refusal(ask(good.but({ base: good.base.replace('https:', 'http:') })));
  assert.match(error.message, /https/);
});

test('wrong secret', () => provoking.wrongSecret());

test('unknown client', () => provoking.unknownClient());

test('secret that has run out', () => provoking.endedSecret());

test('disabled client', () => provoking.disabledClient());

test('scope without /.default', () => provoking.narrowScope());

test('unknown resource', () => provoking.unknownResource());

test('a resource that is not granted', () => provoking.notGranted());

test('wrong grant', async () => {
  // On behalf of a user, as it calls that.
  const { OnBehalfOfCredential } = await identity();
  const options = { tenantId: good.tenant, clientId: good.id, clientSecret: good.secret, userAssertionToken: 'x' };
  const made = new OnBehalfOfCredential({ ...options, ...where(good) });
  provoking.wrongGrant(refused(await refusal(made.getToken(good.scope))));
});

await main();
