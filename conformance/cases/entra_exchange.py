"""An access token in, a temporary key of another cloud's form out (RFC 8693), used by that cloud's own SDK."""

# needs: pypi
# client: entra / requests, Tencent's and Alibaba's SDKs

import functools
import json
import time

import requests
from alibabacloud_sts20150401.client import Client
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.models import Config
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from daypass import case, check, equal, fresh, main, wait_until
from entra import DEVCENTER, RESOURCE, Own, claims
from tencent import Sdk

GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"
TYPES = "urn:ietf:params:oauth:token-type:access_token"
TENCENT = "urn:daypass:params:oauth:token-type:tencent"
ALIBABA = "urn:daypass:params:oauth:token-type:alibaba"
PICTURES = "qcs::cos:ap-guangzhou:uid/1250000000:p/*"
CAM = {
    "version": "2.0",
    "statement": {"effect": "allow", "action": ["cos:PutObject"], "resource": [PICTURES]},
}
RAM = {
    "Version": "1",
    "Statement": [{"Effect": "Allow", "Action": ["oss:PutObject"], "Resource": ["acs:oss:*:*:bucket/{poi_id}/*"]}],
}
SERVICE = Own(
    fresh("entra_exchange"),
    DEVCENTER
    + f"""
[[tenant.role]]
name = "pictures"
lifetime = {{ default = "2h", max = "12h" }}
policy = {{ cam = '{json.dumps(CAM)}' }}

[[tenant.role]]
name = "store"
lifetime = {{ default = "1h", max = "12h" }}
variables = {{ poi_id = "slug" }}
policy = {{ ram = '{json.dumps(RAM)}' }}
""",
)


def client(*roles, stores="8005", arguments=()):
    grants = [word for role in roles for word in ("--role", role)]
    if "store" in roles:
        grants += ["--bind", f"poi_id={stores}"]
    return SERVICE.asker(*grants, *arguments)


def ask(asker, grant, **fields):
    secret = {"client_id": asker.client_id, "client_secret": asker.secret}
    return requests.post(asker.token_url, data={"grant_type": grant} | secret | fields, timeout=10)


def token(asker):
    return ask(asker, "client_credentials", scope=asker.scope).json()["access_token"]


def exchanged(asker, subject, wanted, audience):
    fields = {"subject_token": subject, "subject_token_type": TYPES, "requested_token_type": wanted}
    return ask(asker, GRANT, audience=audience, **fields)


def given(asker, subject, wanted, audience):
    answer = exchanged(asker, subject, wanted, audience)
    equal(answer.status_code, 200, f"status ({answer.text})")
    said = answer.json()
    equal((said["issued_token_type"], said["token_type"]), (wanted, "N_A"), "what it says of itself")
    left = claims(subject)["exp"] - time.time()
    check(0 < said["expires_in"] <= left + 1, f"it outlives the token: {said['expires_in']}")
    return said


def refused(answer, error):
    said = answer.json()
    equal((answer.status_code, said["error"]), (400, error), f"the refusal ({said})")


@functools.cache
def worker():
    return client("devcenter", "pictures", "store")


def tencent(said):
    key = said["credentials"]
    return key["TmpSecretId"], key["TmpSecretKey"], key["Token"]


def alibaba(said):
    key = said["credentials"]
    return key["AccessKeyId"], key["AccessKeySecret"], key["SecurityToken"]


def at_tencent(key):
    return Sdk(SERVICE.host).who_am_i(*key).Arn


def at_alibaba(key):
    config = Config(access_key_id=key[0], access_key_secret=key[1], security_token=key[2])
    config.endpoint, config.protocol = SERVICE.host, "http"
    return Client(config).get_caller_identity().body.arn


@case("a key of Tencent's form, by Tencent's SDK")
def to_tencent():
    said = given(worker(), token(worker()), TENCENT, "role:pictures")
    key = tencent(said)
    equal(said["access_token"], key[2], "access_token")
    check(at_tencent(key).startswith(f"qcs::sts:{SERVICE.ACCOUNT}:"), f"it is {at_tencent(key)}")
    equal(SERVICE.shown(key[0], key[2])["policy"]["statement"][0]["action"], ["cos:PutObject"], "what it may do")


@case("a key of Alibaba's form, by Alibaba's SDK")
def to_alibaba():
    said = given(worker(), token(worker()), ALIBABA, "role:store?poi_id=8005")
    key = alibaba(said)
    equal(said["access_token"], key[2], "access_token")
    check("store" in at_alibaba(key), f"it is {at_alibaba(key)}")
    [statement] = SERVICE.shown(key[0], key[2])["policy"]["Statement"]
    equal(statement["Resource"], ["acs:oss:*:*:bucket/8005/*"], "what it may touch")


@case("no more than the client whose token it was has")
def narrowed():
    """The API that was shown the token has two stores; its caller has one of them, and no pictures."""
    api = client("store", "pictures", stores="8005,8006", arguments=("--audience", RESOURCE))
    caller = client("devcenter", "store", stores="8006")
    key = alibaba(given(api, token(caller), ALIBABA, "role:store?poi_id=8006"))
    check("store" in at_alibaba(key), f"it is {at_alibaba(key)}")
    check(exchanged(api, token(caller), ALIBABA, "role:store?poi_id=8005").status_code == 400, "it has the other store")
    check(exchanged(api, token(caller), TENCENT, "role:pictures").status_code == 400, "it has the pictures")


@case("a token that somebody else was given")
def somebody_elses():
    other = client("devcenter", "pictures")
    refused(exchanged(other, token(worker()), TENCENT, "role:pictures"), "invalid_request")


@case("a role that is not there, or of the other cloud")
def wrong_role():
    for audience, wanted in (("role:none", TENCENT), ("role:store?poi_id=8005", TENCENT), ("pictures", TENCENT)):
        answer = exchanged(worker(), token(worker()), wanted, audience)
        equal(answer.status_code, 400, f"status for {audience} ({answer.text})")


@case("the key falls with the token that it was made of")
def falls():
    subject = token(worker())
    key = tencent(given(worker(), subject, TENCENT, "role:pictures"))
    check(at_tencent(key), "it was good for nothing")
    secret = {"client_id": worker().client_id, "client_secret": worker().secret}
    answer = requests.post(worker().endpoint("revoke"), data={"token": subject} | secret, timeout=10)
    equal(answer.status_code, 200, f"status ({answer.text})")
    try:
        at_tencent(key)
    except TencentCloudSDKException as error:
        equal(error.code, "AuthFailure.TokenFailure", "code")
        return
    raise AssertionError("the key is still good")


@case("the key falls with the client that got it")
def falls_with_client():
    asker = client("devcenter", "store")
    key = alibaba(given(asker, token(asker), ALIBABA, "role:store?poi_id=8005"))
    check(at_alibaba(key), "it was good for nothing")
    SERVICE.command("client", "disable", asker.client_id)

    def refused():
        try:
            at_alibaba(key)
        except AlibabaCloudException:
            return True
        return False

    wait_until(refused, 60, "the key is still good")


with SERVICE:
    main()
