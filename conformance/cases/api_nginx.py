"""The guide's nginx in front of an API that knows nothing of tokens, with the guide's checker behind it."""

# needs: pypi
# client: api / nginx auth_request

import http.server
import os
import sys
import threading

from api import SNIPPETS, Apis, Program, ask
from daypass import Skipped, case, equal, free_port, main

SEEN = []  # the headers of each request that reached the API


class Innocent(http.server.BaseHTTPRequestHandler):
    """Answers whoever asks."""

    def do_GET(self):
        SEEN.append(self.headers)
        body = f"orders for {self.headers['X-Client']}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Fronted(Program):
    """nginx, with what is behind it."""

    def __init__(self, folder, environment):
        nginx = os.environ["DAYPASS_NGINX"]
        if not nginx:
            raise Skipped("nginx is not installed")
        self.api = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Innocent)
        threading.Thread(target=self.api.serve_forever, daemon=True).start()
        port, behind = free_port(), free_port()
        arguments = [sys.executable, SNIPPETS / "checker.py"]
        self.checker = Program(arguments, behind, folder / "checker.log", environment)
        config = (SNIPPETS / "nginx.conf").read_text()
        for shown, ours in ((8080, port), (8001, self.api.server_port), (8000, behind)):
            config = config.replace(f"127.0.0.1:{shown}", f"127.0.0.1:{ours}")
        # What must be writable is below the folder of the case; the rest is the guide's.
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        paths = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in kinds)
        config = config.replace("http {", f"http {{ access_log off; {paths}", 1)
        (folder / "nginx.conf").write_text(f"daemon off; pid {folder}/nginx.pid; error_log stderr;\n{config}")
        arguments = [nginx, "-p", f"{folder}/", "-c", folder / "nginx.conf", "-e", "stderr"]
        super().__init__(arguments, port, folder / "nginx.log", {})

    def stop(self):
        super().stop()
        self.checker.stop()
        self.api.shutdown()


APIS = Apis("api_nginx", Fronted)


@case("a good token is let in")
def good():
    APIS.good()


@case("tokens of version 1.0 and of RFC 9068 are let in")
def shapes():
    APIS.shapes()


@case("no token is 401, and no code says why")
def nobody():
    APIS.nobody()


@case("another audience, another issuer and garbage are 401 invalid_token")
def not_for_here():
    APIS.not_for_here()


@case("expired and not yet valid are 401, by a leeway of a minute")
def not_now():
    APIS.not_now()


@case("unsigned, forged and foreign keys are 401")
def forged():
    APIS.forged()


@case("a token that is bound to a key is 401")
def bound():
    APIS.bound()


@case("a missing role is 403")
def too_little():
    # nginx hands the challenge of a 401 on, and answers a 403 by itself.
    APIS.too_little(challenged=False)


@case("the API gets the client's id, whatever a client says of itself, and no token")
def handed_on():
    daypass, api, _, _ = APIS.both
    SEEN.clear()
    ask(api, daypass.token("reader"), **{"X-Client": "somebody-else"})
    [seen] = SEEN
    equal(seen.get_all("X-Client"), [daypass.client_id("reader")], "X-Client")
    equal(seen["Authorization"], None, "Authorization")


@case("nobody reaches the API but by the check")
def refused():
    _, api, _, _ = APIS.both
    SEEN.clear()
    ask(api, "garbage")
    equal(SEEN, [], "what the API saw")
    equal(ask(api.replace("/orders", "/_check"), "garbage").status, 404, "status of the check from outside")


@case("while the issuer is away its tokens are taken")
def away():
    APIS.away()


try:
    main()
finally:
    APIS.stop()
