"""The session way: the page's own session cookie is the proof, and Daypass asks this application whose it is.

    pip install flask
    FLASK_SECRET_KEY=… PORT=8000 python flask_session.py

Daypass is told by session.toml to ask here, and by which cookie.
"""

import os

from flask import Flask, redirect, request, session

app = Flask(__name__, static_folder=os.environ.get("PAGES", "static"), static_url_path="")
app.secret_key = os.environ["FLASK_SECRET_KEY"]


@app.post("/login")
def login():
    # Your own log-in stands here. This one believes every name, so it is for trying only.
    session["user"] = request.form["user"]
    return redirect("/")


@app.post("/logout")
def logout():
    session.clear()
    return redirect("/")


@app.get("/whoami")
def whoami():
    """Daypass sends the visitor's cookie and no more; the answer is whose session it is."""
    if "user" not in session:
        return {"error": "not logged in"}, 401
    return {"subject": session["user"], "variables": {}}


@app.get("/")
def page():
    return app.send_static_file("index.html")


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
