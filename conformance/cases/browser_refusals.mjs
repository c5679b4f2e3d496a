// What a real browser is refused, and what its page learns of it.

// needs: npm
// client: tencent / Chromium

import assert from 'node:assert/strict';
import { Service, freePort, main, once, test, waitUntil } from '../daypass.mjs';
import { blank, fetched, keysOf, site, statusesOf, visit } from '../browser.mjs';
import { endpoint, uploads } from '../snippets.mjs';

const started = once(async () => {
  const whoami = (request, response) => {
    const user = /(?:^|; )sid=(\w+)/.exec(request.headers.cookie ?? '')?.[1];
    response.writeHead(user ? 200 : 401, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify(user ? { subject: user } : {}));
  };
  const broken = (request, response) => response.writeHead(200, { 'Content-Type': 'application/json' }).end('{"user":1}');
  const moved = (request, response) => response.writeHead(302, { Location: '/whoami' }).end();
  const failing = (request, response) => response.writeHead(500).end();
  const silent = () => {};
  const routes = { '/whoami': whoami, '/broken': broken, '/moved': moved, '/failing': failing, '/silent': silent };
  const { origin } = await site({ '/': blank, ...routes });
  const nobody = `http://127.0.0.1:${await freePort()}`;
  const session = (url) => `session = { cookie = "sid", whoami = "${url}", timeout = "1s" }`;
  const limited = (path, quota) => endpoint([origin], session(`${origin}/whoami`), { path, more: `quota = { ${quota} }` });
  const unwell = Object.entries({ broken: origin, moved: origin, failing: origin, silent: origin, down: nobody });
  const service = await Service.make(
    'refusals',
    uploads +
      endpoint([origin], session(`${origin}/whoami`)) +
      limited('/few', 'subject = 2, address = 3') +
      limited('/fewer', 'address = 100, endpoint = 1') +
      unwell.map(([name, at]) => endpoint([origin], session(`${at}/${name}`), { path: `/${name}` })).join(''),
  );
  await service.start();
  return { service, origin, url: `${service.url}/getAuthorization` };
});

/** A tab with a user's cookie, which all ports of the machine share. */
async function tab(origin, user = 'alice') {
  const page = await visit(origin);
  await page.evaluate((user) => { document.cookie = `sid=${user}; SameSite=Lax`; }, user);
  return page;
}

const ask = (page, url) => fetched(page, url, { credentials: 'include' });

test('an origin that is not listed gets nothing, with the visitor logged in', async () => {
  const { origin, url } = await started();
  const { origin: elsewhere } = await site({ '/': blank });
  const page = await tab(origin);
  keysOf(await ask(page, url));
  await page.goto(elsewhere);
  const statuses = await statusesOf(page, url);
  const answer = await ask(page, url);
  assert.ok(answer.hidden, JSON.stringify(answer));
  await waitUntil(() => statuses.length, 60, 'the answer was not seen on the wire');
  assert.deepEqual(statuses, [403]);
});

test('a sandboxed frame, whose origin is null, gets nothing', async () => {
  const { origin, url } = await started();
  const page = await tab(origin);
  const said = await page.evaluate(
    (url) =>
      new Promise((done) => {
        addEventListener('message', ({ data }) => done(data), { once: true });
        const frame = document.createElement('iframe');
        frame.sandbox = 'allow-scripts';
        frame.srcdoc = `<script>fetch('${url}', { credentials: 'include' }).then((answer) => answer.text(), String)
          .then((text) => parent.postMessage(text, '*'))</` + 'script>';
        document.body.append(frame);
      }),
    url,
  );
  assert.ok(!said.includes('TmpSecretKey') && said.includes('Failed to fetch'), said);
});

test('a navigation to the address is answered 403', async () => {
  const { origin, url } = await started();
  const page = await tab(origin);
  const answer = await page.goto(url);
  assert.equal(answer.status(), 403);
  assert.ok(!(await page.content()).includes('TmpSecretKey'));
});

test('an image, a script, a style, a frame and an object of the address get nothing', async () => {
  const { origin, url } = await started();
  const page = await tab(origin);
  const statuses = await statusesOf(page, url);
  const failed = await page.evaluate(
    (url) =>
      Promise.all(
        [['img', 'src'], ['script', 'src'], ['link', 'href'], ['iframe', 'src'], ['object', 'data']].map(
          ([name, attribute], n) =>
            new Promise((done) => {
              const element = document.createElement(name);
              if (name === 'link') element.rel = 'stylesheet';
              element.onerror = () => done(name);
              // A frame is loaded even with an error page, whose text no other origin can read.
              element.onload = () => done(name === 'iframe' || name === 'object' ? name : `${name} was loaded`);
              element[attribute] = `${url}?${n}`;
              document.body.append(element);
            }),
        ),
      ),
    url,
  );
  assert.deepEqual(failed, ['img', 'script', 'link', 'iframe', 'object']);
  await waitUntil(() => statuses.length >= 5, 60, `the browser asked only ${statuses.length} times`);
  assert.deepEqual([...new Set(statuses)], [403]);
});

test('a form of another page gets nothing', async () => {
  const { origin, url } = await started();
  const page = await tab(origin);
  const [answer] = await Promise.all([
    page.waitForResponse((response) => response.url().startsWith(url)),
    page.evaluate((url) => {
      const form = document.createElement('form');
      Object.assign(form, { action: url, method: 'POST' });
      document.body.append(form);
      form.submit();
    }, url),
  ]);
  assert.ok([403, 405].includes(answer.status()), String(answer.status()));
});

test('a subject whose quota is used up still gets the credential that it has', async () => {
  const { origin, service } = await started();
  const page = await tab(origin, 'quota1');
  const ids = new Set();
  for (let n = 0; n < 6; n++) ids.add(keysOf(await ask(page, `${service.url}/few`)).secretId);
  assert.equal(ids.size, 1);
});

test('over the quota: 429 with Retry-After, which the page can read', async () => {
  const { origin, service } = await started();
  const page = await visit(origin);
  const answers = [];
  for (const user of ['quota2', 'quota3', 'quota4', 'quota5']) {
    await page.evaluate((user) => { document.cookie = `sid=${user}; SameSite=Lax`; }, user);
    answers.push(await ask(page, `${service.url}/few`));
  }
  const over = answers.at(-1);
  assert.equal(over.status, 429, JSON.stringify(answers.map(({ status }) => status)));
  assert.match(over.headers['retry-after'], /^\d+$/);
  assert.ok(Number(over.headers['retry-after']) >= 1 && Number(over.headers['retry-after']) <= 60);
  assert.ok(over.body.Error.Message, JSON.stringify(over.body));
});

test('over the quota of the whole endpoint: 429, whoever asks', async () => {
  const { origin, service } = await started();
  keysOf(await ask(await tab(origin, 'quota6'), `${service.url}/fewer`));
  assert.equal((await ask(await tab(origin, 'quota7'), `${service.url}/fewer`)).status, 429);
});

test('an application that does not answer, or not as agreed: 503', async () => {
  const { origin, service } = await started();
  const page = await tab(origin);
  for (const path of ['/down', '/broken', '/moved', '/failing', '/silent']) {
    const answer = await ask(page, service.url + path);
    assert.equal(answer.status, 503, JSON.stringify(answer));
    assert.ok(answer.body.Error.Message && answer.body.RequestId);
    assert.ok(!JSON.stringify(answer.body).includes('127.0.0.1'), 'the page learns the address of the application');
  }
});

test('a logged-out page is answered 401 once the session has ended', async () => {
  const { origin, url } = await started();
  const page = await tab(origin);
  keysOf(await ask(page, url));
  await page.evaluate(() => { document.cookie = 'sid=; Max-Age=0'; });
  assert.equal((await ask(page, url)).status, 401);
});

test('no answer, refusal or not, is kept by the browser', async () => {
  const { origin, url } = await started();
  const page = await tab(origin);
  for (const more of ['', '?a=1']) {
    const answered = page.waitForResponse((response) => response.url() === url + more);
    await fetched(page, url + more, { credentials: more ? 'omit' : 'include' });
    const headers = (await answered).headers();
    assert.match(headers['cache-control'], /no-store/);
    assert.match(headers.vary, /origin/i);
  }
});

await main();
