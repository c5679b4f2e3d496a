"""Requests that nobody should send: each gets an answer in its dialect's own envelope, before anything is believed."""

import json
import socket
import urllib.parse
import xml.etree.ElementTree as xml

from daypass import case, check, credentials, equal, http, main

SERVER = credentials()
HOST, PORT = urllib.parse.urlsplit(SERVER["url"]).netloc.split(":")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def tencent(answer):
    equal((answer.status, answer.headers["Content-Type"]), (200, "application/json"), "status and content type")
    said = answer.json()["Response"]
    check(said["RequestId"], "RequestId is empty")
    return said["Error"]["Code"]


def top(answer):
    equal(answer.status, 200, "status")
    root = xml.fromstring(answer.body)
    equal(root.tag, "error_response", "root element")
    return int(root.findtext("code"))


def entra(answer):
    said = answer.json()
    check(answer.status in (400, 413) and said["error"] and said["trace_id"], f"{answer.status} {said}")
    return said["error"]


def page(answer):
    said = answer.json()
    check(400 <= answer.status < 500 and said["RequestId"], f"{answer.status} {said}")
    return said["Error"]["Code"]


def alibaba(answer):
    root = xml.fromstring(answer.body)
    check(400 <= answer.status < 500 and root.tag == "Error" and root.findtext("RequestId"), f"{answer.status} {root.tag}")
    return root.findtext("Code")


# Each dialect's path, how its errors are read, and what it calls a request that is too large.
DIALECTS = (
    ("/", tencent, "RequestSizeLimitExceeded"),
    ("/?Version=2015-04-01", alibaba, "RequestTooLarge"),
    ("/router/rest", top, 43),
    (f"/{SERVER['entra']['tenant']}/oauth2/v2.0/token", entra, "invalid_request"),
    (SERVER["get_authorization"]["path"], page, "RequestSizeLimitExceeded"),
)


def everywhere(expected, **request):
    """Sends one request to every dialect and compares what each calls it."""
    for path, read, too_large in DIALECTS:
        said = read(http(SERVER["url"] + path, **request))
        wanted = too_large if expected == "too large" else expected[read]
        equal(said, wanted, f"what {path} says of it")


def raw(data):
    """What the server answers to these bytes, until it closes or falls silent."""
    with socket.create_connection((HOST, int(PORT)), timeout=5) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile("rb").read()


@case("a body that is too large")
def body():
    everywhere("too large", data=b"x" * 300_000, headers=FORM)


@case("a query that is too large")
def query():
    for path, read, too_large in DIALECTS:
        join = "&" if "?" in path else "?"
        equal(read(http(f"{SERVER['url']}{path}{join}a={'x' * 33_000}")), too_large, f"what {path} says of it")


@case("too many header fields, and too many bytes of them")
def head():
    everywhere("too large", headers={f"x-{number}": "1" for number in range(70)})
    everywhere("too large", headers={"x-long": "1" * 33_000})


@case("a method that the dialect does not have")
def method():
    expected = {
        tencent: "UnsupportedProtocol",
        alibaba: "UnsupportedHTTPMethod",
        top: 9,
        entra: "invalid_request",
        page: "UnsupportedProtocol",
    }
    everywhere(expected, method="DELETE")
    everywhere(expected, method="PUT", data=b"{}", headers=FORM)


@case("a body of a type that the dialect does not have, and bytes that are no text")
def kind():
    expected = {
        tencent: "AuthFailure.InvalidAuthorization",
        alibaba: "UnsupportedContentType",
        top: 43,
        entra: "invalid_request",
        page: "UnsupportedProtocol",
    }
    everywhere(expected, data=b"\xff\x00{}", headers={"Content-Type": "application/x-unheard-of"})
    everywhere(expected | {top: 21, alibaba: "InvalidParameter.a"}, data=b"a=%ff&b=%zz", headers=FORM)


@case("an unknown path")
def path():
    for unknown in ("/nope", "/router", "/getauthorization", "/getAuthorization/", "/%67etAuthorization"):
        answer = http(SERVER["url"] + unknown)
        equal((answer.status, json.loads(answer.body)), (404, {"error": "not_found"}), f"the answer to {unknown}")


@case("two lengths, no host, and what is no HTTP")
def smuggled():
    two = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde"
    both = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    for data in (two, b"GARBAGE\r\n\r\n", b"\x16\x03\x01\x00\x00", b"GET /\r\n\r\n"):
        answer = raw(data)
        check(answer.startswith(b"HTTP/1.1 400 ") or not answer, f"{data!r} is answered {answer!r}")
    equal(raw(both).count(b"HTTP/1.1 "), 1, f"number of answers to {both!r}")
    for host in (b"", b"Host: a\r\nHost: b\r\n", b"Host: a b\r\n", b"Host: u@a\r\n"):
        answer = raw(b"GET /getAuthorization HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n")
        check(b"TmpSecretKey" not in answer and b" 200 " not in answer.split(b"\r\n")[0], f"{host!r}: {answer!r}")


@case("the server is well after all of it")
def alive():
    equal(http(SERVER["url"] + "/livez").status, 200, "status")
    equal(http(SERVER["url"] + SERVER["get_authorization"]["path"]).status, 200, "status of getAuthorization")


main()
