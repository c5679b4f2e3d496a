"""The ticket way: this application signs a one-time ticket for the page, offline, with a key that Daypass knows.

    pip install flask pyjwt
    daypass client add lesson --kind ticket --role uploads --any subject
    FLASK_SECRET_KEY=… TICKET_KEY_ID=TK… TICKET_KEY_SECRET=… PORT=8000 python flask_ticket.py
"""

import os
import secrets
import time

import jwt
from flask import Flask, redirect, request, session

# The public address of Daypass, with the endpoint's path: whom a ticket is for.
GET_AUTHORIZATION = os.environ.get("GET_AUTHORIZATION", "http://127.0.0.1:5050/getAuthorization")
# The origin of the page, as its browser writes it: the only one that may show the ticket.
ORIGIN = os.environ.get("ORIGIN", "http://127.0.0.1:8000")

app = Flask(__name__, static_folder=os.environ.get("PAGES", "static"), static_url_path="")
app.secret_key = os.environ["FLASK_SECRET_KEY"]


@app.post("/login")
def login():
    # Your own log-in stands here. This one believes every name, so it is for trying only.
    session["user"] = request.form["user"]
    return redirect("/")


@app.get("/ticket")
def ticket():
    if "user" not in session:
        return {"error": "not logged in"}, 401
    now = int(time.time())
    claims = {
        "sub": session["user"],
        "origin": ORIGIN,
        "aud": GET_AUTHORIZATION,
        "iat": now,
        "exp": now + 120,
        "jti": secrets.token_urlsafe(16),
    }
    headers = {"kid": os.environ["TICKET_KEY_ID"]}
    signed = jwt.encode(claims, os.environ["TICKET_KEY_SECRET"], algorithm="HS256", headers=headers)
    return {"ticket": signed}, 200, {"Cache-Control": "no-store"}


@app.get("/")
def page():
    return app.send_static_file("index.html")


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
