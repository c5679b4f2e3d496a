"""Tencent Cloud's official Python SDK: roles, outside identities, every kind of caller, and what a client may refuse."""

# needs: pypi
# client: tencent / Python SDK

import contextlib
import json
import time

import certifi
from tencentcloud.common.credential import OIDCRoleArnCredential, STSAssumeRoleCredential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.sts.v20180813 import models

from daypass import Service, case, check, equal, fresh, http, main, matches, wait_until
from stand_ins.provider import Provider
from stand_ins.tls_front import certificate, tls_front
from tencent import SOE, Sdk, refused, triple

PROVIDER = Provider()
ACCOUNT = Service.ACCOUNT
UPLOADS = {
    "version": "2.0",
    "statement": [
        {
            "effect": "allow",
            "action": ["cos:PutObject", "cos:GetObject"],
            "resource": ["qcs::cos::uid/1250000000:pics-1250000000/users/{subject}/*"],
        }
    ],
}
CONFIG = f"""
[[tenant.provider]]
name = "corp"
issuer = "{PROVIDER.issuer}"
audience = ["{Provider.AUDIENCE}"]

[[tenant.role]]
name = "soe"
lifetime = {{ default = "30m", max = "2h" }}
policy = {{ cam = '{json.dumps(SOE)}' }}
wildcard_reason = "SOE has no resource-level rights"

[[tenant.role]]
name = "partner"
lifetime = {{ default = "1h", max = "12h" }}
external_id = "acme-7781"
policy = {{ cam = '{json.dumps(SOE)}' }}
wildcard_reason = "SOE has no resource-level rights"

[[tenant.role]]
name = "uploads"
lifetime = {{ default = "1h", max = "12h" }}
variables = {{ subject = "slug" }}
policy = {{ cam = '{json.dumps(UPLOADS)}' }}
trust = [{{ provider = "corp", subject = ["ci-*", "release"] }}]

[[tenant.role]]
name = "unreachable"
lifetime = {{ default = "1h", max = "12h" }}
policy = {{ cam = '{json.dumps(SOE)}' }}
wildcard_reason = "SOE has no resource-level rights"
"""
SERVICE = Service(fresh("python-roles"), CONFIG)
MAIN = SERVICE.client("main", "--role", "soe", "--role", "partner", "--role", "uploads", "--bind", "subject=alice,bob")
STRICT = SERVICE.client("strict", "--role", "soe", "--refuse", "v1", "--refuse", "unsigned-payload")
KEY, STRICT_KEY = ((key["secret_id"], key["secret_key"]) for key in (MAIN, STRICT))
SDK = Sdk(SERVICE.host, *KEY)
WAYS = [(sign, method) for sign in ("TC3-HMAC-SHA256", "HmacSHA1", "HmacSHA256") for method in ("POST", "GET")]


def arn(role):
    return f"qcs::cam::uin/{ACCOUNT}:roleName/{role}"


def assumed(answer, session, seconds):
    """The answer has the vendor's shape and its triple signs for the role's session; its identity."""
    check(0 < len(answer.Credentials.Token) <= 4096, f"Token has {len(answer.Credentials.Token)} characters")
    check(abs(answer.ExpiredTime - time.time() - seconds) < 10, f"ExpiredTime {answer.ExpiredTime} is not in {seconds} s")
    equal(answer.Expiration, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(answer.ExpiredTime)), "Expiration")
    user = SDK.who_am_i(*triple(answer))
    equal((user.Type, user.AccountId), ("CAMRole", ACCOUNT), "Type and AccountId")
    matches(rf"qcs::sts:{ACCOUNT}:assumed-role/\d+", user.Arn, "Arn")
    equal(user.UserId, f"{user.Arn.rpartition('/')[2]}:{session}", "UserId")
    return user


def resources(answer):
    """What the credential allows, as the operator reads it back."""
    secret_id, _, token = triple(answer)
    return [one for statement in SERVICE.shown(secret_id, token)["policy"]["statement"] for one in statement["resource"]]


@case("AssumeRole by the role's name")
def assume_role():
    user = assumed(SDK.assume(arn("soe")), "page-1", 1800)
    by_id = f"qcs::cam::uin/{ACCOUNT}:role/{user.Arn.rpartition('/')[2]}"
    equal(assumed(SDK.assume(by_id, seconds=60), "page-1", 60).Arn, user.Arn, "Arn of the role assumed by its id")


@case("AssumeRole in every way to sign")
def assume_ways():
    for sign, method in WAYS:
        answer = SDK.assume(arn("soe"), session="a.b@c_d-e", seconds=900, how={"sign": sign, "method": method})
        assumed(answer, "a.b@c_d-e", 900)


@case("AssumeRole with a session policy")
def assume_policy():
    assumed(SDK.assume(arn("soe"), policy=SOE), "page-1", 1800)
    wide = {"version": "2.0", "statement": [{"effect": "allow", "action": "*", "resource": "*"}]}
    refused("InvalidParameter.GrantOtherResource", SDK.assume, arn("soe"), policy=wide)
    refused("InvalidParameter.StrategyFormatError", SDK.assume, arn("soe"), policy="{")


@case("AssumeRole with tags, which fill the role's variables")
def assume_tags():
    tags = [("subject", "alice"), ("cost-centre", "17")]
    for sign, method in WAYS:
        answer = SDK.assume(arn("uploads"), tags=tags, how={"sign": sign, "method": method})
        assumed(answer, "page-1", 3600)
    record = json.dumps(SERVICE.grant())
    check("cost-centre" in record, f"the tag is not in the record {record}")
    equal(resources(answer), ["qcs::cos::uid/1250000000:pics-1250000000/users/alice/*"], "resources of the policy")


@case("AssumeRole: tags that are wrong, missing or not the client's own are refused")
def assume_bad_tags():
    def with_tags(*tags):
        return SDK.assume(arn("uploads"), tags=tags)

    check("subject" in refused("MissingParameter", with_tags), "the refusal does not name the missing tag")
    refused("InvalidParameter.ParamError", with_tags, ("subject", "mallory"))
    refused("InvalidParameter.ParamError", with_tags, ("subject", "alice/*"))
    refused("InvalidParameter.ParamError", with_tags, ("subject", "alice"), ("subject", "bob"))
    refused("InvalidParameter.ParamError", with_tags, ("subject", "alice"), ("k" * 129, "v"))
    refused("InvalidParameter.ParamError", with_tags, ("subject", "alice"), ("k", "v" * 257))
    refused("InvalidParameter.ParamError", with_tags, ("subject", "alice"), *((f"k{n}", "v") for n in range(50)))


@case("AssumeRole with an ExternalId")
def external_id():
    assumed(SDK.assume(arn("partner"), ExternalId="acme-7781"), "page-1", 3600)
    for external in ({"ExternalId": "acme-7782"}, {}):
        message = refused("UnauthorizedOperation", SDK.assume, arn("partner"), **external)
        check("acme-7781" not in message, "the refusal tells the ExternalId")


@case("AssumeRole with a SourceIdentity, which is recorded")
def source_identity():
    assumed(SDK.assume(arn("soe"), SourceIdentity="alice@example.com"), "page-1", 1800)
    check("alice@example.com" in json.dumps(SERVICE.grant()), "the SourceIdentity is not in the record")


@case("AssumeRole with an MFA code is refused: there are no devices here")
def mfa():
    serial = f"qcs::cam:uin/{ACCOUNT}::mfa/softToken"
    refused("FailedOperation.MFATypeNotSupported", SDK.assume, arn("soe"), SerialNumber=serial, TokenCode="123456")


@case("AssumeRole: a role that is not granted or does not exist, or a malformed ARN, is refused")
def no_role():
    code = "ResourceNotFound.RoleNotFound"
    said = {refused(code, SDK.assume, arn(role)).replace(role, "") for role in ("unreachable", "nonesuch")}
    equal(len(said), 1, f"number of sentences that tell the two apart: {said}")
    refused(code, SDK.assume, "qcs::cam::uin/100000000002:roleName/soe")
    refused("InvalidParameter.ParamError", SDK.assume, "soe")
    refused("InvalidParameter.ParamError", SDK.assume, arn("soe"), session="a b")


@case("AssumeRole: a lifetime over the maximum is refused")
def over_time():
    message = refused("InvalidParameter.OverTimeError", SDK.assume, arn("soe"), seconds=7201)
    check("7200" in message or "2h" in message, f"{message!r} does not say the maximum")
    refused("InvalidParameter.OverTimeError", SDK.assume, arn("partner"), seconds=43201, ExternalId="acme-7781")


@case("a temporary key cannot assume a role")
def no_chain():
    refused("UnsupportedOperation", SDK.assume, arn("soe"), key=triple(SDK.assume(arn("soe"))))
    refused("UnsupportedOperation", SDK.federation, key=triple(SDK.assume(arn("soe"))))


def web_identity(token, role="uploads", provider="corp", method="POST", session="build-9", seconds=None):
    """The SDK's own method for it signs, which the vendor refuses; what is documented is this, by an option."""
    said = {"ProviderId": provider, "WebIdentityToken": token, "RoleArn": arn(role), "RoleSessionName": session}
    if seconds:
        said["DurationSeconds"] = seconds
    answer = SDK.client(method=method).call_json("AssumeRoleWithWebIdentity", said, options={"SkipSign": True})
    model = models.AssumeRoleWithWebIdentityResponse()
    model._deserialize(answer["Response"])
    return model


@case("AssumeRoleWithWebIdentity with Authorization: SKIP")
def outside():
    for method in ("POST", "GET"):
        answer = web_identity(PROVIDER.token("ci-main"), method=method)
        assumed(answer, "build-9", 3600)
    equal(resources(answer), ["qcs::cos::uid/1250000000:pics-1250000000/users/ci-main/*"], "resources of the policy")
    equal(SERVICE.grant()["via"], "web-identity:corp", "by what the caller was known")
    # The vendor's list for this action has no code of its own for it.
    refused("InvalidParameter.ParamError", web_identity, PROVIDER.token("ci-main"), seconds=43201)


@case("AssumeRoleWithWebIdentity: a token that is not right is refused")
def outside_invalid():
    now = int(time.time())
    good = PROVIDER.token("ci-main")
    head, body, signature = good.split(".")
    for token in (
        PROVIDER.token("ci-main", aud="someone-else"),
        PROVIDER.token("ci-main", iss="http://127.0.0.1:1"),
        PROVIDER.token("ci-main", iat=now - 600, exp=now - 1),
        PROVIDER.token("ci-main", nbf=now + 300),
        PROVIDER.token("ci-main", exp=None),
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{PROVIDER.token('release').split('.')[1]}.{signature}",
        "eyJhbGciOiJub25lIn0." + body + ".",
        "no token",
    ):
        refused("InvalidParameter.WebIdentityTokenError", web_identity, token)


@case("AssumeRoleWithWebIdentity: a subject, role or provider without trust is refused")
def outside_untrusted():
    refused("UnauthorizedOperation", web_identity, PROVIDER.token("mallory"))
    refused("UnauthorizedOperation", web_identity, PROVIDER.token("ci-main"), role="soe")
    refused("UnauthorizedOperation", web_identity, PROVIDER.token("ci-main"), role="nonesuch")
    refused("InvalidParameter.WebIdentityTokenError", web_identity, PROVIDER.token("ci-main"), provider="nonesuch")


@case("AssumeRoleWithWebIdentity that is signed all the same is refused")
def outside_signed():
    request = models.AssumeRoleWithWebIdentityRequest()
    request.ProviderId, request.WebIdentityToken = "corp", PROVIDER.token("ci-main")
    request.RoleArn, request.RoleSessionName = arn("uploads"), "build-9"
    message = refused("AuthFailure.InvalidAuthorization", SDK.client().AssumeRoleWithWebIdentity, request)
    check("SKIP" in message, f"{message!r} does not say what to send")


@case("Authorization: SKIP opens nothing else")
def skip():
    for action, parameters in (
        ("GetFederationToken", {"Name": "soe", "Policy": json.dumps(SOE)}),
        ("AssumeRole", {"RoleArn": arn("soe"), "RoleSessionName": "page-1"}),
        ("GetCallerIdentity", {}),
    ):
        for method in ("POST", "GET"):
            call = SDK.client(method=method).call_json
            refused("AuthFailure.InvalidAuthorization", call, action, dict(parameters), options={"SkipSign": True})


@case("GetCallerIdentity for every kind of caller")
def who():
    owner = SDK.who_am_i()
    equal((owner.Type, owner.AccountId), ("CAMUser", ACCOUNT), "of a client's key")
    equal(owner.UserId, owner.PrincipalId, "UserId of a client's key")
    user = SDK.who_am_i(*triple(SDK.federation(name="page")))
    equal(user.Arn, f"qcs::sts:{ACCOUNT}:federated-user/{owner.UserId}", "Arn of a federated user")
    equal((user.UserId, user.PrincipalId), (f"{owner.UserId}:page", owner.UserId), "ids of a federated user")
    role = assumed(SDK.assume(arn("soe")), "page-1", 1800)
    equal(role.PrincipalId, owner.UserId, "PrincipalId of a role's session")
    outsider = assumed(web_identity(PROVIDER.token("ci-main")), "build-9", 3600)
    check(outsider.Arn != role.Arn, "two roles have one Arn")


@case("a client that refuses v1 and unsigned payloads is held to that")
def strict():
    for sign, method in WAYS:
        if sign == "TC3-HMAC-SHA256":
            SDK.who_am_i(*STRICT_KEY, sign=sign, method=method)
            refused("AuthFailure.UnauthorizedOperation", SDK.who_am_i, *STRICT_KEY, method=method, unsigned=True)
        else:
            refused("AuthFailure.UnauthorizedOperation", SDK.who_am_i, *STRICT_KEY, sign=sign, method=method)
            SDK.who_am_i(sign=sign, method=method)
    key = triple(SDK.federation(key=STRICT_KEY))
    refused("AuthFailure.UnauthorizedOperation", SDK.who_am_i, *key, sign="HmacSHA256")


@case("what a client refuses can be switched while the server runs")
def switched():
    def verdict(**how):
        with contextlib.suppress(TencentCloudSDKException):
            return bool(SDK.who_am_i(*STRICT_KEY, **how))
        return False

    SERVICE.command("client", "refuse", "strict", "--unsigned-payload")
    wait_until(lambda: verdict(sign="HmacSHA1"), 60, "the older signature was not served")
    check(not verdict(unsigned=True), "the unsigned payload was served")
    SERVICE.command("client", "refuse", "strict", "--v1", "--unsigned-payload")
    wait_until(lambda: not verdict(sign="HmacSHA1"), 60, "the older signature was served")


@case("a server that refuses v1 refuses it of every client")
def strict_server():
    service = Service(fresh("python-strict"), CONFIG, server='refuse = ["v1", "unsigned-payload"]')
    key = service.client("main", "--role", "soe")
    sdk = Sdk(service.host, key["secret_id"], key["secret_key"])
    with service:
        sdk.who_am_i()
        for how in ({"sign": "HmacSHA1"}, {"sign": "HmacSHA256", "method": "GET"}, {"unsigned": True}):
            refused("AuthFailure.UnauthorizedOperation", sdk.who_am_i, **how)


@contextlib.contextmanager
def front():
    """These two speak TLS and nothing else, so there is a TLS front, as in production. What they trust is certifi's
    list and nothing else, so that is what the front's certificate is put into."""
    pem = certificate(SERVICE.folder)
    trusted = certifi.where
    certifi.where = lambda: str(pem)
    try:
        with tls_front(SERVICE.host, pem) as host:
            yield host
    finally:
        certifi.where = trusted


@case("the SDK's role credential, which renews itself")
def role_credential():
    with front() as host:
        mine = STSAssumeRoleCredential(*KEY, arn("soe"), "renewing", 5, endpoint=host)
        first = mine.get_credential_info()
        equal(SDK.who_am_i(*first).UserId.partition(":")[2], "renewing", "session name")
        time.sleep(6.1)
        second = mine.get_credential_info()
        check(first[0] != second[0], "it did not renew itself")
        SDK.who_am_i(*second)


@case("the SDK's OIDC credential")
def oidc_credential():
    with front() as host:
        token = PROVIDER.token("ci-main")
        mine = OIDCRoleArnCredential("ap-guangzhou", "corp", token, arn("uploads"), "oidc-1", 900, endpoint=host)
        equal(SDK.who_am_i(*mine.get_credential_info()).UserId.partition(":")[2], "oidc-1", "session name")


@case("the provider's keys are fetched once, and again for a key that is new")
def rotated():
    for _ in range(5):
        web_identity(PROVIDER.token("ci-main"))
    equal(PROVIDER.asked["/keys"], 1, "number of fetches")
    PROVIDER.rotate("ES256")

    def known():
        with contextlib.suppress(TencentCloudSDKException):
            return web_identity(PROVIDER.token("release"))
        return None

    # A look is worth ten seconds, so that nobody can make the server ask the provider again and again.
    wait_until(known, 60, "the new key was not known")
    equal(PROVIDER.asked["/keys"], 2, "number of fetches")


with SERVICE:
    equal(http(SERVICE.url + "/readyz").status, 200, "status of readyz")
    main()
