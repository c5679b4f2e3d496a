"""The Flask sample of Tencent Cloud's documentation for `getAuthorization`, as a peer under measurement.

Restored, because the page has lost it: the indentation, and the quotes inside the policy's text (which the page
shows behind two backslashes, where one is meant). The comments are left out.

Set, because it runs here: the key, where STS is (http instead of https, and the address of the stand-in), and
where it listens. All four come from the environment. Nothing else differs, so what looks odd is the sample's own.
"""

import json
import os
from flask import Flask, request, render_template
from flask_cors import CORS
from gevent import pywsgi

from tencentcloud.common import credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

app = Flask(__name__)

CORS(app)

@app.route("/getAuthorization", methods=["GET"])
def getAuthorization():
    try:
        cred = credential.Credential(os.environ["SECRET_ID"], os.environ["SECRET_KEY"])

        httpProfile = HttpProfile()
        httpProfile.reqMethod = "POST"
        httpProfile.reqTimeout = 30
        httpProfile.endpoint = os.environ["STS"]
        httpProfile.scheme = "http"

        clientProfile = ClientProfile()
        clientProfile.signMethod = "TC3-HMAC-SHA256"
        clientProfile.unsignedPayload = True
        clientProfile.httpProfile = httpProfile

        from tencentcloud.sts.v20180813 import sts_client, models
        client = sts_client.StsClient(cred, "ap-guangzhou", clientProfile)

        req = models.GetFederationTokenRequest()
        req.Name = "soe"
        req.Policy = "{\"version\": \"2.0\",\"statement\": {\"effect\": \"allow\",\"action\": [\"soe:TransmitOralProcessWithInit\"],\"resource\": \"*\"}}"
        resp = client.GetFederationToken(req)
        json_resp = resp.to_json_string()
        json_loads = json.loads(json_resp)
        return json_loads

    except TencentCloudSDKException as err:
        return err


if __name__ == '__main__':
    server = pywsgi.WSGIServer(('127.0.0.1', int(os.environ["PORT"])), app)
    server.serve_forever()
