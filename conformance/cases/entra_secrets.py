"""Two live secrets of a client: a rotation that nobody notices, as MSAL sees it."""

# needs: pypi
# client: entra / MSAL Python

import datetime
import functools

import msal

from daypass import case, check, command, equal, main, wait_until
from entra import DATA, Provoking, Refusal, add, check_token, cli, own


def token(asker, secret):
    made = msal.ConfidentialClientApplication(
        asker.client_id, client_credential=secret, authority=asker.authority, instance_discovery=False
    )
    return made.acquire_token_for_client([asker.scope])


def works(asker, secret):
    check_token(token(asker, secret)["access_token"], asker)


def refused(asker, secret, code):
    answer = token(asker, secret)
    check("access_token" not in answer, "should have been refused, and was given a token")
    said = Refusal(answer["error_description"], error=answer["error"], code=answer["error_codes"][0])
    Provoking(None, tells="error code").told(said, 401, "invalid_client", code)


def last_used(name, key):
    """When a secret was last used, as far as that is written yet: it is once a second."""

    def used():
        [shown] = [one for one in cli("client", "show", own(name))["keys"] if one["id"] == key["id"]]
        return shown["last_used"]

    wait_until(used, 60, f"no last use of {key['id']} is written")
    return used()


def time_of(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


@functools.cache
def rotated():
    asker, first = add("rotated")
    works(asker, asker.secret)
    [second] = cli("client", "rotate", own("rotated"))["keys"]
    return asker, first, second


@case("both secrets work while a client is moved from one to the other")
def both():
    asker, first, second = rotated()
    works(asker, first["client_secret"])
    works(asker, second["client_secret"])


@case("a secret that was used today is not retired")
def used():
    asker, first, second = rotated()
    last_used("rotated", first)
    done = command("client", "retire", own("rotated"), first["id"], "--data", DATA, status=1)
    check("--force" in done.stderr, f"it says {done.stderr}")
    works(asker, first["client_secret"])


@case("a secret is retired by force, and the other one works on")
def retired():
    asker, first, second = rotated()
    cli("client", "retire", own("rotated"), first["id"], "--force")
    refused(asker, first["client_secret"], 7000215)
    works(asker, second["client_secret"])


@case("a secret that nobody uses is retired")
def unused():
    asker, first = add("unused")
    [second] = cli("client", "rotate", own("unused"))["keys"]
    works(asker, second["client_secret"])
    cli("client", "retire", own("unused"), first["id"])
    refused(asker, first["client_secret"], 7000215)


@case("a secret that begins later")
def later():
    asker, _ = add("later", "--starts", "1h")
    answer = token(asker, asker.secret)
    equal((answer.get("error"), "access_token" in answer), ("invalid_client", False), f"the answer ({answer})")


@case("an end and a last use are told of each secret")
def told():
    asker, first = add("told", "--expires", "30d")
    works(asker, asker.secret)
    used = time_of(last_used("told", first))
    now = datetime.datetime.now(datetime.timezone.utc)
    check(abs(now - used) < datetime.timedelta(minutes=5), f"it was last used at {used}")
    [key] = cli("client", "show", own("told"))["keys"]
    left = time_of(key["expires"]) - now
    check(datetime.timedelta(days=29) < left <= datetime.timedelta(days=30), f"it ends at {key['expires']}")


main()
