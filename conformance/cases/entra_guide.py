"""The guide's programs for OAuth clients, as they stand there but for the address; and its nginx, which passes on what
certificate a client has shown."""

# needs: pypi npm

import os
import pathlib
import subprocess
import sys
import uuid

import requests

from daypass import NODE_MODULES, Service, Skipped, case, check, equal, free_port, fresh, main, wait_until
from entra import GOOD, Asker, check_token, with_key
from entra_keys import Holder, tls

SNIPPETS = pathlib.Path(__file__).parents[1] / "snippets" / "oauth"
FOLDER = fresh("entra_guide")
(FOLDER / "node_modules").symlink_to(NODE_MODULES)  # an ES module finds its packages beside itself and nowhere else


def token(name, asker=GOOD):
    """What the program prints, with the server that all cases share in the place of the guide's."""
    text = (SNIPPETS / name).read_text()
    check("https://pass.example.com" in text, f"{name} does not name the guide's server")
    program = FOLDER / name
    program.write_text(text.replace("pass.example.com", asker.base.removeprefix("https://")))
    interpreter = "node" if program.suffix == ".mjs" else sys.executable
    environment = os.environ | {"CLIENT_ID": asker.client_id, "CLIENT_SECRET": asker.secret}
    done = subprocess.run(
        [interpreter, program.name], cwd=FOLDER, env=environment, capture_output=True, text=True, timeout=60
    )
    equal(done.returncode, 0, f"exit status of {name} ({done.stderr.strip()})")
    return done.stdout.strip()


def since20():
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, timeout=10).stdout
    if int(version.lstrip("v").split(".")[0]) < 20:
        raise Skipped(f"it needs Node 20, and this is {version.strip()}")


@case("requests")
def with_requests():
    check_token(token("requests_token.py"))


@case("MSAL Python")
def with_msal():
    check_token(token("msal_token.py"))


@case("azure-identity (Python)")
def with_azure_identity():
    check_token(token("azure_token.py"))


@case("Authlib")
def with_authlib():
    check_token(token("authlib_token.py"))


@case("requests-oauthlib")
def with_requests_oauthlib():
    check_token(token("oauthlib_token.py"))


@case("MSAL Node")
def with_msal_node():
    since20()
    check_token(token("msal_token.mjs"))


@case("azure-identity (Node)")
def with_azure_identity_node():
    since20()
    check_token(token("azure_token.mjs"))


@case("openid-client")
def with_openid_client():
    check_token(token("openid_token.mjs"))


@case("openid-client with DPoP")
def with_dpop():
    check("jkt" in check_token(token("dpop_token.mjs"))["cnf"], "the token is bound to no key")


@case("a certificate, and its key, in MSAL Python and in Authlib")
def with_certificate():
    holder = Holder(name="reports")
    asker = with_key("reports", holder)
    holder.write(FOLDER, "reports")
    check_token(token("msal_certificate.py", asker), asker, proof="2")
    check_token(token("authlib_key.py", asker), asker, proof="2")


@case("nginx passes on a client's certificate")
def behind_nginx():
    nginx = os.environ["DAYPASS_NGINX"]
    if not nginx:
        raise Skipped("nginx is not installed")
    folder = fresh("entra_guide_nginx")
    front, files = free_port(), tls(folder)
    [listen, public, *rest] = (SNIPPETS / "nginx.toml").read_text().removeprefix("[server]\n").splitlines()
    check(listen.startswith("listen") and public.startswith("public_url"), "the guide's first two lines are others")
    role = '[[tenant.role]]\nname = "devcenter"\naudience = "d6b7c858-55fa-4d04-85a6-131af690abd4"\nroles = ["orders.read"]\n'
    settings = [f'public_url = "https://127.0.0.1:{front}"', *rest]
    service = Service(folder, role, server="\n".join(settings))
    holder = Holder("ES256", "billing")
    shown = holder.write(folder, "billing")
    made = service.command(
        *("client", "add", str(uuid.uuid4()), "--kind", "certificate", "--role", "devcenter"),
        *("--certificate", shown["pem"]),
    )
    config = (SNIPPETS / "nginx.conf").read_text()
    ours = {"8443": f"127.0.0.1:{front}", "chain.pem": str(files["certificate"]), "key.pem": str(files["key"])}
    for guide, here in (ours | {"127.0.0.1:5050": service.host}).items():
        config = config.replace(guide, here)
    # What must be writable is below the folder of the case; the rest is the guide's.
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    config = config.replace("http {", f"http {{ access_log off; {paths}", 1)
    (folder / "nginx.conf").write_text(f"daemon off; pid {folder}/nginx.pid; error_log stderr;\n{config}")
    command = [nginx, "-p", f"{folder}/", "-c", folder / "nginx.conf", "-e", "stderr"]
    with open(folder / "nginx.log", "ab") as log, service:
        process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            tenant = "387c56a8-cf86-45de-b9f5-b4de88cac054"
            asker = Asker(f"https://127.0.0.1:{front}", tenant, made["client"]["id"], "", GOOD.scope)
            form = {"grant_type": "client_credentials", "client_id": asker.client_id, "scope": asker.scope}

            def ask(holder_files, **headers):
                return requests.post(
                    asker.token_url, data=form, cert=holder_files and str(holder_files["both"]), headers=headers, timeout=10
                )

            def up():
                try:
                    return requests.get(f"{asker.base}/livez", timeout=5).status_code == 200
                except requests.exceptions.ConnectionError:
                    return False

            wait_until(up, 60, "nginx does not answer")
            said = check_token(ask(shown).json()["access_token"], asker, proof="2")
            equal(said["cnf"], {"x5t#S256": holder.x5t_s256()}, "what the token is bound to")
            equal(ask(Holder("ES256", "billing").write(folder, "other")).json()["error_codes"], [700027], "another's")
            # A client that sends the header itself has proved nothing.
            passed_on = "".join(f"%{byte:02X}" for byte in holder.certificate_pem.encode())
            equal(ask(None, **{"X-Client-Cert": passed_on}).json()["error_codes"], [7000216], "a header of its own")
        finally:
            process.terminate()
            process.wait(10)


main()
