"""The Azure SDK for Python. It is MSAL inside, and tells of a refusal by an exception with the whole description."""

# needs: pypi
# client: entra / azure-identity (Python)

import logging
import os
import re

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential, EnvironmentCredential, OnBehalfOfCredential

from daypass import case, check, equal, main
from entra import GOOD, Provoking, Refusal, check_token

logging.getLogger("azure").setLevel(logging.CRITICAL)  # it warns of each refusal
OPTIONS = {"disable_instance_discovery": True}


def credential(asker=GOOD):
    return ClientSecretCredential(asker.tenant, asker.client_id, asker.secret, authority=asker.base, **OPTIONS)


def refusal(made, asker=GOOD):
    try:
        made.get_token(asker.scope)
    except ClientAuthenticationError as error:
        code = re.search(r"AADSTS(\d+): ", str(error))
        check(code, f"it says {error}")
        return Refusal(str(error), code=int(code[1]))
    raise AssertionError("should have been refused, and was given a token")


PROVOKING = Provoking(lambda asker: refusal(credential(asker), asker), tells="code")


@case("client_secret_post")
def secret():
    check_token(credential().get_token(GOOD.scope).token)


@case("the authority's host alone")
def host():
    asker = GOOD.but(base=GOOD.base.removeprefix("https://"))
    check_token(credential(asker).get_token(GOOD.scope).token)


@case("everything from the environment")
def environment():
    """As a program is moved that knows nothing of where its tokens come from."""
    os.environ |= {
        "AZURE_AUTHORITY_HOST": GOOD.base,
        "AZURE_TENANT_ID": GOOD.tenant,
        "AZURE_CLIENT_ID": GOOD.client_id,
        "AZURE_CLIENT_SECRET": GOOD.secret,
    }
    check_token(EnvironmentCredential(**OPTIONS).get_token(GOOD.scope).token)


@case("the second token is the first one")
def cached():
    made = credential()
    first, again = made.get_token(GOOD.scope), made.get_token(GOOD.scope)
    equal(again.token, first.token, "the second token")


@case("over http it does not even ask")
def plain():
    try:
        credential(GOOD.but(base=GOOD.base.replace("https:", "http:")))
    except ValueError as error:
        check("https" in str(error), f"it says {error}")
        return
    raise AssertionError("it would have asked over http")


@case("wrong secret")
def wrong_secret():
    PROVOKING.wrong_secret()


@case("unknown client")
def unknown_client():
    PROVOKING.unknown_client()


@case("secret that has run out")
def ended_secret():
    PROVOKING.ended_secret()


@case("disabled client")
def disabled_client():
    PROVOKING.disabled_client()


@case("scope without /.default")
def narrow_scope():
    PROVOKING.narrow_scope()


@case("unknown resource")
def unknown_resource():
    PROVOKING.unknown_resource()


@case("a resource that is not granted")
def not_granted():
    PROVOKING.not_granted()


@case("wrong grant")
def wrong_grant():
    """On behalf of a user, as it calls that."""
    made = OnBehalfOfCredential(
        GOOD.tenant, GOOD.client_id, client_secret=GOOD.secret, user_assertion="x", authority=GOOD.base, **OPTIONS
    )
    PROVOKING.wrong_grant(refusal(made))


main()
