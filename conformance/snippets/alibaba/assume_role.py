"""AssumeRole by Alibaba Cloud's SDK for Python, and who the temporary key is.

Needs: STS_HOST (127.0.0.1:5050), ACCESS_KEY_ID, ACCESS_KEY_SECRET, ROLE_ARN."""

import os

from alibabacloud_sts20150401.client import Client
from alibabacloud_sts20150401.models import AssumeRoleRequest
from alibabacloud_tea_openapi.models import Config


def sts(key_id, secret, token=None):
    # Host and port without `http://`; behind TLS leave the protocol out.
    return Client(
        Config(
            access_key_id=key_id,
            access_key_secret=secret,
            security_token=token,
            endpoint=os.environ["STS_HOST"],
            protocol="http",
        )
    )


client = sts(os.environ["ACCESS_KEY_ID"], os.environ["ACCESS_KEY_SECRET"])
request = AssumeRoleRequest(role_arn=os.environ["ROLE_ARN"], role_session_name="nightly", duration_seconds=900)
key = client.assume_role(request).body.credentials
print(sts(key.access_key_id, key.access_key_secret, key.security_token).get_caller_identity().body.arn)
