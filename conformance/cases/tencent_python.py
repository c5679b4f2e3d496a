"""Tencent Cloud's official Python SDK, pointed at the dev server by endpoint and protocol alone."""

# needs: pypi
# client: tencent / Python SDK

import json
import time
import urllib.parse

from tencentcloud.common import credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.sts.v20180813 import models

from daypass import case, check, credentials, equal, main, matches
from tencent import SOE, Sdk, refused, triple

SERVER = credentials()
HOST = urllib.parse.urlsplit(SERVER["url"]).netloc
KEY = SERVER["tencent"]["secret_id"], SERVER["tencent"]["secret_key"]
SDK = Sdk(HOST, *KEY)
client, federation, who_am_i = SDK.client, SDK.federation, SDK.who_am_i


def usable(answer, seconds):
    """The answer has the vendor's shape and its triple signs for the federated user."""
    matches(r"AKID[A-Za-z0-9_-]+", answer.Credentials.TmpSecretId, "TmpSecretId")
    matches(r"[\w+/-]{43}=?", answer.Credentials.TmpSecretKey, "TmpSecretKey")
    check(0 < len(answer.Credentials.Token) <= 4096, f"Token has {len(answer.Credentials.Token)} characters")
    check(abs(answer.ExpiredTime - time.time() - seconds) < 10, f"ExpiredTime {answer.ExpiredTime} is not in {seconds} s")
    equal(answer.Expiration, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(answer.ExpiredTime)), "Expiration")
    owner = who_am_i()
    user = who_am_i(*triple(answer))
    equal(user.AccountId, owner.AccountId, "AccountId of the temporary credential")
    check(user.UserId.endswith(":soe"), f"UserId is {user.UserId}, which does not end in the name asked for")
    check(
        user.Arn.startswith(f"qcs::sts:{owner.AccountId}:federated-user/"),
        f"Arn is {user.Arn}, which is no federated user of the account",
    )


@case("the vendor's own sample")
def sample():
    # The body of the sample's Flask handler, with its lost indentation and the quotes of its policy restored. Only
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


@case("HmacSHA1, by POST and GET")
def v1_sha1():
    usable(federation(sign="HmacSHA1"), 1800)
    usable(federation(sign="HmacSHA1", method="GET"), 1800)


@case("HmacSHA256, by POST and GET")
def v1_sha256():
    usable(federation(sign="HmacSHA256"), 1800)
    usable(federation(sign="HmacSHA256", method="GET"), 1800)


@case("a temporary triple signs by HmacSHA1 and HmacSHA256")
def v1_temporary():
    key = triple(federation())
    arn = who_am_i(*key).Arn
    for sign in ("HmacSHA1", "HmacSHA256"):
        for method in ("POST", "GET"):
            equal(who_am_i(*key, sign=sign, method=method).Arn, arn, f"Arn with {sign} by {method}")


@case("HmacSHA1 and HmacSHA256 with a wrong key are refused")
def v1_wrong_key():
    for sign in ("HmacSHA1", "HmacSHA256"):
        for method in ("POST", "GET"):
            refused("AuthFailure.SignatureFailure", who_am_i, KEY[0], KEY[1][::-1], sign=sign, method=method)


@case("GetCallerIdentity with a permanent key")
def permanent():
    answer = who_am_i()
    matches(r"\d{12}", answer.AccountId, "AccountId")
    for name in ("Arn", "UserId", "PrincipalId", "Type", "RequestId"):
        check(getattr(answer, name), f"{name} is empty")
    equal(who_am_i(method="GET").Arn, answer.Arn, "Arn by GET")


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
    refused("UnsupportedOperation", federation, key=triple(federation()))


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


@case("a condition reaches the credential, and an unknown operator is refused")
def condition():
    def with_condition(condition):
        return {**SOE, "statement": [{**SOE["statement"], "condition": condition}]}

    usable(federation(with_condition({"ip_equal": {"qcs:ip": ["10.0.0.0/8", "192.168.0.1"]}})), 1800)
    usable(federation(with_condition({})), 1800)
    message = refused(
        "InvalidParameter.StrategyInvalid", federation, with_condition({"ip_equals": {"qcs:ip": ["10.0.0.0/8"]}})
    )
    check("ip_equals" in message, f"{message!r} does not name the operator")


@case("a resource without six segments is refused")
def resource():
    short = {**SOE, "statement": {**SOE["statement"], "resource": ["qcs::soe:::"]}}
    refused("InvalidParameter.ResouceError", federation, short)


@case("a policy longer than 6144 characters is refused")
def too_long_policy():
    statement = [{**SOE["statement"], "action": [f"soe:Action{n:04}" for n in range(700)]}]
    refused("InvalidParameter.PolicyTooLong", federation, {**SOE, "statement": statement})


@case("actions without a meaning here answer UnsupportedOperation")
def unsupported():
    for action, parameters in (
        ("GetSessionToken", {"SerialNumber": "qcs::cam:uin/1::mfa/softToken", "TokenCode": "123456"}),
        ("AssumeRoleWithSAML", {"SAMLAssertion": "PHg+", "PrincipalArn": "p", "RoleArn": "r", "RoleSessionName": "s1"}),
        ("QueryApiKey", {}),
    ):
        for method in ("POST", "GET"):
            message = refused("UnsupportedOperation", client(method=method).call_json, action, dict(parameters))
            check(len(message) > 30, f"{action} says only {message!r}")
    saml = {"SAMLAssertion": "PHg+", "PrincipalArn": "p", "RoleArn": "r", "RoleSessionName": "s1"}
    refused("UnsupportedOperation", client().call_json, "AssumeRoleWithSAML", saml, options={"SkipSign": True})


@case("an action that does not exist is refused")
def unknown_action():
    refused("InvalidAction", client().call_json, "GetFederationTicket", {})


main()
