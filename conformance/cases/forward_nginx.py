"""The guide's configuration of nginx's auth_request, in front of an API that knows nothing of tokens."""

# needs: pypi
# client: api / nginx auth_request, asking Daypass

import os

from daypass import Skipped, case, main
from forward import Gate, Program, placed


def start(folder, ports, secret):
    nginx = os.environ["DAYPASS_NGINX"]
    if not nginx:
        raise Skipped("nginx is not installed")
    # What must be writable is below the folder of the case; the rest is the guide's.
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
    config = placed("forward_nginx.conf", ports).replace("http {", f"http {{ access_log off; {paths}", 1)
    (folder / "nginx.conf").write_text(f"daemon off; pid {folder}/nginx.pid; error_log stderr;\n{config}")
    (folder / "daypass_api.conf").write_text(f'proxy_set_header X-Daypass-Api "Basic {secret}";\n')
    arguments = [nginx, "-p", f"{folder}/", "-c", folder / "nginx.conf", "-e", "stderr"]
    return Program(arguments, ports[8080], folder / "nginx.log", {})


GATE = Gate("nginx", start)


@case("a good token is let in, and the API is told who it is")
def good():
    GATE.good()


@case("no token and a bad one are 401, a missing role is 403")
def refused():
    GATE.refused(challenged=False)


@case("no known way around leads to the API")
def around():
    GATE.around()


@case("what a client says of its own request changes nothing")
def claims():
    GATE.claims()


@case("nobody makes up who they are")
def identity():
    GATE.identity()


@case("a connection is changed to nothing that is not judged")
def upgrades():
    GATE.upgrades()


@case("only the hosts of the API are let in")
def hosts():
    GATE.hosts()


@case("a proxy without the API's secret lets nobody in")
def wrong_secret():
    GATE.wrong_secret()


@case("while Daypass is away nobody is let in")
def away():
    GATE.away()


try:
    main()
finally:
    GATE.stop()
