"""Guessing secrets: who guesses is slowed down, and whoever has the right one is not. MSAL waits as long as it must."""

# needs: pypi
# client: entra / MSAL Python

import uuid

import msal

from daypass import case, check, equal, fresh, main
from entra import DEVCENTER, STRANGER, Own, check_token, post
from entra_keys import tls

FOLDER = fresh("entra_guesses")
SERVICE = Own(FOLDER, DEVCENTER, tls=tls(FOLDER))


def client():
    return SERVICE.asker("--role", "devcenter")


def guess(asker, secret, client_id=None):
    form = {"grant_type": "client_credentials", "client_id": client_id or asker.client_id}
    return post(asker.token_url, form | {"client_secret": secret, "scope": asker.scope})


def application(asker):
    return msal.ConfidentialClientApplication(
        asker.client_id, client_credential=asker.secret, authority=asker.authority, instance_discovery=False
    )


def slowed(answer):
    equal((answer.status, answer.json()["error"]), (429, "temporarily_unavailable"), f"the answer ({answer.body})")
    equal(answer.json()["error_codes"], [90055], "code")
    check(1 <= int(answer.headers["Retry-After"]) <= 60, f"Retry-After is {answer.headers['Retry-After']}")


@case("many wrong secrets of a client")
def of_a_client():
    asker = client()
    answers = [guess(asker, f"guess-{n}") for n in range(25)]
    equal([answer.status for answer in answers[:15]], [401] * 15, "the first answers")
    slowed(answers[-1])
    # Not the rightful client: its secret is right, from the same address.
    check_token(application(asker).acquire_token_for_client([asker.scope])["access_token"], asker)
    equal(guess(asker, asker.secret).status, 200, "status for the right secret")


@case("MSAL does not ask again before it may")
def told_to_wait():
    asker = client()
    for n in range(25):
        guess(asker, f"guess-{n}")
    made = application(asker.but(secret="wrong"))
    first, again = (made.acquire_token_for_client([asker.scope]) for _ in range(2))
    equal((first["error"], first["error_codes"]), ("temporarily_unavailable", [90055]), f"the refusal ({first})")
    equal(again["trace_id"], first["trace_id"], "trace id of the second refusal")


@case("many clients that are not there")
def of_nobody():
    """Counted by the network they come from, with the wrong secrets; an unknown client is no way around."""
    asker = client()
    answers = [guess(asker, "x", str(uuid.uuid4())) for _ in range(110)]
    check(answers[0].json()["error_codes"] in ([700016], [90055]), f"it is {answers[0].body}")
    slowed(answers[-1])
    slowed(guess(asker, "x", STRANGER))
    equal(guess(asker, asker.secret).status, 200, "status for the right secret")


with SERVICE:
    main()
