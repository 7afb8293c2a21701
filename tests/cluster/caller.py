"""An HTTP/1.1 client: keeps its connections, heeds `Connection: close`, repeats nothing by itself. http.client would
take more of the processor than the servers do."""
import json, socket, time
from dataclasses import dataclass
from urllib.parse import urlencode

# The server closes connections that are idle for 5 s; one that is nearly so is not used any more.
FRESH = 3


class Unanswered(Exception):
    """There was no answer. `sent` says whether the server may have acted on the request."""

    def __init__(self, place, why, sent):
        super().__init__(f"{place.name}: {why!r}")
        self.sent = sent


@dataclass
class Answer:
    status: int
    body: bytes
    began: float
    ended: float
    place: object

    @property
    def seconds(self):
        return self.ended - self.began

    def json(self):
        return json.loads(self.body)

    def __str__(self):
        return f"{self.place.name}: {self.status} {self.body[:300].decode(errors='replace')}"


class Connection:
    def __init__(self, place, timeout):
        self.life, self.used = place.life, time.monotonic()
        self.socket = socket.create_connection(("127.0.0.1", place.port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb")

    def is_good(self, place):
        return self.life == place.life and time.monotonic() - self.used < FRESH

    def ask(self, request):
        """The status, the body, and whether the connection goes on."""
        self.socket.sendall(request)
        line = self.file.readline()
        if not line.startswith(b"HTTP/1.1 "):
            raise ConnectionError(f"the connection ended without an answer: {line!r}")
        headers = {}
        while (header := self.file.readline()) not in (b"\r\n", b""):
            name, _, value = header.partition(b":")
            headers[name.lower()] = value.strip()
        length = int(headers.get(b"content-length", 0))
        body = self.file.read(length)
        if header == b"" or len(body) < length:
            raise ConnectionError("the connection ended within an answer")
        self.used = time.monotonic()
        return int(line[9:12]), body, headers.get(b"connection") != b"close"

    def close(self):
        self.file.close()
        self.socket.close()


class Caller:
    """The connections of one thread. A place to call has a `name`, a `port` and a `life`."""

    def __init__(self, timeout=8):
        self.timeout = timeout
        self.connections = {}

    def ask(self, place, method, path, token=None, data=None, form=None, headers=()):
        request = written(method, path, token, data, form, dict(headers))
        connection, began = self.connections.pop(place, None), time.monotonic()
        if connection and not connection.is_good(place):
            connection.close()
            connection = None
        sent = False
        try:
            connection = connection or Connection(place, self.timeout)
            sent = True
            status, body, goes_on = connection.ask(request)
        except OSError as error:
            if connection:
                connection.close()
            raise Unanswered(place, error, sent) from None
        if goes_on:
            self.connections[place] = connection
        else:
            connection.close()
        return Answer(status, body, began, time.monotonic(), place)


def written(method, path, token, data, form, headers):
    body = ""
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if data is not None:
        body, headers["Content-Type"] = json.dumps(data), "application/json"
    if form is not None:
        body, headers["Content-Type"] = urlencode(form), "application/x-www-form-urlencoded"
    headers = {"Host": "127.0.0.1", "Content-Length": len(body), **headers}
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", body]
    return "\r\n".join(lines).encode()
