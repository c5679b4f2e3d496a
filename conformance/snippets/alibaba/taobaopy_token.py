"""The token by PyPI's taobaopy.

Needs: APP_KEY, APP_SECRET, TOP_BASE (http://127.0.0.1:5050), and what the app may ask for."""

import json
import os
import sys
import time

from taobaopy.taobao import TaoBaoAPIClient, TaoBaoAPIError

# It stamps local time, which the gateway reads as GMT+8, and nothing that is passed to it changes that.
os.environ["TZ"] = "Asia/Shanghai"
time.tzset()

client = TaoBaoAPIClient(os.environ["APP_KEY"], os.environ["APP_SECRET"], domain=os.environ["TOP_BASE"])


def security_token(store):
    # The two underscores keep it from putting `taobao.` in front. `param` is a text: of a dict it would send the repr.
    answer = client.alibaba__security_deepvision_proxy_security_common_token_get(
        param=json.dumps(
            {
                "product_code": "oss",
                "scene_code": "app-upload",
                "usage_scene": "upload",
                "op_tenant_code": os.environ["TENANT_CODE"],
                "op_poi_id": store,
            }
        )
    )
    return answer["alibaba_security_deepvision_proxy_security_common_token_get_response"]["result"]


try:
    print(json.dumps(security_token(os.environ["POI_ID"])))
except TaoBaoAPIError as error:
    sys.exit(f"{error.code} {error.msg} {error.sub_code} {error.sub_msg}")
