"""Tencent Cloud's official Python SDK before a Daypass whose credentials an emulated cloud makes, and straight before that
cloud: what the SDK itself does where the cloud is busy."""

# needs: pypi
# client: brokered / tencentcloud-sdk (Python)

import contextlib
import json
import time

from tencentcloud.common import retry
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.sts.v20180813 import models

from daypass import Service, case, check, equal, fresh, main, wait_until
from emulated import ACCOUNT, Emulated, root_key
from tencent import SOE, Sdk, refused, triple

SOE_ROLE = """
[[tenant.role]]
name = "soe"
issuer = "cloud"
lifetime = { default = "30m", max = "2h" }
policy = { cam = '{"version":"2.0","statement":{"effect":"allow","action":["soe:TransmitOralProcessWithInit"],"resource":"*"}}' }
wildcard_reason = "SOE has no resource-level rights"
"""


def issuer(cloud, folder):
    its = cloud.credentials["tencent"]
    path = root_key(folder, "root", its["secret_id"], its["secret_key"])
    return (
        f'[[issuer]]\nname = "cloud"\nkind = "tencent"\nregion = "ap-guangzhou"\nurl = "{cloud.url}"\n'
        f'account = "{ACCOUNT}"\nroot_key = {{ file = "{path}" }}\n'
    )


@contextlib.contextmanager
def shop(cloud, folder):
    """A Daypass before this cloud, and the SDK of its one client."""
    service = Service(folder, SOE_ROLE + issuer(cloud, folder))
    key = service.client("video", "--role", "soe")
    with service:
        yield service, Sdk(service.host, key["secret_id"], key["secret_key"])


def direct(cloud):
    its = cloud.credentials["tencent"]
    return Sdk(cloud.host, its["secret_id"], its["secret_key"])


@case("what it gets from Daypass is the cloud's own, and good there")
def through():
    folder = fresh("brokered-tencent")
    with Emulated("brokered-tencent-cloud") as cloud, shop(cloud, folder) as (service, sdk):
        answer = sdk.federation(name="lesson")
        check(abs(answer.ExpiredTime - time.time() - 1800) < 10, f"ExpiredTime {answer.ExpiredTime} is not in half an hour")
        identity = direct(cloud).who_am_i(*triple(answer))
        equal(identity.AccountId, ACCOUNT, "AccountId, as the cloud says")
        check(identity.UserId.endswith(":lesson"), f"UserId is {identity.UserId}, and does not end in the session's name")
        time.sleep(1.1)  # in another second it is another request
        again = sdk.federation(name="lesson")
        equal(triple(again), triple(answer), "the credential of the next request")
        equal(cloud.calls("tencent GetFederationToken"), 1, "questions to the cloud")


@case("a cloud that is busy or broken is told to its user, and what is kept is served")
def failing():
    folder = fresh("brokered-tencent-failing")
    with Emulated("brokered-tencent-failing-cloud") as cloud, shop(cloud, folder) as (service, sdk):
        kept = triple(sdk.federation(name="kept"))
        for fault in ("429", "500", "garbage", "html", "redirect", "reset"):
            cloud.faults(f"tencent:{fault}")
            refused("ServiceUnavailable", sdk.federation, name=f"cold-{fault}")
        time.sleep(1.1)
        equal(triple(sdk.federation(name="kept")), kept, "what is kept while the cloud fails")
        cloud.faults()

        def well():
            with contextlib.suppress(TencentCloudSDKException):
                return sdk.federation(name="cold-html").Credentials.Token

        wait_until(well, 60, "no credential after the faults are over")


class Retryer(retry.StandardRetryer):
    """The SDK's own, without what makes it useless: it remembers the error of an attempt that failed beyond the one that did
    not."""

    def send_request(self, fn):
        for attempt in range(self._max_attempts):
            try:
                return fn()
            except TencentCloudSDKException as error:
                last = error
                if not self.should_retry(None, error):
                    raise
                time.sleep(self._backoff_fn(attempt))
        raise last


def asking(sdk, retryer):
    """GetFederationToken by a client with this retryer."""
    client = sdk.client()
    client.profile.retryer = retryer
    request = models.GetFederationTokenRequest()
    request.Name, request.Policy = "lesson", json.dumps(SOE)
    return lambda: client.GetFederationToken(request)


@case("straight before a busy cloud, its user sees the vendor's code, and a retryer gets through")
def retries():
    with Emulated("brokered-tencent-busy", "--fault", "tencent:429") as cloud:
        sdk = direct(cloud)
        refused("RequestLimitExceeded", sdk.federation)
        equal(cloud.calls(), 1, "questions without a retryer")
        cloud.faults("tencent:429:0.5")
        cloud.forget()
        ask = asking(sdk, Retryer(max_attempts=20, backoff_fn=lambda attempt: 0.02))
        for _ in range(10):
            check(ask().Credentials.Token, "a credential")
        busy = cloud.calls("tencent GetFederationToken 429")
        equal(cloud.calls("tencent") - busy, 10, "questions that were answered")
        check(busy >= 3, f"the cloud was busy {busy} times")


@case("its own StandardRetryer asks on after it was answered, and then fails")
def standard_retryer():
    # A fault of the SDK: the error of the first attempt is never forgotten. Whoever uses it must know; the cloud cannot help.
    with Emulated("brokered-tencent-retryer", "--fault", "tencent:429") as cloud:

        def well_again(attempt):
            cloud.faults()
            return 0.01

        refused("RequestLimitExceeded", asking(direct(cloud), retry.StandardRetryer(3, well_again)))
        equal(
            (cloud.calls("tencent GetFederationToken 429"), cloud.calls("tencent GetFederationToken ok")),
            (1, 2),
            "questions that were refused, and that were answered",
        )


@case("a clock that is off is told by its own code")
def clock():
    with Emulated("brokered-tencent-clock", "--clock", "+10m") as cloud:
        refused("AuthFailure.SignatureExpire", direct(cloud).federation)
        cloud.control("/clock", {"advance": "-10m"})
        check(direct(cloud).federation().Credentials.Token, "a credential by the right clock")


@case("a connection that is reset is no refusal")
def reset():
    with Emulated("brokered-tencent-reset", "--fault", "tencent:reset") as cloud:
        try:
            direct(cloud).federation()
        except TencentCloudSDKException as error:
            equal(error.code, "ClientNetworkError", f"code ({error.message})")
        else:
            raise AssertionError("there should have been no answer")


main()
