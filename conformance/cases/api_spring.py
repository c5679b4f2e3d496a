"""The guide's Spring API: the settings as they stand, and the controller. Spring comes from Maven Central."""

# needs: pypi
# client: api / Spring Boot

import functools
import hashlib
import os
import shutil
import subprocess

from api import SNIPPETS, Apis, Program
from daypass import WORK, Skipped, case, equal, free_port, main

SOURCE = SNIPPETS / "spring"


@functools.cache
def classpath():
    """The compiled program and what it needs; fetched once, and again when the versions change."""
    for tool in ("java", "javac", "mvn"):
        if not shutil.which(tool):
            raise Skipped(f"there is no {tool}")
    stamp = hashlib.sha256((SOURCE / "pom.xml").read_bytes()).hexdigest()[:16]
    jars = WORK.parent / f"spring-{stamp}"
    if not jars.exists():
        fetch = ["mvn", "-q", "-B", "-f", SOURCE / "pom.xml", "dependency:copy-dependencies"]
        try:
            done = subprocess.run(
                [*fetch, f"-DoutputDirectory={jars}.new"], capture_output=True, text=True, timeout=60
            )
        except subprocess.TimeoutExpired:
            raise Skipped("Spring could not be fetched within a minute") from None
        if done.returncode:
            lines = [line for line in done.stdout.splitlines() if "ERROR" in line]
            raise Skipped(f"Spring could not be fetched ({lines[0] if lines else 'no word why'})")
        os.rename(f"{jars}.new", jars)
    classes = WORK / "spring"
    compiled = ["javac", "-encoding", "UTF-8", "-parameters", "-cp", f"{jars}/*", "-d", classes]
    done = subprocess.run([*map(str, compiled), str(SOURCE / "OrdersApi.java")], capture_output=True, text=True, timeout=60)
    equal(done.returncode, 0, f"exit status of javac ({done.stderr})")
    shutil.copy(SOURCE / "application.yml", classes)
    return f"{classes}:{jars}/*"


def start(folder, environment):
    # Two cores are what a small machine has: no compiler that works in the background for a program of seconds.
    arguments = ["java", "-XX:TieredStopAtLevel=1", "-cp", classpath(), "orders.OrdersApi"]
    listed = environment | {"AUDIENCE": environment["AUDIENCE"].replace(" ", ",")}
    return Program(arguments, free_port(), folder / "api.log", listed)


APIS = Apis("api_spring", start)


@case("a good token is let in")
def good():
    APIS.good()


@case("tokens of version 1.0 are let in, those of type at+jwt are not")
def shapes():
    # Which claim names the client is a setting, and Spring's own decoder knows the type JWT alone.
    APIS.shapes(named=False, typed=False)


@case("no token is 401, and no code says why")
def nobody():
    APIS.nobody()


@case("another audience, another issuer and garbage are 401 invalid_token")
def not_for_here():
    APIS.not_for_here()


@case("expired and not yet valid are 401, by a leeway of a minute")
def not_now():
    APIS.not_now()


@case("unsigned, forged and foreign keys are 401")
def forged():
    APIS.forged()


@case("a token that is bound to a key is 401")
def bound():
    APIS.bound()


@case("a missing role is 403 insufficient_scope")
def too_little():
    APIS.too_little()


@case("while the issuer is away its tokens are taken")
def away():
    APIS.away()


try:
    main()
finally:
    APIS.stop()
