"""What happens to the nodes and to PostgreSQL while the load runs."""
import time
from ledger import OTHER

# Load before and after each event.
CALM = 2

# How long PostgreSQL stays away after its kill.
AWAY = 2.5

# How long the standby has heard nothing when its primary dies: longer than any limit of a statement.
DEAF = 7


class Events:
    def __init__(self, scene, primary, standby, to_database, to_primary):
        self.scene, self.primary, self.standby = scene, primary, standby
        # The proxies between the nodes and PostgreSQL, and between the standby and its primary.
        self.to_database, self.to_primary = to_database, to_primary
        # Seconds from PostgreSQL's return to the first login, by node.
        self.back = []

    def all(self):
        for _ in range(3):
            self.told("PostgreSQL is killed and started again", self.kill_postgres)
        for node in self.scene.nodes * 2:
            self.told(f"node {node.name} is killed and started again", lambda: self.kill_node(node))
        self.told("a rolling restart", self.roll)
        self.told("the primary dies and its standby is promoted", self.promote)

    def told(self, what, event):
        time.sleep(CALM)
        print(f"{time.strftime('%H:%M:%S')} {what}", flush=True)
        event()
        time.sleep(CALM)

    def kill_postgres(self):
        self.scene.outages.begin()
        self.primary.kill()
        self.scene.outages.is_gone()
        time.sleep(AWAY)
        self.primary.start()
        self.returned()

    def returned(self):
        """Waits for a login at each node."""
        self.scene.outages.end()
        since = self.scene.outages.back
        for node in self.scene.nodes:
            while not (found := [at for at in self.scene.logged_in[node][-50:] if at > since]):
                if time.monotonic() - since > 20:
                    return self.scene.ledger.fault(OTHER, f"no login at {node.name} 20 s after PostgreSQL's return")
                time.sleep(0.01)
            self.back.append(found[0] - since)
            if self.back[-1] > 2:
                self.scene.ledger.fault(OTHER, f"{node.name}: {self.back[-1]:.2f} s after PostgreSQL's return")

    def kill_node(self, node):
        node.kill()
        time.sleep(1)
        self.start(node)

    def start(self, node):
        node.begin()
        node.wait_until_ready()
        self.scene.open(node)

    def roll(self):
        self.scene.is_rolling = True
        for node in self.scene.nodes:
            code = node.stop()
            if code != 0:
                self.scene.ledger.fault(OTHER, f"node {node.name} ended with {code} after SIGTERM")
            self.start(node)
        time.sleep(CALM)
        self.scene.is_rolling = False

    def promote(self):
        self.to_primary.say("cut")
        time.sleep(DEAF)
        self.scene.outages.begin()
        self.primary.kill()
        self.to_database.say("cut")
        self.scene.outages.is_gone()
        self.standby.promote()
        self.to_database.say(f"to {self.standby.port}")
        self.returned()
