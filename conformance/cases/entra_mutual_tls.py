"""Clients that prove themselves by the certificate of their TLS connection (RFC 8705), with requests and curl. Their
tokens are bound to it."""

# needs: pypi
# client: entra / requests, a certificate

import functools
import json
import subprocess
import uuid

import requests
from cryptography import x509

from daypass import case, check, equal, free_port, fresh, main
from entra import CA, DEVCENTER, Own, check_token
from entra_keys import Holder, tls

FOLDER = fresh("entra_mutual_tls")
AUTHORITY = Holder("ES256", "Authority of the clients", ca=True)
HOST = f"127.0.0.1:{free_port()}"
AUTHORITY_FILE = AUTHORITY.write(FOLDER, "clients-ca")["pem"]
SERVICE = Own(
    FOLDER,
    DEVCENTER,
    server=f'mutual_tls = {{ listen = "{HOST}", public_url = "https://{HOST}", ca = "{AUTHORITY_FILE}" }}',
    tls=tls(FOLDER),
)


@functools.cache
def client(*how):
    return SERVICE.asker("--role", "devcenter", *how, kind="certificate")


def held(name, holder):
    """Key and certificate, in one file as both programs take them."""
    return holder.write(FOLDER, name)["both"]


SELF_SIGNED = Holder("ES256", "reports")
NAMED = Holder("ES256", "orders", AUTHORITY)
DNS = Holder("ES256", "billing", AUTHORITY, [x509.DNSName("billing.example.com")])


@functools.cache
def pinned():
    held("reports", SELF_SIGNED)
    return client("--certificate", FOLDER / "reports.pem")


def ask(asker, holder, name="shown"):
    """At the address that the metadata has for those with a certificate."""
    told = requests.get(f"{asker.issuer}/.well-known/openid-configuration", timeout=10).json()
    form = {"grant_type": "client_credentials", "client_id": asker.client_id, "scope": asker.scope}
    url = told["mtls_endpoint_aliases"]["token_endpoint"]
    check(url.startswith(f"https://{HOST}/"), f"the alias is {url}")
    return requests.post(url, data=form, cert=holder and str(held(name, holder)), timeout=10)


def bound(token, asker, holder):
    said = check_token(token, asker, proof="2")
    equal(said["cnf"], {"x5t#S256": holder.x5t_s256()}, "what the token is bound to")


def refused(answer, code, status=401, error="invalid_client"):
    said = answer.json()
    equal((answer.status_code, said["error"], said["error_codes"]), (status, error, [code]), f"the refusal ({said})")


@case("self_signed_tls_client_auth")
def self_signed():
    asker = pinned()
    bound(ask(asker, SELF_SIGNED).json()["access_token"], asker, SELF_SIGNED)


@case("tls_client_auth by the subject")
def by_subject():
    asker = client("--subject-dn", "CN=orders")
    bound(ask(asker, NAMED).json()["access_token"], asker, NAMED)


@case("tls_client_auth by an alternative name")
def by_name():
    asker = client("--san-dns", "billing.example.com")
    bound(ask(asker, DNS).json()["access_token"], asker, DNS)


@case("curl")
def curl():
    asker = pinned()
    command = ["curl", "--silent", "--show-error", "--cacert", CA, "--cert", held("curl", SELF_SIGNED)]
    for name, value in (("grant_type", "client_credentials"), ("client_id", asker.client_id), ("scope", asker.scope)):
        command += ["--data-urlencode", f"{name}={value}"]
    url = f"https://{HOST}/{asker.tenant}/oauth2/v2.0/token"
    done = subprocess.run([*map(str, command), url], capture_output=True, text=True, timeout=20)
    equal(done.returncode, 0, f"exit status of curl ({done.stderr})")
    bound(json.loads(done.stdout)["access_token"], asker, SELF_SIGNED)


@case("no certificate")
def none():
    refused(ask(pinned(), None), 7000216)


@case("a certificate at the listener that does not ask for one")
def main_listener():
    asker = pinned()
    form = {"grant_type": "client_credentials", "client_id": asker.client_id, "scope": asker.scope}
    answer = requests.post(asker.token_url, data=form, cert=str(held("main", SELF_SIGNED)), timeout=10)
    refused(answer, 7000216)


@case("another certificate")
def other():
    refused(ask(pinned(), Holder("ES256", "reports")), 700027)
    refused(ask(pinned(), NAMED), 700027)


@case("the right name, and nobody vouches for it")
def nobody_vouches():
    refused(ask(client("--subject-dn", "CN=orders"), Holder("ES256", "orders")), 700027)
    impostor = Holder("ES256", "Authority of the clients", ca=True)
    refused(ask(client("--subject-dn", "CN=orders"), Holder("ES256", "orders", impostor)), 700027)


@case("another client's certificate")
def another_clients():
    refused(ask(client("--subject-dn", "CN=orders"), DNS), 700027)


@case("unknown client")
def unknown():
    answer = ask(pinned().but(client_id=str(uuid.uuid4())), SELF_SIGNED)
    refused(answer, 700016, status=400, error="unauthorized_client")


with SERVICE:
    main()
