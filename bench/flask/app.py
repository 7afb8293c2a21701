"""The starting API as one would make it at home: Flask, SQLite, werkzeug's password hashes, PyJWT."""
import base64, datetime, functools, pathlib, sqlite3, uuid

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask, g, jsonify, request
from werkzeug.security import check_password_hash, generate_password_hash

app = Flask(__name__)
DATABASE = pathlib.Path("users.db").absolute()
KEY_FILE = pathlib.Path("key.pem")


def database():
    if "database" not in g:
        g.database = sqlite3.connect(DATABASE, timeout=10)
        g.database.row_factory = sqlite3.Row
    return g.database


@app.teardown_appcontext
def close(_):
    if "database" in g:
        g.database.close()


def signing_key():
    if not KEY_FILE.exists():
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        KEY_FILE.write_bytes(key.private_bytes(encoding, form, serialization.NoEncryption()))
    return serialization.load_pem_private_key(KEY_FILE.read_bytes(), None)


KEY = signing_key()
PUBLIC = KEY.public_key()

with sqlite3.connect(DATABASE) as first:
    first.execute("PRAGMA journal_mode = WAL")
    first.execute(
        "CREATE TABLE IF NOT EXISTS users (public_id TEXT PRIMARY KEY, email TEXT NOT NULL UNIQUE,"
        " name TEXT NOT NULL, password TEXT NOT NULL)"
    )


def token_required(view):
    @functools.wraps(view)
    def guarded(*args, **kwargs):
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        token = bearer or request.headers.get("x-access-token") or request.headers.get("token")
        try:
            claims = jwt.decode(token, PUBLIC, algorithms=["RS256"])
        except jwt.PyJWTError:
            return jsonify(message="the token is missing or invalid"), 401
        query = "SELECT * FROM users WHERE public_id = ?"
        user = database().execute(query, (claims["public_id"],)).fetchone()
        if user is None:
            return jsonify(message="the token is missing or invalid"), 401
        return view(user, *args, **kwargs)

    return guarded


@app.post("/user")
def sign_up():
    body = request.get_json()
    public_id, password = str(uuid.uuid4()), generate_password_hash(body["password"])
    try:
        with database() as db:
            row = (public_id, body["email"], body["name"], password)
            db.execute("INSERT INTO users (public_id, email, name, password) VALUES (?, ?, ?, ?)", row)
    except sqlite3.IntegrityError:
        return jsonify(message="the e-mail is taken"), 409
    user = {"public_id": public_id, "email": body["email"], "name": body["name"]}
    return jsonify(user=user), 201, {"Location": "/user/profile"}


@app.get("/login")
def login():
    basic = request.authorization
    query = "SELECT * FROM users WHERE email = ?"
    user = database().execute(query, (basic.username,)).fetchone() if basic else None
    if user is None or not check_password_hash(user["password"], basic.password):
        return jsonify(message="wrong e-mail or password"), 401, {"WWW-Authenticate": "Basic"}
    expires = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=15)
    token = jwt.encode({"public_id": user["public_id"], "exp": expires}, KEY, algorithm="RS256")
    return jsonify(token=token, token_type="Bearer", expires_in=900), 200, {"Cache-Control": "no-store"}


@app.get("/user/profile")
@token_required
def profile(user):
    return jsonify(user={"email": user["email"], "name": user["name"]})


def number(value):
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).rstrip(b"=").decode()


@app.get("/jwks")
@token_required
def jwks(_):
    numbers = PUBLIC.public_numbers()
    key = {"alg": "RS256", "e": number(numbers.e), "kid": "1", "kty": "RSA", "n": number(numbers.n), "use": "sig"}
    return jsonify(keys=key)


@app.get("/health")
def health():
    return jsonify(status="ok")
