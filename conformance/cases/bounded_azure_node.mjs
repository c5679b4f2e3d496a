// MSAL and the Azure SDK for Node where they are turned away for now. MSAL does not ask again by itself, and not before
// `Retry-After` says so; the Azure SDK waits inside the call for as long as it says, three times, whatever that is. So it never
// says more than a minute.

// needs: npm
// client: bounded / MSAL and Azure SDK (Node)

import assert from 'node:assert/strict';
import { Bounded, RESOURCE, TENANT } from '../bounded.mjs';
import { load, main, test } from '../daypass.mjs';
import { serverKey, since20 } from '../entra.mjs';

const identity = since20(() => load('@azure/identity'));
const msal = since20(() => load('@azure/msal-node'));
const clients = ['msal', 'azure'].map((name) => [name, 'client-secret', '--role', 'devcenter']);
const server = await Bounded.start('bounded-azure-node', { tls: await serverKey(), clients });
const scope = `${RESOURCE}/.default`;

async function application() {
  const { client_id: clientId, client_secret: clientSecret } = server.keys.msal;
  const { ConfidentialClientApplication } = await msal();
  const authority = `${server.url}/${TENANT}`;
  return new ConfidentialClientApplication({ auth: { clientId, clientSecret, authority, knownAuthorities: [server.host] } });
}

const tokenOf = async (made) =>
  (await made.acquireTokenByClientCredential({ scopes: [scope], skipCache: true })).accessToken;
const byMsal = async () => tokenOf(await application());

async function byAzure() {
  const { client_id: id, client_secret: secret } = server.keys.azure;
  const { ClientSecretCredential } = await identity();
  const where = { authorityHost: server.url, disableInstanceDiscovery: true };
  return (await new ClientSecretCredential(TENANT, id, secret, where).getToken(scope)).token;
}

test('turned away for want of room, and served when there is room', async () => {
  // It asks for the endpoints first, which are public.
  const [outcome] = await server.atTheBound(byMsal);
  outcome.refused(/temporarily_unavailable.*90033/, 1, 1);
  await byMsal();
});

test('told to ask again where it retries', async () => {
  const outcome = await server.roomComes(byAzure);
  outcome.served();
  assert.ok(outcome.tries > 0, 'it was not refused');
});

test('above its rate, and served when it may ask again', async () => {
  const [outcome] = await server.aboveItsRate('msal', byMsal);
  outcome.refused(/temporarily_unavailable.*90055.*the rate of this client/, 1, 1);
  await server.waitsForItsRate('azure', byAzure);
});

test('a day that is used up', async () => {
  // The Azure SDK is not told to wait until midnight, for it would.
  for (const [name, call] of [['msal', byMsal], ['azure', byAzure]]) {
    const [outcome] = await server.dayUsedUp(name, call);
    outcome.refused(/temporarily_unavailable.*90055.*he daily quota of this client is used up/, 1, 1);
  }
});

test('a store that is away, and comes back', async () => {
  const [[refused], tries] = await server.whileAway(byMsal);
  refused.told(/temporarily_unavailable.*90033/);
  assert.equal(tries, 1, 'questions in vain');
  const [[served]] = await server.whileAway(byAzure);
  served.served();
});

await main();
