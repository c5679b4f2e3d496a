"""Microsoft's own libraries. They refuse an http authority before they send a byte, so this file has a server of its
own that speaks https, and trusts its authority by the variable that `daypass dev --tls` prints for them.

Both must be told not to ask login.microsoftonline.com whether the authority is one of Microsoft's."""

# needs: pypi
# client: entra / MSAL, azure-identity

import base64
import json
import os
import urllib.parse

import msal
import requests
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential

from daypass import Server, case, check, command, equal, fresh, main

FOLDER = fresh("entra_msal")
CA = FOLDER / "data" / "ca.pem"
os.environ["SSL_CERT_FILE"] = str(CA)  # the standard library, by which the server is found to be ready
os.environ["REQUESTS_CA_BUNDLE"] = str(CA)

SERVER = Server(FOLDER / "data", "--tls")
OURS = SERVER.credentials["entra"]
PORT = urllib.parse.urlsplit(SERVER.url).port
AUTHORITY = f"https://localhost:{PORT}"


def application(secret=OURS["client_secret"], **options):
    options = options or {"authority": f"{AUTHORITY}/{OURS['tenant']}", "instance_discovery": False}
    return msal.ConfidentialClientApplication(OURS["client_id"], client_credential=secret, **options)


def credential(secret=OURS["client_secret"]):
    return ClientSecretCredential(
        OURS["tenant"], OURS["client_id"], secret, authority=AUTHORITY, disable_instance_discovery=True
    )


def audience(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["aud"]


@case("msal")
def with_msal():
    client = application()
    first = client.acquire_token_for_client([OURS["scope"]])
    equal((first.get("token_type"), first.get("expires_in")), ("Bearer", 3599), f"the token ({first.get('error')})")
    equal(audience(first["access_token"]), OURS["scope"].removesuffix("/.default"), "audience")
    again = client.acquire_token_for_client([OURS["scope"]])
    equal((again["token_source"], again["access_token"]), ("cache", first["access_token"]), "the second token")


@case("msal, wrong secret")
def msal_wrong():
    refused = application(secret="wrong").acquire_token_for_client([OURS["scope"]])
    equal((refused["error"], refused["error_codes"]), ("invalid_client", [7000215]), "the refusal")
    check("AADSTS7000215" in refused["error_description"], f"it says {refused['error_description']}")


@case("msal, unknown scope")
def msal_unknown_scope():
    refused = application().acquire_token_for_client(["00000000-0000-4000-8000-000000000000/.default"])
    check("access_token" not in refused and refused["error_codes"], f"it says {refused}")


@case("msal, OIDC authority")
def msal_oidc():
    """The issuer in the metadata must be the address that was asked, byte for byte."""
    client = application(oidc_authority=f"{SERVER.url}/{OURS['tenant']}/v2.0")
    check("access_token" in client.acquire_token_for_client([OURS["scope"]]), "no token")


@case("azure-identity")
def with_azure_identity():
    token = credential().get_token(OURS["scope"])
    equal(audience(token.token), OURS["scope"].removesuffix("/.default"), "audience")


@case("azure-identity, wrong secret")
def azure_identity_wrong():
    try:
        credential(secret="wrong").get_token(OURS["scope"])
    except ClientAuthenticationError as error:
        check("AADSTS7000215" in str(error), f"it says {error}")
        return
    raise AssertionError("a wrong secret got a token")


@case("whoever does not trust the authority is not answered")
def not_trusted():
    with requests.Session() as session:
        session.trust_env = False
        try:
            session.get(f"{AUTHORITY}/livez", timeout=10)
        except requests.exceptions.SSLError:
            return
    raise AssertionError("a certificate of an authority that nobody trusts was taken")


@case("trust exports the authority")
def exported():
    out = FOLDER / "exported.pem"
    command("trust", "--data", FOLDER / "data", "--out", out)
    equal(out.read_text(), CA.read_text(), "the exported certificate")
    equal(requests.get(f"{AUTHORITY}/livez", verify=str(out), timeout=10).status_code, 200, "status")


try:
    main()
finally:
    SERVER.stop()
