"""The COS team's own STS helper for Python. It signs in the legacy way, never says by which method, and signs the
name sts.tencentcloudapi.com whatever the URL is, unless it is told another."""

# Its Node sibling, qcloud-cos-sts, can be pointed nowhere: `https://` is hard-wired.

# needs: pypi
# client: tencent / qcloud-python-sts

import json
import time

from sts.sts import Scope, Sts

from daypass import Service, case, check, equal, fresh, main
from tencent import Sdk

BUCKET, REGION = "pics-1250000000", "ap-guangzhou"
ROLE = {
    "version": "2.0",
    "statement": [
        {
            "effect": "allow",
            "action": ["name/cos:PutObject", "name/cos:PostObject", "name/cos:*MultipartUpload*", "cos:UploadPart"],
            "resource": ["qcs::cos:*:uid/1250000000:pics-1250000000/users/*"],
        }
    ],
}
SERVICE = Service(
    fresh("cos-sts"),
    f"""
[[tenant.role]]
name = "uploads"
lifetime = {{ default = "30m", max = "2h" }}
policy = {{ cam = '{json.dumps(ROLE)}' }}
""",
)
MAIN = SERVICE.client("main", "--role", "uploads")


def helper(**changes):
    """The helper as its README configures it."""
    config = {
        "url": SERVICE.url + "/",
        "domain": SERVICE.host,
        "duration_seconds": 1800,
        "secret_id": MAIN["secret_id"],
        "secret_key": MAIN["secret_key"],
        "bucket": BUCKET,
        "region": REGION,
        "allow_prefix": ["users/alice/*"],
        "allow_actions": ["name/cos:PutObject", "name/cos:PostObject"],
    } | changes
    return Sts({name: value for name, value in config.items() if value is not None})


def usable(answer):
    """The helper's answer has its own names, and its keys sign."""
    equal(set(answer), {"credentials", "expiredTime", "expiration", "requestId", "startTime"}, "members")
    equal(set(answer["credentials"]), {"tmpSecretId", "tmpSecretKey", "sessionToken"}, "members of credentials")
    check(abs(answer["startTime"] - time.time()) < 10, f"startTime is {answer['startTime']}")
    credentials = answer["credentials"]
    key = credentials["tmpSecretId"], credentials["tmpSecretKey"], credentials["sessionToken"]
    return Sdk(SERVICE.host, *key).who_am_i()


def policy_of(answer):
    """What the credential carries, as the operator reads it back."""
    credentials = answer["credentials"]
    return json.dumps(SERVICE.shown(credentials["tmpSecretId"], credentials["sessionToken"])["policy"])


def refused(code, sts, method="get_credential", *arguments):
    """The helper raises an exception that holds the answer's text."""
    try:
        answer = getattr(sts, method)(*arguments)
    except Exception as error:
        check(f"'Code': '{code}'" in str(error), f"the helper says {error}")
        return
    raise AssertionError(f"should have been refused, and was answered {answer}")


@case("get_credential with a prefix and actions")
def prefix():
    answer = helper().get_credential()
    check(usable(answer).UserId.endswith(":cos-sts-python"), "the name is not the helper's")
    shown = policy_of(answer)
    check("users/alice/*" in shown and "users/*" not in shown.replace("users/alice/*", ""), f"the policy is {shown}")


@case("get_credential with get_policy")
def policy():
    scopes = [
        Scope("name/cos:PutObject", BUCKET, REGION, "users/alice/*"),
        Scope("cos:UploadPart", BUCKET, REGION, "users/bob/*"),
    ]
    answer = helper(policy=Sts.get_policy(scopes)).get_credential()
    usable(answer)
    shown = policy_of(answer)
    check("users/alice/*" in shown and "users/bob/*" in shown, f"the policy is {shown}")


@case("get_credential with a condition")
def condition():
    answer = helper(condition={"ip_equal": {"qcs:ip": ["10.0.0.0/8"]}}).get_credential()
    usable(answer)
    check("10.0.0.0/8" in policy_of(answer), "the condition is not in the policy")


@case("get_credential with the default domain, which signs the vendor's name")
def default_domain():
    usable(helper(domain=None).get_credential())


@case("get_role_credential")
def role():
    answer = helper().get_role_credential(f"qcs::cam::uin/{Service.ACCOUNT}:roleName/uploads")
    equal(usable(answer).Type, "CAMRole", "Type")


@case("an unexpected domain, a wrong key or another bucket is refused")
def wrong():
    refused("AuthFailure.SignatureFailure", helper(domain="sts.example.com"))
    refused("AuthFailure.SignatureFailure", helper(secret_key=MAIN["secret_key"][::-1]))
    refused("InvalidParameter.GrantOtherResource", helper(bucket="other-1250000000"))
    refused("InvalidParameter.GrantOtherResource", helper(allow_prefix=["*"]))
    refused("InvalidParameter.OverTimeError", helper(duration_seconds=7201))
    nonesuch = f"qcs::cam::uin/{Service.ACCOUNT}:roleName/nonesuch"
    refused("ResourceNotFound.RoleNotFound", helper(), "get_role_credential", nonesuch)


with SERVICE:
    main()
