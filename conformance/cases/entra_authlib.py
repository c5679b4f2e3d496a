"""Authlib, over requests and over httpx."""

# needs: pypi
# client: entra / Authlib

import functools
import os

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # the switch that it has for a server on loopback

from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.httpx_client import OAuth2Client
from authlib.integrations.requests_client import OAuth2Session

from daypass import case, equal, main
from entra import GOOD, PLAIN, Provoking, Refusal, check_token

FLAVOURS = OAuth2Session, OAuth2Client


def token(asker=GOOD, method="client_secret_basic", flavour=OAuth2Session, grant="client_credentials"):
    session = flavour(asker.client_id, asker.secret, scope=asker.scope, token_endpoint_auth_method=method)
    return session.fetch_token(asker.token_url, grant_type=grant)


def refusal(asker=GOOD, **how):
    try:
        token(asker, **how)
    except OAuthError as error:
        return Refusal(error.description, error=error.error)
    raise AssertionError("should have been refused, and was given a token")


def every_way():
    """By Basic, which it does not form-encode, and in the body; over requests, and over httpx."""
    for flavour in FLAVOURS:
        for method in ("client_secret_basic", "client_secret_post"):
            ask = functools.partial(refusal, method=method, flavour=flavour)
            yield Provoking(ask, tells="error", basic=method == "client_secret_basic")


@case("client_secret_basic")
def basic():
    for flavour in FLAVOURS:
        answer = token(flavour=flavour)
        equal((answer["token_type"], answer["expires_in"]), ("Bearer", 3599), "token")
        check_token(answer["access_token"])


@case("client_secret_post")
def body():
    for flavour in FLAVOURS:
        check_token(token(method="client_secret_post", flavour=flavour)["access_token"])


@case("over http")
def plain():
    for flavour in FLAVOURS:
        check_token(token(PLAIN, flavour=flavour)["access_token"], PLAIN)


@case("wrong secret")
def wrong_secret():
    for way in every_way():
        way.wrong_secret()


@case("unknown client")
def unknown_client():
    for way in every_way():
        way.unknown_client()


@case("secret that has run out")
def ended_secret():
    for way in every_way():
        way.ended_secret()


@case("disabled client")
def disabled_client():
    for way in every_way():
        way.disabled_client()


@case("unknown tenant")
def unknown_tenant():
    for way in every_way():
        way.unknown_tenant()
        way.malformed_tenant()


@case("scope without /.default")
def narrow_scope():
    for way in every_way():
        way.narrow_scope()


@case("unknown resource")
def unknown_resource():
    for way in every_way():
        way.unknown_resource()


@case("a resource that is not granted")
def not_granted():
    for way in every_way():
        way.not_granted()


@case("wrong grant")
def wrong_grant():
    for flavour in FLAVOURS:
        Provoking(refusal, tells="error").wrong_grant(refusal(flavour=flavour, grant="password"))


main()
