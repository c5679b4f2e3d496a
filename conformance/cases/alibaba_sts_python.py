"""Alibaba Cloud's Python SDK of STS, with its present signature, ACS3-HMAC-SHA256, over every header that it sends."""

# needs: pypi
# client: alibaba / Python SDK, ACS3

import sys

from alibabacloud_sts20150401 import models
from alibabacloud_sts20150401.client import Client
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.models import Config

from alibaba_sts import Sts, Suite
from daypass import case, equal, main, matches
from top_refusals import OURS, SNIPPETS, program

STS = Sts("sts-python-acs3")
NAMES = {
    "DurationSeconds": "duration_seconds",
    "ExternalId": "external_id",
    "Policy": "policy",
    "RoleArn": "role_arn",
    "RoleSessionName": "role_session_name",
    "SourceIdentity": "source_identity",
}


def client(key):
    key_id, secret, *token = key
    config = Config(access_key_id=key_id, access_key_secret=secret, security_token=token[0] if token else None)
    config.endpoint, config.protocol = STS.service.host, "http"
    return Client(config)


def call(action, asked, key):
    if action == "GetCallerIdentity":
        return client(key).get_caller_identity().body.to_map()
    request = models.AssumeRoleRequest(**{NAMES[name]: value for name, value in asked.items()})
    return client(key).assume_role(request).body.to_map()


def refused(action, asked, key):
    try:
        answer = call(action, asked, key)
    except AlibabaCloudException as error:
        matches(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", error.request_id, "request id of the refusal")
        return error.code, error.message
    raise AssertionError(f"should have been refused, and was answered {answer}")



SUITE = Suite(STS, call, refused)


@case("the program of the documentation")
def documented():
    said = program(sys.executable, SNIPPETS / "assume_role.py")
    equal(said, OURS["role_arn"].replace(":role/", ":assumed-role/") + "/nightly\n", "the arn")


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


@case("a wrong secret is SignatureDoesNotMatch")
def wrong_secret():
    SUITE.wrong_secret()


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


with STS.service:
    main()
