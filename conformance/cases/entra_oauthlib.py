"""OAuth libraries of PyPI. MSAL and azure-identity, which insist on https, are in `entra_msal.py`."""

# needs: pypi
# client: entra / Authlib, requests-oauthlib

import os

os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"  # the switch that oauthlib has for a server on loopback
os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"

from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session as AuthlibSession
from oauthlib.oauth2 import BackendApplicationClient, OAuth2Error
from requests_oauthlib import OAuth2Session

from daypass import case, check, credentials, equal, main

SERVER = credentials()
OURS = SERVER["entra"]
URL = f"{SERVER['url']}/{OURS['tenant']}/oauth2/v2.0/token"


def check_token(token):
    equal((token["token_type"], token["expires_in"]), ("Bearer", 3599), "token")
    equal(token["access_token"].count("."), 2, "dots in the access token")


def authlib(secret=OURS["client_secret"], method="client_secret_basic"):
    session = AuthlibSession(OURS["client_id"], secret, scope=OURS["scope"], token_endpoint_auth_method=method)
    return session.fetch_token(URL, grant_type="client_credentials")


def requests_oauthlib(secret=OURS["client_secret"], **how):
    session = OAuth2Session(client=BackendApplicationClient(OURS["client_id"], scope=OURS["scope"]))
    return session.fetch_token(URL, client_id=OURS["client_id"], client_secret=secret, **how)


@case("authlib, Basic")
def authlib_basic():
    check_token(authlib())


@case("authlib, in the body")
def authlib_post():
    check_token(authlib(method="client_secret_post"))


@case("authlib, wrong secret")
def authlib_wrong():
    try:
        authlib(secret="wrong")
    except OAuthError as error:
        equal(error.error, "invalid_client", "error")
        check("AADSTS7000215" in error.description, f"description is {error.description}")
        return
    raise AssertionError("a wrong secret got a token")


@case("requests-oauthlib, Basic")
def oauthlib_basic():
    check_token(requests_oauthlib())


@case("requests-oauthlib, in the body")
def oauthlib_post():
    check_token(requests_oauthlib(include_client_id=True))


@case("requests-oauthlib, wrong secret")
def oauthlib_wrong():
    try:
        requests_oauthlib(secret="wrong")
    except OAuth2Error as error:
        equal(error.error, "invalid_client", "error")
        return
    raise AssertionError("a wrong secret got a token")


main()
