"""What the clients in Python share: urllib for HTTP, plain comparisons, and the running of checks."""

import base64
import json
import os
import urllib.error
import urllib.request
from importlib.metadata import version

BASE_URL = os.environ["BASE_URL"]


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


def call(method, path, headers=None, body=None):
    request = urllib.request.Request(BASE_URL + path, method=method, headers=headers or {})
    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return Answer(response)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return Answer(refusal)


def basic(login, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()}


def bearer(token):
    return {"Authorization": "Bearer " + token}


def same(what, got, wanted):
    if got != wanted or type(got) is not type(wanted):
        raise AssertionError(f"{what} is {got!r}, not {wanted!r}")


def holds(what, condition):
    if not condition:
        raise AssertionError("not so: " + what)


def run(checks, libraries, restarted, page=None):
    """Makes all checks; gives the exit code."""
    failures = 0
    for name, check in checks:
        try:
            check()
        except Exception as error:  # whatever goes wrong in a check is that check's failure
            failures += 1
            print(f"FAILED {name}: {type(error).__name__}: {error}")
    versions = ", ".join(f"{library} {version(library)}" for library in libraries)
    when = " after the restart" if restarted else f" by {page}" if page else ""
    print(f"Python ({versions}){when}: {len(checks) - failures} passed, {failures} failed")
    return 1 if failures else 0
