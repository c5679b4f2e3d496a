"""MSAL and the Azure SDKs where they are turned away for now, those for Python and, as programs, those for Go and Rust. MSAL
does not ask again by itself, and not before `Retry-After` says so; the Azure SDKs wait inside the call for as long as it says,
three times, whatever that is. So it never says more than a minute."""

# needs: pypi go cargo
# client: bounded / MSAL and Azure SDKs (Python, Go, Rust)

import concurrent.futures
import logging

import msal
from azure.identity import ClientSecretCredential

from bounded import RESOURCE, Bounded, Outcome
from daypass import case, check, equal, fresh, main, wait_until
from entra import Asker, program
from entra_keys import tls

logging.getLogger("azure").setLevel(logging.CRITICAL)  # it warns of each refusal
FOLDER = fresh("bounded-entra")
SERVICE = Bounded(FOLDER, tls=tls(FOLDER))


def asker(name):
    made = SERVICE.command("client", "add", name, "--kind", "client-secret", "--role", "devcenter")
    secret = made["keys"][0]["client_secret"]
    return Asker(SERVICE.url, SERVICE.GUID, made["client"]["id"], secret, f"{RESOURCE}/.default")


MSAL, AZURE, GO, RUST = map(asker, ("msal", "azure", "go", "rust"))


def application():
    return msal.ConfidentialClientApplication(
        MSAL.client_id, client_credential=MSAL.secret, authority=MSAL.authority, instance_discovery=False
    )


def token_of(made):
    """MSAL raises what is a 5xx, and returns what is not."""
    answer = made.acquire_token_for_client([MSAL.scope])
    if "access_token" not in answer:
        raise PermissionError(f"{answer['error']} {answer['error_codes']} {answer['error_description']}")
    return answer["access_token"]


def by_msal():
    return token_of(application())


def by_azure():
    made = ClientSecretCredential(
        AZURE.tenant, AZURE.client_id, AZURE.secret, authority=AZURE.base, disable_instance_discovery=True
    )
    return made.get_token(AZURE.scope).token


def of(tool, library, its):
    """What a program of clients/ prints, whose error is the library's."""

    def call():
        said = program(tool, library, "secret", asker=its)
        if "token" not in said:
            raise PermissionError(str(said))
        return said["token"][0]

    return call


GO_MSAL, GO_AZURE, RUST_AZURE = of("go", "msal", GO), of("go", "azure-identity", GO), of("cargo", "azure-identity", RUST)


WAITING = {"azure": by_azure, "go": GO_AZURE, "rust": RUST_AZURE}


@case("turned away for want of room, and served when there is room")
def room():
    # Each asks for the endpoints first, which are public.
    for outcome, says in zip(SERVICE.at_the_bound(by_msal, GO_MSAL), ("HTTP Error: 503", "AADSTS90033")):
        outcome.refused(says, others=1)
    by_msal()
    GO_MSAL()


@case("told to ask again where it retries")
def retried():
    outcomes, tries = SERVICE.room_comes(*WAITING.values())
    check(tries >= len(WAITING), f"they were refused {tries} times")
    for outcome in outcomes:
        outcome.served()


@case("what it remembers of a refusal, and for how long")
def remembered():
    made = None

    def first():
        nonlocal made
        made = application()
        return token_of(made)

    [outcome] = SERVICE.at_the_bound(first)
    outcome.refused("HTTP Error: 503", others=1)
    # Until the time has come that it was told, one to three seconds, it does not ask; then it is served.
    asked = SERVICE.asked()

    def served():
        before = SERVICE.asked()
        answer = Outcome.of(lambda: token_of(made))
        check(not answer.error or SERVICE.asked() == before == asked, f"it asked, and got {answer.error}")
        return not answer.error

    wait_until(served, 60, "it is not served any more")


@case("above its rate, and served when it may ask again")
def rate():
    for outcome in SERVICE.above_its_rate("msal", by_msal):
        outcome.refused("AADSTS90055.*the rate of this client is used up", others=1)
    # Ten a minute: each wait is six seconds, and they wait it. That is longer than a busy machine takes for a question of each,
    # so that all of them come too early.
    for name in WAITING:
        SERVICE.command("client", "limit", name, "--rate", "10/m", "--burst", "1")
    for _ in range(20):
        before = SERVICE.asked("rate_limited")
        with concurrent.futures.ThreadPoolExecutor(len(WAITING)) as pool:
            for outcome in pool.map(Outcome.of, WAITING.values()):
                outcome.served()
        if SERVICE.asked("rate_limited") - before >= len(WAITING):
            break
    else:
        raise AssertionError("they were not all refused")
    for name in WAITING:
        SERVICE.command("client", "limit", name, "--none")


@case("a day that is used up")
def day():
    """The Azure SDKs are not told to wait until midnight, for they would."""
    code = "AADSTS90055.*he daily quota of this client is used up"
    for name, call, tries in (("msal", by_msal, 1), ("azure", by_azure, 4), ("go", GO_AZURE, 4)):
        for outcome in SERVICE.day_used_up(name, call):
            outcome.refused(code, tries, others=1)


@case("a store that is away, and comes back")
def away():
    outcomes, tries = SERVICE.while_away(by_msal, GO_MSAL)
    equal(tries, 2, "questions in vain")
    for outcome, says in zip(outcomes, ("HTTP Error: 503", "AADSTS90033")):
        outcome.refused(says, tries=0)
    outcomes, tries = SERVICE.while_away(*WAITING.values())
    check(tries >= len(WAITING), f"they were refused {tries} times")
    for outcome in outcomes:
        outcome.served()


with SERVICE:
    main()
