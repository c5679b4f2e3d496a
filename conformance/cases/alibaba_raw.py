"""The TOP gateway without anyone's client: an independent signer, the XML form, and what must be refused."""

import datetime
import hashlib
import hmac
import json
import urllib.parse
import xml.etree.ElementTree as xml

import top
from daypass import case, check, credentials, equal, http, main

SERVER = credentials()
OURS = SERVER["alibaba"]
URL = SERVER["url"] + "/router/rest"
BEIJING = datetime.timezone(datetime.timedelta(hours=8))


def sign(values, method, secret):
    """Every name and value in the order of the names, nothing between them."""
    base = "".join(name + values[name] for name in sorted(values)).encode()
    if method == "md5":
        digest = hashlib.md5(secret.encode() + base + secret.encode())
    else:
        digest = hmac.new(secret.encode(), base, {"hmac": hashlib.md5, "hmac-sha256": hashlib.sha256}[method])
    return digest.hexdigest().upper()


def request(sign_method="hmac-sha256", param=None, secret=OURS["app_secret"], **changes):
    """The body of a signed request; a change to None drops the parameter."""
    values = {
        "method": top.METHOD,
        "app_key": OURS["app_key"],
        "timestamp": datetime.datetime.now(BEIJING).strftime("%Y-%m-%d %H:%M:%S"),
        "v": "2.0",
        "format": "json",
        "sign_method": sign_method,
        "param": json.dumps(top.param(OURS) if param is None else param, ensure_ascii=False),
    } | changes
    values = {name: value for name, value in values.items() if value is not None}
    values["sign"] = sign(values, sign_method, secret)
    return urllib.parse.urlencode(values)


def request_with(param_text):
    """A signed request whose `param` is this text, or missing."""
    values = dict(urllib.parse.parse_qsl(request()))
    del values["sign"], values["param"]
    if param_text is not None:
        values["param"] = param_text
    values["sign"] = sign(values, values["sign_method"], OURS["app_secret"])
    return urllib.parse.urlencode(values)


def send(body):
    answer = http(URL, body.encode(), {"Content-Type": "application/x-www-form-urlencoded;charset=utf-8"})
    equal(answer.status, 200, "status, which is 200 for every answer of the gateway")
    return answer


def refused(body, *codes):
    error = send(body).json()
    equal(list(error), ["error_response"], "root of the refusal")
    error = error["error_response"]
    check(error["code"] in codes, f"code of {error} is not one of {codes}")
    check(error["msg"] and error["request_id"], f"msg or request_id of {error} is empty")
    return error


def check_xml(body):
    """The answer in XML says the same as the one in JSON."""
    answer = send(body)
    check(answer.headers["Content-Type"].startswith("text/xml"), f"content type is {answer.headers['Content-Type']}")
    root = xml.fromstring(answer.body)
    equal(root.tag, top.ROOT, "root element")
    members = ["result", "resp_code", "resp_success", "resp_request_id", "message", "request_id"]
    equal([member.tag for member in root], members, "elements of the answer")
    equal(root.findtext("resp_success"), "true", "resp_success")
    result = {member.tag: member.text for member in root.find("result")}
    policy = root.find("result/policy")
    result["policy"] = {"version": policy.findtext("version")}
    top.check_result(result, OURS, OURS["poi_ids"][0])
    statements = [
        {
            "resource": [text.text for text in one.findall("resource/string")],
            "effect": one.findtext("effect"),
            "action": [text.text for text in one.findall("action/string")],
        }
        for one in policy.findall("statement/datas")
    ]
    top.check_policy(statements, OURS, OURS["poi_ids"][0])


@case("the signer reproduces the published example")
def published():
    values = {
        "method": "taobao.item.seller.get",
        "app_key": "12345678",
        "session": "test",
        "timestamp": "2016-01-01 12:00:00",
        "format": "json",
        "v": "2.0",
        "sign_method": "md5",
        "fields": "num_iid,title,nick,price,num",
        "num_iid": "11223344",
    }
    equal(sign(values, "md5", "helloworld"), "66987CB115214E59E6EC978214934FB8", "sign")


@case("JSON, hmac-sha256")
def json_sha256():
    answer = send(request())
    check("gzip" not in (answer.headers["Content-Encoding"] or ""), "compressed unasked")
    top.check_answer(answer.json()[top.ROOT], OURS, OURS["poi_ids"][0])


@case("XML, md5")
def xml_md5():
    check_xml(request("md5", format="xml"))


@case("XML, hmac")
def xml_hmac():
    check_xml(request("hmac", format="xml"))


@case("XML, hmac-sha256")
def xml_sha256():
    check_xml(request("hmac-sha256", format="xml"))


@case("XML is the default format")
def xml_default():
    check_xml(request(format=None))


@case("everything in the query of a GET")
def by_get():
    answer = http(URL + "?" + request())
    top.check_answer(answer.json()[top.ROOT], OURS, OURS["poi_ids"][0])


@case("common parameters in the query, param in the body")
def split():
    pairs = urllib.parse.parse_qsl(request())
    query = urllib.parse.urlencode([pair for pair in pairs if pair[0] != "param"])
    body = urllib.parse.urlencode([pair for pair in pairs if pair[0] == "param"])
    answer = http(f"{URL}?{query}", body.encode(), {"Content-Type": "application/x-www-form-urlencoded"})
    top.check_answer(answer.json()[top.ROOT], OURS, OURS["poi_ids"][0])


@case("a timestamp in milliseconds")
def milliseconds():
    now = int(datetime.datetime.now().timestamp() * 1000)
    top.check_answer(send(request(timestamp=str(now))).json()[top.ROOT], OURS, OURS["poi_ids"][0])


@case("identical bytes get the identical credential, other bytes another")
def repeat():
    body = request()
    first, second = send(body).json()[top.ROOT], send(body).json()[top.ROOT]
    equal(second["result"], first["result"], "the second result")
    param = top.param(OURS, request_id="r-2")
    other = send(request(param=param)).json()[top.ROOT]
    check(other["result"]["access_key_id"] != first["result"]["access_key_id"], "another request got the same id")


@case("another store, tenant or product is refused")
def others():
    for change in (
        {"op_poi_id": "9999"},
        {"op_tenant_code": "other"},
        {"product_code": "ecs"},
        {"scene_code": "other"},
        {"usage_scene": "other"},
    ):
        error = refused(request(param=top.param(OURS, **change)), 11, 50)
        check(error["sub_code"].startswith("isv."), f"sub_code of {error}")


@case("a wildcard or a path in a variable is refused")
def wildcards():
    for poi in ("*", "8005/*", "../8006", "8005?", ""):
        refused(request(param=top.param(OURS, op_poi_id=poi)), 11, 40, 41, 50)


@case("a wrong signature by each method")
def wrong_signature():
    for method in ("md5", "hmac", "hmac-sha256"):
        refused(request(method, secret="x" + OURS["app_secret"]), 25)
    altered = request().replace("r-1", "r-9")
    refused(altered, 25)


@case("missing and wrong common parameters")
def common():
    refused(request(method=None), 21)
    refused(request(method="alibaba.no.such.method"), 22)
    refused(request(app_key=None), 28)
    equal(refused(request(app_key="1"), 29)["sub_code"], "isv.appkey-not-exists", "sub_code")
    refused(request(timestamp=None), 30)
    refused(request(timestamp="2016-01-01 12:00:00"), 31)
    refused(request(v=None), 32)
    refused(request(v="1.0"), 33, 34)
    refused(request().rpartition("&sign=")[0], 24)


@case("a bad format is refused in XML")
def bad_format():
    root = xml.fromstring(send(request(format="yaml")).body)
    equal((root.tag, root.findtext("code")), ("error_response", "23"), "the refusal")


@case("a missing, a broken and an incomplete param")
def bad_param():
    for text in (None, ""):
        equal(refused(request_with(text), 40)["msg"], "Missing required arguments:param", "msg")
    for text in ("{", "[]", "1"):
        equal(refused(request_with(text), 41)["msg"], "Invalid arguments:param", "msg")
    error = refused(request(param=top.param(OURS, usage_scene=None)), 40)
    equal(error["msg"], "Missing required arguments:param.usage_scene", "msg")
    equal(error["sub_code"], "isv.missing-parameter:usage_scene", "sub_code")


@case("a parameter that the method does not have is refused")
def unknown_parameter():
    equal(refused(request(extra="1"), 41)["msg"], "Invalid arguments:extra", "msg")


@case("a parameter twice is refused")
def twice():
    error = send(request() + "&v=2.0").json()
    check("error_response" in error, f"answered {error}")


main()
