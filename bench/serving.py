"""Starting the real program for a measurement."""
import http.client, os, socket, subprocess, sys, time

# The caller's own settings must not reach it.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("CLAVIGER_")}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(port, path, headers={}):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, body


def start(program, folder, port, *arguments):
    """Starts a server; gives its process, and the seconds from exec to the first JWK set."""
    command = [program, "serve", "--dev", "--listen", f"127.0.0.1:{port}", "--data-dir", folder, *arguments]
    began = time.perf_counter()
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            if get(port, "/.well-known/jwks.json")[0] == 200:
                return process, time.perf_counter() - began
        except (OSError, http.client.HTTPException):
            pass
        if process.poll() is not None or time.perf_counter() - began > 30:
            process.kill()
            sys.exit("the server does not start")
        time.sleep(0.0005)


def stop(process):
    process.terminate()
    process.wait()
