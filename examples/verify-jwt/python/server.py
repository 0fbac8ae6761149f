"""An application that knows who is asking, because it verifies what Postern says.

pip install -r requirements.txt && python server.py; in front of it: postern dev --to http://localhost:3000
"""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

JWKS_URL = os.environ.get("JWKS_URL", "http://127.0.0.1:8080/.well-known/postern/jwks.json")
# The host that people ask for. Without it a token for another application would do.
AUDIENCE = os.environ.get("AUDIENCE", "app.localhost")
ISSUER = os.environ.get("ISSUER", AUDIENCE)

# Reads the keys again when a token names one that is not known.
keys = jwt.PyJWKClient(JWKS_URL, timeout=5)


def identity_of(headers):
    """The claims. Raises jwt.PyJWTError."""
    assertion = headers.get("X-Postern-Jwt-Assertion")
    if not assertion:
        raise jwt.InvalidTokenError("this request did not come through Postern")
    return jwt.decode(
        assertion,
        keys.get_signing_key_from_jwt(assertion),
        # Never what the token itself says: "none", or HS256 with the public key as its secret.
        algorithms=["ES256", "RS256"],
        audience=AUDIENCE,
        issuer=ISSUER,
        options={"require": ["exp", "aud", "iss", "sub"]},
    )


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        try:
            claims = identity_of(self.headers)
            self.answer(200, {name: claims.get(name) for name in ("sub", "email", "groups")})
        except jwt.PyJWTError as error:
            self.answer(401, {"error": str(error)})

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "3000"))), Handler).serve_forever()
