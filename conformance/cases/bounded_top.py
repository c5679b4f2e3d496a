"""Clients of the TOP gateway for Python where they are turned away for now. taobaopy asks again every second, five times, where
there is no room; and it asks five times at once where an answer is not in the format that it asked for, so that it is
answered in that."""

# needs: pypi
# client: bounded / taobaopy and official Python

import json
import os
import time

import taobao_open
from taobao_open.api.base import RestApi
from taobaopy.taobao import TaoBaoAPIClient

import top
from bounded import TOP, Bounded
from daypass import case, check, equal, fresh, main

os.environ["TZ"] = "Asia/Shanghai"
time.tzset()

OURS = {
    "product_code": "oss",
    "scene_code": "app-upload",
    "usage_scene": "upload",
    "tenant_code": "hema",
    "poi_ids": ["8005", "8006"],
}
PARAM = json.dumps(top.param(OURS))
SERVICE = Bounded(fresh("bounded-top"), TOP)
BIND = "--bind", "tenant_code=hema", "--bind", "poi_id=8005,8006"
KEY = SERVICE.client("box", "--role", "store-upload", *BIND, kind="top")


def taobaopy():
    client = TaoBaoAPIClient(KEY["app_key"], KEY["app_secret"], domain=SERVICE.url)
    return client.alibaba__security_deepvision_proxy_security_common_token_get(param=PARAM)


class Request(RestApi):
    """What the generator makes of a method."""

    def __init__(self):
        address, _, port = SERVICE.host.partition(":")
        super().__init__(address, int(port))
        self.param = PARAM

    def getapiname(self):
        return top.METHOD


def official():
    request = Request()
    request.set_app_info(taobao_open.appinfo(KEY["app_key"], KEY["app_secret"]))
    return request.getResponse()


CALLS = (taobaopy, official)


@case("turned away for want of room, and served when there is room")
def room():
    [outcome] = SERVICE.at_the_bound(official)
    outcome.refused("errorcode=7 .*subcode=accesscontrol.limited-by-api-access-count")
    official()


@case("told to ask again where it retries")
def retried():
    [outcome] = SERVICE.at_the_bound(taobaopy)
    outcome.refused(r"7\|App Call Limited\|accesscontrol.limited-by-api-access-count\|This ban will last for", tries=5)
    check(outcome.seconds > 3.9, f"it waits a second each time, and not {outcome.seconds} in all")
    [outcome], tries = SERVICE.room_comes(taobaopy)
    outcome.served()
    check(tries > 0, "it was not refused")


@case("above its rate, and served when it may ask again")
def rate():
    for outcome in SERVICE.above_its_rate("box", *CALLS):
        outcome.refused("App Call Limited.*accesscontrol.limited-by-app-api-access-count")


@case("a day that is used up")
def day():
    for outcome in SERVICE.day_used_up("box", *CALLS):
        outcome.refused(r"App Call Limited.*This ban will last for \d+ more seconds")


@case("a store that is away, and comes back")
def away():
    outcomes, tries = SERVICE.while_away(*CALLS)
    equal(tries, len(CALLS), "questions in vain")
    for outcome in outcomes:
        outcome.refused("isp.service-unavailable.*no record can be written now", tries=0)


with SERVICE:
    main()
