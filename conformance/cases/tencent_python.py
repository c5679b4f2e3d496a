"""Tencent Cloud's official Python SDK, pointed at the dev server by endpoint and protocol alone."""

# needs: pypi

import json
import time
import urllib.parse

from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.sts.v20180813 import models, sts_client

from daypass import case, check, credentials, equal, main, matches

SERVER = credentials()
HOST = urllib.parse.urlsplit(SERVER["url"]).netloc
KEY = SERVER["tencent"]["secret_id"], SERVER["tencent"]["secret_key"]
SOE = {
    "version": "2.0",
    "statement": {"effect": "allow", "action": ["soe:TransmitOralProcessWithInit"], "resource": "*"},
}


def client(secret_id, secret_key, token=None, method="POST", unsigned=False):
    profile = ClientProfile(signMethod="TC3-HMAC-SHA256")
    profile.httpProfile = HttpProfile(protocol="http", endpoint=HOST, reqMethod=method, reqTimeout=10)
    profile.unsignedPayload = unsigned
    return sts_client.StsClient(credential.Credential(secret_id, secret_key, token), "ap-guangzhou", profile)


def federation(policy=SOE, name="soe", seconds=None, key=KEY, **how):
    request = models.GetFederationTokenRequest()
    request.Name = name
    request.Policy = policy if isinstance(policy, str) else json.dumps(policy)
    request.DurationSeconds = seconds
    return client(*key, **how).GetFederationToken(request)


def triple(answer):
    return answer.Credentials.TmpSecretId, answer.Credentials.TmpSecretKey, answer.Credentials.Token


def who_am_i(secret_id, secret_key, token=None, **how):
    return client(secret_id, secret_key, token, **how).GetCallerIdentity(models.GetCallerIdentityRequest())


def refused(code, call, *arguments, **named):
    """The code as the SDK's user sees it; a lost one would be `ServerNetworkError` or an answer full of nulls."""
    try:
        answer = call(*arguments, **named)
    except TencentCloudSDKException as error:
        equal(error.code, code, f"code of the refusal ({error.message})")
        matches(r"[0-9a-f-]{36}", error.requestId, "RequestId of the refusal")
        return error.message
    raise AssertionError(f"should have been refused, and was answered {answer}")


def usable(answer, seconds):
    """The answer has the vendor's shape and its triple signs for the federated user."""
    matches(r"AKID[A-Za-z0-9_-]+", answer.Credentials.TmpSecretId, "TmpSecretId")
    matches(r"[\w+/-]{43}=?", answer.Credentials.TmpSecretKey, "TmpSecretKey")
    check(0 < len(answer.Credentials.Token) <= 4096, f"Token has {len(answer.Credentials.Token)} characters")
    check(abs(answer.ExpiredTime - time.time() - seconds) < 10, f"ExpiredTime {answer.ExpiredTime} is not in {seconds} s")
    equal(answer.Expiration, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(answer.ExpiredTime)), "Expiration")
    owner = who_am_i(*KEY)
    user = who_am_i(*triple(answer))
    equal(user.AccountId, owner.AccountId, "AccountId of the temporary credential")
    check(user.UserId.endswith(":soe"), f"UserId is {user.UserId}, which does not end in the name asked for")
    check(
        user.Arn.startswith(f"qcs::sts:{owner.AccountId}:federated-user/"),
        f"Arn is {user.Arn}, which is no federated user of the account",
    )


@case("the seed's own code")
def seed():
    # The body of the seed's Flask handler, with its lost indentation and the quotes of its policy restored. Only
    # the key, the endpoint and the protocol differ.
    def getAuthorization():
        # 实例化一个认证对象,入参需要传入腾讯云账户secretId,secretKey
        cred = credential.Credential(*KEY)

        # 实例化一个http选项,可选的,没有特殊需求可以跳过。
        httpProfile = HttpProfile(protocol="http")
        httpProfile.reqMethod = "POST"  # post请求(默认为post请求)
        httpProfile.reqTimeout = 30  # 请求超时时间,单位为秒(默认60秒)
        httpProfile.endpoint = HOST  # 指定接入地域域名(默认就近接入)

        # 实例化一个client选项,可选的,没有特殊r需求可以跳过。
        clientProfile = ClientProfile()
        clientProfile.signMethod = "TC3-HMAC-SHA256"  # 指定签名算法(默认为HmacSHA256)
        clientProfile.unsignedPayload = True
        clientProfile.httpProfile = httpProfile

        from tencentcloud.sts.v20180813 import sts_client, models
        client = sts_client.StsClient(cred, "ap-guangzhou", clientProfile)

        req = models.GetFederationTokenRequest()
        req.Name = "soe"
        req.Policy = "{\"version\": \"2.0\",\"statement\": {\"effect\": \"allow\",\"action\": [\"soe:TransmitOralProcessWithInit\"],\"resource\": \"*\"}}"
        # req.DurationSeconds = 10
        # 请求服务,获取结果
        resp = client.GetFederationToken(req)
        json_resp = resp.to_json_string()
        json_loads = json.loads(json_resp)
        # json_dumps = json.dumps(json_loads)
        return json_loads  # 回调

    answer = getAuthorization()
    equal(set(answer), {"Credentials", "Expiration", "ExpiredTime", "RequestId"}, "members of the answer")
    equal(set(answer["Credentials"]), {"Token", "TmpSecretId", "TmpSecretKey"}, "members of Credentials")
    usable(models_of(answer), 1800)


def models_of(answer):
    model = models.GetFederationTokenResponse()
    model._deserialize(answer)
    return model


@case("POST, signed payload")
def post_signed():
    usable(federation(), 1800)


@case("POST, unsigned payload")
def post_unsigned():
    usable(federation(unsigned=True), 1800)


@case("GET, signed payload")
def get_signed():
    usable(federation(method="GET"), 1800)


@case("GET, unsigned payload")
def get_unsigned():
    usable(federation(method="GET", unsigned=True), 1800)


@case("GetCallerIdentity with a permanent key")
def permanent():
    answer = who_am_i(*KEY)
    matches(r"\d{12}", answer.AccountId, "AccountId")
    for name in ("Arn", "UserId", "PrincipalId", "Type", "RequestId"):
        check(getattr(answer, name), f"{name} is empty")
    equal(who_am_i(*KEY, method="GET").Arn, answer.Arn, "Arn by GET")


@case("GetCallerIdentity with a temporary triple, by POST and GET, signed and unsigned")
def temporary():
    key = triple(federation())
    arns = {who_am_i(*key, method=method, unsigned=unsigned).Arn for method in ("POST", "GET") for unsigned in (True, False)}
    equal(len(arns), 1, f"number of identities in {arns}")


@case("a lifetime of one second expires")
def expires():
    answer = federation(seconds=1)
    check(answer.ExpiredTime <= time.time() + 1, f"ExpiredTime {answer.ExpiredTime} is more than a second away")
    key = triple(answer)
    time.sleep(2.1)
    refused("AuthFailure.TokenFailure", who_am_i, *key)


@case("a chosen lifetime is kept")
def lifetime():
    usable(federation(seconds=600), 600)


@case("a lifetime over the maximum is refused")
def too_long():
    refused("InvalidParameter.OverTimeError", federation, seconds=129601)


@case("a wrong key is refused")
def wrong_key():
    secret_id, secret_key = KEY
    refused("AuthFailure.SignatureFailure", who_am_i, secret_id, secret_key[:-1] + ("A" if secret_key[-1] != "A" else "B"))
    temporary_id, _, token = triple(federation())
    refused("AuthFailure.SignatureFailure", who_am_i, temporary_id, secret_key, token)


@case("an unknown id is refused")
def unknown_id():
    refused("AuthFailure.SecretIdNotFound", who_am_i, "AKID" + "0" * 32, KEY[1])


@case("a temporary id without its token is refused")
def no_token():
    secret_id, secret_key, _ = triple(federation())
    refused("AuthFailure.SecretIdNotFound", who_am_i, secret_id, secret_key)


@case("the token of another triple is refused")
def other_token():
    secret_id, secret_key, token = triple(federation(name="soe"))
    _, _, other = triple(federation(name="other"))
    check(token != other, "two triples have the same token")
    refused("AuthFailure.TokenFailure", who_am_i, secret_id, secret_key, other)


@case("a token with text appended is refused")
def longer_token():
    secret_id, secret_key, token = triple(federation())
    refused("AuthFailure.TokenFailure", who_am_i, secret_id, secret_key, token + "x")


@case("an altered id is refused")
def altered_id():
    secret_id, secret_key, token = triple(federation())
    other = secret_id[:-1] + ("A" if secret_id[-1] != "A" else "B")
    refused("AuthFailure.TokenFailure", who_am_i, other, secret_key, token)


@case("a temporary key cannot ask for another one")
def no_chain():
    refused("FailedOperation.TempKeyNotAllowed", federation, key=triple(federation()))


@case("a policy whose statement is an array")
def array():
    usable(federation({**SOE, "statement": [SOE["statement"]]}), 1800)


@case("a percent-encoded policy, by POST and GET")
def encoded():
    text = urllib.parse.quote(json.dumps(SOE), safe="")
    usable(federation(text), 1800)
    usable(federation(text, method="GET"), 1800)


@case("a policy encoded as a form, blanks as plus signs")
def form_encoded():
    usable(federation(urllib.parse.quote_plus(json.dumps(SOE))), 1800)


@case("a policy wider than the role is refused")
def too_wide():
    wide = {"version": "2.0", "statement": {"effect": "allow", "action": ["cos:*"], "resource": "*"}}
    refused("InvalidParameter.GrantOtherResource", federation, wide)


@case("a policy that is no policy is refused")
def no_policy():
    refused("InvalidParameter.StrategyFormatError", federation, "{")
    refused("InvalidParameter.StrategyInvalid", federation, {**SOE, "version": "1.0"})


@case("an action that does not exist is refused")
def unknown_action():
    refused("InvalidAction", client(*KEY).call_json, "GetFederationTicket", {})


main()
