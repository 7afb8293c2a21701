"""Talks to a Claviger as OAuth's clients and resource servers written in Python would: Authlib refreshes, introspects
and revokes; PyJWT and jwcrypto verify the status lists of those who do not want to ask for each token.

BASE_URL names the server. API_KEY_ID and API_KEY are what `claviger api-key create` gave to this service. TOKEN_FILE
keeps tokens for the second run, which is made with the argument "after-restart".
"""

import base64
import json
import os
import sys
import time
import urllib.request
import zlib

import jwt
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from jwcrypto import jwk, jws
from python_checks import BASE_URL, bearer, call, holds, run, same

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # http, on loopback alone

TOKEN_FILE = os.environ["TOKEN_FILE"]
KEY_ID, KEY = os.environ["API_KEY_ID"], os.environ["API_KEY"]
ACCOUNT = {"email": "oauth1@example.com", "name": "oauth1", "password": "oauth1"}
SCOPE = "account profile"

seen = {}  # what earlier checks found and later ones need: the sessions "refreshed", "revoked", "left" and "kept"


def log_in():
    answer = call("POST", "/login", body={"email": ACCOUNT["email"], "password": ACCOUNT["password"]})
    same("the status", answer.status, 200)
    body = answer.json()
    holds("refresh_token is text", isinstance(body["refresh_token"], str) and body["refresh_token"])
    return {"access_token": body["token"], "refresh_token": body["refresh_token"], "token_type": body["token_type"]}


def sessions():
    same("the status", call("POST", "/user", body=ACCOUNT).status, 201)
    for name in ("refreshed", "revoked", "left", "kept"):
        seen[name] = log_in()
    with open(TOKEN_FILE, "w", encoding="ascii") as file:
        json.dump(seen, file)


def opens_profile(token):
    return call("GET", "/user/profile", bearer(token)).status


def claims(token):
    return jwt.decode(token, options={"verify_signature": False})


# The client


def person(session=None):
    """A public client: it has a name, and no secret."""
    return OAuth2Session("claviger", token=session, token_endpoint_auth_method="none")


def refuses(error, refused):
    try:
        refused()
    except OAuthError as refusal:
        same("the error", refusal.error, error)
        return
    raise AssertionError(f"no {error}")


def refresh():
    before = seen["refreshed"]
    after = person(before).refresh_token(BASE_URL + "/token")
    same("token_type", after["token_type"], "Bearer")
    same("scope", after["scope"], SCOPE)
    holds("expires_in is a whole number above 0", type(after["expires_in"]) is int and after["expires_in"] > 0)
    holds("both tokens are new", not set(before.values()) & {after["access_token"], after["refresh_token"]})
    for name in ("sub", "sid", "iss", "aud", "client_id", "scope", "status"):
        same(name, claims(after["access_token"])[name], claims(before["access_token"])[name])
    same("the profile by the new token", opens_profile(after["access_token"]), 200)
    same("the profile by the old token", opens_profile(before["access_token"]), 200)
    seen["refreshed"] = dict(after)


def refresh_less():
    session = seen["refreshed"]
    reader = person(session).refresh_token(BASE_URL + "/token", scope="profile")
    same("scope", reader["scope"], "profile")
    same("the profile", opens_profile(reader["access_token"]), 200)
    refused = call("PATCH", "/user/profile", bearer(reader["access_token"]), {"name": "another"})
    same("the status of a change", refused.status, 403)
    holds("the scope is asked for", 'scope="account"' in refused.headers["WWW-Authenticate"])
    seen["refreshed"] = dict(reader)


def refresh_more():
    refuses("invalid_scope", lambda: person(seen["refreshed"]).refresh_token(BASE_URL + "/token", scope="admin"))


def refresh_nothing():
    refuses("invalid_grant", lambda: person().refresh_token(BASE_URL + "/token", refresh_token="no token of ours"))


def another_client():
    another = OAuth2Session("another", token=seen["refreshed"], token_endpoint_auth_method="none")
    refuses("invalid_client", lambda: another.refresh_token(BASE_URL + "/token"))


# The resource server


def introspect(token, method="client_secret_basic", secret=KEY, status=200):
    service = OAuth2Session(KEY_ID, secret, token_endpoint_auth_method=method, revocation_endpoint_auth_method=method)
    answer = service.introspect_token(BASE_URL + "/introspect", token=token)
    same("the status", answer.status_code, status)
    same("the content type", answer.headers["Content-Type"], "application/json")
    same("Cache-Control", answer.headers["Cache-Control"], "no-store")
    return answer


def introspect_access_token():
    token = seen["kept"]["access_token"]
    names = ("iss", "sub", "aud", "exp", "iat", "jti", "sid", "client_id", "scope")
    wanted = {name: claims(token)[name] for name in names} | {"active": True, "token_type": "Bearer"}
    for method in ("client_secret_basic", "client_secret_post"):
        same(f"what is said by {method}", introspect(token, method).json(), wanted)
    headers = bearer(KEY) | {"Content-Type": "application/x-www-form-urlencoded"}
    url, body = BASE_URL + "/introspect", f"token={token}".encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10) as answer:
        same("what is said by Bearer", json.loads(answer.read()), wanted)


def introspect_refresh_token():
    said = introspect(seen["kept"]["refresh_token"]).json()
    access = claims(seen["kept"]["access_token"])
    same("active", said["active"], True)
    same("sub", said["sub"], access["sub"])
    same("sid", said["sid"], access["sid"])
    holds("it is no Bearer token", "token_type" not in said)
    holds("it lives longer than the access token", said["exp"] > access["exp"])


def introspect_others():
    altered = seen["kept"]["access_token"][:-4] + "AAAA"
    for token in ("x", altered, seen["kept"]["refresh_token"] + "x", KEY):
        same("what is said", introspect(token).json(), {"active": False})


def introspect_as_another():
    token = seen["kept"]["access_token"]
    for method in ("client_secret_basic", "client_secret_post"):
        answer = introspect(token, method, KEY[:-1] + ("A" if KEY[-1] != "A" else "B"), 401)
        same("error", answer.json()["error"], "invalid_client")
        holds("there is a challenge", answer.headers["WWW-Authenticate"].startswith("Basic "))


def is_gone(session):
    for token in (session["access_token"], session["refresh_token"]):
        same("what is said", introspect(token).json(), {"active": False})
    same("the profile", opens_profile(session["access_token"]), 401)
    refuses("invalid_grant", lambda: person(session).refresh_token(BASE_URL + "/token"))


def revoke():
    answer = person().revoke_token(BASE_URL + "/revoke", seen["revoked"]["refresh_token"], "refresh_token")
    same("the status", answer.status_code, 200)
    is_gone(seen["revoked"])
    again = person().revoke_token(BASE_URL + "/revoke", seen["revoked"]["refresh_token"])
    same("the status where there is nothing left", again.status_code, 200)


def revoke_as_service():
    session = log_in()
    service = OAuth2Session(KEY_ID, KEY, revocation_endpoint_auth_method="client_secret_basic")
    same("the status", service.revoke_token(BASE_URL + "/revoke", session["access_token"]).status_code, 200)
    is_gone(session)


def log_out():
    same("the status", call("POST", "/logout", bearer(seen["left"]["access_token"])).status, 204)
    is_gone(seen["left"])


# The status lists, read by draft-ietf-oauth-status-list and by nothing that Claviger says of itself


def status(token):
    """The bit of a token in the list that it names, as PyJWT and jwcrypto verify it."""
    place = claims(token)["status"]["status_list"]
    with urllib.request.urlopen(place["uri"], timeout=10) as answer:
        same("the content type", answer.headers["Content-Type"], "application/statuslist+jwt")
        signed = answer.read().decode("ascii")
    key = jwt.PyJWKClient(BASE_URL + "/.well-known/jwks.json", timeout=10).get_signing_key_from_jwt(signed)
    names = ["sub", "iat", "exp", "ttl", "status_list"]
    read = jwt.decode(signed, key, algorithms=["RS256"], issuer=BASE_URL, options={"require": names})
    same("typ", jwt.get_unverified_header(signed)["typ"], "statuslist+jwt")
    same("sub", read["sub"], place["uri"])
    other = jws.JWS()
    other.deserialize(signed, jwk.JWK(**call("GET", "/.well-known/jwks.json").json()["keys"][0]))
    same("what jwcrypto reads", json.loads(other.payload), read)
    same("bits", read["status_list"]["bits"], 1)
    text = read["status_list"]["lst"]
    holds("lst has no padding", "=" not in text)
    bits = zlib.decompress(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return bits[place["idx"] // 8] >> place["idx"] % 8 & 1


def lists_live_sessions():
    places = {claims(session["access_token"])["status"]["status_list"]["idx"] for session in seen.values()}
    same("how many places there are", len(places), len(seen))
    for name in seen:
        same(f"the status of {name}", status(seen[name]["access_token"]), 0)


def lists_ended_sessions():
    ended = [seen["revoked"]["access_token"], seen["left"]["access_token"]]
    end = time.monotonic() + 10
    while 0 in map(status, ended):
        holds("an ended session is listed within 10 seconds", time.monotonic() < end)
        time.sleep(0.2)
    for name in ("refreshed", "kept"):
        same(f"the status of {name}", status(seen[name]["access_token"]), 0)


def is_no_access_token():
    place = claims(seen["kept"]["access_token"])["status"]["status_list"]
    with urllib.request.urlopen(place["uri"], timeout=10) as answer:
        signed = answer.read().decode("ascii")
    same("the profile", opens_profile(signed), 401)
    same("what is said", introspect(signed).json(), {"active": False})


def refresh_kept():
    after = person(seen["kept"]).refresh_token(BASE_URL + "/token")
    same("the profile", opens_profile(after["access_token"]), 200)


FIRST = [
    ("logins give refresh tokens", sessions),
    ("Authlib refreshes", refresh),
    ("Authlib refreshes for reading alone", refresh_less),
    ("an unknown scope is refused", refresh_more),
    ("what is no refresh token is refused", refresh_nothing),
    ("another client's refresh is refused", another_client),
    ("Authlib introspects an access token", introspect_access_token),
    ("Authlib introspects a refresh token", introspect_refresh_token),
    ("what is not good is inactive and no more", introspect_others),
    ("a wrong API key learns nothing", introspect_as_another),
    ("the status list says that all sessions live", lists_live_sessions),
    ("Authlib revokes as the person's client", revoke),
    ("Authlib revokes as a service", revoke_as_service),
    ("a logout ends the session's tokens", log_out),
    ("the status list says which sessions ended", lists_ended_sessions),
    ("a status list is no access token", is_no_access_token),
]

AFTER_RESTART = [
    ("the API key is good, and so are the old tokens", introspect_access_token),
    ("what was revoked stays so", lambda: is_gone(seen["revoked"])),
    ("who logged out stays so", lambda: is_gone(seen["left"])),
    ("the status list still says which sessions ended", lists_ended_sessions),
    ("Authlib refreshes the old session", refresh_kept),
]

if __name__ == "__main__":
    restarted = sys.argv[1:] == ["after-restart"]
    if restarted:
        with open(TOKEN_FILE, encoding="ascii") as file:
            seen.update(json.load(file))
    sys.exit(run(AFTER_RESTART if restarted else FIRST, ["Authlib", "PyJWT", "jwcrypto"], restarted))
