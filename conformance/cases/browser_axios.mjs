// The sample's page fetches its credential with axios. Here axios runs in Node, which sends whatever Origin it is
// told and hides nothing that a browser would hide.

// needs: npm
// client: tencent / axios

import assert from 'node:assert/strict';
import { credentials, load, main, refusal, test } from '../daypass.mjs';

const { default: axios } = await load('axios');
const url = credentials.url + credentials.get_authorization.path;
const origin = credentials.get_authorization.origin;

const headersOf = (answer) => Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'));

test("the sample's callback gets its four values", async () => {
  const got = await new Promise((callback, reject) => {
    axios.get(url, { headers: { Origin: origin } }).then(response => {
      callback({
        Token: response.data.Credentials.Token,
        TmpSecretId: response.data.Credentials.TmpSecretId,
        TmpSecretKey: response.data.Credentials.TmpSecretKey,
        ExpiredTime: response.data.ExpiredTime
      });
    }).catch(reject);
  });
  assert.match(got.TmpSecretId, /^AKID[\w-]+$/);
  assert.match(got.TmpSecretKey, /^[\w+/-]{43}=?$/);
  assert.ok(got.Token.length > 0 && got.Token.length <= 4096);
  assert.ok(Number.isInteger(got.ExpiredTime) && String(got.ExpiredTime).length === 10);
  assert.ok(got.ExpiredTime > Date.now() / 1000 + 60);
});

test("exactly the sample's document", async () => {
  const { data, headers } = await axios.get(url, { headers: { Origin: origin } });
  assert.deepEqual(Object.keys(data).sort(), ['Credentials', 'Expiration', 'ExpiredTime', 'RequestId']);
  assert.deepEqual(Object.keys(data.Credentials).sort(), ['TmpSecretId', 'TmpSecretKey', 'Token']);
  assert.match(data.Expiration, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  assert.equal(Date.parse(data.Expiration), data.ExpiredTime * 1000);
  assert.match(data.RequestId, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  assert.match(headers['content-type'], /^application\/json/);
  assert.match(headers['cache-control'], /no-store/);
});

test('a listed origin is named in the answer, and no other', async () => {
  const { headers } = await axios.get(url, { headers: { Origin: origin } });
  assert.equal(headers['access-control-allow-origin'], origin);
  assert.match(headers.vary ?? '', /origin/i);
});

test('every answer is another credential', async () => {
  const [one, two] = await Promise.all([1, 2].map(() => axios.get(url, { headers: { Origin: origin } })));
  assert.notEqual(one.data.Credentials.TmpSecretId, two.data.Credentials.TmpSecretId);
  assert.notEqual(one.data.RequestId, two.data.RequestId);
});

test('a request without an origin is served by dev', async () => {
  const { status, headers } = await axios.get(url);
  assert.equal(status, 200);
  assert.equal(headers['access-control-allow-origin'], undefined);
});

test('an unlisted origin is refused', async () => {
  for (const other of ['http://127.0.0.1:89', 'https://127.0.0.1:88', 'http://127.0.0.1:88.evil.example', 'null']) {
    const { response } = await refusal(axios.get(url, { headers: { Origin: other } }));
    assert.equal(response.status, 403, other);
    assert.equal(typeof response.data.Error.Code, 'string');
    assert.equal(typeof response.data.Error.Message, 'string');
    assert.equal(typeof response.data.RequestId, 'string');
    assert.equal(response.headers['access-control-allow-origin'], undefined, other);
  }
});

test('a preflight from a listed origin is allowed', async () => {
  const asked = { Origin: origin, 'Access-Control-Request-Method': 'GET' };
  const answer = await axios.request({ url, method: 'OPTIONS', headers: asked });
  assert.ok([200, 204].includes(answer.status));
  assert.equal(answer.headers['access-control-allow-origin'], origin);
  assert.match(answer.headers['access-control-allow-methods'], /GET/);
});

test('a preflight from an unlisted origin allows nothing', async () => {
  const asked = { Origin: 'http://127.0.0.1:89', 'Access-Control-Request-Method': 'GET' };
  const answer = await axios.request({ url, method: 'OPTIONS', headers: asked, validateStatus: () => true });
  assert.deepEqual(headersOf(answer), []);
});

test('a POST is refused in words', async () => {
  const { response } = await refusal(axios.post(url, {}, { headers: { Origin: origin } }));
  assert.equal(response.status, 405);
  assert.equal(typeof response.data.Error.Code, 'string');
  // Without it the page would see a network error in place of the words.
  assert.equal(response.headers['access-control-allow-origin'], origin);
});

await main();
