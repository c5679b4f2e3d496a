"""What the cases of OAuth's clients share: the server that speaks https, clients of it in every state, and what any
library can provoke."""

import base64
import dataclasses
import functools
import json
import os
import pathlib
import ssl
import subprocess
import sys
import time
import urllib.parse
import uuid

from daypass import WORK, Service, check, command, credentials, equal, http, matches, wait_until

CLIENTS = pathlib.Path(os.environ["DAYPASS_CLIENTS"])
DATA = pathlib.Path(os.environ["DAYPASS_SECURE"])
CA = DATA / "ca.pem"
STRANGER = "00000000-0000-4000-8000-000000000000"

# The variables that `daypass dev --tls` prints: requests, and everything that asks OpenSSL.
os.environ["REQUESTS_CA_BUNDLE"] = str(CA)
os.environ["SSL_CERT_FILE"] = str(CA)

# What a server of a file's own has, where nothing else is said.
RESOURCE = "d6b7c858-55fa-4d04-85a6-131af690abd4"
DEVCENTER = f"""
[[tenant.role]]
name = "devcenter"
audience = "{RESOURCE}"
roles = ["orders.read"]
"""


@dataclasses.dataclass(frozen=True)
class Asker:
    """What a client of OAuth is configured with."""

    base: str
    tenant: str
    client_id: str
    secret: str
    scope: str

    @classmethod
    def demo(cls, credentials):
        """The demo's client, which gets a token."""
        its = credentials["entra"]
        return cls(credentials["url"], its["tenant"], its["client_id"], its["client_secret"], its["scope"])

    @property
    def authority(self):
        return f"{self.base}/{self.tenant}"

    def endpoint(self, name):
        return f"{self.authority}/oauth2/v2.0/{name}"

    @property
    def token_url(self):
        return self.endpoint("token")

    @property
    def issuer(self):
        return f"{self.authority}/v2.0"

    def but(self, **changes):
        return dataclasses.replace(self, **changes)


GOOD = Asker.demo(json.loads((DATA / "credentials.json").read_text()))
PLAIN = Asker.demo(credentials())  # of the server that speaks http


@dataclasses.dataclass(frozen=True)
class Refusal:
    """What a library's own error says; None is what it keeps to itself."""

    description: str
    status: int | None = None
    error: str | None = None
    code: int | None = None


def cli(*arguments):
    """The command line beside the running server, which has noticed it then; what it printed as JSON."""
    said = json.loads(command(*arguments, "--data", DATA, "--json").stdout)
    noticed()
    return said


def noticed():
    """Waits until the running server knows what was changed up to now. It takes changes up in their order, so a client that is
    added last is known last."""
    mark = ("client", "add", own(f"mark-{uuid.uuid4()}"), "--kind", "client-secret", "--role", "devcenter")
    made = json.loads(command(*mark, "--data", DATA, "--json").stdout)
    form = {"grant_type": "client_credentials", "client_id": made["client"]["id"]}
    form["client_secret"] = made["keys"][0]["client_secret"]
    unknown = lambda: post(GOOD.token_url, form).json()["error_codes"] == [700016]
    wait_until(lambda: not unknown(), 60, "the server does not notice a change")


def add(name, *arguments, kind="client-secret", role="devcenter"):
    """Adds a client, whose name is the file's own; who it is, and its key as the command line shows it once."""
    made = cli("client", "add", own(name), "--kind", kind, "--role", role, *arguments)
    [key] = made["keys"]
    return GOOD.but(client_id=made["client"]["id"], secret=key.get("client_secret", "")), key


def own(name):
    """A name that no other file has: they share the server."""
    return f"{pathlib.Path(sys.argv[0]).stem}-{name}"


@functools.cache
def narrow():
    """A client of one resource only; the demo's own may ask for all."""
    asker, _ = add("narrow")
    return asker


@functools.cache
def ended():
    """A client with two secrets, one of which has run out: that one."""
    asker, _ = add("ended", "--expires", "1s")
    cli("client", "rotate", own("ended"), "--kind", "client-secret")
    time.sleep(1)
    return asker


@functools.cache
def disabled():
    """A client that was disabled, with the right secret."""
    asker, _ = add("disabled")
    cli("client", "disable", own("disabled"))
    return asker


def claims(token):
    """What a token says; who verifies it is another case."""
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def check_token(token, asker=GOOD, proof="1"):
    """A token for this client and its resource. `proof` is how the client proved itself: by a secret, or otherwise."""
    said = claims(token)
    equal(said["aud"], asker.scope.removesuffix("/.default"), "aud")
    names = "azp", "azpacr", "tid", "iss"
    equal([said[name] for name in names], [asker.client_id, proof, asker.tenant, asker.issuer], f"{names} of the token")
    check(said["nbf"] < said["iat"] <= time.time() + 5 < said["exp"], f"times of {said}")
    return said


class Provoking:
    """`ask` asks for a token as one that an Asker describes, and returns the Refusal; a token is an AssertionError.
    `tells` names what the library's error carries beside the description."""

    def __init__(self, ask, tells="", good=GOOD, basic=False):
        self.ask, self.tells, self.good, self.basic = ask, tells.split(), good, basic

    def refused(self, status, error, code, asker, says=""):
        return self.told(self.ask(asker), status, error, code, asker, says)

    def told(self, said, status, error, code, asker=GOOD, says=""):
        for member, expected in (("status", status), ("error", error), ("code", code)):
            if member in self.tells:
                equal(getattr(said, member), expected, f"{member} of {said}")
        matches(rf"(?s).*\bAADSTS{code}: .*{says}.*", said.description, "what the user sees")
        check(not asker.secret or asker.secret not in said.description, "the refusal repeats the secret")
        return said

    def wrong_secret(self):
        self.refused(401, "invalid_client", 7000215, self.good.but(secret=self.good.secret[::-1]))

    def ended_secret(self):
        """Told apart from a wrong one, for whoever has it."""
        self.refused(401, "invalid_client", 7000222, ended())

    def unknown_client(self):
        # Entra answers 400, and RFC 6749 wants 401 where Basic was tried.
        self.refused(401 if self.basic else 400, "unauthorized_client", 700016, self.good.but(client_id=STRANGER))

    def disabled_client(self):
        self.refused(400, "unauthorized_client", 7000112, disabled())

    def unknown_tenant(self, error="invalid_request"):
        """Whoever reads the tenant's documents first hears another word of it, as Entra has it."""
        self.refused(400, error, 90002, self.good.but(tenant=STRANGER))

    def malformed_tenant(self):
        self.refused(400, "invalid_request", 900023, self.good.but(tenant="no-tenant"))

    def wrong_grant(self, said):
        """What came of another grant, however the library asks for one."""
        self.told(said, 400, "unsupported_grant_type", 70003)

    def unknown_resource(self):
        self.refused(400, "invalid_resource", 500011, self.good.but(scope=f"{STRANGER}/.default"))

    def not_granted(self):
        """A resource of the tenant for which this client has no role is for it one that does not exist."""
        scope = "0f2b6d1c-8a47-4c3e-9d5a-71e6b0c84f29/.default"
        self.refused(400, "invalid_resource", 500011, narrow().but(scope=scope))

    def narrow_scope(self):
        """The error says which scope would have worked."""
        scope = self.good.scope.removesuffix(".default") + "orders.read"
        self.refused(400, "invalid_scope", 1002012, self.good.but(scope=scope), says=r"/\.default")


class Own(Service):
    """A server of a file's own, which `with` starts."""

    def asker(self, *arguments, kind="client-secret", base=None):
        """Adds a client, and waits until the running server knows it."""
        made = self.command("client", "add", str(uuid.uuid4()), "--kind", kind, *arguments)
        secret = made["keys"][0].get("client_secret", "")
        asker = Asker(base or self.url, self.GUID, made["client"]["id"], secret, f"{RESOURCE}/.default")
        form = {"grant_type": "client_credentials", "client_id": asker.client_id, "client_secret": secret or "none"}
        at = asker.but(base=self.url).token_url
        wait_until(lambda: post(at, form).json()["error_codes"] != [700016], 60, "the server does not know the client")
        return asker


def program(tool, *arguments, asker=GOOD, **settings):
    """Runs a program of clients/; what it printed, by name, each name with all its values."""
    environment = {
        "BASE": asker.base,
        "TENANT": asker.tenant,
        "CLIENT_ID": asker.client_id,
        "CLIENT_SECRET": asker.secret,
        "SCOPE": asker.scope,
        "CA_FILE": str(CA),
        "AZURE_AUTHORITY_HOST": asker.base,
    } | {name: str(value) for name, value in settings.items()}
    place = CLIENTS / tool
    # Two cores are what a small machine has: no compiler that works in the background for a second's program.
    java = ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{place / 'classes'}:{place / 'jars'}/*", "Clients"]
    launch = java if tool == "maven" else [str(place / "clients")]
    environment = os.environ | environment
    done = subprocess.run([*launch, *arguments], env=environment, capture_output=True, text=True, timeout=60)
    equal(done.returncode, 0, f"exit status of {tool} {arguments} ({done.stderr.strip()})")
    said = {}
    for line in done.stdout.splitlines():
        name, _, value = line.partition(" ")
        said.setdefault(name, []).append(value)
    return said


@functools.cache
def java_trust():
    """How Java is told whom to trust: by a store of its own kind, made as `daypass dev --tls` prints."""
    store = WORK / own("trust.p12")
    make = ["keytool", "-importcert", "-noprompt", "-alias", "daypass", "-file", CA, "-keystore", store]
    done = subprocess.run([*map(str, make), "-storepass", "changeit"], capture_output=True, text=True, timeout=60)
    equal(done.returncode, 0, f"exit status of keytool ({done.stdout})")
    return f"-Djavax.net.ssl.trustStore={store} -Djavax.net.ssl.trustStorePassword=changeit"


def refusal(said):
    """The Refusal in what such a program printed."""
    check("token" not in said, "should have been refused, and was given a token")
    body = json.loads(said["body"][0]) if said.get("body") else {}
    code = said.get("codes", [None])[0] or next(iter(body.get("error_codes", [])), None)
    return Refusal(
        description=(said.get("description") or said["message"])[0],
        status=int(said["status"][0]) if "status" in said else None,
        error=said["error"][0] if "error" in said else body.get("error"),
        code=int(code) if code else None,
    )


def with_key(name, holder, *arguments, form="pem"):
    """A client that signs its assertions with the Holder's key, of which the server has the certificate or, as `pub`,
    the public half alone."""
    folder = WORK / own("keys")
    folder.mkdir(exist_ok=True)
    file = holder.write(folder, name)[form]
    asker, _ = add(name, "--public-key", file, *arguments, kind="public-key")
    return asker


def spend(asker, assertion):
    """Asks with an assertion by the standard library alone; the token."""
    form = {
        "grant_type": "client_credentials",
        "client_id": asker.client_id,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion,
        "scope": asker.scope,
    }
    answer = post(asker.token_url, form)
    equal(answer.status, 200, f"status ({answer.body})")
    return answer.json()["access_token"]


def post(url, form, headers=None):
    """A form by the standard library."""
    context = ssl.create_default_context(cafile=CA) if url.startswith("https:") else None
    return http(url, urllib.parse.urlencode(form).encode(), headers, context=context)
