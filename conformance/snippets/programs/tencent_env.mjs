// Started by `daypass exec tencent`: the SDK finds key and token in the environment by itself.
import { createRequire } from 'node:module';

const require = createRequire(process.env.PACKAGES ?? import.meta.url);
const { EnvironmentVariableCredential } = require('tencentcloud-sdk-nodejs-common/tencentcloud/common/credential');
const { sts } = require('tencentcloud-sdk-nodejs-sts');

const client = new sts.v20180813.Client({
  credential: await new EnvironmentVariableCredential().getCredential(),
  region: 'ap-guangzhou',
  profile: { httpProfile: { endpoint: process.env.STS_HOST, protocol: 'http://' } },
});
console.log((await client.GetCallerIdentity({})).Arn);
