// Alibaba Cloud's credentials for Node, with type credentials_uri.

// needs: npm
// client: alibaba / credentials (npm)

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Service, here, load, main, refusal, test } from '../daypass.mjs';

const loaded = (await load('@alicloud/credentials')).default;
const Credential = loaded.default ?? loaded;
const { Config } = loaded;
const sdk = await load('@alicloud/sts20150401');
const Sts = sdk.default.default ?? sdk.default;

const config = fs.readFileSync(path.join(here, 'snippets/alibaba/credentials.toml'), 'utf8');
const far = config.slice(config.indexOf('[[endpoint]]')).replace('/credentials/agent', '/far');
const service = await Service.make('credentials-node', config + far.replace('"127.0.0.1", "::1"', '"10.0.0.0/8"'));
await service.start();

const fetched = (path) =>
  new Credential(new Config({ type: 'credentials_uri', credentialsURI: service.url + path }));

test('a key by type credentials_uri, which GetCallerIdentity knows', async () => {
  const credential = fetched('/credentials/agent');
  assert.match((await credential.getCredential()).accessKeyId, /^STS\./);
  const sts = new Sts({ credential, endpoint: service.host, protocol: 'http' });
  assert.match((await sts.getCallerIdentity()).body.arn, /^acs:ram::100000000001:assumed-role\/agent\//);
});

test('from elsewhere, it is told why not', async () => {
  assert.match((await refusal(fetched('/far').getCredential())).message, /403/);
});

await main();
