"""A Flask server with a hundred accounts of each of Werkzeug's formats; an import beside it; everybody logs in. Its
tokens are good here too, until a date.

    moving.py CLAVIGER APP.PY FOLDER-OF-WERKZEUG-2.2

The costs are the least that still are the formats' own, but for a few accounts at Werkzeug's default.
"""
import base64, concurrent.futures, json, os, pathlib, signal, socket, sqlite3, subprocess, sys, tempfile, time
import urllib.error, urllib.request, uuid

import jwt
from cryptography.hazmat.primitives import serialization

BINARY, APP, OLD = sys.argv[1:]
EACH = 100
NEW = ["scrypt:256:8:1", "pbkdf2:sha256:1000", "pbkdf2:sha1:1000", "pbkdf2:sha512:1000"]
OF_OLD = ["sha256", "sha1", "sha512"]
MAKE = """
import json, sys
from werkzeug.security import generate_password_hash
json.dump([generate_password_hash(password, method) for method, password in json.load(sys.stdin)], sys.stdout)
"""

counts = {"passed": 0, "failed": 0}


def check(what, holds, more=""):
    counts["passed" if holds else "failed"] += 1
    print(("ok    " if holds else "FAILED"), what, "" if holds else more, flush=True)


def port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def hashes(wanted, path=None):
    """Makes hashes in another process, by the Werkzeug of its own or by the one in `path`."""
    environment = os.environ | ({"PYTHONPATH": path} if path else {})
    made = subprocess.run([sys.executable, "-c", MAKE], input=json.dumps(wanted), env=environment, text=True,
                          capture_output=True, check=True)
    return json.loads(made.stdout)


def people():
    """Email, name, password and how it is hashed."""
    methods = [(method, EACH, None) for method in NEW] + [(method, EACH, OLD) for method in OF_OLD]
    for method, count, path in methods + [("scrypt", 3, None), ("pbkdf2", 3, None)]:
        kind = method.replace(":", "-")
        # Every tenth password is one that Python and a browser write in UTF-8 alike.
        named = [(f"{kind}-{n}", f"pass wörd {kind} {n}" if n % 10 == 0 else f"password {kind} {n}") for n in range(count)]
        texts = hashes([(method, password) for _, password in named], path)
        for (name, password), text in zip(named, texts):
            yield f"{name}@example.org", name, password, text


def login(base, email, password):
    """The status and the answer of a login by HTTP Basic."""
    basic = base64.b64encode(f"{email}:{password}".encode()).decode()
    request = urllib.request.Request(f"{base}/login", headers={"Authorization": f"Basic {basic}"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, {}


def get(url, token):
    """The status and the answer to a request with a token."""
    try:
        request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, {}


def becomes(wanted, url, token):
    """Whether the answer has this status before long: a server looks for keys each second."""
    for _ in range(200):
        status, said = get(url, token)
        if status == wanted:
            return said
        time.sleep(0.1)
    return None


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def started(command, folder, url, log):
    process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    for _ in range(200):
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return process
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.1)
    process.kill()
    raise SystemExit(f"{command[0]} did not start")


def claviger(*arguments):
    return subprocess.run([BINARY, *arguments], text=True, capture_output=True)


def move(folder, log, processes):
    flask_port, own_port = port(), port()
    old, new = f"http://127.0.0.1:{flask_port}", f"http://127.0.0.1:{own_port}"
    flask = [sys.executable, "-m", "flask", "--app", APP, "run", "--port", str(flask_port)]
    processes.append(started(flask, folder, f"{old}/health", log))
    everybody = list(people())
    database = folder / "users.db"
    with sqlite3.connect(database) as connection:
        rows = [(str(uuid.uuid4()), email, name, text) for email, name, _, text in everybody]
        connection.executemany("INSERT INTO users (public_id, email, name, password) VALUES (?, ?, ?, ?)", rows)
    body = json.dumps({"email": "guest@example.org", "name": "guest", "password": "as it comes"}).encode()
    request = urllib.request.Request(f"{old}/user", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        check("the Flask server takes a sign-up", answer.status == 201)
    everybody.append(("guest@example.org", "guest", "as it comes", ""))
    with sqlite3.connect(database) as connection:
        ids = dict(connection.execute("SELECT email, public_id FROM users"))
    tokens = {email: login(old, email, password)[1]["token"] for email, _, password, _ in everybody[:1] + everybody[-1:]}
    some = [person for person in everybody if person[1].endswith("-0") and person[3].count(":")]
    check("people log in there", all(login(old, one[0], one[2])[0] == 200 for one in some), len(some))

    data = folder / "data"
    serve = [BINARY, "serve", "--dev", "--limits", "false", "--listen", f"127.0.0.1:{own_port}", "--data-dir", str(data)]
    processes.append(started(serve, folder, f"{new}/.well-known/jwks.json", log))
    total, given = len(everybody), ["import", str(database), "--data-dir", str(data)]
    trial = claviger(*given, "--dry-run")
    check("a dry run", trial.stdout == f"{total} would be imported, 0 are there already, 0 would be refused\n", trial)
    done = claviger(*given)
    check("the import", done.stdout == f"{total} imported, 0 already there, 0 refused\n" and done.returncode == 0, done)
    check("it says what it found", "table users, email=email, name=name, password_hash=password" in done.stderr, done)
    again = claviger(*given)
    check("everybody is known again", again.stdout == f"0 imported, {total} already there, 0 refused\n", again)

    def one(person):
        email, name, password, text = person
        wrong = login(new, email, password + "x")[0] if name.endswith("-0") else 401
        status, said = login(new, email, password)
        subject = claims(said["token"])["sub"] if status == 200 else None
        return name, wrong, status, subject == ids[email]

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        results = list(pool.map(one, everybody))
    for method in sorted({name.rpartition("-")[0] for name, *_ in results} - {""}):
        mine = [result for result in results if result[0].rpartition("-")[0] == method]
        bad = [result for result in mine if result[1:] != (401, 200, True)]
        check(f"{len(mine)} accounts of {method} log in and keep their ids", not bad, bad[:3])
    check("so does who signed up by the server", ("guest", 401, 200, True) in results)
    with sqlite3.connect(data / "claviger.db") as connection:
        query = "SELECT count(*) FROM passwords WHERE phc NOT LIKE '$argon2id$v=19$m=19456,%'"
        left = connection.execute(query).fetchone()[0]
    check("all are hashed anew", left == 0, left)
    again = [login(new, email, password)[0] for email, _, password, _ in some]
    check("and log in again", set(again) == {200}, again)
    check("the Flask server goes on", login(old, "guest@example.org", "as it comes")[0] == 200)
    earlier_tokens(folder, data, old, new, tokens, ids)


def earlier_tokens(folder, data, old, new, tokens, ids):
    """Tokens of the Flask server, whose headers name no key, are good here while its key is."""
    profile, (email, token) = f"{new}/user/profile", list(tokens.items())[-1]
    check("a token names its account by public_id", "kid" not in jwt.get_unverified_header(token)
          and claims(token)["public_id"] == ids[email], token)
    check("it is good for nothing before its key is there", get(profile, token)[0] == 401)
    key = serialization.load_pem_private_key((folder / "key.pem").read_bytes(), None)
    named = {"kid": "1", "alg": "RS256", "use": "sig"}
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    forms = {
        "what GET /jwks answers": json.dumps(get(f"{old}/jwks", token)[1]),
        "its public JWK": json.dumps(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) | named),
        "its private JWK": json.dumps(jwt.algorithms.RSAAlgorithm.to_jwk(key, as_dict=True) | named),
        "its public key as PEM": key.public_key().public_bytes(encoding, form).decode(),
    }
    place = ["--data-dir", str(data)]

    def take(text, until):
        (folder / "old.key").write_text(text)
        return claviger("key", "import", str(folder / "old.key"), "--verify-until", until, *place)

    for what, text in forms.items():
        taken = take(text, "30d")
        check(f"{what} is taken", taken.returncode == 0, taken)
        kid = taken.stdout.split()[2]
        check(f"{what} has its id", kid == "1" or what.endswith("PEM"), taken)
        same = all(becomes(200, profile, one) == get(f"{old}/user/profile", one)[1] for one in tokens.values())
        check("old tokens show the profiles that they showed", same)
        expires = int(time.time()) + 900
        made = {"public_id": ids[email], "exp": expires}
        by = {header: jwt.encode(made, key, "RS256", {"kid": header}) for header in [kid, "2"]}
        check("so does one that names the key, and none that names another",
              [get(profile, one)[0] for one in by.values()] == [200, 401], by)
        ended = jwt.encode(made | {"exp": expires - 2000}, key, "RS256")
        check("one that has ended shows nothing", get(profile, ended)[0] == 401)
        revoked = claviger("key", "revoke", kid, *place)
        check("without the key they are good no more", revoked.returncode == 0 and becomes(401, profile, token) is not None,
              revoked)
    taken, until = take(forms["its private JWK"], "6s"), time.time() + 6
    check("with its key for some seconds they are good again", becomes(200, profile, token) is not None, taken)
    check("until then", becomes(401, profile, token) is not None and time.time() > until - 1, taken)
    check("and the Flask server's own still takes them", get(f"{old}/user/profile", token)[0] == 200)


def main():
    processes = []
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as log:
        try:
            move(pathlib.Path(folder), log, processes)
        finally:
            for process in processes:
                process.send_signal(signal.SIGTERM)
            for process in processes:
                process.wait(20)
            if counts["failed"] or sys.exc_info()[0]:
                log.seek(0)
                sys.stderr.write("".join(log.readlines()[-30:]))
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    sys.exit(counts["failed"] != 0)


main()
