"""What the tokens of a resource look like is the resource's choice: either of Entra's two versions, or RFC 9068. MSAL
gets them, PyJWT verifies them from the document that belongs to each."""

# needs: pypi
# client: entra / MSAL Python

import uuid

import jwt
import msal
import requests

from daypass import case, equal, fresh, main
from entra import Own
from entra_keys import tls

FOLDER = fresh("entra_resources")
V1, V2, RFC = (str(uuid.uuid4()) for _ in range(3))
SERVICE = Own(
    FOLDER,
    f"""
[[tenant.role]]
name = "v1"
audience = "{V1}"
identifiers = ["api://orders", "https://orders.example.com/"]
roles = ["orders.read"]
version = "1.0"

[[tenant.role]]
name = "v2"
audience = "{V2}"
identifiers = ["api://billing"]
roles = ["billing.read"]
algorithm = "ES256"
claims = {{ store = "{{poi_id}}", region = "cn" }}
variables = {{ poi_id = "int" }}
lifetime = {{ default = "10m", max = "10m" }}

[[tenant.role]]
name = "rfc9068"
audience = "{RFC}"
roles = ["reports.read"]
algorithm = "EdDSA"
profile = "rfc9068"
""",
    tls=tls(FOLDER),
)


def client(*roles, bind=None):
    grants = [word for role in roles for word in ("--role", role)] + (["--bind", bind] if bind else [])
    return SERVICE.asker(*grants)


def token(asker, scope):
    made = msal.ConfidentialClientApplication(
        asker.client_id, client_credential=asker.secret, authority=asker.authority, instance_discovery=False
    )
    answer = made.acquire_token_for_client([scope])
    return answer.get("access_token") or answer


def verified(asker, shown, audience, algorithm, document):
    told = requests.get(f"{asker.authority}{document}/.well-known/openid-configuration", timeout=10).json()
    key = jwt.PyJWKClient(told["jwks_uri"]).get_signing_key_from_jwt(shown)
    return jwt.decode(shown, key, algorithms=[algorithm], audience=audience, issuer=told["issuer"])


@case("version 1.0, whose audience is as it was asked for")
def first():
    asker = client("v1")
    for scope, audience in (
        (f"{V1}/.default", V1),
        ("api://orders/.default", "api://orders"),
        ("https://orders.example.com//.default", "https://orders.example.com/"),
    ):
        shown = token(asker, scope)
        said = verified(asker, shown, audience, "RS256", "")
        equal((said["ver"], said["appid"], said["appidacr"]), ("1.0", asker.client_id, "1"), "who")
        equal((said["iss"], said["idp"]), (f"{asker.authority}/", said["iss"]), "issuer")
        equal(said["roles"], ["orders.read"], "roles")
        equal(said["sub"], said["oid"], "sub")
        equal("azp" in said, False, "whether it has the other version's claims")


@case("version 2.0, whose audience is the resource's id")
def second():
    asker = client("v2", bind="poi_id=8005")
    for scope in (f"{V2}/.default", "api://billing/.default"):
        said = verified(asker, token(asker, scope), V2, "ES256", "/v2.0")
        equal((said["ver"], said["azp"], said["azpacr"]), ("2.0", asker.client_id, "1"), "who")
        equal(said["iss"], asker.issuer, "issuer")
        equal(said["exp"] - said["iat"] <= 600, True, "whether it ends when its resource says")


@case("claims of the operator's own, from what was granted to the client")
def own():
    for bind, value in (("poi_id=8005", 8005), ("poi_id=8005,8006", [8005, 8006])):
        asker = client("v2", bind=bind)
        said = verified(asker, token(asker, f"{V2}/.default"), V2, "ES256", "/v2.0")
        equal((said["store"], said["region"]), (value, "cn"), "claims")


@case("the standard's own profile")
def standard():
    asker = client("rfc9068")
    shown = token(asker, f"{RFC}/.default")
    equal(jwt.get_unverified_header(shown)["typ"], "at+jwt", "typ")
    said = verified(asker, shown, RFC, "EdDSA", "/v2.0")
    equal((said["client_id"], said["sub"], said["roles"]), (asker.client_id, asker.client_id, ["reports.read"]), "who")
    equal("jti" in said and "ver" not in said, True, "whether it has the standard's claims, and no other")


@case("another resource's name")
def others():
    asker = client("v1")
    for scope in ("api://billing/.default", "api://nobody/.default", f"{V2}/.default"):
        equal(token(asker, scope)["error"], "invalid_resource", f"error for {scope}")


with SERVICE:
    main()
