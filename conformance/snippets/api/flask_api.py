"""An API in Flask, behind tokens."""

import os

import flask

from trust import Refused, claims_of, client_of

app = flask.Flask(__name__)


@app.errorhandler(Refused)
def refused(why):
    return "", why.status, why.headers


@app.get("/orders")
def orders():
    claims = claims_of(flask.request.headers.get("Authorization"), "orders.read")
    return f"orders for {client_of(claims)}\n"


if __name__ == "__main__":
    app.run(port=int(os.environ["PORT"]))
