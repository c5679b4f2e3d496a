// What the Node cases of Tencent's STS share: the SDK's client, and how a refusal reaches its user.

import assert from 'node:assert/strict';
import { load, refusal } from './daypass.mjs';

const { sts } = await load('tencentcloud-sdk-nodejs-sts');

/** The SDK's client of STS, as it is. */
export const StsClient = sts.v20180813.Client;

/** The sample's policy. */
export const soe = {
  version: '2.0',
  statement: { effect: 'allow', action: ['soe:TransmitOralProcessWithInit'], resource: '*' },
};

/** The SDK as a user of one server has it. `how` is signMethod (TC3-HMAC-SHA256, HmacSHA1, HmacSHA256) and reqMethod. */
export class Sdk {
  constructor(host, key) {
    Object.assign(this, { host, key });
  }

  /** What the SDK is configured with; its protocol option wants the slashes. */
  config(credential = this.key, { signMethod = 'TC3-HMAC-SHA256', reqMethod = 'POST' } = {}) {
    const httpProfile = { endpoint: this.host, protocol: 'http://', reqMethod };
    return { credential, region: 'ap-beijing', profile: { signMethod, httpProfile } };
  }

  client(credential, how) {
    return new StsClient(this.config(credential, how));
  }

  federation(params = {}, how = {}, key = undefined) {
    return this.client(key, how).GetFederationToken({ Name: 'soe', Policy: JSON.stringify(soe), ...params });
  }

  assume(RoleArn, params = {}, how = {}, key = undefined) {
    return this.client(key, how).AssumeRole({ RoleArn, RoleSessionName: 'page-1', ...params });
  }

  whoAmI(key, how) {
    return this.client(key, how).GetCallerIdentity({});
  }
}

/** The credential of an answer, in the words of the SDK's options. */
export const triple = ({ Credentials: { TmpSecretId, TmpSecretKey, Token } }) => ({
  secretId: TmpSecretId,
  secretKey: TmpSecretKey,
  token: Token,
});

/** The message of a refusal that has this code. */
export async function refused(code, promise) {
  const error = await refusal(promise);
  assert.equal(error.code, code, error.message);
  assert.match(error.requestId, /^[0-9a-f-]{36}$/);
  return error.message;
}
