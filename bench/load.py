"""Load: what is sent to a server, and how quickly it answers."""
import base64, http.client, json, math, os, pathlib, re, subprocess, threading, time
from dataclasses import dataclass

LUA = pathlib.Path(__file__).parent / "lua"
CALLERS = 64
PASSWORD = "correct horse battery staple"


class Refused(Exception):
    pass


def wrk_command(core, server, path, seconds, script=None, *arguments, header=None, callers=CALLERS):
    url = f"http://127.0.0.1:{server.port}{path}"
    command = ["taskset", "-c", core, "wrk", "-t1", f"-c{callers}", f"-d{seconds}s", "--timeout", "10s"]
    command += ["-H", header] if header else []
    command += ["-s", str(LUA / script)] if script else []
    return [*command, url, *(["--", *map(str, arguments)] if arguments else [])]


@dataclass
class Answers:
    count: int
    a_second: float


def read_wrk(output):
    """What was answered. One bad answer spoils it, so that nothing is quick by refusing."""
    bad = [line.strip() for line in output.splitlines() if "Non-2xx" in line or "Socket errors" in line]
    count, rate = re.search(r"(\d+) requests in", output), re.search(r"Requests/sec:\s+([\d.]+)", output)
    if bad or not count or not rate or int(count[1]) == 0:
        raise Refused("; ".join(bad) or output.strip()[-300:] or "no answer at all")
    return Answers(int(count[1]), float(rate[1]))


def email(number):
    return f"user{number}@example.org"


def sign_up(server, count):
    """Signs up `count` accounts, one after the other."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    for number in range(count):
        body = json.dumps({"email": email(number), "name": f"user{number}", "password": PASSWORD})
        connection.request("POST", "/user", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 201:
            raise Refused(f"a sign-up: {answer.status}")
    connection.close()


def write_requests(path, requests):
    """The file that replay.lua reads."""
    with open(path, "w") as file:
        file.writelines("\t".join(request) + "\n" for request in requests)
    return path


def logins(numbers):
    """Logins as the starting API has them, by HTTP Basic."""
    for number in numbers:
        basic = base64.b64encode(f"{email(number)}:{PASSWORD}".encode()).decode()
        yield "GET", "/login", f"Authorization: Basic {basic}", ""


def profiles(tokens):
    for token in tokens:
        yield "GET", "/user/profile", f"Authorization: Bearer {token}", ""


def collect(core, server, requests, count, to):
    """Logs in until there are `count` pairs of access and refresh token; gives them. `to` is a file to be made."""
    command = wrk_command(core, server, "/", 120, "collect.lua", requests, count, to)
    wrk = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        while not os.path.exists(to):
            if wrk.poll() is not None:
                raise Refused(f"there were no {count} logins: {wrk.stdout.read()[-300:]}")
            time.sleep(0.02)
    finally:
        wrk.kill()
        wrk.wait()
    with open(to) as file:
        return [line.split() for line in file]


def login(server, number=0):
    """An access token."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    basic = base64.b64encode(f"{email(number)}:{PASSWORD}".encode()).decode()
    connection.request("GET", "/login", headers={"Authorization": f"Basic {basic}"})
    token = json.loads(connection.getresponse().read())["token"]
    connection.close()
    return token


def refused(server, addresses):
    """Milliseconds that a login with a wrong password takes, for each address, one after the other."""
    connection, times = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60), []
    for address in addresses:
        body = json.dumps({"email": address, "password": "not the password"})
        began = time.perf_counter()
        connection.request("POST", "/login", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        times.append((time.perf_counter() - began) * 1000)
        if answer.status != 401:
            raise Refused(f"a login with a wrong password: {answer.status}")
    connection.close()
    return times


def probe(server, token, rate, seconds, callers=32):
    """Asks for a profile `rate` times a second, at moments fixed beforehand, whatever becomes of earlier requests.

    Gives milliseconds from those moments to the answers, and how many failed. Waiting for a late answer on the same
    connection counts as time of the next request, so that no stall hides the requests that it kept back.
    """
    began, times, failed = time.perf_counter() + 0.2, [], []

    def caller(place):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
        for number in range(place, rate * seconds, callers):
            due = began + number / rate
            time.sleep(max(0, due - time.perf_counter()))
            try:
                connection.request("GET", "/user/profile", headers={"Authorization": f"Bearer {token}"})
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    failed.append(answer.status)
            except (OSError, http.client.HTTPException) as error:
                failed.append(error)
                connection.close()
            times.append((time.perf_counter() - due) * 1000)
        connection.close()

    threads = [threading.Thread(target=caller, args=(place,)) for place in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times, len(failed)


def percentile(values, share):
    return sorted(values)[math.ceil(share * len(values)) - 1]
