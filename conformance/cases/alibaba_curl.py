"""The documentation's shell script: curl, signed by openssl."""

# client: alibaba / curl and openssl

import json
import shutil

import top
from daypass import Skipped, case, check, main
from top_refusals import OURS, SNIPPETS, checked, program


def token(**changes):
    for tool in ("bash", "curl", "openssl"):
        if not shutil.which(tool):
            raise Skipped(f"there is no {tool}")
    return json.loads(program("bash", SNIPPETS / "token.sh", **changes))


def refused(code, **changes):
    error = token(**changes)["error_response"]
    check(error["code"] == code, f"code of {error}")


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
    # URL encoding and UTF-8 are right, or it would be 25.
    refused(50, TENANT_CODE="盒马 &+%=")


main()
