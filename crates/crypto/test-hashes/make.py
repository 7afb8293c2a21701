"""Writes vectors.txt: hashes made by the libraries themselves, at the least cost that their formats take.

    python3 -m venv venv && venv/bin/pip install werkzeug==3.1.9 passlib==1.7.4 bcrypt==5.0.0 argon2-cffi==25.1.0 \
        django==5.2.8
    venv/bin/pip install --no-deps --target old werkzeug==2.2.3     # the last that makes the salted HMACs
    PYTHONPATH=old venv/bin/python make.py old && venv/bin/python make.py

Each line: what made it, the password as JSON, the hash. Salts are random, so a new run writes other hashes. The
line of Firebase is the example of https://github.com/firebase/scrypt.
"""
import json, pathlib, sys

from werkzeug.security import generate_password_hash

FILE = pathlib.Path(__file__).with_name("vectors.txt")
PASSWORDS = ["correct horse", "длинный пароль 🙂", "x", "p" * 100]


def write(mode, lines):
    with FILE.open(mode) as file:
        for maker, password, text in lines:
            file.write(f"{maker}\t{json.dumps(password, ensure_ascii=False)}\t{text}\n")


def old():
    for password in PASSWORDS:
        for method in ["sha1", "sha256", "sha384", "sha512"]:
            yield f"werkzeug 2.2 {method}", password, generate_password_hash(password, method)
        yield "werkzeug 2.2 pbkdf2", password, generate_password_hash(password, "pbkdf2:sha1:1000")


def new():
    import argon2.low_level as argon2
    import bcrypt
    from passlib import hash as passlib

    for password in PASSWORDS:
        for method in ["scrypt:256:8:1", "scrypt:1024:8:2", "pbkdf2:sha256:1", "pbkdf2:sha1:3", "pbkdf2:sha512:2",
                       "pbkdf2:sha384:2"]:
            yield f"werkzeug 3.1 {method}", password, generate_password_hash(password, method)
        # The library cuts nothing itself any more; those of other languages, and its own older ones, do.
        for letter in ["2a", "2b", "2y"]:
            made = bcrypt.hashpw(password.encode()[:72], bcrypt.gensalt(4)).decode()
            yield f"bcrypt 5.0 {letter}", password, made.replace("$2b$", f"${letter}$")
        for kind, name in [(argon2.Type.I, "i"), (argon2.Type.D, "d"), (argon2.Type.ID, "id")]:
            for version in [16, 19]:
                made = argon2.hash_secret(password.encode(), b"some salt of it", 2, 64, 2, 32, kind, version)
                yield f"argon2-cffi {name} {version}", password, made.decode()
        yield "passlib pbkdf2_sha1", password, passlib.pbkdf2_sha1.using(rounds=2).hash(password)
        yield "passlib pbkdf2_sha256", password, passlib.pbkdf2_sha256.using(rounds=2).hash(password)
        yield "passlib pbkdf2_sha512", password, passlib.pbkdf2_sha512.using(rounds=2).hash(password)
        yield "passlib django", password, passlib.django_pbkdf2_sha256.using(rounds=2).hash(password)
        yield "passlib django sha1", password, passlib.django_pbkdf2_sha1.using(rounds=2).hash(password)
        scrypt = passlib.scrypt.using(rounds=4, block_size=8, parallelism=2)
        yield "passlib scrypt", password, scrypt.hash(password)
        yield "passlib scrypt $7$", password, scrypt.using(ident="$7$", salt=b"somesaltsomesalt").hash(password)
    # Of no rounds: what Werkzeug 2.0 took then.
    method, salt, tag = generate_password_hash("correct horse", "pbkdf2:sha256:260000").split("$")
    yield "werkzeug without rounds", "correct horse", f"pbkdf2:sha256${salt}${tag}"
    yield from django()
    key = "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="
    tag = "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=="
    yield "firebase/scrypt", "user1password", f"$fbscrypt$v=1,n=14,r=8,p=1,ss=Bw==,sk={key}$42xEC+ixf3L2lw==${tag}"


def django():
    from django.conf import settings
    settings.configure()
    from django.contrib.auth import hashers

    for base, costs in [(hashers.Argon2PasswordHasher, {"time_cost": 2, "memory_cost": 64, "parallelism": 2}),
                        (hashers.BCryptPasswordHasher, {"rounds": 4}),
                        (hashers.ScryptPasswordHasher, {"work_factor": 1024, "parallelism": 2})]:
        hasher = type("Cheap", (base,), costs)()
        # The library of bcrypt refuses the long one.
        for password in PASSWORDS if base.algorithm != "bcrypt" else PASSWORDS[:3]:
            yield f"django 5.2 {base.algorithm}", password, hasher.encode(password, hasher.salt())


if sys.argv[1:] == ["old"]:
    write("w", old())
else:
    write("a", new())
