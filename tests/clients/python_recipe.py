"""Runs the code of docs/verify/python.md, which tests/clients/run has written beside PYTHONPATH, against the server.

EXPIRED_FILE holds a token of an earlier run of the server that has expired.
"""

import base64
import json
import os
import sys
import threading
import time

import claviger
import jwt
from python_checks import BASE_URL, bearer, call, holds, run, same

ACCOUNT = {"email": "recipe1@example.com", "name": "recipe1", "password": "recipe1"}

verifier = claviger.Verifier(BASE_URL)
seen = {}


def log_in():
    if "id" not in seen:
        seen["id"] = call("POST", "/user", body=ACCOUNT).json()["user"]["public_id"]
    return call("POST", "/login", body={"email": ACCOUNT["email"], "password": ACCOUNT["password"]}).json()["token"]


def refused(token, why, by=verifier):
    try:
        by.verify(token)
    except jwt.InvalidTokenError as error:
        holds(f"{why!r} in {error!r}", why in str(error))
        return
    raise AssertionError("the token is taken")


def good_token():
    seen["token"], seen["other"] = log_in(), log_in()
    claims = verifier.verify(seen["token"])
    same("sub", claims["sub"], seen["id"])
    same("aud", claims["aud"], BASE_URL)


def end_session():
    same("the status of the logout", call("POST", "/logout", bearer(seen["token"])).status, 204)
    seen["ended_at"] = time.monotonic()


def tampered():
    header, claims, signature = seen["other"].split(".")
    decoded = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    text = json.dumps(decoded | {"sub": "somebody else"}).encode()
    refused(".".join([header, base64.urlsafe_b64encode(text).rstrip(b"=").decode(), signature]), "Signature")


def with_header(**members):
    header = jwt.get_unverified_header(seen["other"]) | members
    text = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    return text + "." + seen["other"].split(".", 1)[1]


def other_algorithms():
    for alg in ("none", "HS256", "ES256"):
        refused(with_header(alg=alg), "algorithm")


def other_headers():
    refused(with_header(typ="jwt"), "kind")
    refused(with_header(crit=["exp"]), "")
    refused(with_header(jku="https://evil.example"), "kind")


def other_kinds():
    refused(call("GET", "/status/0").body.decode(), "kind")


def unknown_key_id():
    fetch, fetches = verifier.keys._fetch, []
    verifier.keys._fetch = lambda: (fetches.append(1), fetch())
    for number in range(100):
        refused(with_header(kid=f"key {number}"), "key id")
    del verifier.keys._fetch
    holds(f"one fetch at most for a hundred key ids, not {len(fetches)}", len(fetches) <= 1)


def old_copy():
    """While one thread fetches what is old the others wait, and do not go by the old."""
    file = claviger.File(f"{BASE_URL}/.well-known/jwks.json", lambda body: "old", lifetime=20, spare=600)
    same("the first copy", file.get(), "old")
    file.fetched_at, file.tried_at = file.fetched_at - 60, file.tried_at - 60
    reading = threading.Event()

    def read(_body):
        reading.set()
        time.sleep(0.5)
        return "new"

    file.read = read
    first = threading.Thread(target=file.get)
    first.start()
    holds("it is fetched", reading.wait(10))
    same("what the others get", file.get(), "new")
    first.join()


def garbage():
    for text in ("", "a", "a.b.c", "....", "é.é.é", "a" * 9000, seen["other"] + "=", seen["other"][:-4]):
        refused(text, "")


def expired():
    with open(os.environ["EXPIRED_FILE"], encoding="ascii") as file:
        token = file.read()
    exp = jwt.decode(token, options={"verify_signature": False})["exp"]
    time.sleep(max(0, exp + 6 - time.time()))  # its leeway, and a second
    refused(token, "expired")


def wrong_audience():
    refused(seen["other"], "Audience", claviger.Verifier(BASE_URL, audience="https://another.example"))


def wrong_issuer():
    other = claviger.Verifier(BASE_URL)
    other.issuer = "https://another.example"
    refused(seen["other"], "issuer", other)


def server_away():
    away = claviger.Verifier("http://127.0.0.1:9")
    try:
        away.verify(seen["other"])
    except claviger.Unavailable:
        return
    raise AssertionError("it is not told as unavailable")


def ended_session():
    while time.monotonic() - seen["ended_at"] < 60:
        try:
            verifier.verify(seen["token"])
        except jwt.InvalidTokenError as error:
            holds("it says that the session has ended", "ended" in str(error))
            return
        time.sleep(0.5)
    raise AssertionError("a minute later the token is still taken")


def other_session():
    same("sub", verifier.verify(seen["other"])["sub"], seen["id"])


CHECKS = [
    ("a good token", good_token),
    ("its session ends", end_session),
    ("other claims", tampered),
    ("other algorithms", other_algorithms),
    ("other headers", other_headers),
    ("a status list in place of a token", other_kinds),
    ("unknown key ids", unknown_key_id),
    ("an old copy is not gone by while a newer one is fetched", old_copy),
    ("garbage", garbage),
    ("another audience", wrong_audience),
    ("another issuer", wrong_issuer),
    ("a server that is away", server_away),
    ("a session that has ended is refused within a minute", ended_session),
    ("another session of the same account goes on", other_session),
    ("an expired token", expired),
]

if __name__ == "__main__":
    sys.exit(run(CHECKS, ["PyJWT"], False, "docs/verify/python.md"))
