"""What the cases share that show what a client does when it is turned away: a server of the file's own with little room,
metrics that tell how often it was asked, and the four ways of being turned away for now."""

import concurrent.futures
import contextlib
import dataclasses
import http.server as http_server
import json
import pathlib
import re
import sqlite3
import threading
import time

from daypass import Service, check, equal, free_port, http, matches, wait_until

PLACES = 16  # as few as a server may have
HELD = 10  # seconds, which is as long as an application may take
ORIGIN = "https://lesson.example.com"
CAM = {"version": "2.0", "statement": {"effect": "allow", "action": ["soe:TransmitOralProcessWithInit"], "resource": "*"}}
RAM = {"Version": "1", "Statement": [{"Effect": "Allow", "Action": ["oss:PutObject"], "Resource": ["acs:oss:*:*:pics/*"]}]}
RESOURCE = "d6b7c858-55fa-4d04-85a6-131af690abd4"
TOP = (pathlib.Path(__file__).parent / "snippets" / "alibaba" / "top.toml").read_text()

# Everything that any of these clients asks for. The pages' application is slow: that is how the places are taken.
ROLES = f"""
[[tenant.role]]
name = "soe"
policy = {{ cam = '{json.dumps(CAM)}' }}
wildcard_reason = "SOE has no resource-level rights"

[[tenant.role]]
name = "uploads"
policy = {{ ram = '{json.dumps(RAM)}' }}

[[tenant.role]]
name = "devcenter"
audience = "{RESOURCE}"
roles = ["orders.read"]
algorithm = "ES256"
"""


class Bounded(Service):
    """A server with little room, which `with` starts."""

    def __init__(self, folder, more="", tls=None):
        self.application = Slow()
        self.metrics = f"127.0.0.1:{free_port()}"
        held = f"""
[[endpoint]]
dialect = "tencent.getAuthorization"
path = "/held"
tenant = "acme"
role = "soe"
origins = ["{ORIGIN}"]
limits = {{ network = {{ rate = 100000 }} }}
caller = {{ session = {{ cookie = "sid", whoami = "{self.application.url}", timeout = "{HELD}s" }} }}

[limits]
in_flight = {PLACES}
"""
        super().__init__(folder, ROLES + more + held, server=f'metrics = "{self.metrics}"', tls=tls)

    def __exit__(self, *why):
        super().__exit__(*why)
        self.application.close()

    def asked(self, result=""):
        """How often it was asked with this result, by whatever protocol but for the pages that take the places; with every
        result, if none is named."""
        counts = self._samples(r'daypass_requests_total\{dialect="([\w.-]+)",result="(\w+)"\} (\d+)')
        return sum(int(n) for dialect, its, n in counts if its == (result or its) and dialect != "tencent.getAuthorization")

    def _samples(self, form):
        text = http(f"http://{self.metrics}/metrics").body.decode()
        return re.findall(rf"^{form}$", text, re.MULTILINE)

    def ask(self, call, result):
        """What a client's user gets when it asks once, and how often the client itself asked for that: with this result, and
        in all."""
        before, all_before = self.asked(result), self.asked()
        outcome = Outcome.of(call)
        outcome.tries, outcome.asked = self.asked(result) - before, self.asked() - all_before
        return outcome

    @contextlib.contextmanager
    def full(self):
        """All places are taken by pages that wait for their application, until the end or for HELD seconds."""
        self.application.hold()
        with concurrent.futures.ThreadPoolExecutor(PLACES) as pool:
            pages = [pool.submit(self._page) for _ in range(PLACES)]

            def taken():
                # An application that was too slow the last time is not asked for a while.
                for number, page in enumerate(pages):
                    if page.done():
                        pages[number] = pool.submit(self._page)
                return self._samples(r"daypass_in_flight (\d+)") == [str(PLACES)]

            try:
                wait_until(taken, 60, "not all places were taken")
                yield
            finally:
                self.application.release()

    def _page(self):
        headers = {"Cookie": f"sid={time.monotonic_ns()}", "Origin": ORIGIN}
        return http(self.url + "/held", headers=headers, timeout=60, context=self.context)

    def at_the_bound(self, *calls):
        """What becomes of clients that ask one after another while there is no room, and give up before there is."""
        for _ in range(5):
            with self.full():
                began = time.monotonic()
                outcomes = [self.ask(call, "overloaded") for call in calls]
                if time.monotonic() - began < HELD - 1:
                    return outcomes
        raise AssertionError(f"they do not come to an end within {HELD} seconds")

    def room_comes(self, *calls):
        """What becomes of clients that all ask while there is no room, which there is again once each was refused; and how often
        they asked in vain."""
        with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
            with self.full():
                before = self.asked("overloaded")
                answers = [pool.submit(Outcome.of, call) for call in calls]
                over = lambda: all(answer.done() for answer in answers)
                wait_until(lambda: over() or self.asked("overloaded") - before >= len(calls), 60, "not all were refused")
            return [answer.result() for answer in answers], self.asked("overloaded") - before

    def above_its_rate(self, name, *calls):
        """What clients are told that ask too often, all with one key; after that they are served again."""
        self.command("client", "limit", name, "--rate", "1/h", "--burst", "1")
        return self._refused(name, calls)

    def day_used_up(self, name, *calls):
        """What clients are told whose key has had everything of this day; after that they are served again."""
        left = 86400 - time.time() % 86400
        if left < 60:
            time.sleep(left + 1)  # else there would be another day before the case is over
        self.command("client", "limit", name, "--daily", "1")
        return self._refused(name, calls)

    def _refused(self, name, calls):
        first, *others = calls
        outcomes = []

        def refused():
            outcomes[:] = [self.ask(first, "rate_limited")]
            return outcomes[0].error

        # The bound is in force within two seconds, and what came before it counts for nothing.
        wait_until(refused, 60, f"{name} is not refused")
        outcomes += [self.ask(call, "rate_limited") for call in others]
        self.command("client", "limit", name, "--none")
        for call in calls:
            wait_until(lambda call=call: not Outcome.of(call).error, 60, f"{name} is not served any more")
        return outcomes

    @contextlib.contextmanager
    def store_away(self):
        """Somebody else has the store's write lock, so that nothing can be recorded."""
        with contextlib.closing(sqlite3.connect(self.folder / "data" / "daypass.db", isolation_level=None)) as other:
            other.execute("PRAGMA busy_timeout = 20000")
            other.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                other.execute("ROLLBACK")

    def while_away(self, *calls):
        """What becomes of clients that all ask while the store is away, which comes back once each was refused; and how often
        they asked in vain. After that all are served."""
        before = self.asked("unavailable")
        with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
            with self.store_away():
                answers = [pool.submit(Outcome.of, call) for call in calls]
                wait_until(lambda: self.asked("unavailable") - before >= len(calls), 60, "not all were refused")
            outcomes = [answer.result() for answer in answers]
        tries = self.asked("unavailable") - before
        for call in calls:
            wait_until(lambda call=call: not Outcome.of(call).error, 60, "after the store came back it is not served")
        return outcomes, tries


@dataclasses.dataclass
class Outcome:
    """What the client's user got: nothing but an error, or something."""

    error: str
    seconds: float
    tries: int = 0
    asked: int = 0

    @classmethod
    def of(cls, call):
        began, error = time.monotonic(), ""
        try:
            check(call(), "it was answered with nothing")
        except Exception as its:
            error = f"{type(its).__name__}: {its}"
        return cls(" ".join(error.split()), time.monotonic() - began)

    def refused(self, says, tries=1, others=0):
        """It asked so often in vain, and for so much that is public, and its user sees this."""
        matches(f".*{says}.*", self.error, "what its user sees")
        equal((self.tries, self.asked), (tries, tries + others), "questions in vain, and questions")

    def served(self):
        """It asked again by itself, until it was served."""
        equal(self.error, "", "its error")


class Slow:
    """An application that knows every session, and answers nothing while it is told to hold."""

    def __init__(self):
        self._go = go = threading.Event()
        go.set()

        class Handler(http_server.BaseHTTPRequestHandler):
            def do_GET(self):
                go.wait(60)
                body = b'{"subject":"somebody"}'
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with contextlib.suppress(OSError):
                    self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http_server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/whoami"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def hold(self):
        self._go.clear()

    def release(self):
        self._go.set()

    def close(self):
        self.release()
        self._server.shutdown()
        self._server.server_close()
