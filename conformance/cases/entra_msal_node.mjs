// Microsoft's library for Node, in both its ways of finding the endpoints. It asks login.microsoftonline.com of every
// authority that is not in knownAuthorities, the port included.

// needs: npm
// client: entra / MSAL Node

import assert from 'node:assert/strict';
import { load, main, refusal, test } from '../daypass.mjs';
import { Provoking, checkToken, good, since20, stranger } from '../entra.mjs';

const msal = since20(() => load('@azure/msal-node'));

async function application(asker = good, { auth, ...more } = {}) {
  const { ConfidentialClientApplication } = await msal();
  const host = new URL(asker.base).host;
  const credential = auth ?? { authority: asker.authority, clientSecret: asker.secret };
  return new ConfidentialClientApplication({
    auth: { clientId: asker.id, authority: asker.authority, knownAuthorities: [host], ...credential },
    ...more,
  });
}

const ask = async (asker, options) =>
  (await application(asker, options)).acquireTokenByClientCredential({ scopes: [asker.scope] });

/** Of what it was told it keeps the code and makes a text of its own: `invalid_client: Error(s): 7000215 - …`. */
function refused({ errorCode, errorNo, message }) {
  return { description: message, error: errorCode, code: Number(errorNo) };
}

const provoking = new Provoking(async (asker) => refused(await refusal(ask(asker))), ['error', 'code']);

test('client_secret_post', async () => {
  const answer = await ask(good);
  assert.equal(answer.tokenType, 'Bearer');
  checkToken(answer.accessToken);
});

test('OIDC authority', async () => {
  const auth = { authority: good.issuer, clientSecret: good.secret };
  checkToken((await ask(good, { auth, system: { protocolMode: (await msal()).ProtocolMode.OIDC } })).accessToken);
});

test('the second token is the first one', async () => {
  const client = await application();
  const first = await client.acquireTokenByClientCredential({ scopes: [good.scope] });
  const again = await client.acquireTokenByClientCredential({ scopes: [good.scope] });
  assert.deepEqual([first.fromCache, again.fromCache], [false, true]);
  assert.equal(again.accessToken, first.accessToken);
});

test('over http it does not even ask', async () => {
  const error = await refusal(ask(good.but({ base: good.base.replace('https:', 'http:') })));
  assert.equal(error.errorCode, 'authority_uri_insecure');
});

test("the caller's correlation id comes back", async () => {
  const client = await application(good.but({ secret: 'wrong' }));
  const asked = client.acquireTokenByClientCredential({ scopes: [good.scope], correlationId: stranger });
  assert.match((await refusal(asked)).message, new RegExp(`Correlation ID: ${stranger}`));
});

test('wrong secret', () => provoking.wrongSecret());

test('unknown client', () => provoking.unknownClient());

test('secret that has run out', () => provoking.endedSecret());

test('disabled client', () => provoking.disabledClient());

test('unknown tenant', async () => {
  // It looks for the tenant's endpoints first, and says nothing of what it finds in their place.
  const error = await refusal(ask(good.but({ tenant: stranger })));
  assert.equal(error.errorCode, 'endpoints_resolution_error');
});

test('scope without /.default', () => provoking.narrowScope());

test('unknown resource', () => provoking.unknownResource());

test('a resource that is not granted', () => provoking.notGranted());

test('wrong grant', async () => {
  // On behalf of a user, as it calls that.
  const asked = (await application()).acquireTokenOnBehalfOf({ scopes: [good.scope], oboAssertion: 'x' });
  provoking.wrongGrant(refused(await refusal(asked)));
});

await main();
