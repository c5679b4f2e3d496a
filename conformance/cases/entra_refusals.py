"""What Entra refuses, in its status, its `error`, its code and all of its members."""

import base64
import urllib.parse

from daypass import case, check, credentials, equal, http, main, matches

SERVER = credentials()
OURS = SERVER["entra"]
GUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
STRANGER = "00000000-0000-4000-8000-000000000000"


def post(tenant=OURS["tenant"], headers=None, **changes):
    """The token request of the demo client with some parameters changed; None drops one."""
    fields = {
        "grant_type": "client_credentials",
        "client_id": OURS["client_id"],
        "client_secret": OURS["client_secret"],
        "scope": OURS["scope"],
    } | changes
    body = urllib.parse.urlencode({name: value for name, value in fields.items() if value is not None})
    headers = {"Content-Type": "application/x-www-form-urlencoded"} | (headers or {})
    return http(f"{SERVER['url']}/{tenant}/oauth2/v2.0/token", body.encode(), headers)


def refused(answer, status, error, code):
    """All seven members, always, and a text that needs no escapes in JSON."""
    equal(answer.headers["Content-Type"], "application/json; charset=utf-8", "content type")
    check("no-store" in answer.headers["Cache-Control"], f"Cache-Control is {answer.headers['Cache-Control']}")
    said = answer.json()
    members = "error error_description error_codes timestamp trace_id correlation_id error_uri"
    equal(set(said), set(members.split()), "members")
    equal((answer.status, said["error"], said["error_codes"]), (status, error, [code]), f"the refusal ({said})")
    matches(GUID, said["trace_id"], "trace_id")
    matches(GUID, said["correlation_id"], "correlation_id")
    matches(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", said["timestamp"], "timestamp")
    check(said["error_uri"].endswith(f"error?code={code}"), f"error_uri is {said['error_uri']}")
    matches(
        rf"AADSTS{code}: [\x20\x21\x23-\x5b\x5d-\x7e]+ Trace ID: {said['trace_id']}"
        rf" Correlation ID: {said['correlation_id']} Timestamp: {said['timestamp']}",
        said["error_description"],
        "error_description",
    )
    check(OURS["client_secret"] not in answer.body.decode(), "the refusal repeats the secret")
    return said


@case("the request that the others change is answered")
def control():
    equal(post().status, 200, "status")


@case("wrong secret")
def wrong_secret():
    refused(post(client_secret="x" + OURS["client_secret"]), 401, "invalid_client", 7000215)


@case("no credential")
def no_secret():
    refused(post(client_secret=None), 401, "invalid_client", 7000216)


@case("unknown client")
def unknown_client():
    refused(post(client_id=STRANGER), 400, "unauthorized_client", 700016)


@case("unknown tenant")
def unknown_tenant():
    refused(post(tenant=STRANGER), 400, "invalid_request", 90002)


@case("unknown tenant, discovery")
def unknown_tenant_discovery():
    answer = http(f"{SERVER['url']}/{STRANGER}/v2.0/.well-known/openid-configuration")
    said = answer.json()
    equal((answer.status, said["error"], said["error_codes"]), (400, "invalid_tenant", [90002]), "refusal")


@case("missing grant_type, client_id or scope")
def missing():
    for name in ("grant_type", "client_id", "scope"):
        said = refused(post(**{name: None}), 400, "invalid_request", 900144)
        check(name in said["error_description"], f"{said['error_description']} does not name {name}")


@case("a parameter without a value counts as omitted")
def empty():
    refused(post(scope=""), 400, "invalid_request", 900144)


@case("wrong grant")
def wrong_grant():
    refused(post(grant_type="password"), 400, "unsupported_grant_type", 70003)


@case("a scope that does not end in /.default")
def wrong_scope():
    refused(post(scope=OURS["scope"].removesuffix(".default") + "orders.read"), 400, "invalid_scope", 1002012)


@case("two scopes")
def two_scopes():
    refused(post(scope=f"{OURS['scope']} {STRANGER}/.default"), 400, "invalid_scope", 70011)


@case("an unknown resource")
def unknown_resource():
    refused(post(scope=f"{STRANGER}/.default"), 400, "invalid_resource", 500011)


@case("GET on the token endpoint")
def by_get():
    answer = http(f"{SERVER['url']}/{OURS['tenant']}/oauth2/v2.0/token")
    refused(answer, 400, "invalid_request", 900561)


@case("a wrong secret by Basic names its scheme")
def basic():
    pair = base64.b64encode(f"{OURS['client_id']}:wrong".encode()).decode()
    answer = post(headers={"Authorization": f"Basic {pair}"}, client_id=None, client_secret=None)
    refused(answer, 401, "invalid_client", 7000215)
    matches(r"Basic .*", answer.headers["WWW-Authenticate"] or "", "WWW-Authenticate")


@case("the caller's correlation id comes back")
def correlation():
    said = refused(post(headers={"client-request-id": STRANGER}, client_secret="wrong"), 401, "invalid_client", 7000215)
    equal(said["correlation_id"], STRANGER, "correlation_id")


@case("a repeated parameter")
def repeated():
    body = urllib.parse.urlencode([("grant_type", "client_credentials")] * 2 + [("client_id", OURS["client_id"])])
    answer = http(
        f"{SERVER['url']}/{OURS['tenant']}/oauth2/v2.0/token",
        body.encode(),
        {"Content-Type": "application/x-www-form-urlencoded"},
    )
    equal((answer.status, answer.json()["error"]), (400, "invalid_request"), "refusal")


def asked(fields, path="oauth2/v2.0/token", headers=None):
    """Any form at any endpoint of the tenant."""
    headers = {"Content-Type": "application/x-www-form-urlencoded"} | (headers or {})
    return http(f"{SERVER['url']}/{OURS['tenant']}/{path}", urllib.parse.urlencode(fields).encode(), headers)


SECRET = {"client_id": OURS["client_id"], "client_secret": OURS["client_secret"]}
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
EXCHANGE = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", **SECRET}


@case("two ways to prove oneself in one request")
def two_ways():
    pair = base64.b64encode(f"{OURS['client_id']}:{OURS['client_secret']}".encode()).decode()
    refused(post(headers={"Authorization": f"Basic {pair}"}), 400, "invalid_request", 9002313)
    refused(post(client_assertion_type=ASSERTION_TYPE, client_assertion="a.b.c"), 400, "invalid_request", 9002313)


@case("a secret, or a token, in the URL")
def in_the_url():
    for name in ("client_secret", "client_assertion", "token", "subject_token"):
        path = f"oauth2/v2.0/token?{name}={OURS['client_secret']}"
        refused(asked({"grant_type": "client_credentials"} | SECRET, path), 400, "invalid_request", 90100)


@case("what nobody knows is ignored, in the URL too")
def unknown_parameters():
    fields = {"grant_type": "client_credentials", "scope": OURS["scope"], **SECRET}
    more = {"claims": "{}", "client_info": "1", "x-client-SKU": "msal.js.node", "response_type": "token"}
    answer = asked(fields | more, "oauth2/v2.0/token?client-request-id=x&dc=1", {"x-ms-lib-capability": "retry-after"})
    equal(answer.status, 200, f"status ({answer.body})")


@case("an assertion of another kind, or of none")
def assertion_type():
    refused(post(client_secret=None, client_assertion="a.b.c"), 400, "invalid_request", 900144)
    saml = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"
    refused(post(client_secret=None, client_assertion_type=saml, client_assertion="x"), 400, "invalid_request", 90100)


@case("an assertion that is no JWT")
def no_jwt():
    answer = post(client_secret=None, client_assertion_type=ASSERTION_TYPE, client_assertion="x")
    refused(answer, 401, "invalid_client", 50027)


@case("introspection and revocation by nobody, or without a token")
def without():
    for path in ("oauth2/v2.0/introspect", "oauth2/v2.0/revoke"):
        refused(asked({"token": "x", "client_id": OURS["client_id"]}, path), 401, "invalid_client", 7000216)
        refused(asked({"token": "x"} | SECRET | {"client_secret": "wrong"}, path), 401, "invalid_client", 7000215)
        refused(asked(SECRET, path), 400, "invalid_request", 900144)


@case("exchange without a token, of another kind, and for something unknown")
def exchange():
    access = "urn:ietf:params:oauth:token-type:access_token"
    refused(asked(EXCHANGE | {"subject_token_type": access}), 400, "invalid_request", 900144)
    saml = {"subject_token": "x", "subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}
    refused(asked(EXCHANGE | saml), 400, "invalid_request", 90100)
    shown = {"subject_token": "x", "subject_token_type": access, "scope": OURS["scope"]}
    refused(asked(EXCHANGE | shown | {"requested_token_type": "urn:x"}), 400, "invalid_request", 90100)


@case("a DPoP proof that is none")
def dpop():
    fields = {"grant_type": "client_credentials", "scope": OURS["scope"], **SECRET}
    answer = asked(fields, headers={"DPoP": "x"})
    equal((answer.status, answer.json()["error"]), (400, "invalid_dpop_proof"), f"the refusal ({answer.body})")


main()
