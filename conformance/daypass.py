"""What every Python case shares: naming and reporting cases, and starting the binary.

Only the standard library, so that the cases that need no vendor's package run everywhere.
"""

import contextlib
import json
import os
import pathlib
import random
import re
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.request

BINARY = os.environ["DAYPASS_BINARY"]
WORK = pathlib.Path(os.environ["DAYPASS_WORK"])
NODE_MODULES = pathlib.Path(os.environ.get("DAYPASS_NODE_MODULES", "/nonexistent"))

_cases = []


class Skipped(Exception):
    """This case cannot run here; the text says why."""


def case(name):
    """Registers a function as a case. The name is a literal, because the runner also reads it from the source
    to report a case whose file could not run at all."""

    def register(function):
        _cases.append((name, function))
        return function

    return register


def main():
    """Runs the file's cases and prints one line for each."""
    stem = pathlib.Path(sys.argv[0]).stem
    for name, function in _cases:
        try:
            function()
            line = f"PASS {stem}: {name}"
        except Skipped as why:
            line = f"SKIPPED {stem}: {name}: {why}"
        except BaseException as error:  # an SDK may even call sys.exit
            traceback.print_exc()
            line = f"FAIL {stem}: {name}: {type(error).__name__}: {' '.join(str(error).split())}"
        print(line, flush=True)


def check(condition, otherwise):
    """An assertion that `python -O` does not remove."""
    if not condition:
        raise AssertionError(otherwise)


def equal(actual, expected, what):
    """Fails naming what differs and how."""
    check(actual == expected, f"{what} is {actual!r}, not {expected!r}")


def matches(pattern, text, what):
    """Fails unless the whole text has the form."""
    check(re.fullmatch(pattern, text), f"{what} is {text!r}, which is not of the form {pattern}")


def credentials():
    """The demo clients of the server that the runner started."""
    return json.loads(pathlib.Path(os.environ["DAYPASS_CREDENTIALS"]).read_text())


class Answer:
    """A whole HTTP answer, whatever its status."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


def http(url, data=None, headers=None, method=None, timeout=10, context=None):
    """One request by the standard library, which adds nothing that a signature could miss."""
    request = urllib.request.Request(url, data=data, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout, context=context) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers, error.read())


def wait_until(condition, seconds, what):
    """Polls; fails naming what did not happen in time. A machine that has other things to do is slow: a minute is what nothing takes
    that works."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError(f"{what} within {seconds} seconds")


class Running:
    """A daypass of the case's own. What it prints is in `log`."""

    context = None  # whom TLS trusts, where that is not whom the system trusts

    def __init__(self, log, *arguments):
        self.log = pathlib.Path(log)
        self.arguments = arguments

    def start(self):
        """Starts it, and returns once it answers."""
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [BINARY, *map(str, self.arguments)], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            wait_until(self._ready, 60, f"{self.log} says nothing of a ready server")
        except BaseException:
            self.stop(check_exit=False)
            raise
        return self

    def _ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"daypass ended with status {self.process.returncode}: {self.output()[-2000:]}")
        if not self._announced():
            return False
        with contextlib.suppress(OSError):
            return http(self.url + "/livez", context=self.context).status == 200
        return False

    def output(self):
        """All that the server printed so far."""
        return self.log.read_text(errors="replace")

    def stop(self, check_exit=True):
        """Ends it the way a service manager does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the server did not end after SIGTERM") from None
        if check_exit:
            equal(status, 0, f"exit status of daypass {self.arguments[0]} after SIGTERM")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.stop(check_exit=kind is None)


class Server(Running):
    """A `daypass dev`, on a port that the system chooses; it runs from the start."""

    def __init__(self, data, *arguments, listen="127.0.0.1:0"):
        self.data = pathlib.Path(data)
        self.credentials_file = self.data.with_name(self.data.name + "-credentials.json")
        self.credentials_file.unlink(missing_ok=True)
        place = ("--data", self.data, "--credentials", self.credentials_file)
        super().__init__(self.data.with_name(self.data.name + ".log"), "dev", "--listen", listen, *place, *arguments)
        self.start()

    def _announced(self):
        if not self.credentials_file.exists():
            return False
        self.credentials = json.loads(self.credentials_file.read_text())
        self.url = self.credentials["url"]
        if self.url.startswith("https:"):
            self.context = ssl.create_default_context(cafile=self.data / "ca.pem")
        return True


class Service(Running):
    """A `daypass serve` with a configuration of its own. `rest` is what follows the first [[tenant]] in the file;
    clients are added by the command line, before the start or after it. `with` starts it."""

    ACCOUNT = "100000000001"
    GUID = "387c56a8-cf86-45de-b9f5-b4de88cac054"

    def __init__(self, folder, rest, server="", tls=None):
        """`tls` names three files: certificate, key, and the authority (ca) that its clients trust."""
        self.folder = pathlib.Path(folder)
        self.host = f"127.0.0.1:{free_port()}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"
        if tls:
            self.context = ssl.create_default_context(cafile=tls["ca"])
            server += f'\npublic_url = "{self.url}"\n'
            server += f'tls = {{ certificate = "{tls["certificate"]}", key = "{tls["key"]}" }}\n'
        self.config = self.folder / "daypass.toml"
        self.config.write_text(
            f'[server]\nlisten = "{self.host}"\n{server}\n'
            '[store]\nurl = "sqlite:data/daypass.db"\n[seal]\nkey = { file = "seal.key" }\n'
            f'[[tenant]]\nname = "acme"\nguid = "{self.GUID}"\naccount = "{self.ACCOUNT}"\n'
            + rest
        )
        (self.folder / "data").mkdir(mode=0o700)
        seal = self.folder / "seal.key"
        seal.touch(mode=0o600)
        seal.write_text(secrets.token_hex(32) + "\n")
        super().__init__(self.folder / "serve.log", "serve", "--config", self.config)
        self.command("check")

    def command(self, *arguments):
        """The command line about this service; what it printed as JSON."""
        return json.loads(command(*arguments, "--config", self.config, "--json").stdout)

    def client(self, name, *arguments, kind="tencent"):
        """Adds a client; its key as the command line shows it once."""
        [key] = self.command("client", "add", name, "--kind", kind, *arguments)["keys"]
        return key

    def shown(self, secret_id, token):
        """What the operator reads back of a credential: from its token, and the same policy from its record."""
        carried = self.command("credential", "show", secret_id, f"--token={token}")
        equal(self.command("credential", "show", secret_id)["policy"], carried["policy"], "the policy in the record")
        return carried

    def records(self):
        """The newest records, oldest first."""
        printed = command("audit", "tail", "-n", "200", "--config", self.config, "--json").stdout
        return [json.loads(line) for line in printed.splitlines()]

    def grant(self):
        """The newest record of something that was handed out. What the server does by itself, such as preparing its next keys in its
        first seconds, is recorded as well."""
        return [one for one in self.records() if one["event"]["event"] == "grant"][-1]

    def _announced(self):
        return '"ready"' in self.output() or " ready " in self.output()

    def __enter__(self):
        return self.start()


GIVEN = set()  # to servers that may not listen yet


def free_port():
    """A port for a server that others must know before it listens. It is none of those that the system gives to
    connections, so that nothing takes it in between."""
    for _ in range(100):
        port = random.randrange(20000, 32000)
        if port in GIVEN:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            GIVEN.add(port)
            return port
    raise AssertionError("no port is free")


def fresh(name):
    """A folder of the case's own under the runner's scratch folder, empty."""
    folder = WORK / name
    folder.mkdir(parents=True)
    return folder


def command(*arguments, status=0, **options):
    """Runs the binary's command line and returns what it printed, after its exit status was as expected."""
    done = subprocess.run(
        [BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, **options
    )
    equal(done.returncode, status, f"exit status of daypass {' '.join(map(str, arguments))} ({done.stderr.strip()})")
    return done
