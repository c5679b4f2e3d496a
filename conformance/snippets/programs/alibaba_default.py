"""Whatever started it: the credentials library finds its key by itself."""

import os

from alibabacloud_credentials.client import Client as Credentials
from alibabacloud_sts20150401.client import Client as Sts
from alibabacloud_tea_openapi.models import Config

sts = Sts(Config(credential=Credentials(), endpoint=os.environ["STS_HOST"], protocol="http"))
print(sts.get_caller_identity().body.arn)
