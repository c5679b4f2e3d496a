"""The platform's official client for Java, from Maven Central, with the request class that its generator makes. It
stamps GMT+8, signs by hmac-sha256 unless told otherwise, and asks for XML or JSON."""

# needs: pypi
# client: alibaba / official Java

import functools
import hashlib
import os
import shutil
import subprocess

from daypass import WORK, Skipped, case, check, equal, main
from stand_ins.tls_front import certificate, tls_front
from top_refusals import OURS, SERVER, SNIPPETS, box, program, service

SOURCE = SNIPPETS / "java"


@functools.cache
def classpath():
    """The compiled program and what it needs; fetched once, and again when the versions change."""
    for tool in ("java", "javac", "mvn"):
        if not shutil.which(tool):
            raise Skipped(f"there is no {tool}")
    stamp = hashlib.sha256((SOURCE / "pom.xml").read_bytes()).hexdigest()[:16]
    jars = WORK.parent / f"maven-{stamp}"
    if not jars.exists():
        fetch = ["mvn", "-q", "-B", "-f", SOURCE / "pom.xml", "dependency:copy-dependencies"]
        fetch += ["-DexcludeTransitive=true", f"-DoutputDirectory={jars}.new"]
        done = subprocess.run(fetch, capture_output=True, text=True, timeout=100)
        if done.returncode:
            lines = [line for line in done.stdout.splitlines() if "ERROR" in line]
            raise Skipped(f"the SDK could not be fetched ({lines[0] if lines else 'no word why'})")
        os.rename(f"{jars}.new", jars)
    classes = WORK / "java"
    compiled = ["javac", "-encoding", "UTF-8", "-cp", f"{jars}/*", "-d", classes, *sorted(SOURCE.glob("*.java"))]
    done = subprocess.run(list(map(str, compiled)), capture_output=True, text=True, timeout=60)
    equal(done.returncode, 0, f"exit status of javac ({done.stderr})")
    return f"{classes}:{jars}/*"


def token(*arguments, **changes):
    # Two cores are what a small machine has: no compiler that works in the background for a second's program.
    return program("java", "-XX:TieredStopAtLevel=1", "-cp", classpath(), "Token", *arguments, **changes)


def checked(printed, poi=OURS["poi_ids"][0]):
    """What the program read out of the classes: the SDK makes null of what it does not find."""
    credential, resources = printed.splitlines()
    key_id, expiration = credential.split(" ")
    check(key_id.startswith("STS.") and expiration.endswith("Z"), f"credential is {credential!r}")
    equal(resources, f"[acs:oss:*:*:bucket/{OURS['tenant_code']}/{poi}/*]", "resources of the policy")


def refused(*arguments, **changes):
    return token(*arguments, status=1, **changes)


@case("the program of the documentation")
def documented():
    for poi in OURS["poi_ids"]:
        checked(token(POI_ID=poi), poi)


@case("XML and JSON by each sign method")
def ways():
    for method in ("md5", "hmac", "hmac-sha256"):
        for form in ("xml", "json"):
            checked(token(form, method))


@case("simplified JSON")
def simplified():
    checked(token("json", "hmac-sha256", "simplify"))


@case("a wrong secret is code 25")
def wrong_secret():
    for form in ("json", "xml"):
        check("25 Invalid signature " in refused(form, APP_SECRET="x"), "the refusal is not code 25")


@case("an unknown app key is code 29")
def unknown_key():
    check("29 Invalid app Key isv.appkey-not-exists " in refused(APP_KEY="1000000000"), "the refusal is not code 29")


@case("a missing param, or member of it, is code 40")
def missing():
    said = refused(POI_ID=None)
    check("40 Missing required arguments:param.op_poi_id isv.missing-parameter:op_poi_id " in said, said)


@case("another store or tenant is code 50")
def other_store():
    for change in ({"POI_ID": "9999"}, {"TENANT_CODE": "other"}):
        said = refused("xml", **change)
        check("50 Remote service error isv.invalid-parameter " in said, said)


@case("hmac-sha256 is served to a client that refuses md5, and md5 is code 53")
def weak():
    server = service("java-strict")
    key = box(server, "box", "--refuse", "md5")
    here = {"TOP_URL": server.url + "/router/rest", "APP_KEY": key["app_key"], "APP_SECRET": key["app_secret"]}
    with server:
        checked(token(**here))
        for method in ("md5", "hmac"):
            check("53 Insufficient security level" in refused("json", method, **here), "the refusal is not code 53")


@case("a server whose certificate is not trusted gets nothing")
def tls():
    with tls_front(SERVER["url"].removeprefix("http://"), certificate(WORK)) as host:
        check("SSLHandshakeException" in refused(TOP_URL=f"https://{host}/router/rest"), "the certificate was taken")


@case("a server that is not there is an exception, and no answer")
def away():
    check("ApiException" in refused(TOP_URL=SERVER["url"].rpartition(":")[0] + ":9/router/rest"), "no exception")


main()
