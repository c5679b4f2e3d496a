"""Started by `daypass agent tencent`: the SDK fetches the key, and another one before it has run out."""

import os

from tencentcloud.common import credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.sts.v20180813 import models, sts_client


class AgentCredential(credential.CVMRoleCredential):
    _role_endpoint = os.environ["DAYPASS_TENCENT_URI"]


http = HttpProfile(protocol="http", endpoint=os.environ["STS_HOST"])
client = sts_client.StsClient(AgentCredential(), "ap-guangzhou", ClientProfile(httpProfile=http))
print(client.GetCallerIdentity(models.GetCallerIdentityRequest()).Arn)
