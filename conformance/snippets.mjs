// What the cases of the snippets share. A snippet is started as its head says; its page is served by itself.

import fs from 'node:fs';
import path from 'node:path';
import assert from 'node:assert/strict';
import { Service, freePort, fresh, here, packaged, python, running, waitUntil } from './daypass.mjs';
import { fetched, keysOf, resourcesOf, subjectOf, text, visit } from './browser.mjs';

const PATH = '/getAuthorization';
const folderOf = (user) => `qcs::cos::uid/1250000000:pics-1250000000/users/${user}/*`;

/** A role whose policy has a folder for each subject, as the documentation shows it. */
export const uploads = text('snippets/role.toml');

/** The documentation's configuration of one way, for a page of this origin. */
export const configured = (way, origin) => text(`snippets/${way}.toml`).replaceAll('http://127.0.0.1:8000', origin);

/** An endpoint of its own for pages of these origins, with these ways to know its callers. */
export const endpoint = (origins, callers, { path = PATH, more = '', role = 'uploads' } = {}) => `
[[endpoint]]
dialect = "tencent.getAuthorization"
path = "${path}"
tenant = "acme"
role = "${role}"
origins = ${JSON.stringify(origins)}
${more}
[endpoint.caller]
${callers}
`;

/** How each framework's snippets are started. */
export const flask = (file, port, options) => python(`snippets/flask_${file}.py`, port, options);
export const express = (file, port, { env, log }) => {
  const found = { ...env, NODE_PATH: process.env.DAYPASS_NODE_MODULES };
  return running(process.execPath, [path.join(here, `snippets/express_${file}.js`)], port, { env: found, log });
};

/** The pages that a snippet serves: the page's side of the way, and axios. */
export function pages(folder, script, url) {
  const index =
    '<!doctype html><meta charset="utf-8"><title>lesson</title><script src="axios.js"></script>' +
    `<script>window.GET_AUTHORIZATION = '${url}';</script><script src="page.js"></script>`;
  fs.writeFileSync(path.join(folder, 'index.html'), index);
  fs.writeFileSync(path.join(folder, 'page.js'), text(`snippets/${script}`));
  fs.writeFileSync(path.join(folder, 'axios.js'), packaged('axios/dist/axios.min.js'));
}

/** Starts one snippet and the Daypass that it is made for. */
export async function start(framework, way, name) {
  const port = await freePort();
  const origin = `http://127.0.0.1:${port}`;
  // Two renewals, so that their end is seen.
  const config = configured(way, origin).replace('refreshes = 24', 'refreshes = 2');
  const service = await Service.make(`${name}-${way}`, uploads + config);
  const url = service.url + PATH;
  const env = { PORT: String(port), PAGES: service.folder, GET_AUTHORIZATION: url, ORIGIN: origin };
  env.FLASK_SECRET_KEY = 'only here';
  if (way === 'ticket') {
    const key = await service.client('lesson', 'ticket', '--role', 'uploads', '--any', 'subject');
    Object.assign(env, { TICKET_KEY_ID: key.key_id, TICKET_KEY_SECRET: key.key_secret });
  }
  pages(service.folder, `${way}_page.js`, url);
  await service.start();
  await framework(way, port, { env, log: path.join(service.folder, 'snippet.log') });
  return { service, origin, url };
}

/** A tab at a snippet's page, logged in as somebody or as nobody. */
export async function tab(origin, user) {
  const page = await visit(origin);
  if (user) {
    await page.evaluate((user) => axios.post('/login', new URLSearchParams({ user })), user);
    await page.reload();
  }
  return page;
}

/** What the page's own getAuthorization gives its callback, or the status of the answer that it failed with. */
export const ask = (page) =>
  page.evaluate(() =>
    new Promise((callback, reject) => getAuthorization(callback).catch(reject)).catch((error) => ({
      status: error.response?.status,
      refused: error.response?.data?.Error ?? String(error),
    })),
  );

/** The four values that a page's callback was given, as a key. */
export const keyOf = (got) => {
  const members = ['ExpiredTime', 'TmpSecretId', 'TmpSecretKey', 'Token'];
  assert.deepEqual(Object.keys(got).sort(), members, JSON.stringify(got));
  return { secretId: got.TmpSecretId, secretKey: got.TmpSecretKey, token: got.Token };
};

/** Two users of the application get two credentials with two policies. */
export async function twoUsers({ service, origin }) {
  for (const user of ['alice', 'bob']) {
    const got = keyOf(await ask(await tab(origin, user)));
    assert.equal(await subjectOf(service, got), user);
    assert.deepEqual(await resourcesOf(service, got), [folderOf(user)]);
  }
}

/** However often and from however many tabs a user asks: the credential is the same, and was recorded once. */
export async function sameAgain({ service, origin }) {
  const [one, two] = [await tab(origin, 'carol'), await tab(origin, 'carol')];
  const got = [await ask(one), await ask(one), await ask(two)].map((answer) => keyOf(answer).secretId);
  assert.equal(new Set(got).size, 1, `the credentials are ${got}`);
  const records = (await service.records()).filter((record) => JSON.stringify(record).includes(got[0]));
  assert.equal(records.length, 1, 'number of records');
}

/** Without a session there is nothing, and the page can read why. */
export async function loggedOut({ origin }) {
  const nobody = await ask(await tab(origin));
  assert.equal(nobody.status, 401, JSON.stringify(nobody));
  assert.ok(nobody.refused.Code && nobody.refused.Message);
}

/** After the log-out the session is worth nothing. */
export async function logsOut({ origin }) {
  const page = await tab(origin, 'dave');
  keyOf(await ask(page));
  await page.evaluate(() => axios.post('/logout'));
  // What the application said of the session is believed for five seconds at most; here the cookie itself is gone.
  assert.equal((await ask(page)).status, 401);
}

/** The first use of a ticket, then its two refreshes, then the end: the page must fetch another ticket. */
export async function ticketUses({ service, origin, url }) {
  const page = await tab(origin, 'alice');
  const ids = new Set();
  for (let use = 0; use < 5; use++) {
    const got = keyOf(await ask(page));
    assert.equal(await subjectOf(service, got), 'alice');
    assert.deepEqual(await resourcesOf(service, got), [folderOf('alice')]);
    ids.add(got.secretId);
  }
  assert.equal(ids.size, 1, 'number of credentials of one subject');
  let { ticket } = (await fetched(page, '/ticket')).body;
  for (const more of [true, true, false]) {
    const answer = await fetched(page, url, { headers: { Authorization: `Ticket ${ticket}` } });
    keysOf(answer);
    ticket = answer.headers['daypass-refresh'];
    assert.equal(Boolean(ticket), more, `refreshes: ${ticket}`);
  }
  const inUrl = (await fetched(page, '/ticket')).body.ticket;
  keysOf(await fetched(page, `${url}?ticket=${inUrl}`));
}

/** What was used is refused, whoever shows it again, and the records tell of it. */
export async function ticketTwice({ service, origin, url }) {
  const page = await tab(origin, 'alice');
  const show = (ticket) => fetched(page, url, { headers: { Authorization: `Ticket ${ticket}` } });
  const { ticket } = (await fetched(page, '/ticket')).body;
  const first = await show(ticket);
  keysOf(first);
  const again = await show(ticket);
  assert.equal(again.status, 401, JSON.stringify(again.body));
  assert.match(again.headers['www-authenticate'] ?? 'Ticket', /Ticket/);
  const refresh = first.headers['daypass-refresh'];
  keysOf(await show(refresh));
  assert.equal((await show(refresh)).status, 401);
  const alarms = async () =>
    (await service.records()).filter(({ event }) => event.event === 'alarm' && event.reason === 'ticket_spent').length;
  await waitUntil(async () => (await alarms()) === 2, 60, 'the records did not show two alarms');
}

/** A ticket that was taken to another page is worth nothing there. */
export async function ticketElsewhere({ origin, url, elsewhere }) {
  const page = await tab(origin, 'alice');
  const { ticket } = (await fetched(page, '/ticket')).body;
  const thief = await visit(elsewhere);
  const stolen = await fetched(thief, url, { headers: { Authorization: `Ticket ${ticket}` } });
  assert.ok(stolen.hidden || stolen.status >= 400, JSON.stringify(stolen));
  // The thief did not use it up either.
  keysOf(await fetched(page, url, { headers: { Authorization: `Ticket ${ticket}` } }));
}

/** A ticket that says something else than what was signed. */
export async function ticketForged({ origin, url }) {
  const page = await tab(origin, 'alice');
  const { ticket } = (await fetched(page, '/ticket')).body;
  const [head, claims, signature] = ticket.split('.');
  const other = { ...JSON.parse(Buffer.from(claims, 'base64url')), sub: 'bob' };
  const forged = [head, Buffer.from(JSON.stringify(other)).toString('base64url'), signature].join('.');
  for (const wrong of [forged, `${ticket}x`, 'dpt_x', 'x'])
    assert.equal((await fetched(page, url, { headers: { Authorization: `Ticket ${wrong}` } })).status, 401, wrong);
}
