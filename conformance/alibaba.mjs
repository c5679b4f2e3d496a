// What the Node cases of the TOP gateway share: what is asked, what must be answered, and the refusals that any client
// can provoke.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Service, credentials, here, once, refusal } from './daypass.mjs';

export const METHOD = 'alibaba.security.deepvision.proxy.security.common.token.get';
export const ours = credentials.alibaba;
export const URL = `${credentials.url}/router/rest`;

/** `param` for the client's own product, tenant and first store, with some members changed. */
export const param = (changes = {}) => ({
  product_code: ours.product_code,
  scene_code: ours.scene_code,
  usage_scene: ours.usage_scene,
  op_tenant_code: ours.tenant_code,
  op_poi_id: ours.poi_ids[0],
  request_id: 'r-1',
  ...changes,
});

/** The whole SecurityTokenCredential for one store, and nothing wider. */
export function checkResult(result, store = ours.poi_ids[0]) {
  const { access_key_id, access_key_secret, token, policy, expiration, ...rest } = result;
  assert.match(access_key_id, /^STS\./);
  assert.ok(access_key_secret && token);
  assert.match(expiration, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.ok(Date.parse(expiration) > Date.now() + 60_000);
  assert.match(rest.end_point_public, /^https:\/\//);
  assert.match(rest.end_point_internal, /^https:\/\//);
  const { product_code, scene_code, tenant_code, field_id } = rest;
  assert.deepEqual([product_code, scene_code], [ours.product_code, ours.scene_code]);
  assert.deepEqual([tenant_code, field_id], [ours.tenant_code, store]);
  assert.equal(Object.keys(rest).length, 6, `members besides: ${Object.keys(rest)}`);
  const { datas } = policy.statement;
  assert.ok(policy.version === '1' && datas.length > 0);
  for (const { resource, effect, action } of datas) {
    assert.equal(effect, 'Allow');
    assert.ok(action.string.every((name) => name.startsWith(`${ours.product_code}:`)), action.string);
    assert.ok(resource.string.length > 0 && action.string.length > 0);
    for (const one of resource.string) assert.ok(one.endsWith(`/${ours.tenant_code}/${store}/*`), one);
  }
}

const CONFIG = fs.readFileSync(path.join(here, 'snippets/alibaba/top.toml'), 'utf8');

/** A server whose client is served no weak signature. */
const strict = once(async () => {
  const service = await Service.make(`top-strict-${path.basename(process.argv[1], '.mjs')}`, CONFIG);
  const bound = ['--bind', `tenant_code=${ours.tenant_code}`, '--bind', `poi_id=${ours.poi_ids.join(',')}`];
  const key = await service.client('box', 'top', '--role', 'store-upload', ...bound, '--refuse', 'md5');
  await service.start();
  return { url: `${service.url}/router/rest`, key: key.app_key, secret: key.app_secret };
});

/**
 * What a client is refused, and how its user sees it. `ask` is given url, key, secret, method and what execute takes,
 * and uses the demo client where they are left out.
 */
export function provoking(ask) {
  const refused = async (code, how, sub_code) => {
    const error = await refusal(ask({ url: URL, key: ours.app_key, secret: ours.app_secret, method: METHOD, ...how }));
    assert.equal(error.code, code, error.message);
    if (sub_code) assert.equal(error.sub_code, sub_code);
    return error;
  };
  const said = (error) => JSON.stringify(error.data ?? error.message);
  return {
    wrongSecret: async () => {
      const error = await refused(25, { secret: 'x' + ours.app_secret });
      assert.match(said(error), /app_key, format, method, param, sign_method, timestamp, v/);
      assert.doesNotMatch(said(error), /[0-9A-F]{32}/);
    },
    unknownKey: () => refused(29, { key: '1000000000' }, 'isv.appkey-not-exists'),
    unknownMethod: () => refused(22, { method: 'alibaba.no.such.method' }),
    missing: async () => {
      await refused(40, { param: { ...param(), usage_scene: undefined } }, 'isv.missing-parameter:usage_scene');
      await refused(40, { param: '' }, 'isv.missing-parameter:param');
    },
    noJson: async () => {
      for (const text of ['{', '[]', '1']) await refused(41, { param: text });
    },
    otherScene: async () => {
      await refused(11, { param: param({ scene_code: 'other' }) });
      await refused(11, { param: param({ product_code: 'ecs' }) });
    },
    otherStore: async () => {
      await refused(50, { param: param({ op_poi_id: '9999' }) }, 'isv.invalid-parameter');
      await refused(50, { param: param({ op_tenant_code: 'other' }) }, 'isv.invalid-parameter');
    },
    unknownParameter: () => refused(41, { extra: 'x' }),
    staleClock: async () => {
      const error = await refused(31, { timestamp: String(Date.now() - 11 * 60_000) });
      assert.match(said(error), /GMT\+8/);
    },
    weak: async () => void (await refused(53, await strict())),
  };
}

/** The output of a program of the documentation, which is JSON unless `read` says what else. */
export async function program(file, changes = {}, read = JSON.parse) {
  const env = {
    ...process.env,
    NODE_PATH: process.env.DAYPASS_NODE_MODULES,
    TOP_URL: URL,
    APP_KEY: ours.app_key,
    APP_SECRET: ours.app_secret,
    TENANT_CODE: ours.tenant_code,
    POI_ID: ours.poi_ids[0],
    STS_HOST: credentials.url.replace('http://', ''),
    ACCESS_KEY_ID: ours.access_key_id,
    ACCESS_KEY_SECRET: ours.access_key_secret,
    ROLE_ARN: ours.role_arn,
    TZ: 'UTC',
    ...changes,
  };
  const run = promisify(execFile)(process.execPath, [path.join(here, 'snippets/alibaba', file)], { env, timeout: 20_000 });
  return run.then(
    ({ stdout }) => read(stdout),
    (error) => Promise.reject(new Error(error.stderr)),
  );
}
