"""A Flask application that Authlib guards by introspection. It reads a token from each line, and asks itself with it."""

import json
import os
import sys

import requests
from authlib.integrations.flask_oauth2 import ResourceProtector, current_token
from authlib.oauth2.rfc7662 import IntrospectTokenValidator
from flask import Flask

issuer = os.environ["ISSUER"]
client = (os.environ["CLIENT_ID"], os.environ["CLIENT_SECRET"])
endpoint = requests.get(issuer + "/.well-known/oauth-authorization-server", timeout=30).json()["introspection_endpoint"]


class Validator(IntrospectTokenValidator):
    def introspect_token(self, token_string):
        form = {"token": token_string, "token_type_hint": "access_token"}
        answer = requests.post(endpoint, data=form, auth=client, timeout=30)
        answer.raise_for_status()
        return answer.json()


app = Flask(__name__)
protect = ResourceProtector()
protect.register_token_validator(Validator())


@app.get("/")
@protect()
def subject():
    return current_token["sub"]


browser = app.test_client()
for line in sys.stdin:
    token = json.loads(line)["token"]
    answer = browser.get("/", headers={"Authorization": "Bearer " + token})
    assert answer.status_code in (200, 401), answer.text
    print(json.dumps({"subject": answer.text if answer.status_code == 200 else None}), flush=True)
