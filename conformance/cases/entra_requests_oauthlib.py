"""requests-oauthlib."""

# needs: pypi
# client: entra / requests-oauthlib

import os

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # the switch that it has for a server on loopback

from oauthlib.oauth2 import BackendApplicationClient, LegacyApplicationClient, OAuth2Error
from requests_oauthlib import OAuth2Session

from daypass import case, equal, main
from entra import GOOD, PLAIN, Provoking, Refusal, check_token


def token(asker=GOOD, in_body=False):
    session = OAuth2Session(client=BackendApplicationClient(asker.client_id, scope=asker.scope))
    return session.fetch_token(
        asker.token_url, client_id=asker.client_id, client_secret=asker.secret, include_client_id=in_body
    )


def refusal(ask, *arguments):
    try:
        ask(*arguments)
    except OAuth2Error as error:
        return Refusal(str(error), error=error.error)
    raise AssertionError("should have been refused, and was given a token")


BY_BASIC = Provoking(lambda asker: refusal(token, asker), tells="error", basic=True)
IN_BODY = Provoking(lambda asker: refusal(token, asker, True), tells="error")


@case("client_secret_basic")
def basic():
    answer = token()
    equal((answer["token_type"], answer["expires_in"]), ("Bearer", 3599), "token")
    check_token(answer["access_token"])


@case("client_secret_post")
def body():
    check_token(token(in_body=True)["access_token"])


@case("over http")
def plain():
    check_token(token(PLAIN)["access_token"], PLAIN)


@case("wrong secret")
def wrong_secret():
    BY_BASIC.wrong_secret()
    IN_BODY.wrong_secret()


@case("unknown client")
def unknown_client():
    BY_BASIC.unknown_client()
    IN_BODY.unknown_client()


@case("secret that has run out")
def ended_secret():
    BY_BASIC.ended_secret()


@case("disabled client")
def disabled_client():
    BY_BASIC.disabled_client()


@case("unknown tenant")
def unknown_tenant():
    IN_BODY.unknown_tenant()
    IN_BODY.malformed_tenant()


@case("scope without /.default")
def narrow_scope():
    IN_BODY.narrow_scope()


@case("unknown resource")
def unknown_resource():
    IN_BODY.unknown_resource()


@case("a resource that is not granted")
def not_granted():
    IN_BODY.not_granted()


@case("wrong grant")
def wrong_grant():
    def ask():
        session = OAuth2Session(client=LegacyApplicationClient(GOOD.client_id, scope=GOOD.scope))
        return session.fetch_token(
            GOOD.token_url, username="ada", password="x", client_id=GOOD.client_id, client_secret=GOOD.secret
        )

    IN_BODY.wrong_grant(refusal(ask))


main()
