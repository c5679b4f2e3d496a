"""Started by `daypass exec tencent`: the key is in the environment, and so is the token that belongs to it."""

import os

from tencentcloud.common import credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.sts.v20180813 import models, sts_client

# The SDK's own EnvironmentVariableCredential reads the first two and leaves the token out.
names = "TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_SESSION_TOKEN"
key = credential.Credential(*(os.environ[name] for name in names))

http = HttpProfile(protocol="http", endpoint=os.environ["STS_HOST"])
client = sts_client.StsClient(key, "ap-guangzhou", ClientProfile(httpProfile=http))
print(client.GetCallerIdentity(models.GetCallerIdentityRequest()).Arn)
