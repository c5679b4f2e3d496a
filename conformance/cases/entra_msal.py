"""Microsoft's library for Python. It refuses an http authority before it sends a byte, and must be told not to ask
login.microsoftonline.com whether the authority is one of Microsoft's.

It keeps what was answered with 400 for a minute, by exact request, and never what was answered with 401: that is why
the statuses of the refusals are what they are."""

# needs: pypi
# client: entra / MSAL Python

import urllib.parse

import msal
import requests

from daypass import case, check, command, equal, fresh, main
from entra import CA, DATA, GOOD, STRANGER, Provoking, Refusal, add, check_token, cli, own


class Counted(requests.Session):
    """What MSAL sends by, with what was sent and what came back."""

    def __init__(self):
        super().__init__()
        self.sent = []

    def request(self, method, url, **options):
        answer = super().request(method, url, **options)
        self.sent.append((method.upper(), answer))
        return answer

    @property
    def posts(self):
        return [answer for method, answer in self.sent if method == "POST"]


def application(asker=GOOD, credential=None, **options):
    where = {} if "oidc_authority" in options else {"authority": asker.authority, "instance_discovery": False}
    options = where | options
    return msal.ConfidentialClientApplication(
        asker.client_id, client_credential=credential or asker.secret, **options
    )


def token(asker=GOOD, credential=None, **options):
    return application(asker, credential, **options).acquire_token_for_client([asker.scope])


def refusal(answer):
    check("access_token" not in answer, "should have been refused, and was given a token")
    return Refusal(answer["error_description"], error=answer["error"], code=answer["error_codes"][0])


PROVOKING = Provoking(lambda asker: refusal(token(asker)), tells="error code")


@case("client_secret_post")
def secret():
    answer = token()
    equal((answer.get("token_type"), answer.get("expires_in")), ("Bearer", 3599), f"the token ({answer.get('error')})")
    check_token(answer["access_token"])


@case("OIDC authority")
def oidc():
    """The issuer in the metadata must be the address that was asked, byte for byte."""
    check_token(token(oidc_authority=GOOD.issuer)["access_token"])


@case("instance discovery, asked of the server itself")
def instance_discovery():
    answer = token(instance_discovery=f"{GOOD.base}/common/discovery/instance")
    check_token(answer["access_token"])


@case("the second token is the first one")
def cached():
    session = Counted()
    client = application(http_client=session)
    first, again = (client.acquire_token_for_client([GOOD.scope]) for _ in range(2))
    equal((again["token_source"], again["access_token"]), ("cache", first["access_token"]), "the second token")
    equal(len(session.posts), 1, "requests for a token")


@case("over http it does not even ask")
def plain():
    try:
        token(GOOD.but(base=GOOD.base.replace("https:", "http:")))
    except ValueError as error:
        check("https" in str(error), f"it says {error}")
        return
    raise AssertionError("it asked over http")


@case("an authority that nobody trusts")
def not_trusted():
    with requests.Session() as session:
        session.trust_env = False
        try:
            session.get(f"{GOOD.base}/livez", timeout=10)
        except requests.exceptions.SSLError:
            return
    raise AssertionError("a certificate of an authority that nobody trusts was taken")


@case("trust exports the authority")
def exported():
    out = fresh("entra_msal") / "exported.pem"
    command("trust", "--data", DATA, "--out", out)
    equal(out.read_text(), CA.read_text(), "the exported certificate")
    equal(requests.get(f"{GOOD.base}/livez", verify=str(out), timeout=10).status_code, 200, "status")


@case("the caller's correlation id comes back")
def correlation():
    session = Counted()
    refused = application(GOOD.but(secret="wrong"), http_client=session).acquire_token_for_client([GOOD.scope])
    [post] = session.posts
    equal(refused["correlation_id"], post.request.headers["client-request-id"], "correlation id of the error")


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


@case("unknown tenant")
def unknown_tenant():
    """It looks for the tenant's endpoints first, and makes an exception of what it finds in their place."""
    for tenant, code in ((STRANGER, 90002), ("no-tenant", 900023)):
        try:
            token(GOOD.but(tenant=tenant))
        except ValueError as error:
            check(f"AADSTS{code}: " in str(error.__context__), f"it says {error} after {error.__context__}")
            continue
        raise AssertionError(f"{tenant} got a token")


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
    PROVOKING.wrong_grant(refusal(application().acquire_token_on_behalf_of("x", [GOOD.scope])))


@case("a 401 is asked for again at once, a 400 not for a minute")
def kept():
    asker, key = add("kept")
    session = Counted()
    client = application(asker, http_client=session)
    cli("client", "disable", own("kept"), "--key", key["id"])
    equal(refusal(client.acquire_token_for_client([asker.scope])).code, 7000215, "code of a disabled key")
    cli("client", "enable", own("kept"), "--key", key["id"])
    cli("client", "disable", own("kept"))
    for _ in range(2):
        equal(refusal(client.acquire_token_for_client([asker.scope])).code, 7000112, "code of a disabled client")
    equal([answer.status_code for answer in session.posts], [401, 400], "what was answered")
    cli("client", "enable", own("kept"))
    equal(refusal(client.acquire_token_for_client([asker.scope])).code, 7000112, "code from its memory")
    check_token(token(asker)["access_token"], asker)


@case("the metadata is read once for all scopes")
def documents():
    session = Counted()
    client = application(http_client=session)
    client.acquire_token_for_client([GOOD.scope])
    client.acquire_token_for_client([f"{STRANGER}/.default"])
    equal([method for method, _ in session.sent], ["GET", "POST", "POST"], "requests")
    [document] = [answer for method, answer in session.sent if method == "GET"]
    told = document.json()
    equal(told["token_endpoint"], GOOD.token_url, "token_endpoint")
    check(urllib.parse.urlsplit(told["authorization_endpoint"]).scheme == "https", "no authorization_endpoint")


main()
