"""PyPI's taobaopy: how its user sees each refusal, and what its HTTP layer repeats."""

# needs: pypi
# client: alibaba / taobaopy

import http.server
import json
import os
import sys
import threading
import time
import urllib.parse

from taobaopy.taobao import TaoBaoAPIClient, TaoBaoAPIError

import top
from daypass import case, check, equal, http as ask_http, main
from top_refusals import OURS, SERVER, SNIPPETS, Provoking, checked, param, program

os.environ["TZ"] = "Asia/Shanghai"
time.tzset()


def client(url=SERVER["url"], key=OURS["app_key"], secret=OURS["app_secret"]):
    return TaoBaoAPIClient(key, secret, domain=url)


def call(method=top.METHOD, param=param(), common=None, **where):
    first, _, rest = method.partition(".")
    return getattr(client(**where), f"{first}__{rest.replace('.', '_')}")(param=param, **(common or {}))


def refused(**how):
    try:
        answer = call(**how)
    except TaoBaoAPIError as error:
        return error.code, error.sub_code, str(error)
    raise AssertionError(f"should have been refused, and was answered {answer}")


PROVOKE = Provoking(refused)


@case("the program of the documentation")
def documented():
    file = SNIPPETS / "taobaopy_token.py"
    checked(json.loads(program(sys.executable, file)))
    check("isv.invalid-parameter" in program(sys.executable, file, status=1, POI_ID="9999"), "the refusal's sub code")


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
    # What becomes of a dict: Python's own notation.
    PROVOKE.refused(41, param=top.param(OURS))


@case("another scene or product is code 11")
def other_scene():
    PROVOKE.other_scene()


@case("another store or tenant is code 50")
def other_store():
    PROVOKE.other_store()


@case("an unknown parameter is code 41")
def unknown_parameter():
    PROVOKE.unknown_parameter()


@case("common parameters of the caller's own have no effect: the client's win")
def own_common():
    answer = call(common={"format": "xml", "sign_method": "hmac-sha256", "timestamp": "1"})
    checked(answer[top.ROOT]["result"])


@case("hmac of a client that refuses md5 is code 53")
def weak():
    PROVOKE.weak("taobaopy-strict")


class Losing(http.server.BaseHTTPRequestHandler):
    """A proxy that passes each call on and loses the first answer."""

    bodies, answers = [], []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = ask_http(SERVER["url"] + self.path, body, {"Content-Type": self.headers["Content-Type"]})
        self.bodies.append(body)
        self.answers.append(answer.json())
        lost = len(self.bodies) == 1
        self.send_response(502 if lost else 200)
        self.send_header("Content-Length", "0" if lost else str(len(answer.body)))
        self.end_headers()
        if not lost:
            self.wfile.write(answer.body)

    def log_message(self, *_):
        pass


@case("a retry of the HTTP layer, byte for byte, gets the credential whose answer was lost")
def retried():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Losing) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        answer = call(url=f"http://127.0.0.1:{proxy.server_port}")
        proxy.shutdown()
    equal(len(Losing.bodies), 2, "number of calls that went out")
    equal(Losing.bodies[1], Losing.bodies[0], "the second call")
    check("sign" in dict(urllib.parse.parse_qsl(Losing.bodies[0].decode())), "the call is not signed")
    lost, got = Losing.answers[0][top.ROOT]["result"], answer[top.ROOT]["result"]
    equal(got, lost, "the credential")
    checked(got)


main()
