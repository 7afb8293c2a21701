"""PostgreSQL servers of the test's own: a primary and its standby, on loopback, as durable as in earnest."""
import contextlib, glob, os, signal, socket, struct, subprocess, sys, time

USER = "claviger"
SETTINGS = {
    "unix_socket_directories": "",
    "max_connections": 200,
    "shared_buffers": "64MB",
    # What was acknowledged is on the disks of both; this is what is tested.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    # A standby looks for its primary every 5 s by default, and nothing is acknowledged until it has found it.
    "wal_retrieve_retry_interval": "100ms",
}


def programs():
    """Where PostgreSQL's programs are: Debian keeps them off the path, under their version."""
    debian = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]), reverse=True)
    for folder in debian + os.environ["PATH"].split(os.pathsep):
        if all(os.path.exists(os.path.join(folder, name)) for name in ("initdb", "postgres", "pg_basebackup")):
            return folder
    sys.exit("PostgreSQL is not installed; on Debian: apt-get install postgresql")


def as_user():
    """The server refuses to run as root."""
    if os.getuid() != 0:
        return []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]


class Server:
    def __init__(self, folder, port):
        self.folder, self.port = folder, port
        self.data = os.path.join(folder, "data")
        self.log = os.path.join(folder, "log")
        self.process = None
        os.mkdir(folder)
        if as_user():
            subprocess.run(["chown", "postgres:postgres", folder], check=True)

    def run(self, program, *arguments):
        command = [*as_user(), os.path.join(programs(), program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/")
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr}{done.stdout}")
        return done.stdout.strip()

    def make(self):
        """As a primary with an empty database."""
        self.run("initdb", "-D", self.data, "-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C")
        self.start()
        self.ask("CREATE DATABASE claviger", "postgres")

    def copy(self, name, port):
        """As a standby called `name` of the primary that is reached on `port`."""
        connection = f"host=127.0.0.1 port={port} user={USER} application_name={name}"
        self.run("pg_basebackup", "-D", self.data, "-d", connection, "-R", "-c", "fast")
        self.start()

    def start(self):
        settings = [part for name, value in SETTINGS.items() for part in ("-c", f"{name}={value}")]
        command = [os.path.join(programs(), "postgres"), "-D", self.data, "-h", "127.0.0.1", "-p", str(self.port)]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [*as_user(), *command, *settings], stdout=log, stderr=log, cwd="/", start_new_session=True
            )
        self.wait_until(self.accepts, "takes no connections")

    def wait_until(self, holds, otherwise, seconds=30):
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError(f"PostgreSQL on port {self.port} {otherwise}; its log:\n{open(self.log).read()}")
            time.sleep(0.002)

    def accepts(self):
        """Whether it lets someone in: it answers R to a start of the protocol, and E while it recovers."""
        said = f"user\0{USER}\0database\0postgres\0\0".encode()
        try:
            with socket.create_connection(("127.0.0.1", self.port), 2) as connection:
                connection.sendall(struct.pack("!ii", 8 + len(said), 196608) + said)
                return connection.recv(1) == b"R"
        except OSError:
            return False

    def ask(self, sql, database="claviger"):
        connection = f"host=127.0.0.1 port={self.port} user={USER} dbname={database}"
        return self.run("psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", sql, connection)

    def wait_for_standby(self, state):
        """Until its standby is `sync` or `async`."""
        sql = "SELECT sync_state FROM pg_stat_replication WHERE state = 'streaming'"
        self.wait_until(lambda: self.ask(sql) == state, "has no such standby")

    def promote(self):
        self.run("pg_ctl", "promote", "-D", self.data, "-w")

    def kill(self):
        """SIGKILL to the postmaster, then to all that it has started."""
        # While it stands still it starts no others.
        self.process.send_signal(signal.SIGSTOP)
        children = children_of(self.process.pid)
        self.process.kill()
        self.process.wait()
        self.process = None
        for child in children:
            # Some end by themselves when they miss their parent.
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        while any(look_at(f"/proc/{child}/stat")[0] not in "ZX" for child in children):
            time.sleep(0.001)


def children_of(parent):
    found = {path: look_at(path) for path in glob.glob("/proc/[0-9]*/stat")}
    return [int(path.split("/")[2]) for path, (_, of) in found.items() if int(of) == parent]


def look_at(path):
    """The state of a process and its parent; X and 0 if it is gone."""
    try:
        with open(path) as stat:
            # They stand after the name, which is in brackets.
            return stat.read().rpartition(")")[2].split()[:2]
    except OSError:
        return "X", "0"
