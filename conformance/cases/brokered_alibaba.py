"""The TOP gateway's client and Alibaba Cloud's own SDK around an emulated cloud: the one asks Daypass for a store's key, the
other is the judge of what it got, and meets the cloud's faults itself."""

# needs: pypi
# client: brokered / taobaopy, alibabacloud-sts20150401

import contextlib
import json
import os
import time

from alibabacloud_sts20150401 import models
from alibabacloud_sts20150401.client import Client
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.models import Config
from taobaopy.taobao import TaoBaoAPIClient, TaoBaoAPIError

import top
from daypass import Service, case, check, equal, fresh, main, wait_until
from emulated import ACCOUNT, Emulated, root_key

os.environ["TZ"] = "Asia/Shanghai"  # taobaopy stamps local time, and the gateway reads it as GMT+8
time.tzset()

ROLE = f"""
[[tenant.role]]
name = "store-upload"
issuer = "cloud"
lifetime = {{ default = "15m", max = "1h" }}
variables = {{ tenant_code = "slug", poi_id = "slug" }}
policy = {{ ram = '{{"Version":"1","Statement":[{{"Effect":"Allow","Action":["oss:PutObject"],"Resource":["acs:oss:*:*:bucket/{{tenant_code}}/{{poi_id}}/*"]}}]}}' }}
answer = {{ end_point_public = "https://oss-cn-hangzhou.aliyuncs.com", end_point_internal = "https://oss-cn-hangzhou-internal.aliyuncs.com" }}
upstream = {{ assume = "acs:ram::{ACCOUNT}:role/uploads" }}
[[endpoint]]
dialect = "alibaba.top"
path = "/router/rest"
tenant = "acme"
route = [{{ product_code = "oss", scene_code = "app-upload", usage_scene = "upload", role = "store-upload" }}]
"""


@contextlib.contextmanager
def box(name):
    """A cloud, and how the box of a store asks the Daypass before it."""
    folder = fresh(name)
    with Emulated(name + "-cloud") as cloud:
        its = cloud.credentials["alibaba"]
        path = root_key(folder, "root", its["access_key_id"], its["access_key_secret"])
        issuer = f'[[issuer]]\nname = "cloud"\nkind = "alibaba"\nurl = "{cloud.url}"\naccount = "{ACCOUNT}"\n'
        service = Service(folder, ROLE + issuer + f'root_key = {{ file = "{path}" }}\n')
        bind = ("--bind", "tenant_code=hema", "--bind", "poi_id=8005,8006")
        key = service.client("box", "--role", "store-upload", *bind, kind="top")
        ours = its | {"app_key": key["app_key"], "app_secret": key["app_secret"]}

        def ask(poi):
            client = TaoBaoAPIClient(ours["app_key"], ours["app_secret"], domain=service.url)
            call = client.alibaba__security_deepvision_proxy_security_common_token_get
            return call(param=json.dumps(top.param(ours, op_poi_id=poi)))[top.ROOT]

        with service:
            yield cloud, ours, ask


def sts(cloud, key_id, secret, token=None):
    config = Config(access_key_id=key_id, access_key_secret=secret, security_token=token)
    config.endpoint, config.protocol = cloud.host, "http"
    return Client(config)


def assume(cloud, seconds=900):
    its = cloud.credentials["alibaba"]
    request = models.AssumeRoleRequest(role_arn=its["role_arn"], role_session_name="page", duration_seconds=seconds)
    return sts(cloud, its["access_key_id"], its["access_key_secret"]).assume_role(request).body


def refused(code, call, *arguments):
    try:
        answer = call(*arguments)
    except AlibabaCloudException as error:
        equal(error.code, code, f"code of the refusal ({error.message})")
        return
    raise AssertionError(f"should have been refused, and was answered {answer}")


@case("the key of a store is the cloud's, and the cloud's own SDK signs with it")
def through():
    with box("brokered-alibaba") as (cloud, ours, ask):
        answer = ask("8005")
        top.check_answer(answer, ours, "8005")
        result = answer["result"]
        who = sts(cloud, result["access_key_id"], result["access_key_secret"], result["token"]).get_caller_identity().body
        equal((who.account_id, who.identity_type), (ACCOUNT, "AssumedRoleUser"), "who it is, as the cloud says")
        check(":assumed-role/uploads/" in who.arn, f"arn is {who.arn}")
        check(ask("8006")["result"]["token"] != result["token"], "another store has another key")
        equal(cloud.calls("alibaba AssumeRole ok"), 2, "questions for keys")


@case("a cloud that fails is code 10 to the gateway's client, and is over without a restart")
def failing():
    with box("brokered-alibaba-failing") as (cloud, _, ask):
        kept = ask("8005")["result"]["token"]
        for fault in ("429", "500", "wrong-account", "expired", "garbage"):
            cloud.faults(f"alibaba:{fault}")
            try:
                ask("8006")
            except TaoBaoAPIError as error:
                equal((error.code, error.sub_code), (10, "isp.service-unavailable"), f"code with {fault}")
            else:
                raise AssertionError(f"there should have been no key with {fault}")
            time.sleep(0.3)
        equal(ask("8005")["result"]["token"], kept, "what is kept while the cloud fails")
        cloud.faults()

        def well():
            with contextlib.suppress(TaoBaoAPIError):
                return ask("8006")["result"]["token"]

        wait_until(well, 60, "no key after the faults are over")


@case("straight before it, the cloud's own SDK is told by the cloud's codes")
def direct():
    with Emulated("brokered-alibaba-direct", "--max-session", "2h") as cloud:
        check(assume(cloud, 7200).credentials.security_token, "a session of two hours")
        refused("InvalidParameter.DurationSeconds", assume, cloud, 7201)
        for fault, code in (("429", "Throttling.User"), ("500", "InternalError")):
            cloud.faults(f"alibaba:{fault}")
            refused(code, assume, cloud)
        cloud.faults()
        cloud.control("/clock", {"advance": "+20m"})
        refused("InvalidTimeStamp.Expired", assume, cloud)


main()
