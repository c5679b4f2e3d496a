// AssumeRole by Alibaba Cloud's SDK for Node, and who the temporary key is.
// Needs: STS_HOST (127.0.0.1:5050), ACCESS_KEY_ID, ACCESS_KEY_SECRET, ROLE_ARN.

const { default: Client, AssumeRoleRequest } = require('@alicloud/sts20150401');
const { STS_HOST, ACCESS_KEY_ID, ACCESS_KEY_SECRET, ROLE_ARN } = process.env;

// Host and port without `http://`; behind TLS leave the protocol out.
const sts = (key) => new Client({ ...key, endpoint: STS_HOST, protocol: 'http' });

async function main() {
  const client = sts({ accessKeyId: ACCESS_KEY_ID, accessKeySecret: ACCESS_KEY_SECRET });
  const request = new AssumeRoleRequest({ roleArn: ROLE_ARN, roleSessionName: 'nightly', durationSeconds: 900 });
  const { accessKeyId, accessKeySecret, securityToken } = (await client.assumeRole(request)).body.credentials;
  console.log((await sts({ accessKeyId, accessKeySecret, securityToken }).getCallerIdentity()).body.arn);
}

main();
