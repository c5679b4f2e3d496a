// openid-client with a certificate (RFC 8705): undici shows it, and the metadata says where. The tokens are bound to it.

// needs: pypi npm
// client: entra / openid-client, a certificate

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Service, freePort, load, main, once, refusal, test } from '../daypass.mjs';
import { Asker, checkToken, makeKeys, serverKey } from '../entra.mjs';

const client = await load('openid-client');
const undici = await load('undici');
const resource = 'd6b7c858-55fa-4d04-85a6-131af690abd4';
const ca = fs.readFileSync(path.join(process.env.DAYPASS_SECURE, 'ca.pem'));

const setUp = once(async () => {
  const mutual = `127.0.0.1:${await freePort()}`;
  const rest = `
[[tenant.role]]
name = "devcenter"
audience = "${resource}"
roles = ["orders.read"]
`;
  const server = `mutual_tls = { listen = "${mutual}", public_url = "https://${mutual}" }`;
  const service = await Service.make('entra_mutual_tls_node', rest, { server, tls: await serverKey() });
  const keys = await makeKeys('ES256', 'ES256-stranger');
  const args = ['--role', 'devcenter', '--certificate', keys[0].files.certificate];
  const made = await service.client('orders', 'certificate', ...args);
  await service.start();
  const tenant = '387c56a8-cf86-45de-b9f5-b4de88cac054';
  const entra = { tenant, client_id: made.client, client_secret: '', scope: `${resource}/.default` };
  return { mutual, keys, asker: new Asker({ url: service.url, entra }) };
});

async function configuration(by, aliases = true) {
  const { asker, keys } = await setUp();
  const connect = by === undefined ? { ca } : { ca, key: keys[by].key, cert: keys[by].certificate };
  const dispatcher = new undici.Agent({ connect });
  const fetched = [];
  const known = await client.discovery(
    new URL(asker.issuer),
    asker.id,
    { use_mtls_endpoint_aliases: aliases },
    client.TlsClientAuth(),
    {
      [client.customFetch]: (url, options) => {
        fetched.push(new URL(url).host);
        return undici.fetch(url, { ...options, dispatcher });
      },
    },
  );
  return { asker, fetched, known };
}

async function refused(by, aliases) {
  const { asker, known } = await configuration(by, aliases);
  const error = await refusal(client.clientCredentialsGrant(known, { scope: asker.scope }));
  assert.deepEqual([error.status, error.error], [401, 'invalid_client']);
  return error.error_description;
}

test('self_signed_tls_client_auth', async () => {
  const { asker, fetched, known } = await configuration(0);
  const answer = await client.clientCredentialsGrant(known, { scope: asker.scope });
  const { mutual, keys } = await setUp();
  assert.deepEqual(fetched, [new URL(asker.base).host, mutual]);
  const bound = Buffer.from(keys[0].sha256, 'hex').toString('base64url');
  assert.deepEqual(checkToken(answer.access_token, asker, '2').cnf, { 'x5t#S256': bound });
});

test('another certificate', async () => assert.match(await refused(1), /^AADSTS700027: /));

test('no certificate', async () => assert.match(await refused(undefined), /^AADSTS7000216: /));

test('a certificate at the listener that does not ask for one', async () =>
  assert.match(await refused(0, false), /^AADSTS7000216: /));

await main();
