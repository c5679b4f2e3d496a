"""Whom this API trusts. Needs PyJWT with cryptography (pip install 'pyjwt[crypto]')."""

import os

import jwt

ISSUER = os.environ["ISSUER"]  # https://pass.example.com/{tenant}/v2.0
AUDIENCE = os.environ["AUDIENCE"].split()  # the API's GUID, and its identifier URIs
ALGORITHMS = ["RS256", "ES256", "EdDSA"]
KEYS = jwt.PyJWKClient(os.environ["JWKS_URI"], timeout=5)  # https://pass.example.com/{tenant}/discovery/v2.0/keys


class Refused(Exception):
    def __init__(self, status, error=None):
        self.status = status
        self.headers = {"WWW-Authenticate": f'Bearer error="{error}"' if error else "Bearer"}


def claims_of(authorization, role):
    """The claims of the token in this header; `Refused` without one that is good, or without the role."""
    scheme, _, token = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Refused(401)
    try:
        key = KEYS.get_signing_key_from_jwt(token)
        claims = jwt.decode(token, key, ALGORITHMS, {"require": ["exp"]}, audience=AUDIENCE, issuer=ISSUER, leeway=60)
        kind = jwt.get_unverified_header(token).get("typ", "").lower()
    except jwt.PyJWKClientConnectionError:
        raise Refused(503)  # the issuer cannot be reached, and nothing is known of the token
    except (jwt.PyJWTError, ValueError, AttributeError):
        raise Refused(401, "invalid_token")
    if kind not in ("jwt", "at+jwt") or "cnf" in claims:  # made for another use, or bound to a key not checked here
        raise Refused(401, "invalid_token")
    if role not in claims.get("roles", []):
        raise Refused(403, "insufficient_scope")
    return claims


def client_of(claims):
    """The client's id, as v2.0, v1.0 and RFC 9068 name it."""
    return claims.get("azp") or claims.get("appid") or claims.get("client_id")
