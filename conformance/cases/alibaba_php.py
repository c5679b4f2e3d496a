"""The documentation's PHP program. The vendor's own client for PHP is in no registry."""

# client: alibaba / PHP

import json
import shutil

from daypass import Skipped, case, check, main
from top_refusals import OURS, SNIPPETS, checked, program


def token(**changes):
    if not shutil.which("php"):
        raise Skipped("there is no php")
    return program("php", SNIPPETS / "token.php", **changes)


@case("the program of the documentation")
def documented():
    for poi in OURS["poi_ids"]:
        for zone in ("UTC", "America/New_York"):
            checked(json.loads(token(POI_ID=poi, TZ=zone)), poi)


@case("a wrong secret is code 25")
def wrong_secret():
    check(token(status=1, APP_SECRET="x").startswith("25 Invalid signature "), "the refusal is not code 25")


@case("another store or tenant is code 50")
def other_store():
    for change in ({"POI_ID": "9999"}, {"TENANT_CODE": "盒马 &+%="}):
        check(token(status=1, **change).startswith("50 Remote service error isv.invalid-parameter "), "not code 50")


main()
