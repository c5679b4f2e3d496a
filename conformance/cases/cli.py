"""The command line beside a running server, and a server that is told to stop."""

import contextlib
import json
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import threading
import time
import urllib.parse

from daypass import BINARY, Server, case, check, command, equal, fresh, http, main, wait_until

FORM = "application/x-www-form-urlencoded"


def token(server, **changes):
    ours = server.credentials["entra"]
    fields = {name: ours[name] for name in ("client_id", "client_secret", "scope")} | changes
    body = urllib.parse.urlencode({"grant_type": "client_credentials"} | fields).encode()
    return http(f"{server.url}/{ours['tenant']}/oauth2/v2.0/token", body, {"Content-Type": FORM})


def add_client(server, name):
    """A client like the demo one of the OAuth endpoint."""
    clients = json.loads(command("client", "list", "--data", server.data, "--json").stdout)
    [demo] = [client for client in clients if client["id"] == server.credentials["entra"]["client_id"]]
    role = demo["grants"][0]["role"]
    arguments = ("--data", server.data, "--kind", "client-secret", "--role", role, "--json")
    [key] = json.loads(command("client", "add", name, *arguments).stdout)["keys"]
    return {"client_id": key["client_id"], "client_secret": key["client_secret"]}


@case("a client added while the server runs is soon served")
def add():
    with Server(fresh("add") / "data") as server:
        pair = add_client(server, "edge")
        wait_until(lambda: token(server, **pair).status == 200, 60, "the new client was not served")
        shown = command("client", "show", "edge", "--data", server.data).stdout
        check(pair["client_secret"] not in shown, "client show shows the secret")


@case("a client disabled while the server runs is soon refused")
def disable():
    with Server(fresh("disable") / "data") as server:
        pair = add_client(server, "edge")
        wait_until(lambda: token(server, **pair).status == 200, 60, "the new client was not served")
        command("client", "disable", "edge", "--data", server.data)
        wait_until(lambda: token(server, **pair).status == 400, 60, "the disabled client was not refused")
        said = token(server, **pair).json()
        equal((said["error"], said["error_codes"]), ("unauthorized_client", [7000112]), "the refusal")
        equal(token(server).status, 200, "status of the other client")
        command("client", "enable", "edge", "--data", server.data)
        wait_until(lambda: token(server, **pair).status == 200, 60, "the enabled client was not served")


@case("rotation: two keys live side by side, until one is retired")
def rotate():
    with Server(fresh("rotate") / "data") as server:
        old = add_client(server, "edge")
        [key] = json.loads(command("client", "rotate", "edge", "--data", server.data, "--json").stdout)["keys"]
        new = {"client_id": key["client_id"], "client_secret": key["client_secret"]}
        wait_until(lambda: token(server, **new).status == 200, 60, "the new key was not served")
        equal(token(server, **old).status, 200, "status with the old key")
        shown = json.loads(command("client", "show", "edge", "--data", server.data, "--json").stdout)
        [first] = [one["id"] for one in shown["keys"] if one["id"] != key["id"]]
        command("client", "retire", "edge", first, "--force", "--data", server.data)
        wait_until(lambda: token(server, **old).status == 401, 60, "the retired key was not refused")
        equal(token(server, **new).status, 200, "status with the new key")


@case("audit: what was granted and changed is in the records, and they verify")
def audit():
    data = fresh("audit") / "data"
    with Server(data) as server:
        equal(token(server).status, 200, "status")
        equal(token(server, client_secret="wrong").status, 401, "status of a wrong secret")
        add_client(server, "edge")
        printed = command("audit", "tail", "-n", "100", "--data", data).stdout
        for word in ("granted", "client.add"):
            check(word in printed, f"{word} is not in {printed!r}")
        check(server.credentials["entra"]["client_secret"] not in printed, "a secret is in the records")
        command("audit", "verify", "--data", data)
    command("audit", "verify", "--data", data)


@case("audit verify finds a changed, a missing and a cut-off record")
def tampered():
    folder = fresh("tampered")
    with Server(folder / "data") as server:
        for _ in range(3):
            equal(token(server).status, 200, "status")
    for name, damage in (
        ("changed", "UPDATE records SET document = CAST(document || x'20' AS BLOB) WHERE position = :middle"),
        ("missing", "DELETE FROM records WHERE position = :middle"),
        ("cut-off", "DELETE FROM records WHERE position = :last"),
    ):
        copy = folder / name
        shutil.copytree(folder / "data", copy)
        command("audit", "verify", "--data", copy)
        with contextlib.closing(sqlite3.connect(copy / "daypass.db")) as database:
            positions = [row[0] for row in database.execute("SELECT position FROM records ORDER BY position")]
            where = {"middle": positions[len(positions) // 2], "last": positions[-1]}
            touched = database.execute(damage, {key: at for key, at in where.items() if f":{key}" in damage}).rowcount
            database.commit()
        equal(touched, 1, f"number of records {name}")
        said = command("audit", "verify", "--data", copy, status=1).stdout
        check(not said.endswith(" 0 faults\n"), f"{name}: {said!r}")


@case("check: a broken file exits 2 with file, line, column and what was meant")
def broken():
    folder = fresh("broken")
    command("init", folder / "house")
    file = folder / "house" / "daypass.toml"
    command("check", "--config", file)
    lines = file.read_text().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if re.match(r"listen\s*=", text))
    file.write_text("\n".join(lines).replace("\nlisten", "\n  listn", 1) + "\n")
    said = command("check", "--config", file, status=2)
    printed = said.stdout + said.stderr
    check(f"{file}:{line}:3: " in printed, f"{printed!r} does not name {file}:{line}:3")
    check("did you mean `listen`" in printed, f"{printed!r} does not say what was meant")
    file.write_text("[server\n")
    said = command("check", "--config", file, status=2)
    check(re.search(rf"^{re.escape(str(file))}:1:\d+: ", said.stdout + said.stderr, re.MULTILINE), f"{said} names no place")
    command("serve", "--config", file, status=2)


@case("init, check and serve make a running service that ends cleanly")
def serve():
    folder = fresh("serve")
    command("init", folder)
    file = folder / "daypass.toml"
    text, found = re.subn(r'^listen(\s*)=(\s*)"[^"]*"', r'listen\1=\2"127.0.0.1:0"', file.read_text(), flags=re.MULTILINE)
    equal(found, 1, "number of listen lines in the template")
    file.write_text(text)
    command("check", "--config", file)
    log = folder / "serve.log"
    with open(log, "wb") as output:
        server = subprocess.Popen(
            [BINARY, "serve", "--config", file], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        ready = re.compile(r"ready.*?(127\.0\.0\.1:\d+)|(127\.0\.0\.1:\d+).*?ready")
        wait_until(lambda: ready.search(log.read_text()) or server.poll() is not None, 60, "serve was not ready")
        equal(server.poll(), None, f"exit status of serve ({log.read_text()})")
        address = next(filter(None, ready.search(log.read_text()).groups()))
        equal(http(f"http://{address}/livez").status, 200, "status of livez")
        server.send_signal(signal.SIGTERM)
        equal(server.wait(10), 0, "exit status of serve after SIGTERM")
    finally:
        server.kill()


@case("SIGTERM in the moment of the announcement ends the process cleanly")
def at_once():
    folder = fresh("at-once")
    for _ in range(10):
        arguments = ("dev", "--listen", "127.0.0.1:0", "--data", folder / "data")
        server = subprocess.Popen([BINARY, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        with server.stdout:
            check(b"is ready" in server.stdout.readline(), "dev does not begin with saying that it is ready")
            server.send_signal(signal.SIGTERM)
            equal(server.wait(60), 0, "exit status")


@case("SIGTERM: every request in flight is answered, and the process ends within ten seconds")
def drain():
    with Server(fresh("drain") / "data") as server:
        host, port = urllib.parse.urlsplit(server.url).netloc.split(":")
        ours = server.credentials["entra"]
        fields = {name: ours[name] for name in ("client_id", "client_secret", "scope")}
        body = urllib.parse.urlencode({"grant_type": "client_credentials"} | fields).encode()
        head = f"POST /{ours['tenant']}/oauth2/v2.0/token HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: {FORM}\r\n"
        request = head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body

        def connect():
            return socket.create_connection((host, int(port)), timeout=60)

        def ask(connection, first, rest=b"", pause=0.0):
            """Sends, and returns the status line of a whole answer."""
            connection.sendall(first)
            time.sleep(pause)
            connection.sendall(rest)
            stream = connection.makefile("rb")
            status, length = stream.readline(), 0
            while (line := stream.readline().strip()) :
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            return status.split(b" ")[1] if len(stream.read(length)) == length > 0 else b"cut off"

        answers, stopping, lock = [], threading.Event(), threading.Lock()

        def note(run):
            try:
                answer = run()
            except Exception as error:  # a reset connection is what this case is about
                answer = repr(error)
            with lock:
                answers.append(answer)

        def busy():
            """Asks again and again, each time on a new connection, until the signal is sent."""

            def one():
                with connect() as connection:
                    return ask(connection, request)

            while not stopping.is_set():
                note(one)

        def slow(pause):
            """Has sent half of a request when the signal comes."""
            with connect() as connection:
                note(lambda: ask(connection, request[:-40], request[-40:], pause))

        idle = connect()
        equal(ask(idle, request), b"200", "status on the connection that then idles")
        threads = [threading.Thread(target=slow, args=(1 + pause,)) for pause in (0.5, 1.0, 2.0, 3.0)]
        threads += [threading.Thread(target=busy) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(1)
        stopping.set()
        server.process.send_signal(signal.SIGTERM)
        begun = time.monotonic()
        for thread in threads:
            thread.join(60)
        equal(server.process.wait(60), 0, "exit status")
        took = time.monotonic() - begun
        idle.close()
        check(took <= 10, f"the process took {took:.1f} seconds to end")
        equal(set(answers), {b"200"}, f"statuses of {len(answers)} requests")
        check(len(answers) > 12, f"only {len(answers)} requests were made")
    command("audit", "verify", "--data", server.data)


main()
