"""The URL from which Alibaba Cloud's SDKs fetch a key by themselves: alibabacloud-credentials and oss2, and the form that
the OSS SDKs of Android and iOS read."""

# needs: pypi
# client: alibaba / credentials and oss2

import json
import os
import sys
import urllib.parse

import oss2
from alibabacloud_credentials.client import Client as Credentials
from alibabacloud_credentials.models import Config as CredentialsConfig
from alibabacloud_sts20150401.client import Client as Sts
from alibabacloud_tea_openapi.models import Config

from daypass import Service, case, check, equal, fresh, http, main, matches
from top_refusals import SNIPPETS, program

ENDPOINTS = "".join(
    f"""
[[endpoint]]
dialect = "alibaba.credentials"
path = "/{path}"
tenant = "acme"
role = "agent"
shape = "{shape}"
quota = {{ address = {quota}, endpoint = 6000 }}
caller = {{ anonymous = {{ reason = "a test", networks = ["{network}"] }} }}
"""
    for path, shape, network, quota in (
        ("app", "oss_mobile", "127.0.0.1", 600),
        ("far", "credentials_uri", "10.0.0.0/8", 600),
        ("far-app", "oss_mobile", "10.0.0.0/8", 600),
        ("scarce", "credentials_uri", "127.0.0.1", 1),
    )
)
SERVICE = Service(fresh("credentials"), (SNIPPETS / "credentials.toml").read_text() + ENDPOINTS)
ARN = f"acs:ram::{Service.ACCOUNT}:assumed-role/agent/"


def url(path="credentials/agent"):
    return f"{SERVICE.url}/{path}"


def fetched(path="credentials/agent"):
    return Credentials(CredentialsConfig(type="credentials_uri", credentials_uri=url(path)))


def arn_of(credential):
    sts = Sts(Config(credential=credential, endpoint=SERVICE.host, protocol="http"))
    return sts.get_caller_identity().body.arn


def refused(call):
    try:
        answer = call()
    except Exception as error:
        return str(error)
    raise AssertionError(f"should have been refused, and was answered {answer}")


@case("the program of the documentation")
def documented():
    said = program(sys.executable, SNIPPETS / "credentials_uri.py", CREDENTIALS=url(), STS_HOST=SERVICE.host)
    arn, signed = said.splitlines()
    check(arn.startswith(ARN), f"the arn is {arn}")
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(signed).query))
    check(query["x-oss-credential"].startswith("STS.") and query["x-oss-security-token"], f"the URL is {signed}")


@case("alibabacloud-credentials with type=credentials_uri, whose key works")
def by_type():
    credential = fetched().get_credential()
    matches(r"STS\.[\w-]+", credential.access_key_id, "access key id")
    shown = json.dumps(SERVICE.shown(credential.access_key_id, credential.security_token)["policy"])
    check("acs:oss:*:*:logs/agent/*" in shown, f"the policy is {shown}")
    check(arn_of(fetched()).startswith(ARN), "the key is another role's")


@case("alibabacloud-credentials with nothing but ALIBABA_CLOUD_CREDENTIALS_URI")
def by_environment():
    code = "from alibabacloud_credentials.client import Client; print(Client().get_credential().access_key_id)"
    settings = {"ALIBABA_CLOUD_CREDENTIALS_URI": url(), "HOME": str(SERVICE.folder)}
    hidden = {name: None for name in os.environ if name.startswith("ALIBABA")}
    matches(r"STS\.[\w-]+\n", program(sys.executable, "-c", code, **hidden, **settings), "access key id")


@case("oss2's EcsRamRoleCredentialsProvider")
def by_oss2():
    credentials = oss2.credentials.EcsRamRoleCredentialsProvider(url()).get_credentials()
    matches(r"STS\.[\w-]+", credentials.get_access_key_id(), "access key id")
    check(credentials.get_security_token() and not credentials.will_soon_expire(), "the key is used up")
    equal(credentials.duration, 3600, "its life in seconds")


@case("from elsewhere, both are told why not")
def far():
    for said in (
        refused(fetched("far").get_credential),
        refused(oss2.credentials.EcsRamRoleCredentialsProvider(url("far"), max_retries=1).get_credentials),
    ):
        check("403" in said and "NoPermission" in said, f"the user sees {said!r}")


@case("over the quota, 429")
def scarce():
    fetched("scarce").get_credential()
    check("429" in refused(fetched("scarce").get_credential), "the second was served")


@case("a page's request and a proxy's are refused")
def pages():
    for headers in (
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Host": "evil.example"},
        {"X-Forwarded-For": "198.51.100.7"},
    ):
        answer = http(url(), headers=headers)
        equal((answer.status, answer.json()["Code"]), (403, "NoPermission"), f"answer to {headers}")


@case("the form of the mobile OSS SDKs, whose refusals are 200 too")
def mobile():
    answer = http(url("app")).json()
    members = {"StatusCode", "AccessKeyId", "AccessKeySecret", "SecurityToken", "Expiration"}
    equal(set(answer), members, "members")
    check(answer["StatusCode"] == 200 and answer["AccessKeyId"].startswith("STS."), f"the answer is {answer}")
    refusal = http(url("far-app"))
    equal(refusal.status, 200, "status of the refusal")
    check(refusal.json()["StatusCode"] == 403 and refusal.json()["ErrorMessage"], f"the refusal is {refusal.body}")


with SERVICE:
    main()
