// The other ways to know a caller, with a page in Chromium: a ticket that Daypass made, an outside provider's token, and
// a session in a header. Cookies and offline tickets are in the cases of the snippets.

// needs: pypi npm
// client: tencent / Chromium

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Service, freePort, fresh, here, main, once, python, test, waitUntil } from '../daypass.mjs';
import { blank, fetched, keysOf, resourcesOf, site, subjectOf, text, visit } from '../browser.mjs';
import { configured, endpoint, keyOf, uploads } from '../snippets.mjs';

const started = once(async () => {
  const port = await freePort();
  const issuer = `http://127.0.0.1:${port}`;
  const log = path.join(fresh('callers-provider'), 'provider.log');
  await python('stand_ins/provider.py', port, { env: { PROVIDER_PORT: String(port) }, log });
  const asked = [];
  const whoami = (request, response) => {
    asked.push(request);
    const user = { 'secret-of-alice': 'alice' }[request.headers['x-session']];
    response.writeHead(user ? 200 : 403, { 'Content-Type': 'application/json' });
    response.end(user ? JSON.stringify({ subject: user }) : '');
  };
  const { origin } = await site({ '/': blank, '/page.js': text('snippets/jwt_page.js'), '/whoami': whoami });
  const jwt = configured('jwt', origin).replace('https://login.example.com', issuer);
  const others = `ticket = { refreshes = 1, refresh_for = "8h" }
session = { header = "x-session", whoami = "${origin}/whoami" }`;
  const open = 'anonymous = { reason = "a public demonstration page" }';
  const shared = `
[[tenant.role]]
name = "public"
lifetime = { default = "5m", max = "15m" }
policy = { cam = '{"version":"2.0","statement":[{"effect":"allow","action":["cos:PutObject"],"resource":["qcs::cos::uid/1250000000:pics-1250000000/public/*"]}]}' }
`;
  const service = await Service.make(
    'callers',
    // All ways at one endpoint, and one that knows nobody.
    `${uploads}${shared}${jwt}${others}` +
      endpoint([origin], open, { path: '/open', role: 'public', more: 'quota = { address = 5, endpoint = 100 }' }),
  );
  const backend = await service.client('backend', 'client-secret', '--role', 'uploads', '--bind', 'subject=alice,bob');
  await service.start();
  const url = `${service.url}/getAuthorization`;
  const page = await visit(origin);
  const show = (authorization, more = {}) => fetched(page, url, { headers: { Authorization: authorization, ...more } });
  return { service, origin, url, issuer, backend, page, show, asked };
});

/** What the page's backend asks of Daypass. */
const ticketFor = async ({ url, origin, backend }, changes = {}, secret = backend.client_secret) =>
  fetch(`${url}/ticket`, {
    method: 'POST',
    headers: {
      Authorization: `Basic ${Buffer.from(`${backend.client_id}:${secret}`).toString('base64')}`,
      'Content-Type': 'application/json',
    },
    body: JSON.stringify({ subject: 'alice', origin, ...changes }),
  });

const token = async ({ issuer }, claims) => {
  const answer = await fetch(`${issuer}/token?${new URLSearchParams(claims)}`);
  return (await answer.json()).token;
};

test('ticket: made by a call to Daypass', async () => {
  const world = await started();
  const answer = await ticketFor(world);
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('cache-control'), /no-store/);
  const { ticket, expires, expires_in: seconds } = await answer.json();
  assert.match(ticket, /^dpt_/);
  assert.equal(seconds, 120);
  assert.ok(Math.abs(Date.parse(expires) - Date.now() - 120_000) < 5000, expires);
  const first = await world.show(`Ticket ${ticket}`);
  assert.equal(await subjectOf(world.service, keysOf(first)), 'alice');
  const second = await world.show(`Ticket ${first.headers['daypass-refresh']}`);
  assert.equal(keysOf(second).secretId, keysOf(first).secretId);
  assert.equal(second.headers['daypass-refresh'], undefined);
  assert.equal((await world.show(`Ticket ${ticket}`)).status, 401);
});

test('ticket: a backend gets none for a subject or origin that is not its own, or with a wrong secret', async () => {
  const world = await started();
  assert.equal((await ticketFor(world, { subject: 'mallory' })).status, 403);
  assert.equal((await ticketFor(world, { origin: 'https://elsewhere.example.com' })).status, 400);
  assert.equal((await ticketFor(world, {}, 'wrong')).status, 401);
  assert.equal((await ticketFor(world, { subject: '' })).status, 400);
});

test('ticket: made by the shell snippet', async () => {
  const { service, origin, url, backend, show } = await started();
  const env = { ...process.env, GET_AUTHORIZATION: url, ORIGIN: origin };
  Object.assign(env, { CLIENT_ID: backend.client_id, CLIENT_SECRET: backend.client_secret });
  const script = path.join(here, 'snippets/ticket.sh');
  const { stdout } = await promisify(execFile)('sh', [script, 'bob'], { env, timeout: 20_000 });
  assert.equal(await subjectOf(service, keysOf(await show(`Ticket ${JSON.parse(stdout).ticket}`))), 'bob');
});

test('ticket: signed by the command line, in the URL', async () => {
  const { service, origin, url, page } = await started();
  const key = path.join(service.folder, 'ticket.json');
  const grant = ['--kind', 'ticket', '--role', 'uploads', '--any', 'subject'];
  fs.writeFileSync(key, await service.print('client', 'add', 'signer', ...grant));
  const args = ['ticket', '--client-key', key, '--endpoint', url, '--origin', origin, '--subject', 'carol', '--json'];
  const { stdout } = await promisify(execFile)(process.env.DAYPASS_BINARY, args, { timeout: 20_000 });
  const { ticket } = JSON.parse(stdout);
  // The server learns of a new key in a moment; a ticket that it does not know yet is not used up.
  let answer;
  const served = async () => (answer = await fetched(page, `${url}?ticket=${ticket}`)).status === 200;
  await waitUntil(served, 60, 'the ticket was not served');
  const got = keysOf(answer);
  assert.equal(await subjectOf(service, got), 'carol');
  // What was handed out on the word of a client ends with that client.
  await service.command('client', 'disable', 'signer');
  const dead = () => subjectOf(service, got).then(() => false, ({ code }) => code === 'AuthFailure.TokenFailure');
  await waitUntil(dead, 60, 'the credential outlived its client');
});

test("JWT: the page's snippet", async () => {
  const world = await started();
  const page = await visit(world.origin);
  const said = [world.url, await token(world, { sub: 'alice' })];
  await page.evaluate(([url, token]) => {
    Object.assign(window, { GET_AUTHORIZATION: url, accessToken: async () => token });
  }, said);
  await page.addScriptTag({ url: '/page.js' });
  const got = await page.evaluate(() => new Promise((callback, reject) => getAuthorization(callback).catch(reject)));
  assert.equal(await subjectOf(world.service, keyOf(got)), 'alice');
});

test("JWT: an outside provider's token, whose subject fills the policy", async () => {
  const world = await started();
  for (const sub of ['alice', 'bob']) {
    const key = keysOf(await world.show(`Bearer ${await token(world, { sub })}`));
    assert.equal(await subjectOf(world.service, key), sub);
    assert.match((await resourcesOf(world.service, key)).join(), new RegExp(`/users/${sub}/\\*$`));
  }
  assert.ok(JSON.stringify(await world.service.records()).includes('"jwt"'));
});

test('JWT: a token that is late, for someone else, or not signed by the provider is answered 401', async () => {
  const world = await started();
  const good = await token(world, { sub: 'alice' });
  for (const wrong of [
    await token(world, { sub: 'alice', exp: String(Math.floor(Date.now() / 1000) - 1) }),
    await token(world, { sub: 'alice', aud: 'someone-else' }),
    await token(world, { sub: 'alice', iss: 'https://elsewhere.example.com' }),
    good.replace(/\.[^.]+$/, '.AAAA'),
    'x',
  ]) {
    const answer = await world.show(`Bearer ${wrong}`);
    assert.equal(answer.status, 401, JSON.stringify(answer));
    assert.ok(answer.body.Error.Message && answer.body.RequestId);
  }
});

test('JWT: a subject that no folder can be named after is refused', async () => {
  const world = await started();
  const answer = await world.show(`Bearer ${await token(world, { sub: 'a/*' })}`);
  assert.equal(answer.status, 403, JSON.stringify(answer));
});

test('session: a header of its own, which the preflight allows', async () => {
  const { service, page, url } = await started();
  const answer = await fetched(page, url, { headers: { 'X-Session': 'secret-of-alice' } });
  assert.equal(await subjectOf(service, keysOf(answer)), 'alice');
  assert.equal((await fetched(page, url, { headers: { 'X-Session': 'secret-of-nobody' } })).status, 401);
});

test('session: the application is shown the session and nothing else', async () => {
  const { page, url, asked } = await started();
  await page.evaluate(() => { document.cookie = 'other=1; SameSite=Lax'; });
  const headers = { 'X-Session': 'secret-of-erin', 'X-Other': '1' };
  await fetch(url, { headers: { ...headers, Cookie: 'other=1', 'Accept-Language': 'de' } });
  const shown = asked.at(-1);
  assert.equal(shown.headers['x-session'], 'secret-of-erin');
  for (const name of ['cookie', 'x-other', 'accept-language', 'origin', 'authorization', 'x-forwarded-for'])
    assert.equal(shown.headers[name], undefined, name);
  assert.deepEqual([shown.method, shown.headers.accept], ['GET', 'application/json']);
});

test('session: the application is asked once for what many pages ask at a time', async () => {
  const { page, url, asked } = await started();
  const before = asked.length;
  await page.evaluate(
    (url) => Promise.all([...Array(20)].map(() => fetch(url, { headers: { 'X-Session': 'another' } }))),
    url,
  );
  assert.equal(asked.length - before, 1);
});

test('nothing shown is answered 401 with the ways that there are', async () => {
  const { page, url } = await started();
  const answer = await fetched(page, url);
  assert.equal(answer.status, 401);
  assert.match(answer.body.Error.Message, /ticket/i);
  const outside = await fetch(url, { headers: { Origin: new URL(page.url()).origin } });
  assert.match(outside.headers.get('www-authenticate'), /Ticket/);
  assert.match(outside.headers.get('www-authenticate'), /Bearer/);
});

test('anonymous: a listed page gets a short credential of its own, up to the quota of its address', async () => {
  const { service, page } = await started();
  const url = `${service.url}/open`;
  // Nobody but a page, and who shows nothing uses up nothing.
  assert.equal((await fetch(url)).status, 403);
  const answers = [];
  for (let n = 0; n < 6; n++) answers.push(await fetched(page, url));
  const ids = answers.slice(0, 5).map((answer) => keysOf(answer).secretId);
  assert.equal(new Set(ids).size, 5);
  assert.ok(answers[0].body.ExpiredTime <= Date.now() / 1000 + 15 * 60);
  assert.equal(answers[5].status, 429);
});

test('two proofs at once are refused', async () => {
  const world = await started();
  const { ticket } = await (await ticketFor(world)).json();
  const answer = await fetched(world.page, `${world.url}?ticket=${ticket}`, {
    headers: { Authorization: `Bearer ${await token(world, { sub: 'alice' })}` },
  });
  assert.ok([400, 401].includes(answer.status), JSON.stringify(answer));
});

test('the page can read the server time', async () => {
  const world = await started();
  const { headers } = await world.show(`Bearer ${await token(world, { sub: 'alice' })}`);
  assert.ok(Math.abs(Date.parse(headers.date) - Date.now()) < 5000, headers.date);
});

await main();
