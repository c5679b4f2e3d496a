"""A client's certificate that nginx has asked for, and passes on in a header. What a client puts there itself is worth
nothing: nginx replaces it, and without nginx nobody believes it."""

# needs: pypi
# client: entra / requests, a certificate at nginx

import contextlib
import functools
import os
import signal
import socket
import subprocess
import urllib.parse

import requests

from daypass import Skipped, case, check, equal, free_port, fresh, main, wait_until
from entra import DEVCENTER, Own, check_token
from entra_keys import Holder, tls

HEADER = "X-Client-Certificate"
FOLDER = fresh("entra_mutual_tls_nginx")
AUTHORITY = Holder("ES256", "Authority of the clients", ca=True)
AUTHORITY_FILE = AUTHORITY.write(FOLDER, "clients-ca")["pem"]
ORDERS, STRANGER = Holder("ES256", "orders", AUTHORITY), Holder("ES256", "orders")
SHOWN = tls(FOLDER)
PORT = free_port()
SERVICE = Own(
    FOLDER,
    DEVCENTER,
    # nginx comes from an address of its own, so that another comer on this machine is none.
    server=f"""
public_url = "https://127.0.0.1:{PORT}"
behind_proxy = ["127.0.0.2/32"]
client_certificate_header = "{HEADER}"
client_certificate_chain = "verified"
""",
)
CONFIG = f"""
daemon off; pid {FOLDER}/nginx.pid; error_log stderr;
events {{}}
http {{
    access_log off;
    {" ".join(f"{kind}_temp_path {FOLDER}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))}
    server {{
        listen 127.0.0.1:{PORT} ssl;
        ssl_certificate {SHOWN["certificate"]};
        ssl_certificate_key {SHOWN["key"]};
        ssl_client_certificate {AUTHORITY_FILE};
        ssl_verify_client optional;
        location / {{
            proxy_pass {SERVICE.url};
            proxy_bind 127.0.0.2;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header {HEADER} $ssl_client_escaped_cert;
        }}
    }}
}}
"""


@contextlib.contextmanager
def nginx():
    """Runs it while the cases run; without one they are skipped."""
    program = os.environ["DAYPASS_NGINX"]
    if not program:
        yield
        return
    (FOLDER / "nginx.conf").write_text(CONFIG)
    with open(FOLDER / "nginx.log", "wb") as log:
        command = [program, "-p", f"{FOLDER}/", "-c", FOLDER / "nginx.conf", "-e", "stderr"]
        running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_until(listens, 60, f"nginx does not listen ({(FOLDER / 'nginx.log').read_text()})")
        yield
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(15)


def listens():
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", PORT)) == 0


@functools.cache
def client():
    if not os.environ["DAYPASS_NGINX"]:
        raise Skipped("nginx is not installed")
    arguments = "--role", "devcenter", "--subject-dn", "CN=orders"
    return SERVICE.asker(*arguments, kind="certificate", base=f"https://127.0.0.1:{PORT}")


def ask(asker, holder=None, base=None, headers=None):
    form = {"grant_type": "client_credentials", "client_id": asker.client_id, "scope": asker.scope}
    shown = holder and str(holder.write(FOLDER, "shown")["both"])
    url = asker.but(base=base or asker.base).token_url
    return requests.post(url, data=form, cert=shown, headers=headers, timeout=10)


def refused(answer, code):
    said = answer.json()
    equal((answer.status_code, said["error"], said["error_codes"]), (401, "invalid_client", [code]), f"it says {said}")


@case("tls_client_auth by the subject")
def by_subject():
    said = check_token(ask(client(), ORDERS).json()["access_token"], client(), proof="2")
    equal(said["cnf"], {"x5t#S256": ORDERS.x5t_s256()}, "what the token is bound to")


@case("no certificate")
def none():
    refused(ask(client()), 7000216)


@case("the right name, and nobody vouches for it")
def nobody_vouches():
    """nginx answers by itself."""
    answer = ask(client(), STRANGER)
    check(answer.status_code == 400 and "access_token" not in answer.text, f"it says {answer.text}")


@case("a certificate in the header that nginx sets")
def forged():
    escaped = urllib.parse.quote(ORDERS.certificate_pem)
    refused(ask(client(), headers={HEADER: escaped}), 7000216)


@case("a certificate in the header, past nginx")
def past_nginx():
    escaped = urllib.parse.quote(ORDERS.certificate_pem)
    refused(ask(client(), base=SERVICE.url, headers={HEADER: escaped}), 7000216)


with SERVICE, nginx():
    main()
