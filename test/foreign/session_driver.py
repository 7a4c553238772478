"""Drives the Session of docs/clients/stay-logged-in.md, which lies in the folder EXAMPLE. A request a line, an answer a line."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.environ["EXAMPLE"])
from session import Refused, Session, SignedOut  # noqa: E402

FILE = os.path.join(os.environ["EXAMPLE"], "session.json")
client = json.loads(os.environ["CLIENT"])


def fresh(attempts=5):
    return Session(os.environ["URL"], FILE, client=client and tuple(client), attempts=attempts)


session = fresh()


def answer(request):
    global session
    verb = request["do"]
    if verb == "login":
        session.login(request["username"], request["password"])
    if verb == "restart":
        session = fresh(request["attempts"])
    if verb == "refresh":
        used = session.access_token()
        with ThreadPoolExecutor(request["threads"]) as pool:
            tokens = list(pool.map(session.refresh, [used] * request["threads"]))
        return {"different": len(set(tokens)), "token": tokens[0]}
    if verb == "logout":
        session.logout()
    return {"token": session.access_token() if os.path.exists(FILE) else None, "mode": mode()}


def mode():
    return oct(os.stat(FILE).st_mode & 0o777) if os.path.exists(FILE) else None


for line in sys.stdin:
    try:
        said = answer(json.loads(line))
    except SignedOut as end:
        said = {"signed_out": str(end), "kept": os.path.exists(FILE)}
    except Refused as refusal:
        said = {"refused": str(refusal), "kept": os.path.exists(FILE)}
    except OSError as error:
        said = {"failed": str(error), "kept": os.path.exists(FILE)}
    print(json.dumps(said), flush=True)
