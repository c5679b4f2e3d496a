"""What becomes of a temporary triple when the server restarts, its client is disabled, or the data is reset."""

# needs: pypi

import json
import urllib.parse

from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.sts.v20180813 import models, sts_client

from daypass import Server, case, check, command, equal, fresh, main, wait_until

SOE = {"version": "2.0", "statement": {"effect": "allow", "action": ["soe:TransmitOralProcessWithInit"], "resource": "*"}}


def client(server, *key):
    profile = HttpProfile(protocol="http", endpoint=urllib.parse.urlsplit(server.url).netloc, reqTimeout=10)
    return sts_client.StsClient(credential.Credential(*key), "ap-guangzhou", ClientProfile(httpProfile=profile))


def triple(server):
    request = models.GetFederationTokenRequest()
    request.Name = "soe"
    request.Policy = json.dumps(SOE)
    ours = server.credentials["tencent"]
    answer = client(server, ours["secret_id"], ours["secret_key"]).GetFederationToken(request).Credentials
    return answer.TmpSecretId, answer.TmpSecretKey, answer.Token


def verdict(server, *key):
    """The code with which the key is refused, or None."""
    try:
        client(server, *key).GetCallerIdentity(models.GetCallerIdentityRequest())
    except TencentCloudSDKException as error:
        return error.code
    return None


@case("a triple issued before a restart still verifies after it")
def restart():
    data = fresh("triple-restart") / "data"
    with Server(data) as server:
        key = triple(server)
        equal(verdict(server, *key), None, "verdict before the restart")
    with Server(data) as server:
        equal(verdict(server, *key), None, "verdict after the restart")


@case("a triple of a disabled client is soon refused")
def disabled():
    with Server(fresh("triple-disabled") / "data") as server:
        key = triple(server)
        equal(verdict(server, *key), None, "verdict before")
        secret_id = server.credentials["tencent"]["secret_id"]
        names = [one["name"] for one in json.loads(command("client", "list", "--data", server.data, "--json").stdout)]
        shown = {
            name: json.loads(command("client", "show", name, "--data", server.data, "--json").stdout) for name in names
        }
        [owner] = [name for name, one in shown.items() if secret_id in [key["id"] for key in one["keys"]]]
        command("client", "disable", owner, "--data", server.data)
        wait_until(lambda: verdict(server, *key) == "AuthFailure.TokenFailure", 60, "the triple was not refused")
        ours = server.credentials["tencent"]
        code = verdict(server, ours["secret_id"], ours["secret_key"])
        check(code and code.startswith(("AuthFailure.", "UnauthorizedOperation")), f"the key itself got {code}")


@case("a triple issued before a reset is refused after it")
def reset():
    data = fresh("triple-reset") / "data"
    with Server(data) as server:
        key = triple(server)
    with Server(data, "--reset") as server:
        equal(verdict(server, *key), "AuthFailure.TokenFailure", "verdict after the reset")


main()
