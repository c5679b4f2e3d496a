"""What the cases of reverse proxies share: a Daypass that they ask, an API that answers whoever reaches it, a client that
sends bytes as they are, and the table of known ways around such a check."""

import base64
import contextlib
import http.server
import pathlib
import posixpath
import re
import shutil
import socket
import sys
import threading
import time
import urllib.parse

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import hpack

from api import AUDIENCE, SNIPPETS, Daypass, Program
from daypass import Skipped, check, equal, free_port, wait_until

HOST = "api.example.com"

# Addresses by which some check was got around, somewhere, for a path that the reader's token is not for.
AROUND = [
    *("/orders/../orders/admin", "/orders/./admin", "/orders/7/../admin", "/orders/7/../../internal"),
    *("/orders/%2e%2e/internal", "/orders/.%2e/internal", "/orders/%2e/admin", "/orders/%252e%252e/internal"),
    *("/orders/..%2finternal", "/orders/%2e%2e%2finternal", "/orders/..%252finternal", "/orders%2fadmin"),
    *("/orders/..;/internal", "/orders/7/..;/admin", "/orders/;/admin", "/orders/admin;", "/orders/admin;x=1"),
    *("/internal;/orders/7", "/internal/..;/orders/7"),
    *("//internal", "//orders/admin", "/orders//admin", "/orders/admin//", "/orders/%2fadmin", "///internal"),
    *("/orders\\admin", "/orders/..\\internal", "/orders/%5cadmin", "/orders/..%5cinternal", "\\internal"),
    *("/orders/admin%00", "/orders/admin%00.json", "/internal%00/orders/7", "/orders/admin%0a", "/orders/admin%0d%0a"),
    *("/orders/%c0%ae%c0%ae/internal", "/orders/..%c0%afinternal", "/orders/%e0%80%afadmin", "/orders/%u002e%u002e/internal"),
    *("/orders/%61dmin", "/orders/adm%69n", "/orders/ADMIN", "/orders/Admin/", "/Internal", "/orders/%41dmin"),
    *("/orders/admin/", "/orders/admin.", "/orders/admin%20", "/orders/%20admin", "/orders/admin%09"),
    *("/orders/%ef%bc%8fadmin", "/orders/%ef%bd%81dmin", "/orders/%c4%b1dmin", "/orders/%e2%80%8badmin"),
    *("/orders/admin?x=/orders/7", "/internal?/orders/7", "/orders/admin?", "/orders/7%3f/../admin"),
    *("/orders/admin#", "/internal#/orders/7", "/orders/7#/../admin", "/orders/7%23/../admin", "/internal%23/orders/7"),
    *("/orders/7?_method=DELETE", "/orders/7?a=b&_method=PUT"),
    *("/orders/7?a=b;_method=DELETE", "/orders/7?.method=DELETE", "/orders/7?%5bmethod=PUT", "/orders/7?_HttpMethod=PATCH"),
    *("/internal", "/", "*", "internal", "orders/admin", "?/orders/7", "@internal/orders/7"),
    *("http://api.example.com/internal", "http://api.example.com/orders/admin", "http://evil.example.com/orders/7"),
    *("http://api.example.com@evil/orders/7", "https:/internal", "file:///internal", "/orders/%", "/orders/%zz", "/orders/%2"),
]

# Headers in which a client says of its request what the proxy should.
CLAIMS = [
    *(("X-Forwarded-Uri", "/orders/7"), ("X-Forwarded-Method", "GET"), ("X-Forwarded-Host", HOST)),
    *(("X-Original-URI", "/orders/7"), ("X-Original-Method", "GET"), ("X-Original-Host", HOST)),
    *(("X_Forwarded_Uri", "/orders/7"), ("X_Original_URI", "/orders/7"), ("X-Forwarded_Uri", "/orders/7")),
    *(("X-Original-URL", "/orders/7"), ("X-Rewrite-URL", "/orders/7"), ("X-Forwarded-Prefix", "/orders")),
    *(("X-HTTP-Method-Override", "GET"), ("X-HTTP-Method", "GET"), ("X-Method-Override", "GET")),
    *(("X-Forwarded-For", "127.0.0.1"), ("X-Real-IP", "127.0.0.1"), ("Forwarded", f"host={HOST};for=127.0.0.1")),
    *(("X-Daypass-Api", "Basic YTpi"), ("X_Daypass_Api", "Basic YTpi"), ("X-Envoy-Original-Path", "/orders/7")),
    *(("Connection", "close, X-Forwarded-Uri"), ("Connection", "close, X-Original-URI"), ("Connection", "close, X-Daypass-Api")),
    *(("Connection", "close, Authorization"), ("Connection", "close, X-Forwarded-Host"), ("Expect", "100-continue")),
]

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def binary(name):
    """The proxy of this name, among the packages of requirements.txt or else of the system."""
    packaged = pathlib.Path(sys.executable).parent / name
    found = str(packaged) if packaged.exists() else shutil.which(name)
    if not found:
        raise Skipped(f"there is no {name} for this machine")
    return found


class Api(http.server.ThreadingHTTPServer):
    """Answers whoever asks, and remembers the request line and the headers."""

    def __init__(self):
        seen = self.seen = []

        class Innocent(http.server.BaseHTTPRequestHandler):
            def answer(self):
                seen.append((self.requestline, self.headers))
                body = f"orders for {self.headers['X-Daypass-Client']}\n".encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        for method in METHODS:
            setattr(Innocent, f"do_{method}", Innocent.answer)
        super().__init__(("127.0.0.1", 0), Innocent)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def readings(target):
    """All that a router could take this address for."""
    for path in {target, target.split("?")[0], target.split("#")[0], target.split("?")[0].split("#")[0]}:
        for _ in range(3):
            for cut in {path, path.split("\0")[0]}:
                for plain in {cut, cut.replace("\\", "/")}:
                    for bare in {plain, "/".join(part.split(";")[0] for part in plain.split("/"))}:
                        yield posixpath.normpath("/" + bare.lstrip("/")).lower().rstrip(". \t\r\n")
            path = urllib.parse.unquote(path, errors="replace")


def plain(name):
    """A header's name as whoever makes variables of them may read it: to CGI all that is no letter and no digit is the same."""
    return re.sub("[^a-z0-9]", "-", name.lower())


def is_orders(request_line):
    """Whether this is, however it is read, a request that the reader's token is for."""
    method, _, rest = request_line.partition(" ")
    target = rest.rpartition(" ")[0]
    found = set(readings(target))
    within = all(path == "/orders" or path.startswith("/orders/") for path in found)
    return method in ("GET", "HEAD") and within and "/orders/admin" not in found and "method" not in target.lower()


class Gate:
    """A proxy of one kind in front of the API. `start` gets a folder, the ports by those of the guide, the API's proof in
    Base64, and returns the program."""

    def __init__(self, kind, start):
        self.kind, self.start = kind, start
        self.fault = self.daypass = self.proxy = None

    def up(self):
        """Starts it once. What cannot be started cannot be for any case."""
        if self.fault:
            raise self.fault
        if self.proxy:
            return self
        try:
            config = (SNIPPETS / "forward.toml").read_text().replace('proxy  = "nginx"', f'proxy  = "{self.kind}"')
            self.daypass = Daypass(f"forward_{self.kind}", config)
            api = self.daypass.service.client("orders-proxy", "--audience", AUDIENCE, kind="client-secret")
            self.secret = base64.b64encode(f"{api['client_id']}:{api['client_secret']}".encode()).decode()
            self.api = Api()
            self.port, self.proxy = self.behind(self.secret, "proxy")
            self.token = self.daypass.token("reader")
            wait_until(lambda: self.ask("/orders/7", self.token)[0] == 200, 60, "a good token is let in")
        except BaseException as fault:
            self.fault = fault
            raise
        return self

    def behind(self, secret, name):
        """One more proxy, with this proof."""
        folder = self.daypass.service.folder / name
        folder.mkdir()
        port = free_port()
        daypass = int(self.daypass.service.host.rpartition(":")[2])
        ports = {8080: port, 8001: self.api.server_port, 5050: daypass}
        return port, self.start(folder, ports, secret)

    def stop(self):
        if self.proxy:
            self.proxy.stop()
        if self.daypass:
            with contextlib.suppress(AssertionError):
                self.daypass.service.stop()

    def ask(self, target, token=None, *headers, method="GET", host=HOST, port=None):
        """One request as it stands here; the status, the head of the answer, and what reached the API."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}"]
        lines += [f"Authorization: Bearer {token}"] if token else []
        lines += [f"{name}: {value}" for name, value in headers]
        lines += [] if any(name == "Connection" for name, _ in headers) else ["Connection: close"]
        lines += ["Content-Length: 0"] if method in ("POST", "PUT", "PATCH") else []
        self.api.seen.clear()
        with socket.create_connection(("127.0.0.1", port or self.port), 10) as connection:
            connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while piece := connection.recv(65536):
                    answer += piece
                    if b"\r\n\r\n" in answer and b" 100 " not in answer.split(b"\r\n")[0]:
                        break
        answer = answer.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
        status = int(answer.split(b" ")[1]) if answer.startswith(b"HTTP/") else 0
        return status, answer.decode("latin-1"), list(self.api.seen)

    # The cases.

    def good(self):
        self.up()
        status, _, [(line, headers)] = self.ask("/orders/7?x=%2F..%2F&y=1", self.token)
        equal(status, 200, "status")
        check(line.startswith("GET /orders/7?x=%2F..%2F&y=1 "), f"the address was changed: {line}")
        equal(headers.get_all("X-Daypass-Client"), [self.daypass.client_id("reader")], "X-Daypass-Client")
        equal(headers.get_all("X-Daypass-Roles"), ["orders.read"], "X-Daypass-Roles")
        equal(headers["Authorization"], None, "Authorization")
        equal(headers["X-Daypass-Api"], None, "the proof of the proxy")

    def refused(self, *, challenged):
        """`challenged` says whether the proxy hands on Daypass's challenge with a 403 too."""
        self.up()
        status, head, seen = self.ask("/orders/7")
        equal((status, seen), (401, []), "without a token")
        check("\r\nwww-authenticate: bearer\r\n" in head.lower(), f"there is no challenge: {head}")
        for token in ("x", "e30.e30.", self.daypass.token("reader", "0f2b6d1c-8a47-4c3e-9d5a-71e6b0c84f29")):
            status, head, seen = self.ask("/orders/7", token)
            equal((status, seen), (401, []), f"with the token {token[:9]}")
            check('error="invalid_token"' in head, f"no code says why: {head}")
        for token, method, target in (
            (self.token, "POST", "/orders"),
            (self.token, "GET", "/orders/admin"),
            (self.daypass.token("writer"), "GET", "/orders/7"),
            (self.token, "DELETE", "/orders/7"),
            (self.token, "GET", "/internal"),
        ):
            status, head, seen = self.ask(target, token, method=method)
            equal((status, seen), (403, []), f"{method} {target}")
        _, head, _ = self.ask("/orders/admin", self.token)
        equal('error="insufficient_scope"' in head, challenged, "a challenge with the 403")
        status, _, _ = self.ask("/orders", self.daypass.token("writer"), method="POST")
        equal(status, 200, "POST /orders by the writer")

    def around(self):
        self.up()
        for target in AROUND:
            status, _, seen = self.ask(target, self.token)
            self.fine(target, status, seen)
            status, _, seen = self.ask(target)
            check(status != 200 and not seen, f"{target!r} without a token is {status}: {seen}")

    def claims(self):
        self.up()
        for claim in CLAIMS:
            for method, target in (("GET", "/internal"), ("GET", "/orders/admin"), ("DELETE", "/orders/7")):
                status, _, seen = self.ask(target, self.token, claim, method=method)
                check(status != 200 and not seen, f"{method} {target} with {claim} is {status}: {seen}")
            for doubled in ((claim,), (claim, claim)):
                status, _, seen = self.ask("/orders/7", self.token, *doubled)
                self.fine(claim, status, seen)
                for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-URL", "X-Rewrite-URL"):
                    check(all(name not in headers for _, headers in seen), f"{claim} reached the API")

    def identity(self):
        """The API sees who it is, or nothing: under each name and under each that CGI makes the same."""
        self.up()
        own = {"x-daypass-client": [self.daypass.client_id("reader")], "x-daypass-roles": ["orders.read"]}
        for name in ("X-Daypass-Client", "X_Daypass_Client", "X-Daypass_Client", "x-daypass-client", "X-Daypass-Roles", "X_DAYPASS_ROLES", "X-Daypass-Subject", "X.Daypass.Client", "X-Daypass~Roles"):
            for claim in (((name, "admin"),), ((name, "admin"), (name, "root")), ((name, ""),)):
                status, _, seen = self.ask("/orders/7", self.token, *claim)
                check(status == 200 or not seen, f"{claim} is {status} and reached the API")
                for _, headers in seen:
                    names = {plain(one) for one in headers}
                    told = {one: [value for key, value in headers.items() if plain(key) == one] for one in names}
                    equal({one: told.get(one) for one in own}, own, f"what the API is told with {claim}")
                    check("x-daypass-subject" not in names or told["x-daypass-subject"] == ["-"], f"{claim}: {told}")
        for name in ("X-Daypass-Client", "X-Daypass-Roles"):
            _, _, seen = self.ask("/orders/7", self.token, ("Connection", f"close, {name}"))
            for _, headers in seen:
                # A proxy may take out what the client calls a matter of the connection; the API then hears of nobody.
                check(headers.get_all(name) in (None, own[name.lower()]), f"{name} is {headers.get_all(name)}")

    def upgrades(self):
        """What is sent on a connection after such a change nobody asks about. nginx and Traefik take the header away."""
        self.up()
        for more in ((), (("HTTP2-Settings", "AAMAAABkAAQAAP__"),)):
            connection = "Upgrade, HTTP2-Settings" if more else "Upgrade"
            _, _, seen = self.ask("/orders/7", self.token, ("Connection", connection), ("Upgrade", "h2c"), *more)
            check(all("h2c" not in (headers["Upgrade"] or "") for _, headers in seen), "a change to h2c reached the API")

    def hosts(self):
        self.up()
        # nginx takes the dot away, and hands the name on without it.
        _, _, seen = self.ask("/orders/7", self.token, host=f"{HOST}.")
        check(all(headers["Host"] == HOST for _, headers in seen), "the API sees a host with a dot at its end")
        for host in ("evil.example.com", f"{HOST}.evil.example.com", f"evil@{HOST}", f"{HOST}, evil", "127.0.0.1", ""):
            for claim in ((), (("X-Forwarded-Host", HOST),), (("X-Original-Host", HOST), ("Forwarded", f"host={HOST}"))):
                status, _, seen = self.ask("/orders/7", self.token, *claim, host=host)
                check(status != 200 and not seen, f"Host {host!r} with {claim} is {status}: {seen}")
        status, _, seen = self.ask("/orders/7", self.token, ("Host", "evil.example.com"))
        check(status != 200 and not seen, f"two hosts are {status}: {seen}")

    def http2(self):
        """What HTTP/2 can say and HTTP/1.1 cannot, by a client that does not care what is allowed."""
        self.up()
        usual = [(":method", "GET"), (":scheme", "http"), (":authority", HOST), (":path", "/orders/7")]
        bearer = [("authorization", f"Bearer {self.token}")]
        status, seen = self.stream(usual + bearer)
        equal((status, len(seen)), (200, 1), "an ordinary request")
        changed = lambda name, value: [(key, value if key == name else old) for key, old in usual]
        for headers in (
            usual + [("host", "evil.example.com")],
            changed(":authority", "evil.example.com") + [("host", HOST)],
            usual + [(":path", "/internal")],
            changed(":path", "/internal") + [(":path", "/orders/7")],
            changed(":path", "/internal#/orders/7"),
            changed(":path", "/orders/7#/../../internal"),
            changed(":path", "/orders/7 HTTP/1.1\r\nX: "),
            changed(":path", "/orders/../internal"),
            changed(":path", "/orders\\admin"),
            changed(":path", "internal"),
            changed(":path", "http://evil.example.com/internal"),
            changed(":path", "*"),
            changed(":path", ""),
            changed(":method", "DELETE"),
            changed(":method", "GET /internal HTTP/1.1\r\nX:"),
            changed(":method", "get"),
            usual + [("x-forwarded-uri", "/orders/8"), ("x_forwarded_uri", "/internal")],
            usual + [("X-Daypass-Client", "admin")],
            usual + [("x-daypass-client", "admin")],
            usual + [("transfer-encoding", "chunked")],
            usual + [("connection", "x-daypass-client")],
        ):
            status, seen = self.stream(headers + bearer)
            self.fine(headers, status, seen)
            for _, told in seen:
                check(told.get_all("X-Daypass-Client") in (None, [self.daypass.client_id("reader")]), f"{headers}: {told}")
                check("evil" not in (told["Host"] or ""), f"{headers} reached the API under {told['Host']}")

    def stream(self, headers):
        """One stream of a connection of its own: the status, or None, and what reached the API."""
        self.api.seen.clear()
        config = h2.config.H2Configuration(
            validate_outbound_headers=False, normalize_outbound_headers=False, validate_inbound_headers=False
        )
        connection, status = h2.connection.H2Connection(config), None
        with socket.create_connection(("127.0.0.1", self.port), 10) as peer:
            connection.initiate_connection()
            connection.send_headers(1, [hpack.NeverIndexedHeaderTuple(*header) for header in headers], end_stream=True)
            peer.sendall(connection.data_to_send())
            peer.settimeout(5)
            with contextlib.suppress(OSError, h2.exceptions.ProtocolError):
                while piece := peer.recv(65536):
                    events = connection.receive_data(piece)
                    peer.sendall(connection.data_to_send())
                    for event in events:
                        if isinstance(event, h2.events.ResponseReceived):
                            status = int(dict((bytes(k), bytes(v)) if isinstance(k, bytes) else (k.encode(), v.encode()) for k, v in event.headers)[b":status"])
                    ended = (h2.events.StreamEnded, h2.events.StreamReset, h2.events.ConnectionTerminated)
                    if any(isinstance(event, ended) for event in events):
                        break
        return status, list(self.api.seen)

    def wrong_secret(self):
        self.up()
        wrong = base64.b64encode(b"0d1f6f0e-6f0b-4f43-9d1c-3a3f1a6b7c11:wrong").decode()
        port, proxy = self.behind(wrong, "wrong")
        try:
            wait_until(lambda: self.ask("/orders/7", port=port)[0] != 404, 60, "the proxy is ready")
            for token in (None, "x", self.token):
                status, head, seen = self.ask("/orders/7", token, port=port)
                check(status >= 500 and not seen, f"a proxy without proof: {status} {seen}")
                check("www-authenticate" not in head.lower() and "client" not in head.lower(), f"the client is told: {head}")
        finally:
            proxy.stop()

    def away(self):
        """The last case: Daypass is gone."""
        self.up()
        self.daypass.service.stop()
        time.sleep(0.2)
        for token in (None, self.token):
            status, _, seen = self.ask("/orders/7", token)
            check(status >= 500 and not seen, f"without Daypass: {status} {seen}")

    def fine(self, what, status, seen):
        """Nothing reached the API but what the token is for."""
        check(status != 200 or seen, f"{what!r} was answered by somebody else")
        for line, _ in seen:
            check(is_orders(line), f"{what!r} is {status} and reached the API as {line!r}")


def placed(snippet, ports, **words):
    """The guide's file with this machine's ports."""
    text = (SNIPPETS / snippet).read_text()
    for shown, ours in ports.items():
        for form in ("127.0.0.1:{}", ":{} {{", "port_value: {}"):
            text = text.replace(form.format(shown), form.format(ours))
    for shown, ours in words.items():
        check(shown in text, f"{snippet} has no {shown}")
        text = text.replace(shown, ours)
    return text


__all__ = ["Gate", "Program", "binary", "placed"]
