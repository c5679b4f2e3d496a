// The guide's API that accepts temporary keys: the sample's page in Chromium gets one from getAuthorization, its script
// signs a call to the API with it in the browser, and the API asks Daypass.

// needs: npm
// client: api / keys of getAuthorization, in Chromium

import path from 'node:path';
import assert from 'node:assert/strict';
import { Service, freePort, here, main, once, running, test } from '../daypass.mjs';
import { site, text, visit } from '../browser.mjs';
import { endpoint } from '../snippets.mjs';

const role = (name, action) => `
[[tenant.role]]
name = "${name}"
lifetime = { default = "5m", max = "15m" }
policy = { cam = '{"version":"2.0","statement":{"effect":"allow","action":["${action}"],"resource":"*"}}' }
wildcard_reason = "SOE has no resource-level rights"
`;
const STS = "{ service: 'sts', action: 'GetCallerIdentity', version: '2018-08-13' }";
const SOE = "{ service: 'soe', action: 'TransmitOralProcessWithInit', version: '2018-07-24' }";

const started = once(async () => {
  const [daypass, api, port] = [await freePort(), await freePort(), await freePort()];
  const page = (path) => text('pages/sample.html').replace('{{url}}', `http://127.0.0.1:${daypass}${path}`);
  const script = text('pages/tencent-soe.js');
  assert.ok(script.includes(STS));
  const routes = {
    '/': page('/getAuthorization'),
    '/other': page('/other'),
    '/tencent-soe.js': script.replace(STS, SOE),
  };
  // The page's own server passes its calls on to the API, as a proxy does that leaves the host as it is.
  const { origin } = await site(routes, { port, sts: `http://127.0.0.1:${api}` });
  const open = 'anonymous = { reason = "a public demonstration page" }';
  const more = 'quota = { address = 60, endpoint = 100 }';
  const config =
    role('soe', 'soe:TransmitOralProcessWithInit') +
    role('other', 'soe:InitOralProcess') +
    endpoint([origin], open, { role: 'soe', more }) +
    endpoint([origin], open, { path: '/other', role: 'other', more });
  const service = await Service.make('browser-api', config, { port: daypass });
  const key = await service.client('api', 'client-secret', '--audience', 'cam:soe');
  await service.start();
  const env = {
    DAYPASS: service.url,
    CLIENT_ID: key.client_id,
    CLIENT_SECRET: key.client_secret,
    PORT: String(api),
  };
  const log = path.join(service.folder, 'api.log');
  await running(process.execPath, [path.join(here, 'snippets/api/accepts_keys.mjs')], api, { env, log });
  return { service, origin };
});

async function shown(address) {
  const page = await visit(address);
  await page.waitForFunction(() => document.getElementById('got').textContent);
  return JSON.parse(await page.textContent('#got'));
}

test('a key that a page got is accepted by an API of its own', async () => {
  const { origin } = await started();
  const { identity, credential, ...rest } = await shown(origin);
  assert.ok(identity, JSON.stringify(rest));
  assert.equal(identity.Score, 98);
  assert.equal(identity.Role, 'soe');
  assert.equal(identity.Key, credential.TmpSecretId);
});

test('a key whose role does not allow the action is refused by it', async () => {
  const { origin } = await started();
  assert.deepEqual(await shown(`${origin}/other`), { error: 'UnauthorizedOperation: no_statement' });
});

test('what nobody signed is refused by it', async () => {
  const { origin } = await started();
  const answer = await fetch(origin, { method: 'POST', body: '{}' });
  assert.equal(answer.status, 401);
  assert.equal((await answer.json()).Response.Error.Code, 'AuthFailure');
});

test('questions leave no record', async () => {
  const { service, origin } = await started();
  await shown(origin);
  const events = (await service.records()).map(({ dialect }) => dialect);
  assert.ok(events.includes('tencent.getAuthorization'), JSON.stringify(events));
  assert.ok(!events.includes('verify'), JSON.stringify(events));
});

await main();
