"""The token by the client that the platform generated for Python until 2022, here as PyPI has it (py-taobao-open).

Needs: APP_KEY, APP_SECRET, TOP_HOST (127.0.0.1), TOP_PORT (5050), and what the app may ask for."""

import json
import os
import sys

import taobao_open
from taobao_open.api.base import RestApi, TopException


class TokenGetRequest(RestApi):
    """A class of the generated kind, for a method that a downloaded package may lack."""

    def __init__(self, domain, port):
        super().__init__(domain, port)
        self.param = None

    def getapiname(self):
        return "alibaba.security.deepvision.proxy.security.common.token.get"


def security_token(store):
    request = TokenGetRequest(os.environ["TOP_HOST"], int(os.environ["TOP_PORT"]))
    request.set_app_info(taobao_open.appinfo(os.environ["APP_KEY"], os.environ["APP_SECRET"]))
    # A text: of a dict it would sign and send the repr, which is no JSON.
    request.param = json.dumps(
        {
            "product_code": "oss",
            "scene_code": "app-upload",
            "usage_scene": "upload",
            "op_tenant_code": os.environ["TENANT_CODE"],
            "op_poi_id": store,
        }
    )
    answer = request.getResponse()
    return answer["alibaba_security_deepvision_proxy_security_common_token_get_response"]["result"]


try:
    print(json.dumps(security_token(os.environ["POI_ID"])))
except TopException as error:
    sys.exit(f"{error.errorcode} {error.message} {error.subcode} {error.submsg}")
