"""The TOP gateway's bytes: what a call may look like, what is the same call again, and what an answer says in each of
its forms."""

import hashlib
import json
import time
import urllib.parse
import xml.etree.ElementTree as xml

import top
from daypass import Running, case, check, equal, free_port, http, main, wait_until
from top_refusals import OURS, box, param, service

SERVICE = service("top-wire")
KEY = box(SERVICE, "box")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def signed(secret=KEY["app_secret"], **changes):
    """The parameters of a call, signed by md5; a change to None drops one."""
    values = {
        "method": top.METHOD,
        "app_key": KEY["app_key"],
        "timestamp": str(int(time.time() * 1000)),
        "v": "2.0",
        "format": "json",
        "sign_method": "md5",
        "param": param(),
    } | changes
    values = {name: value for name, value in values.items() if value is not None}
    base = "".join(name + values[name] for name in sorted(values))
    values["sign"] = hashlib.md5(f"{secret}{base}{secret}".encode()).hexdigest().upper()
    return values


def post(values, url=None, headers=FORM, query=None):
    """Sends a form; a list of pairs may hold a name twice."""
    path = "/router/rest" + (f"?{urllib.parse.urlencode(query)}" if query else "")
    body = values if isinstance(values, bytes) else urllib.parse.urlencode(values).encode()
    answer = http((url or SERVICE.url) + path, body, headers)
    equal(answer.status, 200, "status, which is 200 for every answer of the gateway")
    return answer


def result(answer):
    said = answer.json()
    check(top.ROOT in said, f"answered {said}")
    return said[top.ROOT]["result"]


def code(answer):
    said = answer.json()
    check("error_response" in said, f"answered {said}")
    return said["error_response"]["code"]


def multipart(values, more=()):
    parts = [(f'form-data; name="{name}"', value) for name, value in values.items()]
    parts += [(f'form-data; name="{name}"; filename="x.bin"\r\nContent-Type: image/png', value) for name, value in more]
    body = "".join(f"--XXX\r\nContent-Disposition: {head}\r\n\r\n{value}\r\n" for head, value in parts)
    return (body + "--XXX--\r\n").encode(), {"Content-Type": "multipart/form-data; boundary=XXX"}


@case("multipart, with and without a file")
def by_multipart():
    for more in ((), (("image", "not signed"),)):
        body, head = multipart(signed(), more)
        equal(result(post(body, headers=head))["field_id"], OURS["poi_ids"][0], "field_id")


@case("no sign_method is md5")
def no_method():
    result(post(signed(sign_method=None)))


@case("the session and what SDKs say of themselves are signed and taken")
def optional():
    result(post(signed(partner_id="top-sdk-java-20211105", target_app_key="1", session="x", simplify="false")))


@case("the same name in query and body: taken where it says the same, refused where not")
def twice():
    values = signed()
    result(post(values, query={"v": "2.0"}))
    equal(code(post(values, query={"v": "3.0"})), 41, "code")
    equal(code(post([*values.items(), ("param", values["param"])])), 41, "code of the same name twice in the body")


@case("two calls with one base string: the names decide")
def collision():
    values = signed(session="1")
    glued = {name: value for name, value in values.items() if name not in ("session", "sign_method")}
    # `session1` `sign_methodmd5` as one parameter whose name nobody knows.
    glued["session1sign_method"] = "md5"
    base = [
        "".join(name + one[name] for name in sorted(one) if name != "sign") for one in (values, glued)
    ]
    equal(base[1], base[0], "the base string")
    equal(code(post(glued)), 41, "code")


@case("any flipped character of any parameter is refused")
def flipped():
    values = signed()
    for name, value in values.items():
        at = len(value) // 2
        other = "1" if value[at] != "1" else "2"
        said = post(values | {name: value[:at] + other + value[at + 1 :]}).body
        check(b"error_response" in said, f"{name} may be changed: {said}")


@case("JSON, simplified JSON and XML say the same")
def same_facts():
    normal, simple, root = (post(signed(**change)) for change in ({}, {"simplify": "true"}, {"format": "xml"}))
    normal, simple, root = normal.json()[top.ROOT], simple.json(), xml.fromstring(root.body)
    equal(list(simple), list(normal), "members of the simplified answer")
    equal([one.tag for one in root], list(normal), "elements of the XML")
    unwrapped = json.loads(json.dumps(normal["result"]["policy"]))
    unwrapped["statement"] = [
        {name: value["string"] if isinstance(value, dict) else value for name, value in one.items()}
        for one in unwrapped["statement"]["datas"]
    ]
    equal(simple["result"]["policy"], unwrapped, "the simplified policy")
    in_xml = {
        "version": root.findtext("result/policy/version"),
        "statement": [
            {part.tag: [text.text for text in part.findall("string")] or part.text for part in one}
            for one in root.findall("result/policy/statement/datas")
        ],
    }
    equal(in_xml, unwrapped, "the policy in XML")
    fresh = ("access_key_id", "access_key_secret", "token", "expiration", "policy")
    for name, value in normal["result"].items():
        if name not in fresh:
            equal((simple["result"][name], root.findtext(f"result/{name}")), (value, value), name)


@case("nothing is compressed, asked for or not")
def plain():
    for encoding in ("identity", "gzip"):
        answer = post(signed(), headers=FORM | {"Accept-Encoding": encoding})
        equal(answer.headers["Content-Encoding"], None, "Content-Encoding")
        result(answer)


@case("a client that is disabled while the server runs is code 11")
def disabled():
    other = box(SERVICE, "other")
    known = {"app_key": other["app_key"], "secret": other["app_secret"]}
    wait_until(lambda: top.ROOT in post(signed(**known)).json(), 60, "the new client was not served")
    SERVICE.command("client", "disable", "other")
    wait_until(lambda: "error_response" in post(signed(**known)).json(), 60, "the disabled client was served")
    equal(code(post(signed(**known))), 11, "code of the refusal")


@case("the same bytes: the identical credential on another node and after a restart, refused later")
def again():
    values, late = signed(), signed(session="late")
    begun = time.monotonic()
    first = result(post(values))
    result(post(late))

    def check_again(what, *where):
        # Five seconds later it is somebody else's: a machine that takes as long to start a server proves nothing.
        again = post(values, *where)
        if time.monotonic() - begun < 4.5:
            equal(result(again), first, what)

    other = SERVICE.folder / "other.toml"
    host = f"127.0.0.1:{free_port()}"
    other.write_text(SERVICE.config.read_text().replace(SERVICE.host, host))
    with Node(other, host).start() as node:
        check_again("the credential from another node", node.url)
    SERVICE.stop()
    SERVICE.start()
    check_again("the credential after a restart")
    time.sleep(5.2)
    for one in (values, late):
        equal(code(post(one)), 25, "code of a late repeat")


class Node(Running):
    """Another process with the same store."""

    def __init__(self, config, host):
        super().__init__(config.with_suffix(".log"), "serve", "--config", config)
        self.url = f"http://{host}"

    def _announced(self):
        return '"ready"' in self.output() or " ready " in self.output()


with SERVICE:
    main()
