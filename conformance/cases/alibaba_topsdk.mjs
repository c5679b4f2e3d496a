// npm's other client of the TOP gateway. It signs with md5, stamps the machine's local time, and signs an object as
// "[object Object]".

// needs: npm
// client: alibaba / topsdk (npm)

import assert from 'node:assert/strict';
import { METHOD, URL, checkResult, ours, param, program, provoking } from '../alibaba.mjs';
import { load, main, refusal, test } from '../daypass.mjs';

const TopClient = (await load('topsdk')).default;

const client = (endpoint = URL, key = ours.app_key, secret = ours.app_secret) =>
  new TopClient(key, secret, { endpoint, useValidators: false });

const text = (value) => (typeof value === 'object' ? JSON.stringify(value) : value);

const provoke = provoking(({ url, key, secret, method, param: asked = param(), ...common }) =>
  client(url, key, secret).execute(method, { timestamp: Date.now(), ...common, param: text(asked) }),
);

test('the whole SecurityTokenCredential', async () => {
  const answer = await client().execute(METHOD, { timestamp: Date.now(), param: text(param()) });
  checkResult(answer.result);
});

test('the program of the documentation', async () => {
  checkResult(await program('topsdk.js'));
  assert.match((await refusal(program('topsdk.js', { POI_ID: '9999' }))).message, /isv\.invalid-parameter/);
});

test('a GET whose parameters are in a form body', async () => {
  const answer = await client().execute(METHOD, { timestamp: Date.now(), param: text(param()) }, 'get');
  checkResult(answer.result);
});

test('multipart: a file is no part of the signature, and is passed over', async () => {
  const image = { value: Buffer.from('x'), options: { filename: 'x.txt' } };
  const asked = { timestamp: Date.now(), param: text(param()), image };
  checkResult((await client().execute(METHOD, asked, 'file_upload')).result);
});

test('an object as param is code 25: the client signs [object Object]', async () => {
  const error = await refusal(client().execute(METHOD, { timestamp: Date.now(), param: param() }));
  assert.equal(error.code, 25);
});

test('in UTC, code 31 and a sentence that says why', async () => {
  process.env.TZ = 'UTC';
  const error = await refusal(client().execute(METHOD, { param: text(param()) }));
  assert.equal(error.code, 31);
  assert.match(error.data, /GMT\+8/);
});

test('a wrong secret is code 25', provoke.wrongSecret);
test('an unknown app key is code 29', provoke.unknownKey);
test('an unknown method is code 22', provoke.unknownMethod);
test('a missing param, or member of it, is code 40', provoke.missing);
test('a param that is no JSON object is code 41', provoke.noJson);
test('another scene or product is code 11', provoke.otherScene);
test('another store or tenant is code 50', provoke.otherStore);
test('an unknown parameter is code 41', provoke.unknownParameter);
test('a clock eleven minutes late is code 31', provoke.staleClock);
test('md5 of a client that refuses it is code 53', provoke.weak);

await main();
