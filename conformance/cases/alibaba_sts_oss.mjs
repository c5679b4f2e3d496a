// The STS client of ali-oss, which signs the older way in a form, with milliseconds and a fraction as nonce.

// needs: npm
// client: alibaba / ali-oss STS

import { start, suite } from '../alibaba_sts.mjs';
import { load, main, test } from '../daypass.mjs';

const OSS = (await load('ali-oss')).default;
const sts = await start('sts-oss');

const shown = suite(sts, async ({ RoleArn, RoleSessionName, Policy, DurationSeconds }, { id, secret }) => {
  const client = new OSS.STS({ accessKeyId: id, accessKeySecret: secret, endpoint: sts.service.url });
  return (await client.assumeRole(RoleArn, Policy, DurationSeconds, RoleSessionName)).credentials;
});

test('AssumeRole and a key that is usable', shown.whole);
test('AssumeRole with a Policy, which only narrows', shown.narrowed);
test('a wrong secret is SignatureDoesNotMatch', shown.wrongSecret);
test('an unknown key is InvalidAccessKeyId.NotFound', shown.unknownKey);
test('a role that does not exist or is not granted is EntityNotExist.Role', shown.unknownRole);
test('a malformed policy is InvalidParameter.PolicyGrammar', shown.badPolicy);
test("a duration under 900 or over the role's is refused", shown.durations);

await main();
