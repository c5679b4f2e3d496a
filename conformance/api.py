"""What the cases of the guide for APIs share: a Daypass and a stand-in for an issuer whose clock and keys are ours, one
copy of the guide's program for each, and the table of who is let in."""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import socket
import subprocess
import time
import urllib.parse

import jwt
from cryptography.hazmat.primitives.asymmetric import ec

from daypass import Service, check, equal, fresh, http, wait_until
from stand_ins.provider import Provider

SNIPPETS = pathlib.Path(__file__).parent / "snippets" / "api"
AUDIENCE = "d6b7c858-55fa-4d04-85a6-131af690abd4"
OTHER = "0f2b6d1c-8a47-4c3e-9d5a-71e6b0c84f29"
CLIENT = "0b7e3f52-9c1d-4f7e-8a35-6f6c2f1d9e01"
BILLING = f'\n[[tenant.role]]\nname = "billing"\naudience = "{OTHER}"\nroles = ["orders.read"]\n'
ES256 = f'\n[[tenant.role]]\nname = "unused"\naudience = "{CLIENT}"\nroles = ["x"]\nalgorithm = "ES256"\n'


class Issuer:
    """Whom an API trusts, as the guide's programs are told it."""

    def __init__(self, issuer, jwks_uri):
        self.environment = {"ISSUER": issuer, "JWKS_URI": jwks_uri, "AUDIENCE": f"{AUDIENCE} api://orders"}


class Daypass(Issuer):
    """A server with the guide's roles, and tokens of it."""

    def __init__(self, name, more=""):
        self.service = Service(fresh(name), (SNIPPETS / "role.toml").read_text() + BILLING + ES256 + more)
        self.base = f"{self.service.url}/387c56a8-cf86-45de-b9f5-b4de88cac054"
        self.keys = {
            name: self.service.client(name, *options, kind="client-secret")
            for name, options in {
                "reader": ("--role", "orders-reader", "--role", "billing"),
                "writer": ("--role", "orders-writer"),
            }.items()
        }
        super().__init__(f"{self.base}/v2.0", f"{self.base}/discovery/v2.0/keys")
        self.service.start()

    def client_id(self, name):
        return self.keys[name]["client_id"]

    def token(self, name, audience=AUDIENCE):
        key = self.keys[name]
        form = {
            "grant_type": "client_credentials",
            "client_id": key["client_id"],
            "client_secret": key["client_secret"],
            "scope": f"{audience}/.default",
        }
        answer = http(f"{self.base}/oauth2/v2.0/token", urllib.parse.urlencode(form).encode())
        equal(answer.status, 200, f"status ({answer.body})")
        return answer.json()["access_token"]


class Forger(Issuer):
    """An issuer that the API trusts, and that signs whatever a case wants."""

    def __init__(self):
        self.provider = Provider()
        super().__init__(self.provider.issuer, f"{self.provider.issuer}/keys")

    def claims(self, **changes):
        """Those of a good token, changed; None leaves one out."""
        now = int(time.time())
        usual = {"iss": self.provider.issuer, "aud": AUDIENCE, "sub": "the-app", "oid": "the-app", "azp": CLIENT}
        usual |= {"iat": now, "nbf": now - 300, "exp": now + 3599, "roles": ["orders.read"]}
        return {name: value for name, value in (usual | changes).items() if value is not None}

    def token(self, headers=None, **changes):
        kid, algorithm, key = self.provider.keys[-1]
        return jwt.encode(self.claims(**changes), key, algorithm, headers={"kid": kid} | (headers or {}))

    def unsigned(self, header, signature=b""):
        """A token of this header whose signature is none of the issuer's."""
        encode = lambda part: base64.urlsafe_b64encode(part).rstrip(b"=").decode()
        signed = ".".join(encode(json.dumps(part).encode()) for part in (header, self.claims()))
        return f"{signed}.{encode(signature(signed.encode()) if callable(signature) else signature)}"


class Program:
    """A program that serves on a port of its own until the end of the file."""

    def __init__(self, arguments, port, log, environment, seconds=60):
        self.url = f"http://127.0.0.1:{port}/orders"
        self.log = log
        with open(log, "ab") as output:
            self.process = subprocess.Popen(
                list(map(str, arguments)),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PORT": str(port)} | environment,
            )
        try:
            wait_until(lambda: self.listens(port), seconds, f"{arguments[0]} listens")
        except BaseException:
            self.stop()
            raise

    def listens(self, port):
        if self.process.poll() is not None:
            raise AssertionError(f"the program ended: {self.log.read_text(errors='replace')[-2000:]}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Apis:
    """The guide's API twice: one that trusts Daypass, and one that trusts the forger. `start` gets a folder and the
    environment, and returns the program."""

    def __init__(self, name, start):
        self.name, self.start, self.programs = name, start, []
        self.service = self.running = self.fault = None

    @property
    def both(self):
        """Daypass and the API that trusts it, the forger and the API that trusts that. What cannot be started, cannot
        be for any case."""
        if self.fault:
            raise self.fault
        if not self.running:
            try:
                self.running = self.begin()
            except Exception as fault:
                self.fault = fault
                raise
        return self.running

    def begin(self):
        daypass, forger = Daypass(self.name), Forger()
        self.service = daypass.service
        folder = daypass.service.folder
        for which, issuer in (("daypass", daypass), ("forger", forger)):
            (folder / which).mkdir()
            self.programs.append(self.start(folder / which, issuer.environment))
        return daypass, self.programs[0].url, forger, self.programs[1].url

    def stop(self):
        for program in self.programs:
            program.stop()
        if self.service:
            self.service.stop()

    # The table.

    def good(self):
        daypass, api, forger, trusting = self.both
        answer = ask(api, daypass.token("reader"))
        equal(answer.status, 200, f"status ({answer.headers['WWW-Authenticate']})")
        equal(answer.body.decode().strip(), f"orders for {daypass.client_id('reader')}", "the API's answer")
        equal(ask(trusting, forger.token()).status, 200, "status of the forger's good token")

    def shapes(self, named=True, typed=True):
        """Tokens of version 1.0 and of RFC 9068, as a resource can have them. `named` is whether the API finds the
        client's id in each without being told, `typed` whether it knows the type at+jwt."""
        _, _, forger, api = self.both
        first = forger.token(azp=None, appid=CLIENT, aud="api://orders", ver="1.0", idp=forger.provider.issuer)
        standard = {"azp": None, "oid": None, "sub": CLIENT, "client_id": CLIENT, "jti": "1"}
        for token, known in ((first, True), (forger.token({"typ": "at+jwt"}, **standard), typed)):
            answer = ask(api, token)
            equal(answer.status, 200 if known else 401, f"status ({answer.headers['WWW-Authenticate']})")
            if named and known:
                equal(answer.body.decode().strip(), f"orders for {CLIENT}", "the API's answer")

    def nobody(self):
        _, api, _, _ = self.both
        for headers in ({}, {"Authorization": "Basic dXNlcjpwYXNz"}):
            answer = http(api, headers=headers)
            equal(answer.status, 401, f"status with {headers}")
            challenge = answer.headers["WWW-Authenticate"] or ""
            check(challenge.startswith("Bearer") and "error=" not in challenge, f"WWW-Authenticate is {challenge!r}")

    def not_for_here(self):
        daypass, api, forger, _ = self.both
        good = daypass.token("reader")
        head, body, signature = good.split(".")
        for what, token in {
            "of another audience": daypass.token("reader", OTHER),
            "of another issuer": forger.token(),
            "of another issuer that says it is this one": forger.token(iss=daypass.environment["ISSUER"]),
            "with another signature": f"{head}.{body}.{'A' * len(signature)}",
            "with other claims": f"{head}.{body[:-4]}AAAA.{signature}",
            "garbage": "garbage",
            "of three empty parts": "..",
        }.items():
            invalid(api, token, what)

    def not_now(self):
        _, _, forger, api = self.both
        now = int(time.time())
        before = {"iat": now - 3600, "nbf": now - 3600}
        for what, token in {
            "expired": forger.token(exp=now - 70, **before),
            "not valid yet": forger.token(nbf=now + 70),
            "without an end": forger.token(exp=None),
        }.items():
            invalid(api, token, what)
        for token in (forger.token(exp=now - 30, **before), forger.token(nbf=now + 30)):
            equal(ask(api, token).status, 200, "status within the leeway of a minute")

    def forged(self):
        _, _, forger, api = self.both
        kid, algorithm, _ = forger.provider.keys[-1]
        public = json.dumps(forger.provider.jwks()["keys"][-1]).encode()
        by_public_key = lambda signed: hmac.new(public, signed, hashlib.sha256).digest()
        stranger = ec.generate_private_key(ec.SECP256R1())
        for what, token in {
            "unsigned": forger.unsigned({"typ": "JWT", "alg": "none", "kid": kid}),
            "unsigned in capitals": forger.unsigned({"typ": "JWT", "alg": "NONE", "kid": kid}),
            "signed by the public key": forger.unsigned({"typ": "JWT", "alg": "HS256", "kid": kid}, by_public_key),
            "of an unknown key": jwt.encode(forger.claims(), stranger, "ES256", headers={"kid": "unknown"}),
            "of a stranger under a known id": jwt.encode(forger.claims(), stranger, "ES256", headers={"kid": kid}),
            "with a critical extension": forger.token({"crit": ["x"], "x": 1}),
            "of another type": forger.token({"typ": "logout+jwt"}),
            "with a key id that is no text": forger.unsigned({"typ": "JWT", "alg": algorithm, "kid": {"a": 1}}, b"x"),
        }.items():
            invalid(api, token, what)

    def bound(self):
        _, _, forger, api = self.both
        thumbprint = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
        for confirmation in ({"jkt": thumbprint}, {"x5t#S256": thumbprint}):
            invalid(api, forger.token(cnf=confirmation), f"bound by {confirmation}")

    def too_little(self, challenged=True):
        daypass, api, forger, trusting = self.both
        for url, token in ((api, daypass.token("writer")), (trusting, forger.token(roles=None))):
            answer = ask(url, token)
            equal(answer.status, 403, f"status ({answer.body})")
            challenge = answer.headers["WWW-Authenticate"] or ""
            equal("insufficient_scope" in challenge, challenged, f"whether insufficient_scope is in {challenge!r}")

    def away(self):
        """The last case: nothing of the server is needed any more."""
        daypass, api, _, _ = self.both
        token = daypass.token("reader")
        daypass.service.stop()
        equal(ask(api, token).status, 200, "status while the issuer is away")


def ask(url, token, **headers):
    return http(url, headers={"Authorization": f"Bearer {token}"} | headers)


def invalid(url, token, what):
    answer = ask(url, token)
    equal(answer.status, 401, f"status of a token {what}")
    challenge = answer.headers["WWW-Authenticate"] or ""
    right = challenge.startswith("Bearer") and 'error="invalid_token"' in challenge
    check(right, f"WWW-Authenticate of a token {what} is {challenge!r}")
