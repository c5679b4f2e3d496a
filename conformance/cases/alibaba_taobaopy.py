"""PyPI's client of the TOP gateway. It signs with HMAC-MD5 and stamps the machine's local time, which the gateway
reads as GMT+8."""

# needs: pypi
# client: alibaba / taobaopy

import contextlib
import json
import os
import time

from taobaopy.taobao import TaoBaoAPIClient, TaoBaoAPIError

import top
from daypass import case, check, credentials, equal, main

SERVER = credentials()
OURS = SERVER["alibaba"]


@contextlib.contextmanager
def zone(name):
    """As on a machine of that time zone."""
    os.environ["TZ"] = name
    time.tzset()
    yield


def ask(secret=OURS["app_secret"], **changes):
    client = TaoBaoAPIClient(OURS["app_key"], secret, domain=SERVER["url"])
    call = client.alibaba__security_deepvision_proxy_security_common_token_get
    return call(param=json.dumps(top.param(OURS, **changes)))


def refused(**how):
    try:
        answer = ask(**how)
    except TaoBaoAPIError as error:
        return error
    raise AssertionError(f"should have been refused, and was answered {answer}")


@case("the whole SecurityTokenCredential, in Shanghai")
def whole():
    with zone("Asia/Shanghai"):
        answer = ask()
    equal(list(answer), [top.ROOT], "root of the answer")
    top.check_answer(answer[top.ROOT], OURS, OURS["poi_ids"][0])


@case("each of the client's stores")
def stores():
    with zone("Asia/Shanghai"):
        for poi in OURS["poi_ids"]:
            top.check_answer(ask(op_poi_id=poi)[top.ROOT], OURS, poi)


@case("in UTC, code 31 and a sentence that says why")
def utc():
    with zone("UTC"):
        error = refused()
    equal(error.code, 31, "code")
    check("GMT+8" in f"{error.msg} {error.sub_msg}", f"{error} says nothing of GMT+8")


@case("a wrong secret is code 25")
def wrong_secret():
    with zone("Asia/Shanghai"):
        equal(refused(secret="x" + OURS["app_secret"]).code, 25, "code")


main()
