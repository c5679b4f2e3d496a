// The sample's page in Chromium: it gets its four values, and the script that it is made for signs with them in the
// browser. Only the script is a stand-in, because the vendor's is not published.

// needs: npm
// client: tencent / Chromium

import assert from 'node:assert/strict';
import { credentials, main, test } from '../daypass.mjs';
import { site, text, visit } from '../browser.mjs';

const url = credentials.url + credentials.get_authorization.path;
const routes = { '/': text('pages/sample.html').replace('{{url}}', url), '/tencent-soe.js': text('pages/tencent-soe.js') };

async function shown(address) {
  const page = await visit(address);
  await page.waitForFunction(() => document.getElementById('got').textContent);
  return JSON.parse(await page.textContent('#got'));
}

test("the sample's page gets its four values, and signs with them in the browser", async () => {
  const { port } = new URL(credentials.get_authorization.origin);
  const { origin, close } = await site(routes, { port: Number(port), sts: credentials.url });
  try {
    assert.equal(origin, credentials.get_authorization.origin);
    const got = await shown(origin);
    assert.ok(got.identity, JSON.stringify(got));
    assert.equal(got.RefText, 'I would like to eat an orange');
    assert.match(got.identity.Arn, /^qcs::sts:\d{12}:federated-user\//);
    assert.deepEqual(Object.keys(got.credential).sort(), ['ExpiredTime', 'TmpSecretId', 'TmpSecretKey', 'Token']);
    assert.ok(got.credential.ExpiredTime > Date.now() / 1000 + 60);
  } finally {
    await close();
  }
});

test('the same page of an origin that is not listed gets nothing', async () => {
  const { origin } = await site(routes);
  assert.deepEqual(await shown(origin), { caught: 'Network Error' });
});

await main();
