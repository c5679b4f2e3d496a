"""The signing key changes while tokens are asked for and verified. Verifiers keep the key set, as they should."""

# needs: pypi
# client: entra / PyJWT

import functools
import threading
import time

import jwt
import requests

from daypass import case, check, equal, fresh, main, wait_until
from entra import DEVCENTER, RESOURCE, Own

SERVICE = Own(fresh("entra_rotation"), DEVCENTER + 'algorithm = "ES256"')


@functools.cache
def client():
    return SERVICE.asker("--role", "devcenter")


def post(asker, endpoint, **fields):
    form = {"client_id": asker.client_id, "client_secret": asker.secret, "grant_type": "client_credentials"}
    return requests.post(asker.endpoint(endpoint), data=form | fields, timeout=10)


def token():
    return post(client(), "token", scope=client().scope).json()["access_token"]


def kid(shown):
    return jwt.get_unverified_header(shown)["kid"]


class Verifier(jwt.PyJWKClient):
    """Keeps the key set, and counts how often it asked."""

    def __init__(self):
        super().__init__(f"{client().authority}/discovery/v2.0/keys", lifespan=3600)
        self.asked = 0

    def fetch_data(self):
        self.asked += 1
        return super().fetch_data()

    def verify(self, shown):
        key = self.get_signing_key_from_jwt(shown)
        return jwt.decode(shown, key, algorithms=["ES256"], audience=RESOURCE, issuer=client().issuer)


def published():
    answer = requests.get(f"{client().authority}/discovery/v2.0/keys", timeout=10)
    return {key["kid"] for key in answer.json()["keys"] if key["kty"] == "EC"}


def states():
    """Of the keys that could sign, by version."""
    return {key["version"]: key["state"] for key in SERVICE.command("ring", "list") if key["purpose"] == "jwt-es256"}


@case("the key changes under load, and no verifier asks again")
def under_load():
    before = token()
    # The next key is published long before it signs: the server does so by itself, soon after its start.
    wait_until(lambda: "prepared" in states().values(), 60, "no next key is prepared")
    wait_until(lambda: len(published()) == 2, 60, "the next key is not published")
    verifiers, failures, kids, stop = [Verifier() for _ in range(2)], [], [], threading.Event()

    def load(verifier):
        while not stop.is_set():
            try:
                shown = token()
                verifier.verify(shown)
                kids.append(kid(shown))
            except Exception as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=load, args=(verifier,)) for verifier in verifiers]
    for thread in threads:
        thread.start()
    try:
        time.sleep(0.5)
        SERVICE.command("ring", "activate", "jwt-es256", "--force")
        wait_until(lambda: failures or len(set(kids)) > 1, 60, "no token of the new key is seen")
        time.sleep(0.5)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    equal(failures, [], "failures")
    equal([verifier.asked for verifier in verifiers], [1, 1], "how often the verifiers asked for keys")
    check(kid(before) in published(), "the old key is no longer published, and tokens of it live")
    verifiers[0].verify(before)


@case("a key that is taken away at once takes its tokens along")
def taken_away():
    shown = token()
    equal(post(client(), "introspect", token=shown).json()["active"], True, "whether the token is live")
    [version] = [version for version, state in states().items() if state == "active"]
    SERVICE.command("ring", "prepare", "jwt-es256")
    SERVICE.command("ring", "activate", "jwt-es256", "--force")
    SERVICE.command("ring", "retire", "jwt-es256", "--version", version, "--force")
    wait_until(lambda: kid(shown) not in published(), 60, "the key is still published")
    equal(post(client(), "introspect", token=shown).json(), {"active": False}, "what the token is")
    try:
        Verifier().verify(shown)
    except jwt.PyJWKClientError:
        return
    raise AssertionError("a verifier still takes it")


with SERVICE:
    main()
