// Tencent Cloud's SDK for Node where it is turned away for now. It does not ask again by itself.

// needs: npm
// client: bounded / tencentcloud-sdk (Node)

import assert from 'node:assert/strict';
import { Bounded } from '../bounded.mjs';
import { main, test } from '../daypass.mjs';
import { Sdk } from '../tencent.mjs';

const server = await Bounded.start('bounded-tencent-node', { clients: [['video', 'tencent', '--role', 'soe']] });
const { secret_id: secretId, secret_key: secretKey } = server.keys.video;
const sdk = new Sdk(server.host, { secretId, secretKey });
const calls = [{}, { signMethod: 'HmacSHA1' }, { signMethod: 'HmacSHA256', reqMethod: 'GET' }].map(
  (how) => () => sdk.federation({}, how),
);

test('turned away for want of room, and served when there is room', async () => {
  for (const outcome of await server.atTheBound(...calls)) {
    outcome.refused(/RequestLimitExceeded .*more is asked here than can be answered now/);
  }
  for (const call of calls) await call();
});

test('above its rate, and served when it may ask again', async () => {
  for (const outcome of await server.aboveItsRate('video', ...calls)) {
    outcome.refused(/RequestLimitExceeded .*the rate of this client is used up/);
  }
});

test('a day that is used up', async () => {
  for (const outcome of await server.dayUsedUp('video', ...calls)) {
    outcome.refused(/RequestLimitExceeded .*the daily quota of this client is used up/);
  }
});

test('a store that is away, and comes back', async () => {
  const all = calls;
  const [outcomes, tries] = await server.whileAway(...all);
  assert.equal(tries, all.length, 'questions in vain');
  for (const outcome of outcomes) outcome.told(/ServiceUnavailable .*no record can be written now/);
});

await main();
