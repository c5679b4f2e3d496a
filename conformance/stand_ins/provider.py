"""Stands in for an outside OpenID provider: a discovery document, a key set, and tokens for whoever asks.

As a module for Python cases. As a program, for the others, it listens on PROVIDER_PORT and makes a token at
`GET /token?sub=…`: every parameter becomes a claim, and `GET /rotate` makes it sign with another key.
"""

import http.server
import json
import os
import threading
import time
import urllib.parse

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa


class Provider:
    """Serves on its own thread from the start. `asked` counts what was fetched, by path."""

    AUDIENCE = "daypass"

    def __init__(self, port=0):
        self.asked = {}
        self.keys = []
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                provider.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        self.rotate()
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def rotate(self, algorithm="RS256"):
        """From now on signs with a new key; the old ones stay in the key set."""
        make = {
            "RS256": lambda: rsa.generate_private_key(65537, 2048),
            "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
        }
        self.keys.append((f"key-{len(self.keys) + 1}", algorithm, make[algorithm]()))

    def jwks(self):
        def public(kid, algorithm, key):
            document = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
            return {**document, "kid": kid, "alg": algorithm, "use": "sig"}

        return {"keys": [public(*key) for key in self.keys]}

    def token(self, sub, **claims):
        """A token of five minutes; a claim of None is left out."""
        kid, algorithm, key = self.keys[-1]
        now = int(time.time())
        said = {"iss": self.issuer, "aud": self.AUDIENCE, "sub": sub, "iat": now, "exp": now + 300, **claims}
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(said, key, algorithm, headers={"kid": kid})

    def answer(self, request):
        path, _, query = request.path.partition("?")
        self.asked[path] = self.asked.get(path, 0) + 1
        if path == "/.well-known/openid-configuration":
            body = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys"}
        elif path == "/keys":
            body = self.jwks()
        elif path == "/token":
            claims = {name: int(value) if name == "exp" else value for name, value in urllib.parse.parse_qsl(query)}
            body = {"token": self.token(**claims)}
        elif path == "/rotate":
            body = {"kid": self.rotate()}
        else:
            request.send_error(404)
            return
        text = json.dumps(body).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)


if __name__ == "__main__":
    Provider(int(os.environ["PROVIDER_PORT"]))
    threading.Event().wait()
