"""Alibaba Cloud's STS without anyone's SDK: both signatures by an independent signer, what may not be sent twice, and
the forms of a refusal."""

import base64
import datetime
import hashlib
import hmac
import time
import urllib.parse
import uuid
import xml.etree.ElementTree as xml

from alibaba_sts import ACCOUNT, Sts, arn, check_answer
from daypass import case, check, equal, http, main

STS = Sts("sts-raw")
ASKED = {"RoleArn": arn("uploads"), "RoleSessionName": "app-1"}


def encoded(text):
    return urllib.parse.quote(str(text), safe="-_.~")


def canonical(parameters):
    return "&".join(f"{encoded(name)}={encoded(parameters[name])}" for name in sorted(parameters))


def stamp(minutes=0):
    now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
    return now.strftime("%Y-%m-%dT%H:%M:%SZ")


def rpc(method="POST", secret=STS.key[1], **changes):
    """The parameters of a call, signed the older way; a change to None drops one."""
    parameters = {
        "Action": "AssumeRole",
        "Version": "2015-04-01",
        "Format": "JSON",
        "AccessKeyId": STS.key[0],
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": uuid.uuid4().hex,
        "Timestamp": stamp(),
    } | ASKED
    parameters = {name: value for name, value in (parameters | changes).items() if value is not None}
    text = f"{method}&%2F&{encoded(canonical(parameters))}"
    digest = hmac.new(f"{secret}&".encode(), text.encode(), hashlib.sha1).digest()
    return parameters | {"Signature": base64.b64encode(digest).decode()}


def post(parameters):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    return http(STS.service.url + "/", urllib.parse.urlencode(parameters).encode(), form)


def get(parameters):
    return http(f"{STS.service.url}/?{urllib.parse.urlencode(parameters)}")


def acs3(action="AssumeRole", parameters=ASKED, secret=STS.key[1], unsigned=(), **changes):
    """A GET signed the present way; changes are headers, `x_acs_date` for `x-acs-date`."""
    headers = {
        "host": STS.service.host,
        "x-acs-action": action,
        "x-acs-version": "2015-04-01",
        "x-acs-date": stamp(),
        "x-acs-signature-nonce": uuid.uuid4().hex,
        "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
    } | {name.replace("_", "-"): value for name, value in changes.items()}
    names = sorted(name for name in headers if name not in unsigned)
    lines = "".join(f"{name}:{headers[name]}\n" for name in names)
    request = f"GET\n/\n{canonical(parameters)}\n{lines}\n{';'.join(names)}\n{headers['x-acs-content-sha256']}"
    text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(request.encode()).hexdigest()
    signature = hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()
    proof = f"ACS3-HMAC-SHA256 Credential={STS.key[0]},SignedHeaders={';'.join(names)},Signature={signature}"
    return headers | {"Authorization": proof}


def send(headers, parameters=ASKED):
    return http(f"{STS.service.url}/?{urllib.parse.urlencode(parameters)}", headers=headers)


def refused(answer, code, status=400):
    error = answer.json()
    equal((answer.status, error["Code"]), (status, code), f"status and code of {error}")
    equal(set(error) - {"Recommend"}, {"RequestId", "HostId", "Code", "Message"}, "members of the refusal")
    return error["Message"]


@case("the older signature in the query and in a form")
def older():
    for answer in (post(rpc("POST")), get(rpc("GET"))):
        equal(answer.status, 200, f"status ({answer.body})")
        check_answer(answer.json(), "app-1", 3600, datetime.datetime.now().timestamp())


@case("the present signature")
def present():
    answer = send(acs3())
    equal(answer.status, 200, f"status ({answer.body})")
    check_answer(answer.json(), "app-1", 3600, datetime.datetime.now().timestamp())
    who = send(acs3("GetCallerIdentity", {}), {}).json()
    equal(who["AccountId"], ACCOUNT, "AccountId")


@case("XML says the same")
def in_xml():
    answer = post(rpc(Format="XML"))
    check("xml" in answer.headers["Content-Type"], f"content type is {answer.headers['Content-Type']}")
    root = xml.fromstring(answer.body)
    equal(root.tag, "AssumeRoleResponse", "root element")
    members = {one.tag: {part.tag: part.text for part in one} or one.text for one in root}
    check_answer(members, "app-1", 3600, datetime.datetime.now().timestamp())
    root = xml.fromstring(post(rpc(Format="XML", secret="x")).body)
    equal((root.tag, root.findtext("Code")), ("Error", "SignatureDoesNotMatch"), "the refusal")


@case("the same bytes at once get the identical credential; the same nonce later is SignatureNonceUsed")
def nonce():
    first, second = rpc(), acs3()
    one, other = post(first).json(), send(second).json()
    equal(post(first).json()["Credentials"], one["Credentials"], "the credential of a retry")
    equal(send(second).json()["Credentials"], other["Credentials"], "the credential of a retry")
    time.sleep(5.2)
    refused(post(first), "SignatureNonceUsed")
    refused(send(second), "SignatureNonceUsed")
    # A nonce is used up for whatever is signed with it.
    used = first["SignatureNonce"]
    refused(post(rpc(SignatureNonce=used, RoleSessionName="app-2")), "SignatureNonceUsed")
    refused(send(acs3("GetCallerIdentity", {}, x_acs_signature_nonce=used), {}), "SignatureNonceUsed")


@case("a clock sixteen minutes off is InvalidTimeStamp.Expired")
def clock():
    for minutes in (-16, 16):
        refused(post(rpc(Timestamp=stamp(minutes))), "InvalidTimeStamp.Expired")
        refused(send(acs3(x_acs_date=stamp(minutes))), "InvalidTimeStamp.Expired")
    equal(post(rpc(Timestamp=stamp(-14))).status, 200, "status of a clock that is fourteen minutes off")


@case("a wrong signature by either way, and the text that was to be signed")
def wrong_signature():
    message = refused(post(rpc(secret="x")), "SignatureDoesNotMatch")
    check("server string to sign is:POST&%2F&" in message, f"{message!r} does not say what was to be signed")
    refused(send(acs3(secret="x")), "SignatureDoesNotMatch")
    signed = rpc()
    refused(post(signed | {"RoleSessionName": "app-2"}), "SignatureDoesNotMatch")
    refused(send(acs3(), ASKED | {"RoleSessionName": "app-2"}), "SignatureDoesNotMatch")


@case("a header that matters and is not signed is refused")
def unsigned():
    for name in ("host", "x-acs-action", "x-acs-version", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"):
        answer = send(acs3(unsigned=(name,)))
        equal(answer.status, 400, f"status without {name} signed ({answer.body})")


@case("a body that is not the one whose hash was signed is refused")
def other_body():
    headers = acs3() | {"Content-Type": "application/x-www-form-urlencoded"}
    answer = http(f"{STS.service.url}/?{urllib.parse.urlencode(ASKED)}", b"a=b", headers, method="GET")
    check(answer.status == 400, f"answered {answer.status} {answer.body}")


@case("no signature, two signatures, and a parameter that the action does not have")
def malformed():
    refused(get({"Action": "AssumeRole", "Version": "2015-04-01", "Format": "JSON"} | ASKED), "MissingSignature")
    both = http(f"{STS.service.url}/?{urllib.parse.urlencode(rpc('GET'))}", headers=acs3())
    refused(both, "IncompleteSignature")
    refused(post(rpc(Tags="x")), "InvalidParameter.Tags")
    refused(post(rpc(RoleArn=None)), "MissingRoleArn")


@case("an unknown action or version, and SAML, which is not offered")
def unknown():
    refused(post(rpc(Action="AssumeRoll")), "InvalidApi.NotFound", 404)
    refused(post(rpc(Action="AssumeRoleWithSAML")), "InvalidApi.NotFound", 404)
    refused(send(acs3(x_acs_version="2015-04-02")), "InvalidVersion")


with STS.service:
    main()
