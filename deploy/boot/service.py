"""The service on that machine, as its administrator and one of its clients see it."""

import base64
import json
import pathlib
import re
import shlex

from machine import Failed, Machine

UNIT = "/etc/systemd/system/daypass.service.d"
CONFIG = "/etc/daypass/daypass.toml"
# The same as it was installed.
GOOD = "/root/good.toml"
URL = "http://127.0.0.1:5050"
FROM = "/root/credentials.json"
ASKED = ["tencent", "alibaba", "entra"]
READY = f"curl -sS --fail --max-time 20 {URL}/readyz"


def holds(what: bool, why):
    if not what:
        raise Failed(str(why))


def same(found, wanted):
    holds(found == wanted, f"found {found!r}, wanted {wanted!r}")


def identity(kind: str, answer: dict) -> str:
    """What the records call a credential."""
    if kind == "tencent":
        return answer["Response"]["Credentials"]["TmpSecretId"]
    if kind == "alibaba":
        return next(iter(answer.values()))["result"]["access_key_id"]
    claims = answer["access_token"].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(claims + "=="))["uti"]


class Service:
    def __init__(self, machine: Machine):
        self.machine = machine
        self.secrets = []
        self.given = []

    def run(self, command: str) -> str:
        return self.machine.run(command)

    def admin(self, words: str) -> str:
        return self.run(f"daypass-admin {words}")

    def property(self, name: str) -> str:
        return self.run(f"systemctl show -P {name} daypass")

    def status(self, name: str) -> str:
        """A line of the kernel's about the process."""
        line = self.run(f"grep ^{name}: /proc/{self.property('MainPID')}/status")
        return line.split(":")[1].split()[0]

    def ready(self, seconds: float = 180):
        self.machine.until(READY, "the service is not ready", seconds)

    def add_client(self):
        """One client with a key of each kind, and the file by which `daypass token` asks as that client."""
        roles = "--role soe --role store-upload --role orders-reader --bind tenant_code=hema --bind poi_id=8005"
        kinds = "--kind tencent --kind top --kind client-secret"
        made = json.loads(self.admin(f"client add edge {kinds} {roles} --json"))
        keys = {key["kind"]: key for key in made["keys"]}
        config = self.run(f"cat {CONFIG}")

        def said(name):
            return re.search(rf'^{name} = "(.+)"', config, re.MULTILINE)[1]

        def some(kind, *names):
            return {name: keys[kind][name] for name in names}

        alibaba = some("top", "app_key", "app_secret") | {"poi_ids": ["8005"]}
        alibaba |= {"product_code": "oss", "scene_code": "app-upload", "usage_scene": "upload", "tenant_code": "hema"}
        entra = {"tenant": said("guid"), "scope": said("audience") + "/.default"}
        entra |= some("client-secret", "client_id", "client_secret")
        asks = {"url": URL, "tencent": some("tencent", "secret_id", "secret_key"), "alibaba": alibaba, "entra": entra}
        self.machine.write(FROM, json.dumps(asks))
        self.secrets = [key[name] for key in made["keys"] for name in key if re.search("secret$|_key$", name)]
        # The file's owner alone may read it, or `daypass` refuses it.
        self.run(f"chmod 0600 {FROM}")

    def grants(self):
        """Asks for a credential in each dialect; every one of them has its one record."""
        for kind in ASKED:
            answer = json.loads(self.run(f"daypass token {kind} --from {FROM} --no-cache --json"))
            self.given.append(identity(kind, answer))
        self.recorded()

    def recorded(self):
        """What was handed out last is in the records, once."""
        written = self.admin("audit tail -n 10000 --json")
        for one in self.given[-len(ASKED) :]:
            holds(written.count(f'"credential":"{one}"') == 1, f"{one} in {written}")

    def refuses(self):
        """Whether the same client is refused."""
        return self.machine.fails(f"daypass token tencent --from {FROM} --no-cache")

    def verified(self):
        """Every record is there, what was handed out before among them."""
        self.admin("audit verify")
        self.recorded()

    def drop_in(self, text: str):
        self.machine.write(f"{UNIT}/trial.conf", text)
        self.run("systemctl daemon-reload && systemctl restart daypass")

    def undo_drop_in(self):
        self.run(f"rm -f {UNIT}/trial.conf && systemctl daemon-reload && systemctl restart daypass")
        self.ready()

    def mend(self):
        """Puts back what a check that failed has left, so that the next one fails for its own reasons only."""
        self.machine.ask(
            f"""cp -p {GOOD} {CONFIG}
            rm -f {UNIT}/trial.conf /var/lib/daypass/filling
            systemctl daemon-reload
            systemctl restart daypass
            daypass-admin thaw --all""",
            310,
        )

    def now(self) -> str:
        """A place in the journal."""
        return self.run("journalctl --sync; journalctl --lines=0 --show-cursor | sed -n 's/^-- cursor: //p'")

    def logged(self, cursor: str) -> list:
        """What the service has logged since. What `daypass reload` says to its caller stands in the journal too, as text."""
        fields = "--output=json --output-fields=MESSAGE,_CMDLINE"
        lines = self.run(f"journalctl --sync; journalctl -u daypass {fields} --after-cursor={shlex.quote(cursor)}")
        entries = [json.loads(line) for line in lines.splitlines() if line.startswith("{")]
        return [json.loads(entry["MESSAGE"]) for entry in entries if " serve " in entry.get("_CMDLINE", "")]


def block(guide: pathlib.Path, text: str) -> str:
    """The block of a guide in which this stands."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", guide.read_text(), re.MULTILINE | re.DOTALL)
    return next(found for found in blocks if text in found)
