// Alibaba Cloud's Node SDK of STS, which signs by ACS3-HMAC-SHA256 over the host and its own headers.

// needs: npm
// client: alibaba / Node SDK, ACS3

import assert from 'node:assert/strict';
import { ours, program } from '../alibaba.mjs';
import { start, suite } from '../alibaba_sts.mjs';
import { load, main, test } from '../daypass.mjs';

const sdk = await load('@alicloud/sts20150401');
const Client = sdk.default.default ?? sdk.default;
const { AssumeRoleRequest } = sdk;
const sts = await start('sts-node');

const client = ({ id, secret, token }) =>
  new Client({ accessKeyId: id, accessKeySecret: secret, securityToken: token, endpoint: sts.service.host, protocol: 'http' });

const lowerFirst = ([name, value]) => [name[0].toLowerCase() + name.slice(1), value];

async function assume(params, key) {
  const request = new AssumeRoleRequest(Object.fromEntries(Object.entries(params).map(lowerFirst)));
  const { credentials } = (await client(key).assumeRole(request)).body;
  const { accessKeyId, accessKeySecret, securityToken, expiration } = credentials;
  return {
    AccessKeyId: accessKeyId,
    AccessKeySecret: accessKeySecret,
    SecurityToken: securityToken,
    Expiration: expiration,
  };
}

async function whoAmI(key) {
  const { arn: Arn, identityType: IdentityType } = (await client(key).getCallerIdentity()).body;
  return { Arn, IdentityType };
}

const shown = suite(sts, assume, whoAmI);

test('the program of the documentation', async () => {
  const arn = await program('assume_role.js', {}, String);
  assert.equal(arn, `${ours.role_arn.replace(':role/', ':assumed-role/')}/nightly\n`);
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
