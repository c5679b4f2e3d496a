// npm's client of the TOP gateway: how its user sees each refusal, and the options of its own that do not work.

// needs: npm
// client: alibaba / node-taobao-topclient

import assert from 'node:assert/strict';
import { METHOD, URL, checkResult, ours, param, program, provoking } from '../alibaba.mjs';
import { load, main, refusal, test } from '../daypass.mjs';

const TopClient = (await load('node-taobao-topclient')).default.default;
const ROOT = `${METHOD.replaceAll('.', '_')}_response`;

const client = (url = URL, appkey = ours.app_key, appsecret = ours.app_secret) =>
  new TopClient({ appkey, appsecret, REST_URL: url });

const provoke = provoking(({ url, key, secret, method, param: asked = param(), ...common }) =>
  client(url, key, secret).execute(method, { timestamp: Date.now(), ...common, param: asked }),
);

/** One call with further parameters, whose answer is not unwrapped. */
const ask = (common) => client().request({ method: METHOD, timestamp: Date.now(), param: param(), ...common });

test('the program of the documentation', async () => {
  checkResult(await program('topclient.js'));
  assert.match((await refusal(program('topclient.js', { POI_ID: '9999' }))).message, /^50 .*isv\.invalid-parameter/);
});

test('simplify loses nothing but the root, which execute looks for', async () => {
  const { result, ...rest } = await ask({ simplify: 'true' });
  assert.deepEqual(Object.keys(rest), ['resp_code', 'resp_success', 'resp_request_id', 'message', 'request_id']);
  const datas = result.policy.statement.map(({ resource, effect, action }) => ({
    resource: { string: resource },
    effect,
    action: { string: action },
  }));
  checkResult({ ...result, policy: { ...result.policy, statement: { datas } } });
  assert.equal(await client().execute(METHOD, { timestamp: Date.now(), param: param(), simplify: 'true' }), null);
});

test('XML is only a text to this client', async () => {
  const body = await ask({ format: 'xml' });
  assert.match(body, new RegExp(`<${ROOT}><result><access_key_id>STS\\.`));
});

test('an unknown format is code 23, in XML', async () => {
  assert.match(await ask({ format: 'yaml' }), /<error_response><code>23<\/code>/);
});

test('another sign_method is code 25: the client signs with md5 whatever it is told', async () => {
  for (const sign_method of ['hmac', 'hmac-sha256']) {
    assert.equal((await refusal(ask({ sign_method }))).code, 25);
  }
  checkResult((await ask({ sign_method: 'md5' }))[ROOT].result);
});

test('an undefined parameter is code 25: it is signed and not sent', async () => {
  assert.equal((await refusal(ask({ session: undefined }))).code, 25);
});

test('an empty parameter is signed and sent', async () => {
  checkResult((await ask({ session: '' }))[ROOT].result);
});

test('a common parameter that is empty or wrong has its own code', async () => {
  for (const [common, code] of [
    [{ app_key: '' }, 28],
    [{ timestamp: '' }, 30],
    [{ timestamp: 'yesterday' }, 31],
    [{ v: '' }, 32],
    [{ v: '1.0' }, 34],
  ]) {
    assert.equal((await refusal(ask(common))).code, code, JSON.stringify(common));
  }
  assert.equal((await refusal(client().request({ method: 'x.y', param: param() }))).code, 22);
});

test('neither GET nor POST is code 9', async () => {
  const body = await client().request({ method: METHOD, timestamp: Date.now(), param: param() }, 'PUT');
  assert.match(JSON.stringify(body), /<code>9<.code>/);
});

test('a wrong secret is code 25', provoke.wrongSecret);
test('an unknown app key is code 29', provoke.unknownKey);
test('a missing param, or member of it, is code 40', provoke.missing);
test('a param that is no JSON object is code 41', provoke.noJson);
test('another scene or product is code 11', provoke.otherScene);
test('another store or tenant is code 50', provoke.otherStore);
test('an unknown parameter is code 41', provoke.unknownParameter);
test('a clock eleven minutes late is code 31', provoke.staleClock);
test('md5 of a client that refuses it is code 53', provoke.weak);

await main();
