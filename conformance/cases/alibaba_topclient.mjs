// npm's client of the TOP gateway. It signs with md5 and stamps the machine's local time, which the gateway reads
// as GMT+8.

// needs: npm
// client: alibaba / node-taobao-topclient

import assert from 'node:assert/strict';
import { METHOD, URL, checkResult, ours, param } from '../alibaba.mjs';
import { load, main, refusal, test } from '../daypass.mjs';

const TopClient = (await load('node-taobao-topclient')).default.default;
const ROOT = `${METHOD.replaceAll('.', '_')}_response`;

const client = (secret = ours.app_secret) =>
  new TopClient({ appkey: ours.app_key, appsecret: secret, REST_URL: URL });

/** Runs as on a machine of that time zone; Node takes the change up at once. */
async function inZone(zone, run) {
  process.env.TZ = zone;
  return await run();
}

test('the whole SecurityTokenCredential, in Shanghai', () =>
  inZone('Asia/Shanghai', async () => {
    const answer = await client().execute(METHOD, { param: param() });
    assert.deepEqual(Object.keys(answer), ['result', 'resp_code', 'resp_success', 'resp_request_id', 'message', 'request_id']);
    assert.equal(typeof answer.resp_code, 'number');
    assert.equal(answer.resp_success, true);
    assert.equal(typeof answer.resp_request_id, 'string');
    assert.match(answer.request_id, /^[0-9a-z]{12,13}$/);
    checkResult(answer.result);
  }));

test('by GET, in Shanghai', () =>
  inZone('Asia/Shanghai', async () => {
    const body = await client().request({ method: METHOD, param: param() }, 'GET');
    assert.deepEqual(Object.keys(body), [ROOT]);
    assert.equal(body[ROOT].result.field_id, ours.poi_ids[0]);
  }));

test('numbers where the document says String', () =>
  inZone('Asia/Shanghai', async () => {
    const { result } = await client().execute(METHOD, { param: param({ op_poi_id: Number(ours.poi_ids[1]) }) });
    assert.equal(result.field_id, ours.poi_ids[1]);
  }));

test('in UTC, code 31 and a sentence that says why', () =>
  inZone('UTC', async () => {
    const error = await refusal(client().execute(METHOD, { param: param() }));
    assert.equal(error.code, 31);
    assert.match(JSON.stringify(error.data.error_response), /GMT\+8/);
  }));

test('an unknown method is code 22', () =>
  inZone('Asia/Shanghai', async () => {
    const error = await refusal(client().execute('alibaba.no.such.method', { param: param() }));
    assert.equal(error.code, 22);
  }));

await main();
