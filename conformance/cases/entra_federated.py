"""Clients that keep no secret at all: an outside provider's token is their proof, as Kubernetes puts one into a file.
Each library comes by its own way to it."""

# needs: pypi
# client: entra / an outside provider's token

import functools

import msal
from azure.identity import WorkloadIdentityCredential

from daypass import Skipped, case, check, equal, fresh, main
from entra import CLIENTS, DEVCENTER, Own, check_token, java_trust, post, program
from entra_keys import tls
from stand_ins.provider import Provider

AUDIENCE = "api://AzureADTokenExchange"
SUBJECT = "system:serviceaccount:prod:orders"
PROVIDER, STRANGER = Provider(), Provider()
FOLDER = fresh("entra_federated")
SERVICE = Own(
    FOLDER,
    DEVCENTER
    + f"""
[[tenant.provider]]
name = "cluster"
issuer = "{PROVIDER.issuer}"
audience = ["{AUDIENCE}"]
""",
    tls=tls(FOLDER),
)


@functools.cache
def asker(subject=SUBJECT):
    return SERVICE.asker("--role", "devcenter", "--provider", "cluster", "--subject", subject, kind="federated")


def token(subject=SUBJECT, provider=PROVIDER, **claims):
    return provider.token(subject, **{"aud": AUDIENCE, **claims})


def file(content):
    path = FOLDER / "token"
    path.write_text(content)
    return path


def asked(client, assertion):
    """By the standard library alone."""
    form = {
        "grant_type": "client_credentials",
        "client_id": client.client_id,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion,
        "scope": client.scope,
    }
    return post(client.token_url, form)


def with_msal(assertion):
    client = asker()
    made = msal.ConfidentialClientApplication(
        client.client_id,
        client_credential={"client_assertion": lambda: assertion},
        authority=client.authority,
        instance_discovery=False,
    )
    return made.acquire_token_for_client([client.scope])


@case("MSAL Python")
def msal_python():
    check_token(with_msal(token())["access_token"], asker(), proof="2")


@case("azure-identity (Python), from a file")
def azure_identity():
    client = asker()
    credential = WorkloadIdentityCredential(
        tenant_id=client.tenant,
        client_id=client.client_id,
        token_file_path=str(file(token())),
        authority=client.base,
        disable_instance_discovery=True,
    )
    check_token(credential.get_token(client.scope).token, client, proof="2")


def built(tool):
    """A program of clients/, which this file can do without."""
    if not (CLIENTS / tool / "stamp").exists():
        raise Skipped(f"the program that {tool} builds is missing")


@case("MSAL Go")
def msal_go():
    built("go")
    check_token(program("go", "msal", "assertion", asker=asker(), ASSERTION=token())["token"][0], asker(), proof="2")


@case("azure-identity (Go), from a file")
def azure_identity_go():
    built("go")
    client = asker()
    settings = {"AZURE_TENANT_ID": client.tenant, "AZURE_CLIENT_ID": client.client_id}
    settings["AZURE_FEDERATED_TOKEN_FILE"] = file(token())
    said = program("go", "azure-identity", "workload", asker=client, **settings)
    check_token(said["token"][0], client, proof="2")


@case("MSAL Java")
def msal_java():
    built("maven")
    said = program("maven", "assertion", asker=asker(), ASSERTION=token(), JAVA_TOOL_OPTIONS=java_trust())
    check_token(said["token"][0], asker(), proof="2")


@case("azure-identity (Rust), from a file")
def azure_identity_rust():
    built("cargo")
    client = asker()
    settings = {"AZURE_TENANT_ID": client.tenant, "AZURE_CLIENT_ID": client.client_id}
    settings["AZURE_FEDERATED_TOKEN_FILE"] = file(token())
    said = program("cargo", "azure-identity", "workload", asker=client, **settings)
    check_token(said["token"][0], client, proof="2")


@case("the same token again, until it ends")
def again():
    """Whoever has it from a file gets no other for each request."""
    assertion = token(jti="once")
    for _ in range(2):
        check_token(with_msal(assertion)["access_token"], asker(), proof="2")


@case("a subject with a wildcard")
def wildcard():
    client = asker("system:serviceaccount:prod:*")
    answer = asked(client, token("system:serviceaccount:prod:billing"))
    check_token(answer.json()["access_token"], client, proof="2")
    refused(asked(client, token("system:serviceaccount:test:billing")).json())


def refused(answer, error="invalid_client"):
    equal(answer.get("error"), error, f"error of {answer}")
    return answer["error_description"]


@case("another subject")
def other_subject():
    said = refused(with_msal(token("system:serviceaccount:prod:billing")))
    check("system:serviceaccount:prod:billing" in said, f"{said} does not name the subject")


@case("a token for another audience")
def other_audience():
    refused(with_msal(token(aud="https://kubernetes.default.svc")))


@case("a token of a provider that is not trusted")
def other_provider():
    refused(with_msal(token(provider=STRANGER)))
    refused(with_msal(token(provider=STRANGER, iss=PROVIDER.issuer)))


@case("a token that has ended")
def expired():
    refused(with_msal(token(exp=1_600_000_000)))


@case("another client that shows the token")
def other_client():
    refused(asked(asker("somebody"), token()).json())


with SERVICE:
    main()
