"""What a measurement runs on: servers on chosen cores that end with it, runs in turns, and folders that go."""
import contextlib, os, pathlib, resource, subprocess, tempfile, time
from dataclasses import dataclass

import load
from report import Rate
from serving import ENVIRONMENT, cpu_seconds, free_port, launch, start, stop

ROOT = pathlib.Path(__file__).parent.parent
TARGET = ROOT / "target"
CLAVIGER, BARE = TARGET / "release/claviger", TARGET / "release/bare"
# A server has the first core and its load the second; what is said to have both has them together with its load.
CORES = [str(core) for core in sorted(os.sched_getaffinity(0))[:2]]
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]
BOTH = ",".join(CORES)

# As an operator runs it: production's posture, all settings as they come, JSON log at its default level into a file.
# Only the limits of requests are off, since all of them come from one address.
OPERATOR = ["--issuer", "https://auth.example.org", "--limits", "false"]
# The least hash that Argon2 has, where something else is of interest. Only --dev has it; the rest stays.
LEAST_HASH = ["--dev", "--hash-memory-kib", "8", "--hash-passes", "1", "--log-format", "json", "--access-token-ttl", "15m"]


class Skipped(Exception):
    """It cannot be measured here. Says why."""


@dataclass
class Server:
    process: object
    port: int
    folder: str
    seconds_to_answer: float

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop(self.process)


class Stage(contextlib.ExitStack):
    def __init__(self, quick):
        super().__init__()
        self.quick, self.pairs = quick, 2 if quick else 7
        # Beside the build, which is on a disk; /tmp may be in memory and sync nothing.
        self.folder = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=TARGET)))

    def seconds(self, full):
        return max(1, full // 3) if self.quick else full

    def path(self, name):
        return str(self.folder / name)

    def claviger(self, *settings, cores=SERVER_CORE, folder=None, before=()):
        """The server. With one core its runtime has one worker, and one thread hashes."""
        folder, port = folder or tempfile.mkdtemp(dir=self.folder), free_port()
        before, log = ["taskset", "-c", cores, *before], self.path(f"log-{port}")
        process, seconds = start(CLAVIGER, folder, port, *OPERATOR, *settings, before=before, log=log)
        return self._serving(process, port, folder, seconds)

    def empty_handler(self):
        """One axum route with a small constant answer; `bench/parts` has it."""
        port = free_port()
        process, seconds = launch(["taskset", "-c", SERVER_CORE, BARE, "serve", f"127.0.0.1:{port}"], port, "/")
        return self._serving(process, port, None, seconds)

    def flask(self, python):
        """The Flask server of bench/flask, with as many workers as gunicorn's documentation has for one core."""
        folder, port = tempfile.mkdtemp(dir=self.folder), free_port()
        gunicorn = ["taskset", "-c", SERVER_CORE, python, "-m", "gunicorn", "--preload"]
        gunicorn += ["--pythonpath", ROOT / "bench/flask", "--workers", "3", "--threads", "4", "--keep-alive", "30"]
        gunicorn += ["--bind", f"127.0.0.1:{port}", "app:app"]
        process, seconds = launch(gunicorn, port, "/health", self.path(f"log-{port}"), folder)
        return self._serving(process, port, folder, seconds)

    def _serving(self, process, port, folder, seconds):
        self.callback(stop, process)
        return Server(process, port, folder, seconds)

    def turns(self, **runs):
        """Runs each, then each again, as many times as there are pairs; gives the values of each by its name."""
        values = {name: [] for name in runs}
        for _ in range(self.pairs):
            for name, run in runs.items():
                values[name].append(run())
        return values

    def send(self, server, path="/", seconds=3, script=None, *arguments, **how):
        """Has callers, 64 by default, ask as much as they can; gives what was answered."""
        command = load.wrk_command(LOAD_CORE, server, path, self.seconds(seconds), script, *arguments, **how)
        return load.read_wrk(subprocess.run(command, capture_output=True, text=True).stdout)

    def rate(self, server, path="/", seconds=3, script=None, *arguments, **how):
        """Requests a second to a server on one core."""
        before = cpu_seconds(server.process)
        answers = self.send(server, path, seconds, script, *arguments, **how)
        return Rate(answers.a_second, (cpu_seconds(server.process) - before) / self.seconds(seconds))

    def replay(self, server, requests, seconds=3):
        """Requests of a file a second, likewise."""
        return self.rate(server, "/", seconds, "replay.lua", requests)

    @contextlib.contextmanager
    def storm(self, server, requests, seconds):
        """64 callers log in all the time."""
        command = load.wrk_command(LOAD_CORE, server, "/", seconds, "replay.lua", requests)
        storm = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            yield storm
            load.read_wrk(storm.communicate()[0])
        finally:
            storm.kill()
            storm.wait()

    def bare(self, *arguments, cores=SERVER_CORE):
        """What a part alone does a second."""
        return timed([BARE, *arguments], cores)


def timed(command, cores):
    """The rate that a command prints."""
    began, before = time.perf_counter(), children_seconds()
    rate = float(output(command, cores))
    return Rate(rate, (children_seconds() - before) / (time.perf_counter() - began) / len(cores.split(",")))


def children_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def output(command, cores=BOTH):
    """What a command prints."""
    command = ["taskset", "-c", cores, *map(str, command)]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT).stdout
