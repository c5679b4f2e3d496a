"""Alibaba Cloud's Python SDKs where they are turned away for now: the present one by both signatures, the classic one, and those
that fetch a key from a URL. None asks again by itself, but for oss2. Where the present one is told to retry, it waits for
as long as `x-acs-retry-after` says, and reads no `Retry-After`."""

# needs: pypi
# client: bounded / Alibaba Cloud's SDKs (Python)

import oss2
from alibabacloud_credentials.client import Client as Credentials
from alibabacloud_credentials.models import Config as CredentialsConfig
from alibabacloud_sts20150401 import models
from alibabacloud_sts20150401.client import Client
from alibabacloud_tea_openapi.models import Config
from aliyunsdkcore.auth.credentials import AccessKeyCredential
from aliyunsdkcore.client import AcsClient
from aliyunsdksts.request.v20150401.AssumeRoleRequest import AssumeRoleRequest
from darabonba.policy.retry import RetryCondition, RetryOptions

from bounded import Bounded
from daypass import case, check, equal, fresh, main

URL = """
[[endpoint]]
dialect = "alibaba.credentials"
path = "/credentials"
tenant = "acme"
role = "uploads"
shape = "credentials_uri"
caller = { anonymous = { reason = "a test", networks = ["127.0.0.1"] } }
quota = { address = 60000, endpoint = 60000 }
"""
SERVICE = Bounded(fresh("bounded-alibaba"), URL)
KEY = SERVICE.client("app", "--role", "uploads", kind="access-key")
ROLE = f"acs:ram::{SERVICE.ACCOUNT}:role/uploads"


def sts(algorithm=None, retry=None):
    config = Config(access_key_id=KEY["access_key_id"], access_key_secret=KEY["access_key_secret"])
    config.endpoint, config.protocol = SERVICE.host, "http"
    config.signature_algorithm, config.retry_options = algorithm, retry
    asked = models.AssumeRoleRequest(role_arn=ROLE, role_session_name="app-1")
    return Client(config).assume_role(asked).body.credentials.security_token


def classic(method):
    request = AssumeRoleRequest()
    request.set_endpoint(SERVICE.host)
    request.set_protocol_type("http")
    request.set_method(method)
    request.set_RoleArn(ROLE)
    request.set_RoleSessionName("app-1")
    credential = AccessKeyCredential(KEY["access_key_id"], KEY["access_key_secret"])
    return AcsClient(region_id="cn-hangzhou", credential=credential).do_action_with_exception(request)


def retrying():
    """As its documentation has a program retry that cares for nothing but the codes."""
    codes = RetryCondition(max_attempts=3, error_code=["ServiceUnavailable", "Throttling.User"])
    return sts(retry=RetryOptions(retryable=True, retry_condition=[codes]))


def from_url():
    config = CredentialsConfig(type="credentials_uri", credentials_uri=SERVICE.url + "/credentials")
    return Credentials(config).get_credential().security_token


def by_oss2():
    provider = oss2.credentials.EcsRamRoleCredentialsProvider(SERVICE.url + "/credentials", max_retries=3)
    return provider.get_credentials().get_security_token()


SIGNED = [sts, lambda: sts("v2"), lambda: classic("GET"), lambda: classic("POST")]


@case("turned away for want of room, and served when there is room")
def room():
    calls = (*SIGNED, from_url)
    for outcome in SERVICE.at_the_bound(*calls):
        outcome.refused("more is asked here than can be answered now")
    for call in calls:
        call()


@case("told to ask again where it retries")
def retried():
    [outcome], tries = SERVICE.room_comes(retrying)
    outcome.served()
    check(tries > 0, "it was not refused")
    check(outcome.seconds > 0.9, f"it was told to wait a second at the least, and asked again after {outcome.seconds}")
    [outcome] = SERVICE.at_the_bound(by_oss2)
    outcome.refused("503", tries=3)


@case("above its rate, and served when it may ask again")
def rate():
    for outcome in SERVICE.above_its_rate("app", *SIGNED):
        outcome.refused("Throttling.User.*the rate of this client is used up")


@case("a day that is used up")
def day():
    for outcome in SERVICE.day_used_up("app", *SIGNED):
        outcome.refused("Throttling.User.*the daily quota of this client is used up")


@case("a store that is away, and comes back")
def away():
    calls = (*SIGNED, from_url)
    outcomes, tries = SERVICE.while_away(*calls)
    equal(tries, len(calls), "questions in vain")
    for outcome in outcomes:
        outcome.refused("no record can be written now", tries=0)


with SERVICE:
    main()
