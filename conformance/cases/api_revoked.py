"""What the guide says that nobody sees offline: an API goes on taking the token of a client that was disabled, and
introspection, by the guide's own commands, does not."""

# needs: pypi

import json
import os
import pathlib
import shlex
import subprocess
import sys

from api import SNIPPETS, Apis, Program, ask
from daypass import BINARY, case, equal, free_port, main, wait_until

GUIDE = (pathlib.Path(__file__).parents[2] / "docs" / "protect-your-api.md").read_text()
SHOWN = "https://pass.example.com/387c56a8-cf86-45de-b9f5-b4de88cac054"


def start(folder, environment):
    return Program([sys.executable, SNIPPETS / "flask_api.py"], free_port(), folder / "api.log", environment)


APIS = Apis("api_revoked", start)


def command(begins):
    """The guide's one command that begins so."""
    [line] = [line for line in GUIDE.splitlines() if line.startswith(begins)]
    return line


def run(line, folder, **environment):
    done = subprocess.run(
        ["sh", "-c", line], cwd=folder, env=os.environ | environment, capture_output=True, text=True, timeout=30
    )
    equal(done.returncode, 0, f"exit status of {line} ({done.stdout}{done.stderr})")
    return json.loads(done.stdout)


@case("a disabled client's token is taken offline, and is not active by introspection")
def revoked():
    daypass, api, _, _ = APIS.both
    folder = daypass.service.folder
    add = command("daypass client add orders-api").replace("daypass", shlex.quote(BINARY), 1)
    [key] = run(f"{add} --config {shlex.quote(str(daypass.service.config))} --json", folder)["keys"]
    (folder / "token.txt").write_text(daypass.token("reader"))
    line = f"{command('curl --user')} --silent".replace(SHOWN, daypass.base)
    names = {"CLIENT_ID": key["client_id"], "CLIENT_SECRET": key["client_secret"]}
    introspect = lambda: run(line, folder, **names)
    token = (folder / "token.txt").read_text()

    wait_until(lambda: introspect().get("active"), 60, "the token is active")
    equal(introspect()["client_id"], daypass.client_id("reader"), "client_id")
    equal(ask(api, token).status, 200, "status")
    daypass.service.command("client", "disable", "reader")
    wait_until(lambda: introspect() == {"active": False}, 60, "the answer is exactly that it is not active")
    equal(ask(api, token).status, 200, "status of the API, which asks nobody")


try:
    main()
finally:
    APIS.stop()
