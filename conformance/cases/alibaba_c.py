"""The documentation's C program: it signs with libcrypto and leaves the sending to others."""

# client: alibaba / C and libcrypto

import functools
import json
import shutil
import subprocess
import urllib.parse

import top
from daypass import WORK, Skipped, case, check, equal, http, main
from top_refusals import OURS, SERVER, SNIPPETS, checked, program


@functools.cache
def compiled():
    if not shutil.which("cc"):
        raise Skipped("there is no C compiler")
    probe = ["cc", "-E", "-include", "openssl/hmac.h", "-x", "c", "/dev/null", "-o", "/dev/null"]
    if subprocess.run(probe, capture_output=True, timeout=60).returncode:
        raise Skipped("there are no headers of libcrypto")
    command = ["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", SNIPPETS / "token.c", "-o", WORK / "token", "-lcrypto"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
    equal(done.returncode, 0, f"exit status of cc ({done.stderr})")
    return WORK / "token"


def token(**changes):
    form = program(compiled(), **changes)
    check("sign" in dict(urllib.parse.parse_qsl(form)), f"{form} is not signed")
    type_ = {"Content-Type": "application/x-www-form-urlencoded"}
    return json.loads(http(SERVER["url"] + "/router/rest", form.encode(), type_).body)


def refused(code, **changes):
    error = token(**changes)["error_response"]
    equal(error["code"], code, f"code of {error}")


@case("the program of the documentation")
def documented():
    for poi in OURS["poi_ids"]:
        for zone in ("UTC", "America/New_York"):
            checked(token(POI_ID=poi, TZ=zone)[top.ROOT]["result"], poi)


@case("a wrong secret is code 25")
def wrong_secret():
    refused(25, APP_SECRET="x")


@case("another store or tenant is code 50")
def other_store():
    refused(50, POI_ID="9999")
    refused(50, TENANT_CODE="盒马 &+%=")


main()
