"""Alibaba Cloud's SDKs fetch the key by themselves, and a new one before it has run out.

Needs: CREDENTIALS (http://127.0.0.1:5050/credentials/agent) and STS_HOST (127.0.0.1:5050)."""

import os

import oss2
from alibabacloud_credentials.client import Client as Credentials
from alibabacloud_credentials.models import Config as CredentialsConfig
from alibabacloud_sts20150401.client import Client as Sts
from alibabacloud_tea_openapi.models import Config

# Every SDK of the new kind takes such a `credential`; ALIBABA_CLOUD_CREDENTIALS_URI does the same without any code.
credentials = Credentials(CredentialsConfig(type="credentials_uri", credentials_uri=os.environ["CREDENTIALS"]))
sts = Sts(Config(credential=credentials, endpoint=os.environ["STS_HOST"], protocol="http"))
print(sts.get_caller_identity().body.arn)

# OSS has a provider of its own, which reads the same answer.
provider = oss2.credentials.EcsRamRoleCredentialsProvider(os.environ["CREDENTIALS"])
bucket = oss2.Bucket(oss2.ProviderAuthV4(provider), "https://oss-cn-hangzhou.aliyuncs.com", "logs", region="cn-hangzhou")
print(bucket.sign_url("PUT", "agent/a.log", 60))
