// The Flask snippets of the documentation, as they are, with their pages in Chromium.

// needs: pypi npm
// client: tencent / Flask

import { main, once, test } from '../daypass.mjs';
import { blank, site } from '../browser.mjs';
import * as snippets from '../snippets.mjs';

const session = once(() => snippets.start(snippets.flask, 'session', 'flask'));
const ticket = once(() => snippets.start(snippets.flask, 'ticket', 'flask'));

test('session: two users of the page get two policies', async () => snippets.twoUsers(await session()));

test('session: the same user gets the same credential', async () => snippets.sameAgain(await session()));

test('session: a page that is not logged in is answered 401', async () => snippets.loggedOut(await session()));

test('session: a page that has logged out is answered 401', async () => snippets.logsOut(await session()));

test('ticket: its first use, its refreshes, and in the URL', async () => snippets.ticketUses(await ticket()));

test('ticket: a second use is refused and raises an alarm', async () => snippets.ticketTwice(await ticket()));

test('ticket: a page of another origin is refused', async () => {
  const { origin: elsewhere } = await site({ '/': blank });
  await snippets.ticketElsewhere({ ...(await ticket()), elsewhere });
});

test('ticket: what was not signed is refused', async () => snippets.ticketForged(await ticket()));

await main();
