"""Programs in Python that get their key from `daypass env`, `exec`, `credential-process` and `agent`: the vendors' own
libraries, which look for it in their own places."""

# needs: pypi

import json
import os
import pathlib
import shlex
import socket
import subprocess
import sys
import tempfile

import jwt
from daypass import BINARY, Skipped, case, check, equal, http, main, matches
from held import PROGRAMS, User

USER = User("held")
USER_PROGRAM = PROGRAMS / "alibaba_default.py"
SCOPE = USER.server.credentials["entra"]["scope"]
ACCOUNT = r"\d{12}"
TENCENT = rf"qcs::sts:{ACCOUNT}:federated-user/\w+"
ALIBABA = rf"acs:ram::{ACCOUNT}:assumed-role/uploads/app-1"


def claims(token):
    return jwt.decode(token, options={"verify_signature": False})


@case("exec: a key of Tencent's in the environment works, and is asked for once")
def tencent_exec():
    before = USER.given()
    for _ in range(3):
        matches(TENCENT, USER.python("exec", "tencent", "tencent_env.py"), "who asks")
    equal(USER.given(), before + 1, "credentials that were given")


@case("exec: the SDK's own EnvironmentVariableCredential leaves the token out, and is refused")
def tencent_without_token():
    program = (PROGRAMS / "tencent_env.py").read_text()
    [line] = [line for line in program.splitlines() if line.startswith("key = ")]
    program = program.replace(line, "key = credential.EnvironmentVariableCredential().get_credential()")
    said = USER.daypass("exec", "tencent", program=(sys.executable, "-c", program), status=1)
    check("AuthFailure" in said, f"it says {said}")


@case("exec: Alibaba's credentials library finds the key in the environment")
def alibaba_exec():
    matches(ALIBABA, USER.python("exec", "alibaba", "alibaba_default.py", options=("--sts",)), "who asks")


@case("exec: a long-lived key of the parent's is not what the library finds")
def alibaba_parent():
    parent = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "LTAIlong", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "long"}
    said = USER.python("exec", "alibaba", "alibaba_default.py", options=("--sts",), **parent)
    matches(ALIBABA, said, "who asks")


@case("exec: oss2 signs with the key of the environment")
def oss_exec():
    code = (
        "import oss2; p = oss2.ProviderAuthV4(oss2.credentials.EnvironmentVariableCredentialsProvider());"
        "b = oss2.Bucket(p, 'https://oss-cn-hangzhou.aliyuncs.com', 'pics', region='cn-hangzhou');"
        "print(b.sign_url('PUT', 'a', 60))"
    )
    said = USER.daypass("exec", "alibaba", program=(sys.executable, "-c", code))
    check("x-oss-security-token=" in said and "x-oss-credential=STS." in said, f"the URL is {said}")


@case("env: a shell takes the lines, and what it starts finds the key")
def environment():
    ask = shlex.join([BINARY, "env", "alibaba", "--sts", "--from", str(USER.key)])
    start = shlex.join([sys.executable, str(USER_PROGRAM)])
    said = USER.run("sh", "-c", f'eval "$({ask})" && {start}')
    matches(ALIBABA + r"\n", said, "who asks")


@case("credential-process: a profile of mode External, in the library's default chain")
def external():
    USER.profile()
    before = USER.given()
    for _ in range(2):
        said = USER.run(sys.executable, USER_PROGRAM, ALIBABA_CLOUD_ECS_METADATA_DISABLED="true")
        matches(ALIBABA + r"\n", said, "who asks")
    check(USER.given() <= before + 1, "each start asked the server")


@case("credential-process: azure-identity reads it as the answer of az")
def az():
    daypass = shlex.join([BINARY, "credential-process", "entra", "--from", str(USER.key)])
    folder = USER.script("az", f"#!/bin/sh\nexec {daypass}\n")
    code = "import sys; from azure.identity import AzureCliCredential as C; print(C().get_token(sys.argv[1]).token)"
    path = f"{folder}:{USER.environment()['PATH']}"
    token = USER.run(sys.executable, "-c", code, SCOPE, PATH=path).strip()
    equal(claims(token)["aud"], SCOPE.removesuffix("/.default"), "audience")


@case("agent: Alibaba's default chain fetches the key, and no profile or machine is asked before")
def alibaba_agent():
    USER.profile()
    matches(ALIBABA, USER.python("agent", "alibaba", "alibaba_default.py", options=("--sts",)), "who asks")
    code = "from alibabacloud_credentials.client import Client as C; print(C().get_credential().provider_name)"
    said = USER.daypass("agent", "alibaba", "--sts", program=(sys.executable, "-c", code))
    matches(r"default/credential_uri\n", said, "the provider")


@case("agent: Tencent's CVMRoleCredential fetches the key")
def tencent_agent():
    matches(TENCENT, USER.python("agent", "tencent", "tencent_agent.py"), "who asks")


@case("agent: azure-identity takes it for the managed identity of an App Service")
def entra_agent():
    token = USER.python("agent", "entra", "entra_default.py", SCOPE)
    equal(claims(token)["aud"], SCOPE.removesuffix("/.default"), "audience")


@case("agent: for another resource there is no token, and the library says so")
def entra_other():
    said = USER.daypass(
        "agent",
        "entra",
        program=(
            sys.executable,
            "-c",
            "from azure.identity import ManagedIdentityCredential as C; C().get_token('api://other/.default')",
        ),
        status=1,
    )
    check("this agent holds a token for" in said, f"it says {said}")


@case("agent: a program that lives on is served while the server is gone")
def outlives():
    user = User("held-gone")
    code = (
        "import os, signal, sys, time; from alibabacloud_credentials.client import Client as C;"
        "C().get_credential(); os.kill(int(sys.argv[1]), signal.SIGTERM); time.sleep(1);"
        "print(C().get_credential().access_key_id)"
    )
    server = str(user.server.process.pid)
    said = user.daypass("agent", "alibaba", program=(sys.executable, "-c", code, server))
    matches(r"STS\.\S+\n", said, "the key")
    user.server.stop()
    said = user.daypass("exec", "alibaba", program=("true",), status=3)
    check("cannot connect" in said, f"it says {said}")


def as_another_user(path):
    """What another user is told at a socket that is open to all: what came back before the end, or why nothing did."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(10)
                peer.connect(path)
                peer.sendall(b"GET /credentials HTTP/1.1\r\nhost: agent\r\n\r\n")
                os.write(writer, b"got " + peer.recv(4096))
        except OSError as error:
            os.write(writer, f"error {error}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as said:
        text = said.read()
    os.waitpid(child, 0)
    return text


@case("agent: another user is hung up on, even at a socket that is open to all")
def peers():
    if os.getuid() != 0:
        raise Skipped("only root can become another user")
    with tempfile.TemporaryDirectory() as above:
        os.chmod(above, 0o711)
        folder = pathlib.Path(above) / "own"
        folder.mkdir(mode=0o700)
        path = str(folder / "a.sock")
        command = [BINARY, "agent", "alibaba", "--from", USER.key, "--socket", path, "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=USER.environment()) as agent:
            equal(json.loads(agent.stdout.readline())["socket"], path, "the socket")
            # What stands in the way before the kernel's word for the peer is taken away.
            os.chmod(folder, 0o711)
            os.chmod(path, 0o777)
            with socket.socket(socket.AF_UNIX) as own:
                own.connect(path)
                own.sendall(b"GET /credentials HTTP/1.1\r\nhost: agent\r\n\r\n")
                check(own.recv(4096).startswith(b"HTTP/1.1 200"), "its own user is not answered")
            said = as_another_user(path)
            check(said in (b"got ", b"") or said.startswith(b"error [Errno 104]") or b"Broken pipe" in said, f"{said!r}")
            agent.terminate()


@case("agent: the address without the token, or by another name, gives nothing")
def strangers():
    code = "import os; print(os.environ['ALIBABA_CLOUD_CREDENTIALS_URI']); import time; time.sleep(60)"
    command = [BINARY, "agent", "alibaba", "--from", USER.key, "--", sys.executable, "-u", "-c", code]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=USER.environment()) as agent:
        url = agent.stdout.readline().strip()
        equal(http(url).status, 200, "status with the token")
        bare = url.rsplit("/", 2)[0]
        for address, headers in (
            (bare + "/credentials", {}),
            (url, {"Host": "evil.example"}),
            (url, {"Origin": "https://evil.example"}),
            (url, {"Sec-Fetch-Site": "same-origin"}),
        ):
            answer = http(address, headers=headers)
            equal(answer.status, 403, f"status of {headers}")
            check(b"STS." not in answer.body, "the key is in the refusal")
            check(not any(name.lower().startswith("access-control") for name in answer.headers), "CORS is allowed")
        agent.terminate()


try:
    main()
finally:
    USER.server.stop()
