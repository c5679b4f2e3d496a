// Alibaba Cloud's SDKs for Node where they are turned away for now: the present one, pop-core, ali-oss, and the one that fetches
// a key from a URL. None asks again by itself. ali-oss tells a refusal by its status alone: it takes another cloud's, which
// is a 200, for a key without its parts.

// needs: npm
// client: bounded / Alibaba Cloud's SDKs (Node)

import assert from 'node:assert/strict';
import { ACCOUNT, Bounded } from '../bounded.mjs';
import { load, main, test } from '../daypass.mjs';

const { RPCClient } = (await load('@alicloud/pop-core')).default;
const OSS = (await load('ali-oss')).default;
const present = await load('@alicloud/sts20150401');
const Sts = present.default.default ?? present.default;
const credentials = (await load('@alicloud/credentials')).default;
const Credential = credentials.default ?? credentials;

const more = `
[[endpoint]]
dialect = "alibaba.credentials"
path = "/credentials"
tenant = "acme"
role = "uploads"
shape = "credentials_uri"
caller = { anonymous = { reason = "a test", networks = ["127.0.0.1"] } }
quota = { address = 60000, endpoint = 60000 }
`;
const clients = [['app', 'access-key', '--role', 'uploads']];
const server = await Bounded.start('bounded-alibaba-node', { more, clients });
const { access_key_id: accessKeyId, access_key_secret: accessKeySecret } = server.keys.app;
const asked = { RoleArn: `acs:ram::${ACCOUNT}:role/uploads`, RoleSessionName: 'app-1' };

const calls = {
  present: async () => {
    const client = new Sts({ accessKeyId, accessKeySecret, endpoint: server.host, protocol: 'http' });
    const request = new present.AssumeRoleRequest({ roleArn: asked.RoleArn, roleSessionName: asked.RoleSessionName });
    return (await client.assumeRole(request)).body.credentials.securityToken;
  },
  popGet: () => pop('GET'),
  popPost: () => pop('POST'),
  oss: async () => {
    const client = new OSS.STS({ accessKeyId, accessKeySecret, endpoint: server.url });
    return (await client.assumeRole(asked.RoleArn, undefined, 3600, asked.RoleSessionName)).credentials.SecurityToken;
  },
};

async function pop(method) {
  const client = new RPCClient({ accessKeyId, accessKeySecret, endpoint: server.url, apiVersion: '2015-04-01' });
  return (await client.request('AssumeRole', asked, { method })).Credentials.SecurityToken;
}

async function fromUrl() {
  const config = new credentials.Config({ type: 'credentials_uri', credentialsURI: `${server.url}/credentials` });
  return (await new Credential(config).getCredential()).securityToken;
}

test('turned away for want of room, and served when there is room', async () => {
  for (const outcome of await server.atTheBound(...Object.values(calls))) {
    outcome.refused(/ServiceUnavailable .*more is asked here than can be answered now/);
  }
  for (const call of Object.values(calls)) await call();
  for (const outcome of await server.atTheBound(fromUrl)) outcome.refused(/503/);
  await fromUrl();
});

test('above its rate, and served when it may ask again', async () => {
  for (const outcome of await server.aboveItsRate('app', ...Object.values(calls))) {
    outcome.refused(/Throttling\.User .*the rate of this client is used up/);
  }
});

test('a day that is used up', async () => {
  for (const outcome of await server.dayUsedUp('app', ...Object.values(calls))) {
    outcome.refused(/Throttling\.User .*the daily quota of this client is used up/);
  }
});

test('a store that is away, and comes back', async () => {
  const all = Object.values(calls);
  const [outcomes, tries] = await server.whileAway(...all);
  assert.equal(tries, all.length, 'questions in vain');
  for (const outcome of outcomes) outcome.told(/ServiceUnavailable .*no record can be written now/);
});

await main();
