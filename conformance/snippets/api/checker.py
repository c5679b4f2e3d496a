"""Answers nginx's auth_request: 204 with the client's id, or 401, 403 and why."""

import os

import flask

from trust import Refused, claims_of, client_of

app = flask.Flask(__name__)


@app.errorhandler(Refused)
def refused(why):
    return "", why.status, why.headers


@app.get("/check")
def check():
    claims = claims_of(flask.request.headers.get("Authorization"), flask.request.headers["X-Need-Role"])
    return "", 204, {"X-Client": client_of(claims)}


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]))
