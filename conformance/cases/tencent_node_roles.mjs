// Tencent Cloud's official Node SDK: roles, outside identities, every kind of caller.

// needs: pypi npm
// client: tencent / Node SDK

import assert from 'node:assert/strict';
import path from 'node:path';
import { Service, freePort, fresh, load, main, python, test } from '../daypass.mjs';
import { Sdk, refused, soe, triple } from '../tencent.mjs';

const providers = await load('tencentcloud-sdk-nodejs-common/tencentcloud/common/credential.js');
const { OIDCRoleArnCredential, STSCredential } = providers;
const account = '100000000001';
const issuerPort = await freePort();
const issuer = `http://127.0.0.1:${issuerPort}`;
const log = path.join(fresh('node-provider'), 'provider.log');
await python('stand_ins/provider.py', issuerPort, { env: { PROVIDER_PORT: String(issuerPort) }, log });

const reason = 'wildcard_reason = "SOE has no resource-level rights"';
const service = await Service.make(
  'node-roles',
  `
[[tenant.provider]]
name = "corp"
issuer = "${issuer}"
audience = "daypass"

[[tenant.role]]
name = "soe"
lifetime = { default = "30m", max = "2h" }
policy = { cam = '${JSON.stringify(soe)}' }
${reason}

[[tenant.role]]
name = "partner"
external_id = "acme-7781"
lifetime = { default = "1h", max = "12h" }
policy = { cam = '${JSON.stringify(soe)}' }
${reason}

[[tenant.role]]
name = "uploads"
lifetime = { default = "1h", max = "12h" }
variables = { subject = "slug" }
policy = { cam = '{"version":"2.0","statement":[{"effect":"allow","action":["cos:PutObject"],"resource":["qcs::cos::uid/1250000000:pics-1250000000/users/{subject}/*"]}]}' }
trust = [{ provider = "corp", subject = ["ci-*"] }]
`,
);
const made = await service.client(
  'main', 'tencent', '--role', 'soe', '--role', 'partner', '--role', 'uploads', '--bind', 'subject=alice,bob',
);
const strict = await service.client('strict', 'tencent', '--role', 'soe', '--refuse', 'v1');
await service.start();
const sdk = new Sdk(service.host, { secretId: made.secret_id, secretKey: made.secret_key });
const arn = (role) => `qcs::cam::uin/${account}:roleName/${role}`;
const ways = ['TC3-HMAC-SHA256', 'HmacSHA1', 'HmacSHA256'].flatMap((signMethod) =>
  ['POST', 'GET'].map((reqMethod) => ({ signMethod, reqMethod })),
);

async function assumed(answer, session) {
  assert.ok(Number.isInteger(answer.ExpiredTime));
  assert.equal(Date.parse(answer.Expiration), answer.ExpiredTime * 1000);
  const user = await sdk.whoAmI(triple(answer));
  assert.equal(user.Type, 'CAMRole');
  assert.match(user.Arn, new RegExp(`^qcs::sts:${account}:assumed-role/\\d+$`));
  assert.equal(user.UserId, `${user.Arn.split('/')[1]}:${session}`);
  return user;
}

const token = async (claims) => {
  const answer = await fetch(`${issuer}/token?${new URLSearchParams(claims)}`);
  return (await answer.json()).token;
};

const webIdentity = async (WebIdentityToken, params = {}, reqMethod = 'POST') => {
  const said = { ProviderId: 'corp', WebIdentityToken, RoleArn: arn('uploads'), RoleSessionName: 'build-9', ...params };
  return sdk.client(undefined, { reqMethod }).request('AssumeRoleWithWebIdentity', said, { skipSign: true });
};

test("AssumeRole by the role's name", async () => assumed(await sdk.assume(arn('soe')), 'page-1'));

test('AssumeRole in every way to sign', async () => {
  for (const how of ways) {
    const answer = await sdk.assume(arn('soe'), { RoleSessionName: 'a.b@c_d-e', DurationSeconds: 900 }, how);
    await assumed(answer, 'a.b@c_d-e');
    assert.ok(Math.abs(answer.ExpiredTime - Date.now() / 1000 - 900) < 10);
  }
});

test('AssumeRole with a session policy', async () => {
  await assumed(await sdk.assume(arn('soe'), { Policy: JSON.stringify(soe) }), 'page-1');
  const wide = { version: '2.0', statement: [{ effect: 'allow', action: '*', resource: '*' }] };
  await refused('InvalidParameter.GrantOtherResource', sdk.assume(arn('soe'), { Policy: JSON.stringify(wide) }));
});

test("AssumeRole with tags, which fill the role's variables", async () => {
  const Tags = [{ Key: 'subject', Value: 'alice' }, { Key: 'cost-centre', Value: '17' }];
  for (const how of ways) await assumed(await sdk.assume(arn('uploads'), { Tags }, how), 'page-1');
  const foreign = [{ Key: 'subject', Value: 'mallory' }];
  await refused('InvalidParameter.ParamError', sdk.assume(arn('uploads'), { Tags: foreign }));
});

test('AssumeRole with an ExternalId', async () => {
  await assumed(await sdk.assume(arn('partner'), { ExternalId: 'acme-7781' }), 'page-1');
  await refused('UnauthorizedOperation', sdk.assume(arn('partner'), { ExternalId: 'acme-7782' }));
  await refused('UnauthorizedOperation', sdk.assume(arn('partner')));
});

test('AssumeRole with a SourceIdentity, which is recorded', async () => {
  await assumed(await sdk.assume(arn('soe'), { SourceIdentity: 'bob@example.com' }), 'page-1');
  // What the server does by itself, such as preparing its next keys, is recorded as well.
  const grants = (await service.records()).filter(({ event }) => event.event === 'grant');
  assert.equal(grants.at(-1).event.source_identity, 'bob@example.com');
});

test('AssumeRole with an MFA code is refused: there are no devices here', async () => {
  const SerialNumber = `qcs::cam:uin/${account}::mfa/softToken`;
  const asked = sdk.assume(arn('soe'), { SerialNumber, TokenCode: '123456' });
  await refused('FailedOperation.MFATypeNotSupported', asked);
});

test('AssumeRole: a role that is not granted or does not exist, or a malformed ARN, is refused', async () => {
  for (const name of [arn('nonesuch'), 'qcs::cam::uin/100000000002:roleName/soe'])
    await refused('ResourceNotFound.RoleNotFound', sdk.assume(name));
  await refused('InvalidParameter.ParamError', sdk.assume('soe'));
});

test('a temporary key cannot assume a role', async () => {
  const key = triple(await sdk.assume(arn('soe')));
  await refused('UnsupportedOperation', sdk.assume(arn('soe'), {}, {}, key));
  await refused('UnsupportedOperation', sdk.federation({}, {}, key));
});

test('a client that refuses the older signatures is held to that', async () => {
  const key = { secretId: strict.secret_id, secretKey: strict.secret_key };
  for (const how of ways) {
    const asked = sdk.whoAmI(key, how);
    await (how.signMethod === 'TC3-HMAC-SHA256' ? asked : refused('AuthFailure.UnauthorizedOperation', asked));
  }
});

test('AssumeRole: a lifetime over the maximum is refused', async () =>
  refused('InvalidParameter.OverTimeError', sdk.assume(arn('soe'), { DurationSeconds: 7201 })));

test('AssumeRoleWithWebIdentity with Authorization: SKIP', async () => {
  for (const reqMethod of ['POST', 'GET'])
    await assumed(await webIdentity(await token({ sub: 'ci-main' }), {}, reqMethod), 'build-9');
});

test('AssumeRoleWithWebIdentity: a token that is not right is refused', async () => {
  const past = String(Math.floor(Date.now() / 1000) - 1);
  for (const claims of [{ sub: 'ci-main', aud: 'someone-else' }, { sub: 'ci-main', exp: past }])
    await refused('InvalidParameter.WebIdentityTokenError', webIdentity(await token(claims)));
});

test('AssumeRoleWithWebIdentity: a subject, role or provider without trust is refused', async () => {
  await refused('UnauthorizedOperation', webIdentity(await token({ sub: 'mallory' })));
  await refused('UnauthorizedOperation', webIdentity(await token({ sub: 'ci-main' }), { RoleArn: arn('soe') }));
  const foreign = webIdentity(await token({ sub: 'ci-main' }), { ProviderId: 'nonesuch' });
  await refused('InvalidParameter.WebIdentityTokenError', foreign);
});

test('Authorization: SKIP opens nothing else', async () => {
  for (const [action, params] of [
    ['GetFederationToken', { Name: 'soe', Policy: JSON.stringify(soe) }],
    ['AssumeRole', { RoleArn: arn('soe'), RoleSessionName: 'page-1' }],
    ['GetCallerIdentity', {}],
  ])
    await refused('AuthFailure.InvalidAuthorization', sdk.client().request(action, params, { skipSign: true }));
});

test('GetCallerIdentity for every kind of caller', async () => {
  const owner = await sdk.whoAmI();
  assert.deepEqual([owner.Type, owner.AccountId], ['CAMUser', account]);
  const user = await sdk.whoAmI(triple(await sdk.federation({ Name: 'page' })));
  assert.equal(user.Arn, `qcs::sts:${account}:federated-user/${owner.UserId}`);
  assert.equal(user.UserId, `${owner.UserId}:page`);
  await assumed(await sdk.assume(arn('soe')), 'page-1');
  await assumed(await webIdentity(await token({ sub: 'ci-main' })), 'build-9');
});

test("the SDK's role credential, which renews itself", async () => {
  const params = { RoleArn: arn('soe'), RoleSessionName: 'renewing', DurationSeconds: 38 };
  const mine = new STSCredential(sdk.config(), params);
  const first = await mine.getCredential();
  assert.match((await sdk.whoAmI(first)).UserId, /:renewing$/);
  assert.deepEqual(await mine.getCredential(), first);
  // It asks anew in the last 30 seconds.
  await new Promise((done) => setTimeout(done, 8100));
  const second = await mine.getCredential();
  assert.notEqual(second.secretId, first.secretId);
  await sdk.whoAmI(second);
});

test("the SDK's OIDC credential", async () => {
  const params = { ProviderId: 'corp', WebIdentityToken: await token({ sub: 'ci-main' }), RoleArn: arn('uploads') };
  const mine = new OIDCRoleArnCredential(sdk.config(), { ...params, RoleSessionName: 'oidc-1' });
  assert.match((await sdk.whoAmI(await mine.getCredential())).UserId, /:oidc-1$/);
});

await main();
