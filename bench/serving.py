"""Starting servers for a measurement, and looking at them."""
import http.client, os, pathlib, socket, subprocess, time

# The caller's own settings must not reach them.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("CLAVIGER_")}
TICKS = os.sysconf("SC_CLK_TCK")


class DoesNotStart(Exception):
    pass


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


def launch(command, port, path, log=os.devnull, folder=None, patience=30):
    """Starts a server; gives its process, and the seconds from exec to its first 200 to `path`."""
    began = time.perf_counter()
    with open(log, "ab") as file:
        process = subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stdout=file, stderr=file)
    try:
        while True:
            try:
                if get(port, path)[0] == 200:
                    return process, time.perf_counter() - began
            except (OSError, http.client.HTTPException):
                pass
            if process.poll() is not None or time.perf_counter() - began > patience:
                raise DoesNotStart(" ".join(map(str, command)) + "\n" + end_of(log))
            time.sleep(0.0005)
    except BaseException:
        process.kill()
        process.wait()
        raise


def end_of(log):
    return "" if log == os.devnull else pathlib.Path(log).read_text()[-500:]


def start(program, folder, port, *arguments, before=(), log=os.devnull):
    """Starts Claviger, under the command `before` if there is one; gives what `launch` gives."""
    command = [*before, program, "serve", "--listen", f"127.0.0.1:{port}", "--data-dir", folder, *arguments]
    return launch(command, port, "/.well-known/jwks.json", log)


def stop(process):
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def resident(process):
    """Resident memory in MiB."""
    with open(f"/proc/{process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def cpu_seconds(process):
    """How long it and its workers have had a core."""
    with open(f"/proc/{process.pid}/task/{process.pid}/children") as children:
        return sum(map(cpu_seconds_of, [process.pid, *children.read().split()]))


def cpu_seconds_of(pid):
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def settle(process):
    """Waits until it works no more on what was asked of it."""
    before, now = -1, cpu_seconds(process)
    while now - before > 0.03:
        time.sleep(0.3)
        before, now = now, cpu_seconds(process)
