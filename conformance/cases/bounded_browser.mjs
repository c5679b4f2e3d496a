// A page in Chromium where it is turned away for now. The browser asks nothing again by itself. What it asks before the request is
// answered even where there is no room: else it would tell its page nothing, not even the status.

// needs: npm
// client: bounded / Chromium

import assert from 'node:assert/strict';
import { Bounded } from '../bounded.mjs';
import { main, once, test } from '../daypass.mjs';
import { blank, fetched, keysOf, site, visit } from '../browser.mjs';
import { endpoint } from '../snippets.mjs';

const started = once(async () => {
  const whoami = (request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json' });
    response.end(JSON.stringify({ subject: request.headers['x-session'] }));
  };
  const { origin } = await site({ '/': blank, '/whoami': whoami });
  const session = `session = { header = "x-session", whoami = "${origin}/whoami" }`;
  const limited = (path, limits) => endpoint([origin], session, { path, role: 'soe', more: `limits = { ${limits} }` });
  const more =
    endpoint([origin], session, { role: 'soe' }) +
    limited('/seldom', 'network = { rate = "1/h", burst = 1 }') +
    limited('/daily', 'endpoint = { daily = 1 }');
  return { origin, server: await Bounded.start('bounded-browser', { more, clients: [] }) };
});

/** Asks as a page does that was not here before. The header is one that the browser asks about first. */
async function ask(path, user) {
  const { origin, server } = await started();
  return fetched(await visit(origin), server.url + path, { headers: { 'X-Session': user } });
}

function refused(answer, status, code) {
  assert.ok(!answer.hidden, `the page learns nothing: ${answer.hidden}`);
  assert.deepEqual([answer.status, answer.body.Error.Code], [status, code]);
  return Number(answer.headers['retry-after']);
}

test('turned away for want of room, and served when there is room', async () => {
  const { server } = await started();
  const again = refused(await server.full(() => ask('/getAuthorization', 'alice')), 503, 'ServiceUnavailable');
  assert.ok(again >= 1 && again <= 3, `the page is to ask again in ${again} seconds`);
  keysOf(await ask('/getAuthorization', 'alice'));
});

test('above its rate, and served when it may ask again', async () => {
  keysOf(await ask('/seldom', 'alice'));
  const again = refused(await ask('/seldom', 'bob'), 429, 'RequestLimitExceeded');
  assert.ok(again > 60 && again <= 3600, `the page is to ask again in ${again} seconds`);
});

test('a day that is used up', async () => {
  keysOf(await ask('/daily', 'alice'));
  const again = refused(await ask('/daily', 'bob'), 429, 'RequestLimitExceeded');
  assert.ok(again >= 1 && again <= 86_400, `the page is to ask again in ${again} seconds`);
});

await main();
