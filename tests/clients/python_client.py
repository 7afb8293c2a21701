"""Talks to a Claviger as a service written in Python would: urllib for HTTP, PyJWT and jwcrypto for the tokens.

BASE_URL names the server, whose data must be new. TOKEN_FILE keeps a token for the second run, which is made with the
argument "after-restart" once the server has been started again on the same data.
"""

import base64
import hashlib
import hmac
import json
import os
import sys

import jwt
from jwcrypto import jwk
from jwcrypto import jwt as jwcrypto_jwt
from jwcrypto.common import JWException
from python_checks import BASE_URL, basic, bearer, call, holds, run, same

TOKEN_FILE = os.environ["TOKEN_FILE"]
EMAIL, NAME, PASSWORD = "test1@eamil.com", "test1", "test1"
SIGN_UP = {"email": EMAIL, "name": NAME, "password": PASSWORD}
PROFILE = {"user": {"email": EMAIL, "name": NAME}}
PRIVATE_MEMBERS = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

seen = {}  # what earlier checks found and later ones need: public_id, token, expires_in


def same_json(answer, status, wanted):
    same("the status", answer.status, status)
    same("the content type", answer.headers.get_content_type(), "application/json")
    same("the body", answer.json(), wanted)


def is_problem(answer, status):
    same("the status", answer.status, status)
    same("the content type", answer.headers.get_content_type(), "application/problem+json")
    holds("the problem has a type", isinstance(answer.json().get("type"), str))


def asks_for(answer, scheme):
    is_problem(answer, 401)
    offered = answer.headers.get("WWW-Authenticate", "")
    same("the scheme in WWW-Authenticate", offered.partition(" ")[0].lower(), scheme)


# The starting API


def sign_up():
    answer = call("POST", "/user", body=SIGN_UP)
    same("the status", answer.status, 201)
    same("Location", answer.headers["Location"], "/user/profile")
    user = answer.json()["user"]
    seen["public_id"] = user["public_id"]
    holds("public_id is text", isinstance(user["public_id"], str) and user["public_id"])
    same_json(answer, 201, {"user": {"public_id": user["public_id"], "email": EMAIL, "name": NAME}})


def sign_up_twice():
    is_problem(call("POST", "/user", body=SIGN_UP), 409)


def logged_in(answer):
    same("the status", answer.status, 200)
    same("the content type", answer.headers.get_content_type(), "application/json")
    same("Cache-Control", answer.headers["Cache-Control"], "no-store")
    body = answer.json()
    same("token_type", body["token_type"], "Bearer")
    holds("expires_in is a whole number above 0", type(body["expires_in"]) is int and body["expires_in"] > 0)
    holds("refresh_token is text", isinstance(body["refresh_token"], str) and body["refresh_token"])
    same("the status of the profile", call("GET", "/user/profile", bearer(body["token"])).status, 200)
    return body


def login_by_email():
    body = logged_in(call("GET", "/login", basic(EMAIL, PASSWORD)))
    seen["token"], seen["expires_in"] = body["token"], body["expires_in"]
    with open(TOKEN_FILE, "w", encoding="ascii") as file:
        file.write(body["token"])


def login_by_name():
    logged_in(call("GET", "/login", basic(NAME, PASSWORD)))


def login_by_json():
    logged_in(call("POST", "/login", body={"email": EMAIL, "password": PASSWORD}))


def login_refused():
    asks_for(call("GET", "/login", basic(EMAIL, "wrong")), "basic")


def login_by_json_refused():
    asks_for(call("POST", "/login", body={"email": EMAIL, "password": "wrong"}), "basic")


def profile_by_authorization():
    same_json(call("GET", "/user/profile", bearer(seen["token"])), 200, PROFILE)


def profile_by_x_access_token():
    same_json(call("GET", "/user/profile", {"x-access-token": seen["token"]}), 200, PROFILE)


def profile_by_token():
    same_json(call("GET", "/user/profile", {"token": seen["token"]}), 200, PROFILE)


def profile_refused():
    answer = call("GET", "/user/profile")
    is_problem(answer, 401)
    holds("there is a WWW-Authenticate", answer.headers["WWW-Authenticate"])


def jwks_refused():
    is_problem(call("GET", "/jwks"), 401)


def starting_key():
    answer = call("GET", "/jwks", bearer(seen["token"]))
    same("the status", answer.status, 200)
    return answer.json()


def jwks_is_one_object():
    body = starting_key()
    same("the members", sorted(body), ["keys"])
    same("the members of keys", sorted(body["keys"]), ["alg", "e", "kid", "kty", "n", "use"])


def well_known_set():
    answer = call("GET", "/.well-known/jwks.json")
    same("the status", answer.status, 200)
    keys = answer.json()["keys"]
    holds("keys is a filled list", isinstance(keys, list) and keys)
    for key in keys:
        same("the private members", sorted(PRIVATE_MEMBERS & set(key)), [])
        same("use", key["use"], "sig")
        holds("alg is named", isinstance(key["alg"], str))
        same("kid", key["kid"], jwk.JWK(**key).thumbprint())
    same("the number of different kids", len({key["kid"] for key in keys}), len(keys))


# The token, read by the two libraries


def pyjwt_key(token):
    return jwt.PyJWKClient(BASE_URL + "/.well-known/jwks.json", timeout=10).get_signing_key_from_jwt(token)


def pyjwt_decode(token, key):
    names = ["iss", "sub", "aud", "exp", "iat", "jti", "client_id", "public_id", "sid", "scope", "status"]
    unverified = jwt.decode(seen["token"], options={"verify_signature": False})
    return jwt.decode(
        token,
        key,
        algorithms=["RS256"],
        issuer=unverified["iss"],
        audience=unverified["aud"],
        options={"require": names},
    )


def jwcrypto_key():
    return jwk.JWK(**starting_key()["keys"])


def jwcrypto_decode(token, key):
    wanted = {"iss": BASE_URL, "aud": BASE_URL, "exp": None}
    read = jwcrypto_jwt.JWT(jwt=token, key=key, algs=["RS256"], check_claims=wanted, expected_type="JWS")
    return json.loads(read.claims)


def pyjwt_verifies():
    pyjwt_decode(seen["token"], pyjwt_key(seen["token"]))


def claims_are_as_promised():
    claims = pyjwt_decode(seen["token"], pyjwt_key(seen["token"]))
    same("iss", claims["iss"], BASE_URL)
    holds("aud is the issuer", claims["aud"] in (BASE_URL, [BASE_URL]))
    same("sub", claims["sub"], seen["public_id"])
    same("public_id", claims["public_id"], seen["public_id"])
    same("scope", claims["scope"], "account profile")
    for name in ("jti", "client_id", "sid"):
        holds(f"{name} is text", isinstance(claims[name], str) and claims[name])
    for name in ("exp", "iat"):
        holds(f"{name} is a whole number", type(claims[name]) is int)
    life = claims["exp"] - claims["iat"]
    holds("the token lives for an hour at most", 0 < life <= 3600)
    holds("expires_in is the life of the token", abs(life - seen["expires_in"]) <= 1)


def header_is_as_promised():
    header = jwt.get_unverified_header(seen["token"])
    same("alg", header["alg"], "RS256")
    same("typ", header["typ"], "at+jwt")
    same("kid", header["kid"], jwcrypto_key().thumbprint())
    same("kid in /jwks", starting_key()["keys"]["kid"], header["kid"])


def jwcrypto_verifies():
    claims = jwcrypto_decode(seen["token"], jwcrypto_key())
    same("the claims", claims, pyjwt_decode(seen["token"], pyjwt_key(seen["token"])))


# Tokens that nobody may take


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def altered(part):
    """The token with another character in the middle of one of its three parts."""
    parts = seen["token"].split(".")
    middle = len(parts[part]) // 2
    other = "B" if parts[part][middle] == "A" else "A"
    parts[part] = parts[part][:middle] + other + parts[part][middle + 1 :]
    return ".".join(parts)


def with_algorithm(name):
    """The token's own header, but for the algorithm, and its claims: all that is to be signed."""
    header = jwt.get_unverified_header(seen["token"]) | {"alg": name}
    return base64url(json.dumps(header).encode()) + "." + seen["token"].split(".")[1]


def unsigned():
    return with_algorithm("none") + "."


def signed_with_public_key():
    start = with_algorithm("HS256")
    return start + "." + base64url(hmac.digest(jwcrypto_key().export_to_pem(), start.encode(), hashlib.sha256))


def refused_by_pyjwt(token):
    key = pyjwt_key(seen["token"])
    try:
        pyjwt_decode(token, key)
    except jwt.InvalidTokenError:
        return
    raise AssertionError("PyJWT takes the token")


def refused_by_jwcrypto(token):
    key = jwcrypto_key()
    try:
        jwcrypto_decode(token, key)
    except (JWException, ValueError):
        return
    raise AssertionError("jwcrypto takes the token")


def refused_by_server(token):
    is_problem(call("GET", "/user/profile", bearer(token)), 401)


FORGERIES = [
    ("another character in the header", lambda: altered(0)),
    ("another character in the claims", lambda: altered(1)),
    ("another character in the signature", lambda: altered(2)),
    ("alg none without a signature", unsigned),
    ("HS256 keyed with the public key", signed_with_public_key),
]
READERS = [("PyJWT", refused_by_pyjwt), ("jwcrypto", refused_by_jwcrypto), ("the server", refused_by_server)]
REFUSALS = [
    (f"{what} is refused by {reader}", lambda forge=forge, refused=refused: refused(forge()))
    for what, forge in FORGERIES
    for reader, refused in READERS
]

FIRST = [
    ("sign-up makes the account", sign_up),
    ("a second sign-up with the e-mail conflicts", sign_up_twice),
    ("GET /login by e-mail", login_by_email),
    ("GET /login by name", login_by_name),
    ("POST /login", login_by_json),
    ("GET /login with a wrong password", login_refused),
    ("POST /login with a wrong password", login_by_json_refused),
    ("profile by Authorization", profile_by_authorization),
    ("profile by x-access-token", profile_by_x_access_token),
    ("profile by token", profile_by_token),
    ("profile without a token", profile_refused),
    ("/jwks without a token", jwks_refused),
    ("/jwks holds one key as one object", jwks_is_one_object),
    ("the well-known set is public and only public", well_known_set),
    ("PyJWT verifies with the well-known set", pyjwt_verifies),
    ("the claims are as promised", claims_are_as_promised),
    ("the header is as promised", header_is_as_promised),
    ("jwcrypto verifies with the key of /jwks", jwcrypto_verifies),
    *REFUSALS,
]

AFTER_RESTART = [
    ("the old token: PyJWT verifies", pyjwt_verifies),
    ("the old token: jwcrypto verifies", jwcrypto_verifies),
    ("the old token opens the profile", profile_by_authorization),
    ("login works again", login_by_json),
]


if __name__ == "__main__":
    restarted = sys.argv[1:] == ["after-restart"]
    if restarted:
        with open(TOKEN_FILE, encoding="ascii") as file:
            seen["token"] = file.read()
    sys.exit(run(AFTER_RESTART if restarted else FIRST, ["PyJWT", "jwcrypto"], restarted))
