"""A resource server that validates with Authlib against the published keys. It reads a token from each line."""

import json
import os
import sys

import requests
from authlib.jose import JsonWebKey, JsonWebToken
from authlib.jose.errors import JoseError

issuer = os.environ["ISSUER"]
tokens = JsonWebToken([os.environ["ALGORITHM"]])
wanted = {
    "iss": {"essential": True, "value": issuer},
    "aud": {"essential": True, "value": os.environ["AUDIENCE"]},
    "sub": {"essential": True},
    "exp": {"essential": True},
}


def fetch():
    return JsonWebKey.import_key_set(requests.get(issuer + "/.well-known/jwks.json", timeout=30).json())


keys = fetch()


def key_of(header, _payload):
    """The key that the header names; the set is fetched again, once, for one that it does not know."""
    global keys
    try:
        return keys.find_by_kid(header.get("kid"))
    except ValueError:
        keys = fetch()
        return keys.find_by_kid(header.get("kid"))


def subject_of(token):
    try:
        claims = tokens.decode(token, key_of, claims_options=wanted)
        claims.validate()
        return claims["sub"]
    except (JoseError, ValueError):
        return None


for line in sys.stdin:
    print(json.dumps({"subject": subject_of(json.loads(line)["token"])}), flush=True)
