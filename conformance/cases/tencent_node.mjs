// Tencent Cloud's official Node SDK. It signs the host without its port and names the first label of the endpoint
// as the service, so it is a stricter guest than the Python SDK; its protocol option wants the slashes.

// needs: npm

import assert from 'node:assert/strict';
import { credentials, load, main, refusal, test } from '../daypass.mjs';

const { sts } = await load('tencentcloud-sdk-nodejs-sts');
const host = new URL(credentials.url).host;
const { secret_id: secretId, secret_key: secretKey } = credentials.tencent;
const soe = {
  version: '2.0',
  statement: { effect: 'allow', action: ['soe:TransmitOralProcessWithInit'], resource: '*' },
};

const client = (credential, reqMethod = 'POST') =>
  new sts.v20180813.Client({
    credential,
    region: 'ap-beijing',
    profile: { signMethod: 'TC3-HMAC-SHA256', httpProfile: { endpoint: host, protocol: 'http://', reqMethod } },
  });

const federation = (params = {}, reqMethod = 'POST') =>
  client({ secretId, secretKey }, reqMethod).GetFederationToken({ Name: 'soe', Policy: JSON.stringify(soe), ...params });

const triple = ({ Credentials: { TmpSecretId, TmpSecretKey, Token } }) => ({
  secretId: TmpSecretId,
  secretKey: TmpSecretKey,
  token: Token,
});

async function usable(answer) {
  assert.deepEqual(Object.keys(answer).sort(), ['Credentials', 'Expiration', 'ExpiredTime', 'RequestId']);
  assert.ok(Number.isInteger(answer.ExpiredTime));
  assert.equal(Date.parse(answer.Expiration), answer.ExpiredTime * 1000);
  const user = await client(triple(answer)).GetCallerIdentity({});
  assert.match(user.Arn, /^qcs::sts:\d{12}:federated-user\//);
  assert.match(user.UserId, /:soe$/);
}

async function refused(code, promise) {
  const error = await refusal(promise);
  assert.equal(error.code, code, error.message);
  assert.match(error.requestId, /^[0-9a-f-]{36}$/);
}

test("the seed's own call", async () => {
  // As in the seed's Express handler; only the key, the endpoint and the protocol differ.
  const StsClient = sts.v20180813.Client;
  const clientConfig = {
    credential: {
      secretId,
      secretKey,
    },
    region: 'ap-beijing',
    profile: { httpProfile: { endpoint: host, protocol: 'http://' } },
  };
  const client = new StsClient(clientConfig);
  const params = {
    "Name": "soe",
    "Policy": "{\"version\": \"2.0\",\"statement\": {\"effect\": \"allow\", \"action\":[\"soe:TransmitOralProcessWithInit\"],\"resource\": \"*\"}}"
  };
  await client.GetFederationToken(params).then(usable);
});

test('POST', async () => usable(await federation()));

test('GET', async () => usable(await federation({}, 'GET')));

test('a chosen lifetime is kept', async () => {
  const { ExpiredTime } = await federation({ DurationSeconds: 600 });
  assert.ok(Math.abs(ExpiredTime - Date.now() / 1000 - 600) < 10);
});

test('a lifetime of one second expires', async () => {
  const key = triple(await federation({ DurationSeconds: 1 }));
  await new Promise((done) => setTimeout(done, 2100));
  await refused('AuthFailure.TokenFailure', client(key).GetCallerIdentity({}));
});

test('GetCallerIdentity with a permanent key', async () => {
  const owner = await client({ secretId, secretKey }).GetCallerIdentity({});
  assert.match(owner.AccountId, /^\d{12}$/);
  const user = await client(triple(await federation()), 'GET').GetCallerIdentity({});
  assert.equal(user.AccountId, owner.AccountId);
});

test('wrong key, other token, altered id', async () => {
  const key = triple(await federation());
  const other = triple(await federation({ Name: 'other' }));
  assert.notEqual(key.token, other.token);
  await refused('AuthFailure.SignatureFailure', client({ ...key, secretKey: other.secretKey }).GetCallerIdentity({}));
  await refused('AuthFailure.TokenFailure', client({ ...key, token: other.token }).GetCallerIdentity({}));
  await refused('AuthFailure.TokenFailure', client({ ...key, secretId: other.secretId }).GetCallerIdentity({}));
});

test('a percent-encoded policy', async () => usable(await federation({ Policy: encodeURIComponent(JSON.stringify(soe)) })));

test('a policy wider than the role is refused', async () => {
  const wide = { version: '2.0', statement: [{ effect: 'allow', action: '*', resource: '*' }] };
  await refused('InvalidParameter.GrantOtherResource', federation({ Policy: JSON.stringify(wide) }));
});

await main();
