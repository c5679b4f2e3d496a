"""`daypass dev` itself: what it prints, what it keeps, what it forgets."""

import json
import os
import re
import stat
import subprocess
import urllib.parse

from daypass import BINARY, Server, case, check, equal, fresh, http, main

# The names that scripts and CI jobs read.
NAMES = {
    "url": None,
    "get_authorization": {"path", "origin"},
    "tencent": {"secret_id", "secret_key"},
    "alibaba": {
        *("app_key", "app_secret", "access_key_id", "access_key_secret", "role_arn"),
        *("product_code", "scene_code", "usage_scene", "tenant_code", "poi_ids"),
    },
    "entra": {"tenant", "client_id", "client_secret", "scope"},
}


def token(server):
    """The answer to the demo client of the OAuth endpoint."""
    ours = server.credentials["entra"]
    fields = {name: ours[name] for name in ("client_id", "client_secret", "scope")}
    body = urllib.parse.urlencode({"grant_type": "client_credentials"} | fields).encode()
    return http(f"{server.url}/{ours['tenant']}/oauth2/v2.0/token", body, {"Content-Type": "application/x-www-form-urlencoded"})


def key_ids(server):
    """The ids of the keys that verify tokens."""
    keys = http(f"{server.url}/{server.credentials['entra']['tenant']}/discovery/v2.0/keys").json()
    return [key["kid"] for key in keys["keys"]]


def without_url(credentials):
    return {name: value for name, value in credentials.items() if name != "url"}


@case("livez answers 200")
def livez():
    with Server(fresh("livez") / "data") as server:
        equal(http(server.url + "/livez").status, 200, "status")
        equal(http(server.url + "/no/such/path").status, 404, "status of an unknown path")


@case("the credentials file has the contract's names and mode 0600, and so has the copy in the data folder")
def file():
    folder = fresh("file")
    with Server(folder / "data") as server:
        for path in (server.credentials_file, folder / "data" / "credentials.json"):
            equal(oct(stat.S_IMODE(path.stat().st_mode)), "0o600", f"mode of {path.name}")
            equal(json.loads(path.read_text()), server.credentials, f"content of {path.name}")
        equal(set(server.credentials), set(NAMES), "names of the credentials file")
        for name, members in NAMES.items():
            if members:
                equal(set(server.credentials[name]), members, f"names of {name}")
        for name, member in (("tencent", "secret_key"), ("alibaba", "app_secret"), ("entra", "client_secret")):
            secret = server.credentials[name][member]
            check(re.fullmatch(r"[A-Za-z0-9_.~-]{32,}", secret), f"{member} is not made of unreserved characters")


def paste(server):
    """Runs every command that the server printed, as if pasted into another terminal; their answers."""
    printed = re.findall(r"^    (\S.*)$", server.output(), re.MULTILINE)
    check(len(printed) >= 3, f"only {printed} is printed")
    answers = []
    # Without a folder of the user's nothing is kept from one command to the next, nor left behind.
    kept = "HOME", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME"
    options = {"cwd": "/", "env": {name: value for name, value in os.environ.items() if name not in kept}}
    for command in printed:
        done = subprocess.run(
            ["bash", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, **options
        )
        equal(done.returncode, 0, f"exit status of {command} ({done.stdout} {done.stderr})")
        answers.append(done.stdout)
    return answers


@case("every command that it prints succeeds")
def commands():
    with Server(fresh("a folder with a blank") / "data") as server:
        answers = paste(server)
        for dialect, mark in (
            ("Tencent", r'"TmpSecretId"\s*:\s*"AKID'),
            ("Alibaba", r'"access_key_id"\s*:\s*"STS\.'),
            ("Entra", r'"access_token"\s*:\s*"ey'),
        ):
            check(any(re.search(mark, answer) for answer in answers), f"no {dialect} credential among {answers}")
        for answer in answers:
            check(not re.search(r'"(Error|error|error_response)"', answer), f"a command was answered {answer}")


@case("no secret stands in the most talkative log")
def silent():
    with Server(fresh("silent") / "data", "--log", "trace") as server:
        answers = paste(server)
        ours = server.credentials
        equal(token(server).status, 200, "status")
    handed_out = re.findall(
        r'"(?:TmpSecretKey|Token|access_key_secret|token|access_token)"\s*:\s*"([^"]{20,})"', "".join(answers)
    )
    check(len(handed_out) >= 5, f"only {len(handed_out)} secrets are in the answers")
    ours = [ours["tencent"]["secret_key"], ours["alibaba"]["app_secret"], ours["entra"]["client_secret"]]
    logged = [line for line in server.output().splitlines() if line.startswith("{")]
    check(len(logged) >= len(answers), f"only {len(logged)} lines are logged")
    for secret in handed_out + ours:
        for line in logged:
            check(secret not in line, f"a secret is in the log: {line}")


@case("the same commands as JSON")
def commands_json():
    folder = fresh("json")
    with Server(folder / "data", "--json") as server:
        said = json.loads(server.output().splitlines()[0])
        equal(said["ready"], server.url, "ready")
        equal(set(said["commands"]), {"tencent", "alibaba", "entra"}, "dialects of the commands")


@case("a restart keeps the demo clients, their keys and the keys that sign")
def restart():
    data = fresh("restart") / "data"
    with Server(data) as server:
        before, keys = server.credentials, key_ids(server)
        equal(token(server).status, 200, "status before the restart")
    with Server(data) as server:
        equal(without_url(server.credentials), without_url(before), "credentials after the restart")
        equal(key_ids(server), keys, "key ids after the restart")
        equal(token(server).status, 200, "status after the restart")


@case("--reset makes new ones, and the old ones are refused")
def reset():
    data = fresh("reset") / "data"
    with Server(data) as server:
        before, keys = server.credentials, key_ids(server)
    (data / "mine.txt").write_text("not daypass's")
    with Server(data, "--reset") as server:
        after = server.credentials
        for name, member in (
            ("tencent", "secret_id"),
            ("tencent", "secret_key"),
            ("alibaba", "app_secret"),
            ("alibaba", "access_key_secret"),
            ("entra", "client_id"),
            ("entra", "client_secret"),
        ):
            check(after[name][member] != before[name][member], f"{member} of {name} is the old one")
        check(not set(key_ids(server)) & set(keys), "a key that signs outlived the reset")
        server.credentials = before
        equal(token(server).status, 400, "status of the old client")
    check((data / "mine.txt").exists(), "the reset removed a file that is not daypass's")


@case("a lost credentials file is written again, with new keys")
def lost():
    data = fresh("lost") / "data"
    with Server(data) as server:
        before = server.credentials
    (data / "credentials.json").unlink()
    with Server(data) as server:
        equal(server.credentials["entra"]["client_id"], before["entra"]["client_id"], "client_id")
        equal(token(server).status, 200, "status with the new secret")
        server.credentials = before
        equal(token(server).status, 401, "status with the old secret")


@case("a taken port and an address off loopback are refused in words")
def refused():
    folder = fresh("refused")
    with Server(folder / "data") as server:
        taken = server.url.removeprefix("http://")
        for listen, words in ((taken, taken), ("0.0.0.0:0", "loopback")):
            done = subprocess.run(
                [BINARY, "dev", "--listen", listen, "--data", folder / "other"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=20,
            )
            equal(done.returncode, 2, f"exit status with --listen {listen}")
            check(words in done.stderr, f"{done.stderr!r} does not say {words}")


main()
