"""An app that refreshes and revokes with Authlib. It reads a request from each line, and writes the answer."""

import json
import os
import sys

import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session

issuer = os.environ["ISSUER"]
found = requests.get(issuer + "/.well-known/oauth-authorization-server", timeout=30).json()
session = OAuth2Session(
    os.environ["CLIENT_ID"],
    os.environ["CLIENT_SECRET"] or None,
    token_endpoint_auth_method=os.environ["METHOD"],
    revocation_endpoint_auth_method=os.environ["METHOD"],
)


def answer(request):
    if "refresh" in request:
        return dict(session.refresh_token(found["token_endpoint"], refresh_token=request["refresh"]))
    response = session.revoke_token(
        found["revocation_endpoint"], token=request["revoke"], token_type_hint=request["hint"]
    )
    return {"status": response.status_code} if response.ok else {"error": response.json()["error"]}


for line in sys.stdin:
    try:
        said = answer(json.loads(line))
    except OAuthError as refusal:
        said = {"error": refusal.error}
    print(json.dumps(said), flush=True)
