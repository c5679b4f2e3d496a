"""The client that the platform generated for Python until 2022, as PyPI has it. It signs with md5, stamps milliseconds
(so no time zone can be wrong), and sends the common parameters in the query and its own in the body."""

# needs: pypi
# client: alibaba / official Python (old)

import json
import sys

import taobao_open
from taobao_open.api.base import RestApi, TopException

import top
from daypass import case, check, equal, main
from top_refusals import OURS, SERVER, SNIPPETS, Provoking, checked, param, program


class Request(RestApi):
    """What the generator makes of a method."""

    def __init__(self, url, method):
        address, _, port = url.removeprefix("http://").partition(":")
        super().__init__(address, int(port))
        self._RestApi__method = method
        self.param = None

    def getapiname(self):
        return self._RestApi__method


def call(url=SERVER["url"], key=OURS["app_key"], secret=OURS["app_secret"], method=top.METHOD, param=param(), common=None):
    request = Request(url, method)
    request.set_app_info(taobao_open.appinfo(key, secret))
    request.param = param
    for name, value in (common or {}).items():
        setattr(request, name, value)
    return request.getResponse()


def refused(**how):
    try:
        answer = call(**how)
    except TopException as error:
        return error.errorcode, error.subcode, str(error)
    raise AssertionError(f"should have been refused, and was answered {answer}")


PROVOKE = Provoking(refused)


@case("the whole SecurityTokenCredential")
def whole():
    answer = call()
    equal(list(answer), [top.ROOT], "root of the answer")
    top.check_answer(answer[top.ROOT], OURS, OURS["poi_ids"][0])


@case("each of the client's stores")
def stores():
    for poi in OURS["poi_ids"]:
        checked(call(param=param(op_poi_id=poi))[top.ROOT]["result"], poi)


@case("the program of the documentation")
def documented():
    file = SNIPPETS / "official_token.py"
    checked(json.loads(program(sys.executable, file)))
    check("isv.invalid-parameter" in program(sys.executable, file, status=1, POI_ID="9999"), "the refusal's sub code")


@case("a wrong secret is code 25")
def wrong_secret():
    PROVOKE.wrong_secret()


@case("an unknown app key is code 29")
def unknown_key():
    PROVOKE.unknown_key()


@case("an unknown method is code 22")
def unknown_method():
    PROVOKE.unknown_method()


@case("a missing param, or member of it, is code 40")
def missing():
    PROVOKE.missing()
    PROVOKE.refused(40, "isv.missing-parameter:param", param=None)


@case("a param that is no JSON object is code 41")
def no_json():
    PROVOKE.no_json()


@case("another scene or product is code 11")
def other_scene():
    PROVOKE.other_scene()


@case("another store or tenant is code 50")
def other_store():
    PROVOKE.other_store()


@case("an unknown parameter is code 41")
def unknown_parameter():
    PROVOKE.unknown_parameter()


@case("a name both in the query and, with another value, in the body is refused")
def disagreement():
    said = PROVOKE.refused(41, common={"v": "3.0"})
    check("Invalid arguments:v" in said, said)


@case("md5 of a client that refuses it is code 53")
def weak():
    PROVOKE.weak("official-python-strict")


main()
