// What the cases in a real browser share: Chromium driven by Playwright, the servers of their pages, and what may be
// read back of a credential that a page got.

import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import assert from 'node:assert/strict';
import { Skipped, atEnd, here, load, once, packaged } from './daypass.mjs';
import { Sdk } from './tencent.mjs';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** Debian's Chromium. Playwright itself brings none: it is told where this one is. */
export const browser = once(async () => {
  const places = process.env.PATH.split(':').flatMap((folder) => NAMES.map((name) => path.join(folder, name)));
  const executablePath = places.find((place) => fs.existsSync(place));
  if (!executablePath) throw new Skipped('chromium is not installed');
  const { chromium } = (await load('playwright-core')).default;
  const started = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  atEnd(() => started.close());
  return started;
});

/** A tab of a browser without cookies, at an address. */
export async function visit(address) {
  const context = await (await browser()).newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  await page.goto(address);
  return page;
}

/** The text of a file in pages/ or snippets/. */
export const text = (file) => fs.readFileSync(path.join(here, file), 'utf8');

/** A page with nothing but axios. */
export const blank = '<!doctype html><meta charset="utf-8"><title>page</title><script src="/axios.js"></script>';

/**
 * Serves pages from memory until the end of the file's cases. `routes` has the body or a function (request, response)
 * of each path. A POST to / is passed on as it is, the Host header included, to the Daypass that `sts` names.
 */
export async function site(routes, { port = 0, sts } = {}) {
  const all = { '/axios.js': packaged('axios/dist/axios.min.js'), ...routes };
  const server = http.createServer((request, response) => {
    const route = all[request.url.split('?')[0]];
    if (sts && request.method === 'POST' && request.url === '/') return relay(sts, request, response);
    if (typeof route === 'function') return route(request, response);
    if (route === undefined) return response.writeHead(404).end();
    const type = request.url.endsWith('.js') ? 'text/javascript' : 'text/html; charset=utf-8';
    response.writeHead(200, { 'Content-Type': type }).end(route);
  });
  await new Promise((done, reject) => {
    server.once('listening', done);
    server.once('error', (error) => reject(new Skipped(`port ${port} of 127.0.0.1 cannot be used: ${error.code}`)));
    server.listen(port, '127.0.0.1');
  });
  const close = async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  };
  atEnd(close);
  return { origin: `http://127.0.0.1:${server.address().port}`, close };
}

/** Passes a request on with the very headers that came, Host included, and gives back the answer. */
function relay(url, request, response) {
  const headers = request.rawHeaders;
  const onward = http.request(new URL('/', url), { method: request.method, setHost: false, headers }, (answer) => {
    response.writeHead(answer.statusCode, answer.rawHeaders);
    answer.pipe(response);
  });
  request.pipe(onward);
}

/** What fetch tells a page about a URL: status, the headers it may read, the document; or that it tells nothing. */
export const fetched = (page, url, options = {}) =>
  page.evaluate(
    async ([url, options]) => {
      try {
        const answer = await fetch(url, options);
        const text = await answer.text();
        return { status: answer.status, headers: Object.fromEntries(answer.headers), body: text && JSON.parse(text) };
      } catch (error) {
        return { hidden: String(error) };
      }
    },
    [url, options],
  );

/**
 * The statuses of all answers from an address, as they came over the wire: Chromium tells Playwright nothing of those
 * that it keeps from the page.
 */
export async function statusesOf(page, url) {
  const wire = await page.context().newCDPSession(page);
  const asked = new Set();
  const early = new Map();
  const statuses = [];
  const look = (id) => {
    if (!asked.has(id) || !early.has(id)) return;
    statuses.push(early.get(id));
    early.delete(id);
  };
  wire.on('Network.requestWillBeSent', ({ requestId, request }) => {
    if (request.url.startsWith(url)) asked.add(requestId);
    look(requestId);
  });
  wire.on('Network.responseReceivedExtraInfo', ({ requestId, statusCode }) => {
    early.set(requestId, statusCode);
    look(requestId);
  });
  await wire.send('Network.enable');
  return statuses;
}

/** The parts of an answer of either shape, in the words of the SDK's options. */
export function keysOf(answer) {
  assert.ok(answer.body, `the page got ${JSON.stringify(answer)}`);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  const { Credentials, credentials } = answer.body;
  return Credentials
    ? { secretId: Credentials.TmpSecretId, secretKey: Credentials.TmpSecretKey, token: Credentials.Token }
    : { secretId: credentials.tmpSecretId, secretKey: credentials.tmpSecretKey, token: credentials.sessionToken };
}

/** Asks the service whose key it is: the subject. Its signature is checked on the way. */
export async function subjectOf(service, key) {
  const { UserId } = await new Sdk(service.host, key).whoAmI();
  return UserId.split(':')[1];
}

/** The resources that a credential allows, as the operator reads them back: from its token and from its record. */
export async function resourcesOf(service, { secretId, token }) {
  const [carried, recorded] = await Promise.all([
    service.command('credential', 'show', secretId, `--token=${token}`),
    service.command('credential', 'show', secretId),
  ]);
  assert.deepEqual(carried.policy, recorded.policy);
  assert.equal(carried.standing, 'live');
  return carried.policy.statement.flatMap(({ resource }) => resource).sort();
}
