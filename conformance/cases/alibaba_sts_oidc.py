"""AssumeRoleWithOIDC: an outside provider's token for a role, by Alibaba Cloud's Python SDK, which signs nothing then, and
by its credentials that renew themselves."""

# needs: pypi
# client: alibaba / Python SDK, ACS3

import json
import time

from alibabacloud_sts20150401 import models
from alibabacloud_sts20150401.client import Client
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.models import Config

from alibaba_sts import ALICE, Sts, arn, matches_time
from daypass import case, check, equal, main
from stand_ins.provider import Provider

PROVIDER = Provider()
FOLDER = {
    "Version": "1",
    "Statement": [{"Effect": "Allow", "Action": ["oss:PutObject"], "Resource": ["acs:oss:*:*:pics/users/{subject}/*"]}],
}
STS = Sts(
    "sts-oidc",
    f"""
[[tenant.provider]]
name = "corp"
issuer = "{PROVIDER.issuer}"
audience = ["{Provider.AUDIENCE}"]

[[tenant.role]]
name = "folder"
lifetime = {{ default = "1h", max = "2h" }}
variables = {{ subject = "slug" }}
policy = {{ ram = '{json.dumps(FOLDER)}' }}
trust = [{{ provider = "corp", subject = ["alice", "ci-*"] }}]
""",
)


def client(**key):
    return Client(Config(endpoint=STS.service.host, protocol="http", **key))


def assume(token, role="folder", provider="corp", **more):
    request = models.AssumeRoleWithOIDCRequest(
        oidcprovider_arn=f"acs:ram::{STS.service.ACCOUNT}:oidc-provider/{provider}",
        oidctoken=token,
        role_arn=arn(role),
        role_session_name="build-9",
        **more,
    )
    # The SDK wants a key and does not use it: this action is anonymous.
    return client(access_key_id="none", access_key_secret="none").assume_role_with_oidc(request).body.to_map()


def refused(expected, *arguments, **named):
    try:
        answer = assume(*arguments, **named)
    except AlibabaCloudException as error:
        equal(error.code, expected, f"code of the refusal ({error.message})")
        return error.message
    raise AssertionError(f"should have been refused, and was answered {answer}")


@case("AssumeRoleWithOIDC: the token fills the role's variables, and the key works")
def whole():
    answer = assume(PROVIDER.token("alice"))
    equal(answer["AssumedRoleUser"]["Arn"], arn("folder") + "/build-9", "Arn")
    info = answer["OIDCTokenInfo"]
    equal((info["Issuer"], info["Subject"]), (PROVIDER.issuer, "alice"), "issuer and subject of the token")
    credentials = answer["Credentials"]
    left = matches_time(credentials["Expiration"]) - time.time()
    check(abs(left - 3600) < 10, f"the key lives {left} seconds")
    key = credentials["AccessKeyId"], credentials["SecurityToken"]
    equal(STS.resources(*key), ["acs:oss:*:*:pics/users/alice/*"], "resources of the policy")
    mine = client(access_key_id=key[0], access_key_secret=credentials["AccessKeySecret"], security_token=key[1])
    equal(mine.get_caller_identity().body.arn, f"acs:ram::{STS.service.ACCOUNT}:assumed-role/folder/build-9", "Arn")


@case("AssumeRoleWithOIDC with a Policy and a duration")
def narrowed():
    policy = json.loads(json.dumps(ALICE).replace("alice/*", "ci-main/logs/*"))
    answer = assume(PROVIDER.token("ci-main"), policy=json.dumps(policy), duration_seconds=900)
    credentials = answer["Credentials"]
    key = credentials["AccessKeyId"], credentials["SecurityToken"]
    equal(STS.resources(*key), ["acs:oss:*:*:pics/users/ci-main/logs/*"], "resources of the policy")
    check(matches_time(credentials["Expiration"]) - time.time() < 901, "the key lives longer than was asked for")


@case("AssumeRoleWithOIDC: a token that is not right is refused")
def invalid():
    now = int(time.time())
    head, body, signature = PROVIDER.token("alice").split(".")
    said = refused("AuthenticationFail.OIDCToken.Invalid", PROVIDER.token("alice", iat=now - 600, exp=now - 1))
    check("expired" in said, f"{said!r} does not say that it has expired")
    for token in (
        PROVIDER.token("alice", aud="someone-else"),
        PROVIDER.token("alice", iss="http://127.0.0.1:1"),
        f"{head}.{body}.{signature[:-4]}AAAA",
        f"{head}.{PROVIDER.token('ci-main').split('.')[1]}.{signature}",
        "eyJhbGciOiJub25lIn0." + body + ".",
        # A subject that cannot be part of a policy.
        PROVIDER.token("ci-/../bob"),
    ):
        refused("AuthenticationFail.OIDCToken.Invalid", token)


@case("AssumeRoleWithOIDC: a subject, role or provider without trust is refused")
def untrusted():
    refused("NoPermission", PROVIDER.token("mallory"))
    refused("NoPermission", PROVIDER.token("alice"), role="uploads")
    refused("NoPermission", PROVIDER.token("alice"), role="nonesuch")
    refused("AuthenticationFail.OIDCToken.Invalid", PROVIDER.token("alice"), provider="nonesuch")


with STS.service:
    main()
