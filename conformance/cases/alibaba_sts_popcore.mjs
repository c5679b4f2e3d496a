// Alibaba Cloud's generic Node client, which signs the older way. It sends GET unless told otherwise, and names the
// action in a header too.

// needs: npm
// client: alibaba / pop-core

import assert from 'node:assert/strict';
import { arn, start, suite } from '../alibaba_sts.mjs';
import { load, main, test } from '../daypass.mjs';

const { RPCClient } = (await load('@alicloud/pop-core')).default;
const sts = await start('sts-popcore');

const client = ({ id, secret, token }) =>
  new RPCClient({
    accessKeyId: id,
    accessKeySecret: secret,
    securityToken: token,
    endpoint: sts.service.url,
    apiVersion: '2015-04-01',
  });

const shown = suite(
  sts,
  async (params, key) => (await client(key).request('AssumeRole', params)).Credentials,
  (key) => client(key).request('GetCallerIdentity'),
);

test('POST as well as GET', async () => {
  const params = { RoleArn: arn('uploads'), RoleSessionName: 'app-1' };
  const { Credentials } = await client(sts.key).request('AssumeRole', params, { method: 'POST' });
  assert.match(Credentials.AccessKeyId, /^STS\./);
});
test('AssumeRole and a key that is usable', shown.whole);
test('AssumeRole, and a temporary key that GetCallerIdentity knows', shown.known);
test('AssumeRole with a Policy, which only narrows', shown.narrowed);
test('AssumeRole with an ExternalId, and without the right one', shown.partner);
test('a wrong secret is SignatureDoesNotMatch', shown.wrongSecret);
test('an unknown key is InvalidAccessKeyId.NotFound', shown.unknownKey);
test('a role that does not exist or is not granted is EntityNotExist.Role', shown.unknownRole);
test('a malformed policy is InvalidParameter.PolicyGrammar', shown.badPolicy);
test("a duration under 900 or over the role's is refused", shown.durations);
test('a temporary key cannot assume a role', shown.noChain);

await main();
