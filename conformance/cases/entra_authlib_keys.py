"""Authlib with a private key, and what it asks about tokens afterwards."""

# needs: pypi
# client: entra / Authlib

from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.jwk import ECKey

from daypass import case, equal, main
from entra import GOOD, Provoking, Refusal, add, check_token, with_key
from entra_keys import Holder, registered

PROVOKING = Provoking(None, tells="error")


def token(asker, key, **options):
    session = OAuth2Session(asker.client_id, key, scope=asker.scope, token_endpoint_auth_method="private_key_jwt")
    session.register_client_auth_method(PrivateKeyJWT(asker.token_url, **options))
    return session.fetch_token(asker.token_url, grant_type="client_credentials")["access_token"]


def refused(code, *arguments, **options):
    try:
        token(*arguments, **options)
    except OAuthError as error:
        PROVOKING.told(Refusal(error.description, error=error.error), 401, "invalid_client", code)
        return
    raise AssertionError("should have been refused, and was given a token")


@case("private_key_jwt with RS256")
def rs256():
    """It names no key, so that the server tries those of the client."""
    asker, holder = registered()
    check_token(token(asker, holder.private_pem), asker, proof="2")


@case("private_key_jwt with ES256")
def es256():
    holder = Holder("ES256")
    asker = with_key("es256", holder, form="pub")
    check_token(token(asker, ECKey.import_key(holder.private_pem), alg="ES256"), asker, proof="2")


@case("assertion with a key that nobody registered")
def wrong_key():
    asker, _ = registered()
    refused(700027, asker, Holder().private_pem)


@case("assertion with another client's key")
def other_clients_key():
    asker, _ = registered()
    refused(700027, asker, registered(1)[1].private_pem)


@case("assertion for somebody else")
def wrong_audience():
    asker, holder = registered()
    refused(700023, asker, holder.private_pem, claims={"aud": "https://login.example.com"})


@case("assertion that has ended")
def expired():
    asker, holder = registered()
    refused(700024, asker, holder.private_pem, claims={"iat": 1_600_000_000, "exp": 1_600_000_600})


@case("assertion shown twice")
def replayed():
    asker, holder = registered()
    token(asker, holder.private_pem, claims={"jti": "once"})
    refused(700027, asker, holder.private_pem, claims={"jti": "once"})


def session(asker):
    return OAuth2Session(asker.client_id, asker.secret, scope=asker.scope)


def inspected(asker, shown):
    answer = session(asker).introspect_token(asker.endpoint("introspect"), shown)
    equal(answer.status_code, 200, f"status ({answer.text})")
    return answer.json()


def issued():
    return session(GOOD).fetch_token(GOOD.token_url, grant_type="client_credentials")["access_token"]


@case("introspection by the owner of the token")
def introspection():
    said = inspected(GOOD, issued())
    equal((said["active"], said["client_id"], said["token_type"]), (True, GOOD.client_id, "Bearer"), "what it is")


@case("introspection by the API")
def introspection_by_api():
    api, _ = add("api", "--audience", GOOD.scope.removesuffix("/.default"))
    equal(inspected(api, issued())["active"], True, "whether it is live")


@case("introspection by anyone else")
def introspection_by_others():
    other, _ = add("other")
    equal(inspected(other, issued()), {"active": False}, "what it is")


@case("revocation by the owner of the token")
def revocation():
    shown = issued()
    answer = session(GOOD).revoke_token(GOOD.endpoint("revoke"), shown)
    equal(answer.status_code, 200, f"status ({answer.text})")
    equal(inspected(GOOD, shown), {"active": False}, "what it is")


main()
