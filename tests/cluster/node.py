"""A node: the real program on a port and a data folder of its own."""
import http.client, os, signal, subprocess, time

# The caller's own settings must not reach it.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("CLAVIGER_")}


class Node:
    def __init__(self, name, program, folder, port, settings):
        self.name, self.port, self.log = name, port, folder + ".log"
        listen = ["--listen", f"127.0.0.1:{port}", "--data-dir", folder]
        self.command = [program, "serve", *listen, *settings]
        self.process = None
        # How often it was started: connections to an earlier process are of no use.
        self.life = 0
        # Whether it is to answer. Not while it is killed, stops or starts.
        self.is_up = False

    def begin(self):
        """Starts it; it may not serve yet."""
        self.life += 1
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command, env=ENVIRONMENT, stdout=log, stderr=log, start_new_session=True
            )

    def wait_until_ready(self, seconds=30):
        deadline = time.monotonic() + seconds
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                with open(self.log) as log:
                    raise RuntimeError(f"node {self.name} does not become ready; its log:\n{log.read()[-3000:]}")
            time.sleep(0.005)

    def is_ready(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def kill(self):
        self.is_up = False
        self.process.kill()
        self.process.wait()

    def stop(self):
        """By SIGTERM. Gives its exit code."""
        self.is_up = False
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)
