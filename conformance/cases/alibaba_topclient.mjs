// npm's client of the TOP gateway. It signs with md5 and stamps the machine's local time, which the gateway reads
// as GMT+8.

// needs: npm
// client: alibaba / node-taobao-topclient

import assert from 'node:assert/strict';
import { credentials, load, main, refusal, test } from '../daypass.mjs';

const TopClient = (await load('node-taobao-topclient')).default.default;
const METHOD = 'alibaba.security.deepvision.proxy.security.common.token.get';
const ROOT = 'alibaba_security_deepvision_proxy_security_common_token_get_response';
const ours = credentials.alibaba;

const client = (secret = ours.app_secret) =>
  new TopClient({ appkey: ours.app_key, appsecret: secret, REST_URL: `${credentials.url}/router/rest` });

const param = (changes = {}) => ({
  product_code: ours.product_code,
  scene_code: ours.scene_code,
  usage_scene: ours.usage_scene,
  op_tenant_code: ours.tenant_code,
  op_poi_id: ours.poi_ids[0],
  request_id: 'r-1',
  ...changes,
});

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
    const { result } = answer;
    assert.deepEqual(Object.keys(result).sort(), [
      'access_key_id', 'access_key_secret', 'end_point_internal', 'end_point_public', 'expiration', 'field_id',
      'policy', 'product_code', 'scene_code', 'tenant_code', 'token',
    ]);
    assert.match(result.access_key_id, /^STS\./);
    assert.ok(result.access_key_secret && result.token);
    assert.equal(result.product_code, ours.product_code);
    assert.equal(result.scene_code, ours.scene_code);
    assert.equal(result.tenant_code, ours.tenant_code);
    assert.equal(result.field_id, ours.poi_ids[0]);
    assert.match(result.end_point_public, /^https:\/\//);
    assert.match(result.end_point_internal, /^https:\/\//);
    assert.match(result.expiration, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    assert.ok(Date.parse(result.expiration) > Date.now() + 60_000);
    assert.equal(result.policy.version, '1');
    const { datas } = result.policy.statement;
    assert.ok(datas.length > 0);
    for (const { resource, effect, action } of datas) {
      assert.equal(effect, 'Allow');
      assert.ok(action.string.length > 0 && action.string.every((name) => name.startsWith(`${ours.product_code}:`)));
      assert.ok(resource.string.length > 0);
      for (const one of resource.string) assert.match(one, new RegExp(`/${ours.tenant_code}/${ours.poi_ids[0]}/\\*$`));
    }
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

test('another store is refused', () =>
  inZone('Asia/Shanghai', async () => {
    const error = await refusal(client().execute(METHOD, { param: param({ op_poi_id: '9999' }) }));
    assert.match(error.sub_code, /^isv\./);
  }));

test('a wrong secret is code 25', () =>
  inZone('Asia/Shanghai', async () => {
    const error = await refusal(client('x' + ours.app_secret).execute(METHOD, { param: param() }));
    assert.equal(error.code, 25);
  }));

test('an unknown method is code 22', () =>
  inZone('Asia/Shanghai', async () => {
    const error = await refusal(client().execute('alibaba.no.such.method', { param: param() }));
    assert.equal(error.code, 22);
  }));

await main();
