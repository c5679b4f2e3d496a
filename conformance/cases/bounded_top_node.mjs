// npm's clients of the TOP gateway where they are turned away for now. Neither asks again by itself, and both fail on an answer
// that is not in the format that they asked for.

// needs: npm
// client: bounded / node-taobao-topclient and topsdk (npm)

import assert from 'node:assert/strict';
import { Bounded, TOP } from '../bounded.mjs';
import { METHOD, param } from '../alibaba.mjs';
import { load, main, test } from '../daypass.mjs';

process.env.TZ = 'Asia/Shanghai';
const TopClient = (await load('node-taobao-topclient')).default.default;
const TopSdk = (await load('topsdk')).default;

const bind = ['--bind', 'tenant_code=hema', '--bind', 'poi_id=8005,8006'];
const clients = [['box', 'top', '--role', 'store-upload', ...bind]];
const server = await Bounded.start('bounded-top-node', { more: TOP, clients });
const { app_key: appkey, app_secret: appsecret } = server.keys.box;
const endpoint = `${server.url}/router/rest`;
const calls = [
  () => new TopClient({ appkey, appsecret, REST_URL: endpoint }).execute(METHOD, { param: param() }),
  () => {
    const client = new TopSdk(appkey, appsecret, { endpoint, useValidators: false });
    return client.execute(METHOD, { timestamp: Date.now(), param: JSON.stringify(param()) });
  },
];

test('turned away for want of room, and served when there is room', async () => {
  for (const outcome of await server.atTheBound(...calls)) {
    outcome.refused(/ 7 .*(limited-by-api-access-count|App Call Limited)/);
  }
  for (const call of calls) await call();
});

test('above its rate, and served when it may ask again', async () => {
  for (const outcome of await server.aboveItsRate('box', ...calls)) {
    outcome.refused(/ 7 .*(limited-by-app-api-access-count|App Call Limited)/);
  }
});

test('a day that is used up', async () => {
  for (const outcome of await server.dayUsedUp('box', ...calls)) {
    outcome.refused(/ 7 .*(limited-by-app-api-access-count|App Call Limited)/);
  }
});

test('a store that is away, and comes back', async () => {
  const all = calls;
  const [outcomes, tries] = await server.whileAway(...all);
  assert.equal(tries, all.length, 'questions in vain');
  for (const outcome of outcomes) outcome.told(/ 10 .*(isp\.service-unavailable|Service currently unavailable)/);
});

await main();
