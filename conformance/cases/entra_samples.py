"""The vendor's own samples: its curl command and its Python program."""

# needs: pypi
# client: entra / requests

import json
import subprocess
import time

import jwt
import requests

from daypass import case, check, credentials, equal, main

SERVER = credentials()
OURS = SERVER["entra"]
AUTH_URL = f"{SERVER['url']}/{OURS['tenant']}/oauth2/v2.0/token"
DISCOVERY = f"{SERVER['url']}/{OURS['tenant']}/v2.0/.well-known/openid-configuration"


def check_token(answer):
    """The four members, and a token that an independent library verifies from the discovery document alone."""
    equal(set(answer), {"token_type", "expires_in", "ext_expires_in", "access_token"}, "members of the answer")
    equal((answer["token_type"], answer["expires_in"], answer["ext_expires_in"]), ("Bearer", 3599, 3599), "answer")
    discovery = requests.get(DISCOVERY, timeout=10).json()
    key = jwt.PyJWKClient(discovery["jwks_uri"]).get_signing_key_from_jwt(answer["access_token"])
    audience = OURS["scope"].removesuffix("/.default")
    claims = jwt.decode(
        answer["access_token"],
        key,
        algorithms=["RS256"],
        audience=audience,
        issuer=discovery["issuer"],
        options={"require": ["aud", "iss", "iat", "nbf", "exp"]},
    )
    equal(claims["aud"], audience, "aud")
    equal((claims["ver"], claims["tid"], claims["azp"], claims["azpacr"]), ("2.0", OURS["tenant"], OURS["client_id"], "1"), "claims")
    equal(claims["sub"], claims["oid"], "sub, which equals oid in an application's token")
    check(claims["roles"] and claims["uti"], f"roles or uti is empty in {claims}")
    check(abs(claims["iat"] - time.time()) < 10, f"iat is {claims['iat']}, the time is {time.time()}")
    equal(claims["nbf"], claims["iat"] - 300, "nbf, which is back-dated by five minutes")
    check(3590 <= claims["exp"] - claims["iat"] <= 3610, f"exp - iat is {claims['exp'] - claims['iat']}")
    equal(jwt.get_unverified_header(answer["access_token"])["typ"], "JWT", "typ")


@case("the curl command")
def curl():
    done = subprocess.run(
        ["curl", "--silent", "--show-error", "--fail-with-body", "-X", "POST", AUTH_URL]
        + ["-H", "Content-Type: application/x-www-form-urlencoded"]
        + ["--data-urlencode", "grant_type=client_credentials"]
        + ["--data-urlencode", f"client_id={OURS['client_id']}"]
        + ["--data-urlencode", f"client_secret={OURS['client_secret']}"]
        + ["--data-urlencode", "Type=oauth2"]
        + ["--data-urlencode", f"scope={OURS['scope']}"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    equal(done.returncode, 0, f"exit status of curl ({done.stdout} {done.stderr})")
    check_token(json.loads(done.stdout))


@case("the Python program")
def python():
    response = requests.post(
        url=AUTH_URL,
        headers={
            "Content-Type": "application/x-www-form-urlencoded",
        },
        data={
            "grant_type": "client_credentials",
            "client_id": OURS["client_id"],
            "client_secret": OURS["client_secret"],
            "Type": "oauth2",
            "scope": OURS["scope"],
        },
    )
    equal(response.status_code, 200, f"status ({response.text})")
    equal(response.headers["Content-Type"], "application/json; charset=utf-8", "content type")
    check("no-store" in response.headers["Cache-Control"], f"Cache-Control is {response.headers['Cache-Control']}")
    equal(response.headers["Pragma"], "no-cache", "Pragma")
    check_token(response.json())


@case("the C# program's fields, order and Accept header")
def csharp():
    response = requests.post(
        AUTH_URL,
        data=[
            ("client_id", OURS["client_id"]),
            ("client_secret", OURS["client_secret"]),
            ("scope", OURS["scope"]),
            ("grant_type", "client_credentials"),
        ],
        headers={"Accept": "application/x-www-form-urlencoded"},
        timeout=10,
    )
    equal(response.status_code, 200, f"status ({response.text})")
    check_token(response.json())


@case("a token is not valid for another audience, and not once altered")
def not_valid():
    response = requests.post(
        AUTH_URL,
        data={
            "grant_type": "client_credentials",
            "client_id": OURS["client_id"],
            "client_secret": OURS["client_secret"],
            "scope": OURS["scope"],
        },
        timeout=10,
    )
    token = response.json()["access_token"]
    keys = jwt.PyJWKClient(requests.get(DISCOVERY, timeout=10).json()["jwks_uri"])
    key = keys.get_signing_key_from_jwt(token)
    head, body, signature = token.split(".")
    for changed, audience in (
        (token, "another"),
        (f"{head}.{body}.{'A' * len(signature)}", OURS["scope"].removesuffix("/.default")),
    ):
        try:
            jwt.decode(changed, key, algorithms=["RS256"], audience=audience)
        except jwt.InvalidTokenError:
            continue
        raise AssertionError(f"{changed} is valid for {audience}")


main()
