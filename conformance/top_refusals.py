"""The refusals that any client of the TOP gateway can provoke, and the programs of the documentation."""

import datetime
import json
import os
import pathlib
import subprocess

import top
from daypass import Service, check, credentials, equal, fresh

SERVER = credentials()
OURS = SERVER["alibaba"]
SNIPPETS = pathlib.Path(__file__).parent / "snippets" / "alibaba"
CONFIG = (SNIPPETS / "top.toml").read_text()


def service(name):
    """A server of the case's own with the demo's role and route."""
    return Service(fresh(name), CONFIG)


def box(service, name, *arguments):
    """A client of that server which has the demo client's tenant and stores; its key."""
    bind = "--bind", f"tenant_code={OURS['tenant_code']}", "--bind", f"poi_id={','.join(OURS['poi_ids'])}"
    return service.client(name, "--role", "store-upload", *bind, *arguments, kind="top")


def param(**changes):
    """`param` as a text, with some members changed; None drops one."""
    return json.dumps(top.param(OURS, **changes))


def checked(result, poi=OURS["poi_ids"][0]):
    """The whole SecurityTokenCredential for one store, as it is when not simplified."""
    statements = result["policy"]["statement"]["datas"]
    top.check_result(result, OURS, poi)
    plain = [{**one, "resource": one["resource"]["string"], "action": one["action"]["string"]} for one in statements]
    top.check_policy(plain, OURS, poi)


class Provoking:
    """`ask` is called with what differs from a good call: url, key, secret, method, param (a text) and common (a dict).
    It returns the code, the sub code and all that the client's user sees; an answer is an AssertionError."""

    def __init__(self, ask):
        self.ask = ask

    def refused(self, code, sub_code=None, **how):
        actual, sub, said = self.ask(**how)
        equal(int(actual), code, f"code of {said}")
        if sub_code:
            equal(sub, sub_code, f"sub code of {said}")
        return said

    def wrong_secret(self):
        said = self.refused(25, secret="x" + OURS["app_secret"])
        check("app_key, format, method, param" in said, f"{said!r} does not name what was signed")

    def unknown_key(self):
        self.refused(29, "isv.appkey-not-exists", key="1000000000")

    def unknown_method(self):
        self.refused(22, method="alibaba.no.such.method")

    def missing(self):
        self.refused(40, "isv.missing-parameter:usage_scene", param=param(usage_scene=None))

    def no_json(self):
        for text in ("{", "[]", "1", str(top.param(OURS))):
            self.refused(41, param=text)

    def other_scene(self):
        self.refused(11, param=param(scene_code="other"))
        self.refused(11, param=param(product_code="ecs"))

    def other_store(self):
        self.refused(50, "isv.invalid-parameter", param=param(op_poi_id="9999"))
        self.refused(50, "isv.invalid-parameter", param=param(op_tenant_code="other"))

    def unknown_parameter(self):
        self.refused(41, common={"extra": "x"})

    def stale_clock(self):
        stamp = datetime.datetime.now().timestamp() - 11 * 60
        said = self.refused(31, common={"timestamp": str(int(stamp * 1000))})
        check("GMT+8" in said, f"{said!r} says nothing of GMT+8")

    def weak(self, name):
        """A client that refuses MD5 in both its forms, at a server of its own."""
        server = service(name)
        key = box(server, "box", "--refuse", "md5")
        with server:
            self.refused(53, url=server.url, key=key["app_key"], secret=key["app_secret"])


def environment(**changes):
    """What the programs of the documentation need; None takes a setting away."""
    port = SERVER["url"].rpartition(":")[2]
    settings = {
        "APP_KEY": OURS["app_key"],
        "APP_SECRET": OURS["app_secret"],
        "TOP_BASE": SERVER["url"],
        "TOP_URL": SERVER["url"] + "/router/rest",
        "TOP_HOST": "127.0.0.1",
        "TOP_PORT": port,
        "STS_HOST": SERVER["url"].removeprefix("http://"),
        "ACCESS_KEY_ID": OURS["access_key_id"],
        "ACCESS_KEY_SECRET": OURS["access_key_secret"],
        "ROLE_ARN": OURS["role_arn"],
        "TENANT_CODE": OURS["tenant_code"],
        "POI_ID": OURS["poi_ids"][0],
        "TZ": "UTC",
    } | changes
    return os.environ | {name: value for name, value in settings.items() if value is not None}


def program(*command, status=0, stdin=None, **changes):
    """Runs one, and returns what it printed: standard output of a success, standard error of a failure."""
    done = subprocess.run(
        list(map(str, command)),
        env=environment(**changes),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )
    equal(done.returncode, status, f"exit status of {command[0]} ({done.stderr.strip()})")
    return done.stderr if status else done.stdout
