// Tencent Cloud's official Node SDK. It signs the host without its port and names the first label of the endpoint
// as the service, so it is a stricter guest than the Python SDK; its protocol option wants the slashes.

// needs: npm
// client: tencent / Node SDK

import assert from 'node:assert/strict';
import { credentials, main, refusal, test } from '../daypass.mjs';
import { Sdk, StsClient, refused, soe, triple } from '../tencent.mjs';

const host = new URL(credentials.url).host;
const { secret_id: secretId, secret_key: secretKey } = credentials.tencent;
const sdk = new Sdk(host, { secretId, secretKey });
const federation = (params = {}, how = {}) => sdk.federation(params, how);
const whoAmI = (key, how) => sdk.whoAmI(key, how);

async function usable(answer) {
  assert.deepEqual(Object.keys(answer).sort(), ['Credentials', 'Expiration', 'ExpiredTime', 'RequestId']);
  assert.ok(Number.isInteger(answer.ExpiredTime));
  assert.equal(Date.parse(answer.Expiration), answer.ExpiredTime * 1000);
  const user = await whoAmI(triple(answer));
  assert.match(user.Arn, /^qcs::sts:\d{12}:federated-user\//);
  assert.match(user.UserId, /:soe$/);
}

test("the vendor's own sample", async () => {
  // As in the sample's Express handler; only the key, the endpoint and the protocol differ.
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

test('POST, signed payload', async () => usable(await federation()));

test('GET, signed payload', async () => usable(await federation({}, { reqMethod: 'GET' })));

// The SDK has no unsigned payload any more: the flag is ignored, and the header by hand makes an inconsistent request.

test('HmacSHA1, by POST and GET', async () => {
  for (const reqMethod of ['POST', 'GET']) await usable(await federation({}, { signMethod: 'HmacSHA1', reqMethod }));
});

test('HmacSHA256, by POST and GET', async () => {
  for (const reqMethod of ['POST', 'GET']) await usable(await federation({}, { signMethod: 'HmacSHA256', reqMethod }));
});

test('a temporary triple signs by HmacSHA1 and HmacSHA256', async () => {
  const key = triple(await federation());
  const { Arn } = await whoAmI(key);
  for (const signMethod of ['HmacSHA1', 'HmacSHA256'])
    for (const reqMethod of ['POST', 'GET']) assert.equal((await whoAmI(key, { signMethod, reqMethod })).Arn, Arn);
});

test('HmacSHA1 and HmacSHA256 with a wrong key are refused', async () => {
  const wrong = { secretId, secretKey: [...secretKey].reverse().join('') };
  for (const signMethod of ['HmacSHA1', 'HmacSHA256'])
    for (const reqMethod of ['POST', 'GET'])
      await refused('AuthFailure.SignatureFailure', whoAmI(wrong, { signMethod, reqMethod }));
});

test('a chosen lifetime is kept', async () => {
  const { ExpiredTime } = await federation({ DurationSeconds: 600 });
  assert.ok(Math.abs(ExpiredTime - Date.now() / 1000 - 600) < 10);
});

test('a lifetime of one second expires', async () => {
  const key = triple(await federation({ DurationSeconds: 1 }));
  await new Promise((done) => setTimeout(done, 2100));
  await refused('AuthFailure.TokenFailure', whoAmI(key));
});

test('GetCallerIdentity with a permanent key', async () => {
  const owner = await whoAmI();
  assert.match(owner.AccountId, /^\d{12}$/);
  const user = await whoAmI(triple(await federation()), { reqMethod: 'GET' });
  assert.equal(user.AccountId, owner.AccountId);
});

test('wrong key, other token, altered id are refused', async () => {
  const key = triple(await federation());
  const other = triple(await federation({ Name: 'other' }));
  assert.notEqual(key.token, other.token);
  await refused('AuthFailure.SignatureFailure', whoAmI({ ...key, secretKey: other.secretKey }));
  await refused('AuthFailure.TokenFailure', whoAmI({ ...key, token: other.token }));
  await refused('AuthFailure.TokenFailure', whoAmI({ ...key, secretId: other.secretId }));
});

test('a percent-encoded policy, by POST and GET', async () => {
  const Policy = encodeURIComponent(JSON.stringify(soe));
  for (const reqMethod of ['POST', 'GET']) await usable(await federation({ Policy }, { reqMethod }));
});

test('a policy wider than the role is refused', async () => {
  const wide = { version: '2.0', statement: [{ effect: 'allow', action: '*', resource: '*' }] };
  await refused('InvalidParameter.GrantOtherResource', federation({ Policy: JSON.stringify(wide) }));
});

test('actions without a meaning here answer UnsupportedOperation', async () => {
  const saml = { SAMLAssertion: 'PHg+', PrincipalArn: 'p', RoleArn: 'r', RoleSessionName: 's1' };
  for (const reqMethod of ['POST', 'GET']) {
    const client = sdk.client(undefined, { reqMethod });
    await refused('UnsupportedOperation', client.GetSessionToken({ SerialNumber: 'a', TokenCode: '123456' }));
    await refused('UnsupportedOperation', client.AssumeRoleWithSAML(saml));
    await refused('UnsupportedOperation', client.QueryApiKey({}));
  }
});

test('an action that does not exist is refused', async () =>
  refused('InvalidAction', sdk.client().request('GetFederationTicket', {})));

await main();
