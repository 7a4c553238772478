"""A resource server that validates with PyJWT. It reads a token from each line, and says whose it is."""

import json
import os
import sys

import jwt

issuer = os.environ["ISSUER"]
keys = jwt.PyJWKClient(issuer + "/.well-known/jwks.json")


def subject_of(token):
    try:
        key = keys.get_signing_key_from_jwt(token).key
        claims = jwt.decode(token, key, algorithms=[os.environ["ALGORITHM"]], audience=os.environ["AUDIENCE"], issuer=issuer)
        return claims["sub"]
    except (jwt.PyJWKClientError, jwt.InvalidTokenError):
        return None


for line in sys.stdin:
    print(json.dumps({"subject": subject_of(json.loads(line)["token"])}), flush=True)
