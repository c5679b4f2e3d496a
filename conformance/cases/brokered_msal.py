"""Microsoft's library for Python before an emulated Entra that is busy: it keeps to `Retry-After` by itself."""

# needs: pypi
# client: brokered / MSAL Python

import time

import msal
import requests

from daypass import case, check, equal, main
from emulated import Emulated


def application(cloud):
    """Each with a cache of its own: what MSAL knows of a refusal it keeps there."""
    its = cloud.credentials["entra"]
    session = requests.Session()
    session.trust_env = False  # the runner's own server stands in REQUESTS_CA_BUNDLE
    session.verify = str(cloud.data / "ca.pem")
    return msal.ConfidentialClientApplication(
        its["client_id"],
        client_credential=its["client_secret"],
        authority=f"{cloud.url}/{its['tenant']}",
        instance_discovery=False,
        http_client=session,
    ), [its["scope"]]


@case("it gets a token of the emulated Entra")
def token():
    with Emulated("brokered-msal", "--tls") as cloud:
        app, scopes = application(cloud)
        answer = app.acquire_token_for_client(scopes)
        equal(answer.get("token_type"), "Bearer", f"the token ({answer.get('error_description')})")
        check(app.acquire_token_for_client(scopes)["token_source"] == "cache", "the second one comes from its cache")
        equal(cloud.calls("entra token"), 1, "questions")


@case("after 429 it asks again when Retry-After says so, and not before")
def busy():
    with Emulated("brokered-msal-busy", "--tls", "--fault", "entra:429", "--retry-after", "3") as cloud:
        app, scopes = application(cloud)
        answer = app.acquire_token_for_client(scopes)
        equal((answer["error"], answer["error_codes"]), ("temporarily_unavailable", [90055]), "the refusal")
        cloud.faults()
        for _ in range(3):
            equal(app.acquire_token_for_client(scopes)["error"], "temporarily_unavailable", "what it says meanwhile")
        equal(cloud.calls("entra token"), 1, "questions before the time has come")
        time.sleep(3.2)
        check("access_token" in app.acquire_token_for_client(scopes), "a token after that")
        equal(cloud.calls("entra token"), 2, "questions in all")


main()
