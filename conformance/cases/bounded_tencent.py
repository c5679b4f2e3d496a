"""Tencent Cloud's Python SDK and the COS team's helper where they are turned away for now. Neither asks again by itself: the
SDK's own retryer does for this code, and then forgets that it was served (`brokered_tencent` shows it)."""

# needs: pypi
# client: bounded / tencentcloud-sdk and cos-sts (Python)

import json

from sts.sts import Sts
from tencentcloud.common import retry
from tencentcloud.sts.v20180813 import models

from bounded import CAM, Bounded
from daypass import case, equal, fresh, main
from tencent import Sdk

SERVICE = Bounded(fresh("bounded-tencent"))
KEY = SERVICE.client("video", "--role", "soe")
HOW = ({}, {"sign": "HmacSHA1"}, {"sign": "HmacSHA256", "method": "GET"})


def sdk(**how):
    return Sdk(SERVICE.host, KEY["secret_id"], KEY["secret_key"]).federation(**how).Credentials.Token


def helper():
    """The helper as its README configures it."""
    config = {
        "url": SERVICE.url + "/",
        "domain": SERVICE.host,
        "duration_seconds": 1800,
        "secret_id": KEY["secret_id"],
        "secret_key": KEY["secret_key"],
        "region": "ap-guangzhou",
        "policy": CAM,
    }
    return Sts(config).get_credential()["credentials"]["sessionToken"]


def retrying():
    """The SDK with its own retryer, which asks three times, after one second and after two."""
    client = Sdk(SERVICE.host, KEY["secret_id"], KEY["secret_key"]).client()
    client.profile.retryer = retry.StandardRetryer()
    request = models.GetFederationTokenRequest()
    request.Name, request.Policy = "lesson", json.dumps(CAM)
    return client.GetFederationToken(request).Credentials.Token


CALLS = [lambda how=how: sdk(**how) for how in HOW] + [helper]


@case("turned away for want of room, and served when there is room")
def room():
    for outcome in SERVICE.at_the_bound(*CALLS):
        outcome.refused("RequestLimitExceeded.*more is asked here than can be answered now")
    for call in CALLS:
        call()


@case("told to ask again where it retries")
def retried():
    [outcome] = SERVICE.at_the_bound(retrying)
    outcome.refused("RequestLimitExceeded", tries=3)
    retrying()


@case("above its rate, and served when it may ask again")
def rate():
    for outcome in SERVICE.above_its_rate("video", *CALLS):
        outcome.refused("RequestLimitExceeded.*the rate of this client is used up")


@case("a day that is used up")
def day():
    for outcome in SERVICE.day_used_up("video", *CALLS):
        outcome.refused("RequestLimitExceeded.*the daily quota of this client is used up")


@case("a store that is away, and comes back")
def away():
    outcomes, tries = SERVICE.while_away(*CALLS)
    equal(tries, len(CALLS), "questions in vain")
    for outcome in outcomes:
        outcome.refused("ServiceUnavailable.*no record can be written now", tries=0)


with SERVICE:
    main()
