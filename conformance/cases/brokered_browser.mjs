// The sample's page in Chromium before a Daypass whose credentials an emulated cloud makes: what the page gets is the
// cloud's, and the cloud knows the page by it.

// needs: npm
// client: brokered / Chromium

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Service, fresh, freePort, main, once, running, test, waitUntil } from '../daypass.mjs';
import { site, text, visit } from '../browser.mjs';

const ACCOUNT = '100000000001';

/** A cloud, what controls it, and the page's origin with a Daypass for it. */
const world = once(async () => {
  const folder = fresh('brokered-browser-cloud');
  const [port, file] = [await freePort(), path.join(folder, 'credentials.json')];
  const args = ['emulate', '--listen', `127.0.0.1:${port}`, '--data', path.join(folder, 'cloud'), '--credentials', file];
  await running(process.env.DAYPASS_BINARY, args, port, { log: path.join(folder, 'emulate.log') });
  const cloud = JSON.parse(fs.readFileSync(file, 'utf8'));
  const control = async (place, document) => {
    const headers = { Authorization: `Bearer ${cloud.control.token}` };
    const options = document ? { method: 'POST', body: JSON.stringify(document), headers } : { headers };
    return (await fetch(cloud.control.url + place, options)).json();
  };
  const root = path.join(folder, 'root.key');
  fs.writeFileSync(root, `${cloud.tencent.secret_id}:${cloud.tencent.secret_key}\n`, { mode: 0o600 });
  const own = await freePort();
  const routes = {
    '/': text('pages/sample.html').replace('{{url}}', `http://127.0.0.1:${own}/getAuthorization`),
    '/tencent-soe.js': text('pages/tencent-soe.js'),
  };
  const { origin } = await site(routes, { sts: cloud.url });
  const service = await Service.make(
    'brokered-browser',
    `[[tenant.role]]
name = "soe"
issuer = "cloud"
lifetime = { default = "15m", max = "15m" }
policy = { cam = '{"version":"2.0","statement":{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}' }
wildcard_reason = "SOE has no resource-level rights"
[[issuer]]
name = "cloud"
kind = "tencent"
region = "ap-guangzhou"
url = "${cloud.url}"
account = "${ACCOUNT}"
root_key = { file = "${root}" }
[[endpoint]]
dialect = "tencent.getAuthorization"
path = "/getAuthorization"
tenant = "acme"
role = "soe"
origins = ["${origin}"]
quota = { address = 1000, endpoint = 1000 }
caller = { anonymous = { reason = "a test" } }
`,
    { port: own },
  );
  await service.start();
  return { control, origin };
});

async function shown(address) {
  const page = await visit(address);
  await page.waitForFunction(() => document.getElementById('got').textContent);
  return JSON.parse(await page.textContent('#got'));
}

test('a page whose cloud fails is told so, and gets its key when the cloud is well again', async () => {
  const { control, origin } = await world();
  await control('/faults', { faults: ['tencent:500'] });
  const refused = await shown(origin);
  assert.equal(refused.identity, undefined, JSON.stringify(refused));
  await control('/faults', { faults: [] });
  await waitUntil(async () => (await shown(origin)).identity, 60, 'there is no key');
});

test('the page signs with what the cloud made, and two pages ask it once', async () => {
  const { control, origin } = await world();
  const [one, other] = [await shown(origin), await shown(origin)];
  assert.equal(one.identity.AccountId, ACCOUNT, JSON.stringify(one));
  assert.match(one.identity.Arn, /^qcs::sts:100000000001:federated-user\//);
  assert.equal(one.credential.TmpSecretId, other.credential.TmpSecretId);
  const { counts } = await control('/requests');
  assert.equal(counts['tencent GetFederationToken ok'], 1, JSON.stringify(counts));
});

await main();
