"""Alibaba Cloud's classic Python SDK of STS. It signs the older way, HMAC-SHA1 over the parameters, all in the query."""

# needs: pypi
# client: alibaba / classic Python SDK

import json

from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.auth.credentials import AccessKeyCredential, StsTokenCredential
from aliyunsdkcore.client import AcsClient
from aliyunsdksts.request.v20150401.AssumeRoleRequest import AssumeRoleRequest
from aliyunsdksts.request.v20150401.GetCallerIdentityRequest import GetCallerIdentityRequest

from alibaba_sts import Sts, Suite
from daypass import case, check, main, matches

STS = Sts("sts-python-classic")


def call(action, asked, key, method="POST"):
    credential = (StsTokenCredential if len(key) == 3 else AccessKeyCredential)(*key)
    request = AssumeRoleRequest() if action == "AssumeRole" else GetCallerIdentityRequest()
    request.set_endpoint(STS.service.host)
    request.set_protocol_type("http")
    request.set_method(method)
    for name, value in asked.items():
        getattr(request, f"set_{name}")(value)
    client = AcsClient(region_id="cn-hangzhou", credential=credential, auto_retry=False)
    return json.loads(client.do_action_with_exception(request))


def refused(action, asked, key):
    try:
        answer = call(action, asked, key)
    except ServerException as error:
        matches(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", error.request_id, "request id of the refusal")
        return error.error_code, error.message
    raise AssertionError(f"should have been refused, and was answered {answer}")



SUITE = Suite(STS, call, refused)


@case("AssumeRole, and a temporary key that GetCallerIdentity knows")
def whole():
    SUITE.whole()


@case("AssumeRole with a Policy, which only narrows")
def narrowed():
    SUITE.narrowed()


@case("AssumeRole with an ExternalId, and without the right one")
def partner():
    SUITE.partner()


@case("AssumeRole with a SourceIdentity, which is recorded")
def traced():
    SUITE.traced()


@case("an unknown key is InvalidAccessKeyId.NotFound")
def unknown_key():
    SUITE.unknown_key()


@case("a role that does not exist or is not granted is EntityNotExist.Role")
def unknown_role():
    SUITE.unknown_role()


@case("a malformed session name is refused")
def session_name():
    SUITE.session_name()


@case("a malformed policy is InvalidParameter.PolicyGrammar")
def bad_policy():
    SUITE.bad_policy()


@case("a duration under 900 or over the role's is refused")
def durations():
    SUITE.durations()


@case("a temporary key cannot assume a role")
def no_chain():
    SUITE.no_chain()


@case("GET as well as POST")
def get():
    answer = call("AssumeRole", {"RoleArn": "acs:ram::100000000001:role/uploads", "RoleSessionName": "app-1"}, STS.key, "GET")
    check(answer["Credentials"]["AccessKeyId"].startswith("STS."), f"answered {answer}")


@case("a wrong secret is SignatureDoesNotMatch, of which this SDK makes InvalidAccessKeySecret")
def wrong_secret():
    # The SDK compares the text that the server signed with its own, and where they are the same blames the secret.
    SUITE.refused("InvalidAccessKeySecret", key=(STS.key[0], "x"))


with STS.service:
    main()
