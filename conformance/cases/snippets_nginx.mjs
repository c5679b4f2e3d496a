// The nginx snippet of the documentation: Daypass is a path of the application's own site, and the sample's page is not
// touched but for the address.

// needs: pypi npm
// client: tencent / nginx

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Service, Skipped, freePort, main, once, packaged, running, test } from '../daypass.mjs';
import { blank, fetched, keysOf, site, subjectOf, text, visit } from '../browser.mjs';
import { configured, flask, tab, uploads } from '../snippets.mjs';

const nginx = process.env.DAYPASS_NGINX;

const started = once(async () => {
  if (!nginx) throw new Skipped('nginx is not installed');
  const [front, application] = [await freePort(), await freePort()];
  const origin = `http://127.0.0.1:${front}`;
  const config = configured('session', `http://127.0.0.1:${application}`);
  const server = `public_url = "${origin}"\nbehind_proxy = ["127.0.0.1/32"]`;
  const service = await Service.make('nginx', uploads + config, { server });
  const folder = service.folder;
  const env = { PORT: String(application), PAGES: folder, FLASK_SECRET_KEY: 'only here' };
  fs.writeFileSync(path.join(folder, 'index.html'), text('pages/sample.html').replace('{{url}}', '/getAuthorization'));
  // Here the stand-in only shows the four values: what they are worth is asked below, from outside of the page.
  fs.writeFileSync(
    path.join(folder, 'tencent-soe.js'),
    'class TencentSOE { constructor(options) { options.getAuthorization((got) => show({ got })); } }',
  );
  fs.writeFileSync(path.join(folder, 'axios.js'), packaged('axios/dist/axios.min.js'));
  const nginxConfig = text('snippets/nginx.conf')
    .replaceAll('127.0.0.1:8080', `127.0.0.1:${front}`)
    .replaceAll('127.0.0.1:8000', `127.0.0.1:${application}`)
    .replaceAll('127.0.0.1:5050', service.host);
  fs.writeFileSync(path.join(folder, 'nginx.conf'), nginxConfig);
  await service.start();
  await flask('session', application, { env, log: path.join(folder, 'snippet.log') });
  const args = ['-p', `${folder}/`, '-c', path.join(folder, 'nginx.conf'), '-e', 'stderr'];
  await running(nginx, args, front, { log: path.join(folder, 'nginx.log') });
  return { service, origin, url: `${origin}/getAuthorization` };
});

test("the sample's page on one origin with Daypass, by its session", async () => {
  const { service, origin } = await started();
  for (const user of ['alice', 'bob']) {
    const page = await tab(origin, user);
    await page.waitForFunction(() => document.getElementById('got').textContent);
    const { got } = JSON.parse(await page.textContent('#got'));
    const key = { secretId: got.TmpSecretId, secretKey: got.TmpSecretKey, token: got.Token };
    assert.equal(await subjectOf(service, key), user);
  }
});

test('session: a page that is not logged in is answered 401', async () => {
  const { origin, url } = await started();
  assert.equal((await fetched(await visit(origin), url)).status, 401);
});

test('session: a page of another site gets nothing, whatever cookies its visitor has', async () => {
  const { origin, url } = await started();
  const page = await tab(origin, 'alice');
  keysOf(await fetched(page, url));
  const { origin: elsewhere } = await site({ '/': blank });
  await page.goto(elsewhere);
  assert.ok((await fetched(page, url, { credentials: 'include' })).hidden);
});

test('the address in the records is that of the visitor, not what it says of itself', async () => {
  const { service, origin, url } = await started();
  keysOf(await fetched(await tab(origin, 'erin'), url, { headers: { 'X-Forwarded-For': '203.0.113.9' } }));
  const said = JSON.stringify(await service.records());
  assert.ok(said.includes('127.0.0.1') && !said.includes('203.0.113.9'), said);
});

await main();
