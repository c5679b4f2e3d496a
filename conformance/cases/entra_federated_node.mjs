// Clients that keep no secret at all, with Microsoft's libraries for Node: an outside provider's token is their proof.

// needs: pypi npm
// client: entra / an outside provider's token

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Service, freePort, fresh, load, main, once, python, refusal, test } from '../daypass.mjs';
import { Asker, checkToken, serverKey, since20 } from '../entra.mjs';

const audience = 'api://AzureADTokenExchange';
const resource = 'd6b7c858-55fa-4d04-85a6-131af690abd4';
const subject = 'system:serviceaccount:prod:orders';

const setUp = once(async () => {
  const port = await freePort();
  await python('stand_ins/provider.py', port, {
    env: { PROVIDER_PORT: String(port) },
    log: path.join(fresh('entra_federated_node_provider'), 'log'),
  });
  const issuer = `http://127.0.0.1:${port}`;
  const rest = `
[[tenant.provider]]
name = "cluster"
issuer = "${issuer}"
audience = ["${audience}"]

[[tenant.role]]
name = "devcenter"
audience = "${resource}"
roles = ["orders.read"]
`;
  const service = await Service.make('entra_federated_node', rest, { tls: await serverKey() });
  const args = ['--role', 'devcenter', '--provider', 'cluster', '--subject', subject];
  const { client } = await service.client('orders', 'federated', ...args);
  await service.start();
  const tenant = '387c56a8-cf86-45de-b9f5-b4de88cac054';
  const entra = { tenant, client_id: client, client_secret: '', scope: `${resource}/.default` };
  const asker = new Asker({ url: service.url, entra });
  const token = async (claims = {}) => {
    const said = new URLSearchParams({ sub: subject, aud: audience, ...claims });
    return (await (await fetch(`${issuer}/token?${said}`)).json()).token;
  };
  return { asker, token };
});

const msal = since20(() => load('@azure/msal-node'));
const identity = since20(() => load('@azure/identity'));

async function byMsal(assertion) {
  const { asker } = await setUp();
  const { ConfidentialClientApplication } = await msal();
  const knownAuthorities = [new URL(asker.base).host];
  const auth = { clientId: asker.id, authority: asker.authority, knownAuthorities, clientAssertion: async () => assertion };
  const client = new ConfidentialClientApplication({ auth });
  return client.acquireTokenByClientCredential({ scopes: [asker.scope] });
}

test('MSAL Node', async () => {
  const { asker, token } = await setUp();
  checkToken((await byMsal(await token())).accessToken, asker, '2');
});

test('azure-identity (Node), from a file', async () => {
  const { asker, token } = await setUp();
  const { WorkloadIdentityCredential } = await identity();
  const tokenFilePath = path.join(fresh('entra_federated_node_file'), 'token');
  fs.writeFileSync(tokenFilePath, await token());
  const options = { authorityHost: asker.base, disableInstanceDiscovery: true };
  const made = new WorkloadIdentityCredential({ tenantId: asker.tenant, clientId: asker.id, tokenFilePath, ...options });
  checkToken((await made.getToken(asker.scope)).token, asker, '2');
});

test('the same token again, until it ends', async () => {
  const { asker, token } = await setUp();
  const assertion = await token({ jti: 'once' });
  for (let n = 0; n < 2; n++) checkToken((await byMsal(assertion)).accessToken, asker, '2');
});

async function refused(claims) {
  const { token } = await setUp();
  const error = await refusal(byMsal(await token(claims)));
  assert.equal(error.errorCode, 'invalid_client');
  return error.message;
}

test('another subject', async () =>
  assert.match(await refused({ sub: 'system:serviceaccount:prod:billing' }), /serviceaccount:prod:billing/));

test('a token for another audience', () => refused({ aud: 'https://kubernetes.default.svc' }));

test('a token that has ended', () => refused({ exp: '1600000000' }));

await main();
