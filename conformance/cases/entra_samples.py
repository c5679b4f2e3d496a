"""The vendor's own samples: its curl command, its Python program and what its C# program sends; over http and https."""

# needs: pypi
# client: entra / requests

import json
import subprocess
import time

import jwt
import requests

from daypass import case, check, equal, main
from entra import CA, GOOD, PLAIN

SERVERS = PLAIN, GOOD


def keys(asker):
    """What a verifier finds by itself, with the issuer that it then insists on."""
    discovery = requests.get(f"{asker.issuer}/.well-known/openid-configuration", timeout=10).json()
    return jwt.PyJWKClient(discovery["jwks_uri"]), discovery["issuer"]


def check_token(answer, asker):
    """The four members, and a token that an independent library verifies from the discovery document alone."""
    equal(set(answer), {"token_type", "expires_in", "ext_expires_in", "access_token"}, "members of the answer")
    equal((answer["token_type"], answer["expires_in"], answer["ext_expires_in"]), ("Bearer", 3599, 3599), "answer")
    published, issuer = keys(asker)
    key = published.get_signing_key_from_jwt(answer["access_token"])
    audience = asker.scope.removesuffix("/.default")
    claims = jwt.decode(
        answer["access_token"],
        key,
        algorithms=["RS256"],
        audience=audience,
        issuer=issuer,
        options={"require": ["aud", "iss", "iat", "nbf", "exp"]},
    )
    equal(claims["aud"], audience, "aud")
    equal((claims["ver"], claims["tid"]), ("2.0", asker.tenant), "ver and tid")
    equal((claims["azp"], claims["azpacr"]), (asker.client_id, "1"), "azp and azpacr")
    equal(claims["sub"], claims["oid"], "sub, which equals oid in an application's token")
    check(claims["roles"] and claims["uti"], f"roles or uti is empty in {claims}")
    check(abs(claims["iat"] - time.time()) < 10, f"iat is {claims['iat']}, the time is {time.time()}")
    equal(claims["nbf"], claims["iat"] - 300, "nbf, which is back-dated by five minutes")
    check(3590 <= claims["exp"] - claims["iat"] <= 3610, f"exp - iat is {claims['exp'] - claims['iat']}")
    equal(jwt.get_unverified_header(answer["access_token"])["typ"], "JWT", "typ")


@case("the curl command")
def curl():
    for asker in SERVERS:
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--fail-with-body", "--cacert", CA, "-X", "POST", asker.token_url]
            + ["-H", "Content-Type: application/x-www-form-urlencoded"]
            + ["--data-urlencode", "grant_type=client_credentials"]
            + ["--data-urlencode", f"client_id={asker.client_id}"]
            + ["--data-urlencode", f"client_secret={asker.secret}"]
            + ["--data-urlencode", "Type=oauth2"]
            + ["--data-urlencode", f"scope={asker.scope}"],
            capture_output=True,
            text=True,
            timeout=20,
        )
        equal(done.returncode, 0, f"exit status of curl ({done.stdout} {done.stderr})")
        check_token(json.loads(done.stdout), asker)


@case("the Python program")
def python():
    for asker in SERVERS:
        response = requests.post(
            url=asker.token_url,
            headers={
                "Content-Type": "application/x-www-form-urlencoded",
            },
            data={
                "grant_type": "client_credentials",
                "client_id": asker.client_id,
                "client_secret": asker.secret,
                "Type": "oauth2",
                "scope": asker.scope,
            },
        )
        equal(response.status_code, 200, f"status ({response.text})")
        equal(response.headers["Content-Type"], "application/json; charset=utf-8", "content type")
        check("no-store" in response.headers["Cache-Control"], f"Cache-Control is {response.headers['Cache-Control']}")
        equal(response.headers["Pragma"], "no-cache", "Pragma")
        check_token(response.json(), asker)


@case("the C# program's fields, order and Accept header")
def csharp():
    """It also takes any certificate."""
    for asker in SERVERS:
        response = requests.post(
            asker.token_url,
            data=[
                ("client_id", asker.client_id),
                ("client_secret", asker.secret),
                ("scope", asker.scope),
                ("grant_type", "client_credentials"),
            ],
            headers={"Accept": "application/x-www-form-urlencoded"},
            verify=False,
            timeout=10,
        )
        equal(response.status_code, 200, f"status ({response.text})")
        check_token(response.json(), asker)


@case("a token is not valid for another audience, and not once altered")
def not_valid():
    asker = GOOD
    response = requests.post(
        asker.token_url,
        data={
            "grant_type": "client_credentials",
            "client_id": asker.client_id,
            "client_secret": asker.secret,
            "scope": asker.scope,
        },
        timeout=10,
    )
    token = response.json()["access_token"]
    key = keys(asker)[0].get_signing_key_from_jwt(token)
    head, body, signature = token.split(".")
    for changed, audience in (
        (token, "another"),
        (f"{head}.{body}.{'A' * len(signature)}", asker.scope.removesuffix("/.default")),
    ):
        try:
            jwt.decode(changed, key, algorithms=["RS256"], audience=audience)
        except jwt.InvalidTokenError:
            continue
        raise AssertionError(f"{changed} is valid for {audience}")


main()
