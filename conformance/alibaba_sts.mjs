// What the Node cases of Alibaba Cloud's STS share: a server with roles, and what is shown by each client.

import assert from 'node:assert/strict';
import { Service, refusal } from './daypass.mjs';

const ACCOUNT = '100000000001';
const UPLOADS = {
  Version: '1',
  Statement: [{ Effect: 'Allow', Action: ['oss:PutObject'], Resource: ['acs:oss:*:*:pics/users/*'] }],
};
const ALICE = {
  Version: '1',
  Statement: [{ Effect: 'Allow', Action: 'oss:PutObject', Resource: 'acs:oss:*:*:pics/users/alice/*' }],
};
const role = (name, more) => `
[[tenant.role]]
name = "${name}"
lifetime = { default = "1h", max = "2h" }
policy = { ram = '${JSON.stringify(UPLOADS)}' }
${more}
`;

export const arn = (name) => `acs:ram::${ACCOUNT}:role/${name}`;

/** A running server, and a client of it with two of its roles. */
export async function start(name) {
  const roles = role('uploads', '') + role('partner', 'external_id = "acme-7781"') + role('unreachable', '');
  const service = await Service.make(name, roles);
  const made = await service.client('app', 'access-key', '--role', 'uploads', '--role', 'partner');
  await service.start();
  return { service, key: { id: made.access_key_id, secret: made.access_key_secret } };
}

/** The key in an answer's Credentials. */
export const triple = ({ AccessKeyId: id, AccessKeySecret: secret, SecurityToken: token }) => ({ id, secret, token });

const altered = (key) => ({ ...key, secret: [...key.secret].reverse().join('') });

/**
 * `assume` is given what AssumeRole takes, and a key; it returns the answer's Credentials. `whoAmI` is given a key; a
 * client without it leaves it out.
 */
export function suite({ service, key }, assume, whoAmI) {
  const call = (params = {}, by = key) => assume({ RoleArn: arn('uploads'), RoleSessionName: 'app-1', ...params }, by);
  const refused = async (code, params, by) => {
    const error = await refusal(call(params, by));
    assert.equal(error.code, code, error.message);
    return error;
  };
  const resourcesOf = async ({ id, token }) => {
    const { policy } = await service.command('credential', 'show', id, `--token=${token}`);
    return (policy.Statement ?? policy.statement).flatMap((one) => one.Resource ?? one.resource);
  };
  return {
    refused,
    whole: async () => {
      for (const [params, seconds] of [[{}, 3600], [{ DurationSeconds: 900 }, 900]]) {
        const got = await call(params);
        assert.match(got.AccessKeyId, /^STS\./);
        assert.match(got.Expiration, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
        assert.ok(Math.abs(Date.parse(got.Expiration) - Date.now() - seconds * 1000) < 10_000, got.Expiration);
        assert.deepEqual(await resourcesOf(triple(got)), ['acs:oss:*:*:pics/users/*']);
      }
    },
    known: async () => {
      const got = triple(await call());
      const who = await whoAmI(got);
      assert.equal(who.Arn, `acs:ram::${ACCOUNT}:assumed-role/uploads/app-1`);
      assert.equal(who.IdentityType, 'AssumedRoleUser');
      assert.equal((await whoAmI(key)).IdentityType, 'RAMUser');
      assert.equal((await refusal(whoAmI(altered(got)))).code, 'SignatureDoesNotMatch');
      assert.equal((await refusal(whoAmI({ ...got, token: undefined }))).code, 'MissingSecurityToken');
    },
    narrowed: async () => {
      const got = triple(await call({ Policy: JSON.stringify(ALICE) }));
      assert.deepEqual(await resourcesOf(got), ['acs:oss:*:*:pics/users/alice/*']);
      const wider = { Version: '1', Statement: [{ Effect: 'Allow', Action: 'oss:*', Resource: '*' }] };
      assert.deepEqual(await resourcesOf(triple(await call({ Policy: JSON.stringify(wider) }))), ['acs:oss:*:*:pics/users/*']);
    },
    badPolicy: async () => {
      for (const policy of ['{}', '{"Version":"2","Statement":[]}', '{"Version":"1","Statement":[{"Effect":"Perhaps"}]}']) {
        await refused('InvalidParameter.PolicyGrammar', { Policy: policy });
      }
    },
    partner: async () => {
      await call({ RoleArn: arn('partner'), ExternalId: 'acme-7781' });
      for (const params of [{}, { ExternalId: 'acme-7782' }]) {
        const { message } = await refused('NoPermission', { RoleArn: arn('partner'), ...params });
        assert.doesNotMatch(message, /acme-7781/);
      }
    },
    wrongSecret: () => refused('SignatureDoesNotMatch', {}, altered(key)),
    unknownKey: () => refused('InvalidAccessKeyId.NotFound', {}, { ...key, id: `LTAI${'0'.repeat(20)}` }),
    unknownRole: async () => {
      for (const name of ['nonesuch', 'unreachable']) await refused('EntityNotExist.Role', { RoleArn: arn(name) });
      await refused('InvalidParameter.RoleArn', { RoleArn: 'uploads' });
    },
    durations: async () => {
      for (const seconds of [899, 7201]) await refused('InvalidParameter.DurationSeconds', { DurationSeconds: seconds });
    },
    noChain: async () => refused('NoPermission', {}, triple(await call())),
  };
}
