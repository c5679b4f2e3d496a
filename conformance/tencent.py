"""What the Python cases of Tencent's STS share: the SDK's client, and how a refusal reaches its user."""

import json

from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.sts.v20180813 import models, sts_client

from daypass import equal, matches

SOE = {
    "version": "2.0",
    "statement": {"effect": "allow", "action": ["soe:TransmitOralProcessWithInit"], "resource": "*"},
}


class Sdk:
    """The SDK as a user of one server has it. `how` is sign (TC3-HMAC-SHA256, HmacSHA1, HmacSHA256), method (POST, GET)
    and unsigned."""

    def __init__(self, host, *key):
        self.host, self.key = host, key

    def client(self, *key, sign="TC3-HMAC-SHA256", method="POST", unsigned=False):
        profile = ClientProfile(signMethod=sign)
        profile.httpProfile = HttpProfile(protocol="http", endpoint=self.host, reqMethod=method, reqTimeout=10)
        profile.unsignedPayload = unsigned
        return sts_client.StsClient(credential.Credential(*(key or self.key)), "ap-guangzhou", profile)

    def federation(self, policy=SOE, name="soe", seconds=None, key=(), **how):
        request = models.GetFederationTokenRequest()
        request.Name = name
        request.Policy = policy if isinstance(policy, str) else json.dumps(policy)
        request.DurationSeconds = seconds
        return self.client(*key, **how).GetFederationToken(request)

    def assume(self, role_arn, session="page-1", seconds=None, policy=None, key=(), tags=None, how=None, **fields):
        """AssumeRole; further fields are the API's own (ExternalId, SourceIdentity, SerialNumber, TokenCode)."""
        request = models.AssumeRoleRequest()
        request.RoleArn, request.RoleSessionName, request.DurationSeconds = role_arn, session, seconds
        request.Policy = policy if policy is None or isinstance(policy, str) else json.dumps(policy)
        if tags is not None:
            request.Tags = []
            for name, value in tags:
                tag = models.Tag()
                tag.Key, tag.Value = name, value
                request.Tags.append(tag)
        for name, value in fields.items():
            setattr(request, name, value)
        return self.client(*key, **(how or {})).AssumeRole(request)

    def who_am_i(self, *key, **how):
        return self.client(*key, **how).GetCallerIdentity(models.GetCallerIdentityRequest())


def triple(answer):
    return answer.Credentials.TmpSecretId, answer.Credentials.TmpSecretKey, answer.Credentials.Token


def refused(code, call, *arguments, **named):
    """The message of a refusal whose code is as the SDK's user sees it; a lost one would be `ServerNetworkError` or an
    answer full of nulls."""
    try:
        answer = call(*arguments, **named)
    except TencentCloudSDKException as error:
        equal(error.code, code, f"code of the refusal ({error.message})")
        matches(r"[0-9a-f-]{36}", error.requestId, "RequestId of the refusal")
        return error.message
    raise AssertionError(f"should have been refused, and was answered {answer}")
