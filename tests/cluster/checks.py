"""The clients that check tokens: good ones at all times, those of ended sessions again and again."""
import random, time
from caller import Caller, Unanswered
from ledger import ACCEPTED, CHECKS, SEEN_AFTER
from load import Client

# The longest that a check may take.
LIMIT = 2


class Checks(Client):
    """Good tokens, at one node; while that is killed, stops or starts, at the other."""

    pause = 0.02

    def __init__(self, scene, number):
        super().__init__(scene, number)
        self.caller = Caller(LIMIT)

    def round(self):
        session = random.choice(self.scene.living)
        path = random.choice(["/user/profile", "/user/profile", "/jwks", "/.well-known/jwks.json"])
        home = self.number % 2
        said = []
        for node in (self.scene.nodes[home], self.scene.nodes[1 - home]):
            said.append(self.ask(node, path, session))
            if said[-1] != "is down":
                break
        self.ledger.count("token checks")
        if said[-1] is not None:
            self.ledger.fault(CHECKS, f"GET {path}: {'; '.join(said)}")

    def ask(self, node, path, session):
        """What is wrong with a node's answer, if anything."""
        life, was_up = node.life, node.is_up
        if not was_up:
            return "is down"
        try:
            answer = self.caller.ask(node, "GET", path, session.access)
        except Unanswered as error:
            return str(error) if node.is_up and node.life == life else "is down"
        if answer.status != 200:
            return str(answer)
        if path == "/user/profile" and answer.json()["user"]["email"] != session.account.email:
            return f"another's profile: {answer}"
        if answer.seconds > LIMIT:
            return f"{node.name}: took {answer.seconds:.2f} s"
        return None


class Watch(Client):
    """Access tokens of ended sessions at one node: each as soon as every node has to refuse it, and then again
    and again in any order."""

    pause = 0.01

    def __init__(self, scene, number):
        super().__init__(scene, number)
        self.next = 0

    def round(self):
        node, ended = self.scene.nodes[self.number % 2], self.ledger.ended
        if not node.is_up:
            return
        if self.next < len(ended) and self.is_due(ended[self.next]):
            session, self.next = ended[self.next], self.next + 1
        elif self.next:
            session = ended[random.randrange(self.next)]
        else:
            return
        if self.is_taken(node, session, random.choice(["/user/profile", "/jwks"])):
            after = time.monotonic() - session.ended_at
            self.ledger.fault(ACCEPTED, f"{node.name} takes a token {after:.2f} s after {session.ended_by} ended it")

    def is_due(self, session):
        """Whatever has become of PostgreSQL meanwhile."""
        return time.monotonic() - session.ended_at >= SEEN_AFTER

    def is_taken(self, node, session, path):
        self.ledger.count("refused token checks")
        try:
            answer = self.caller.ask(node, "GET", path, session.access)
        except Unanswered:
            return False
        if answer.status not in (200, 401):
            self.ledger.fault(CHECKS, f"GET {path} with the token of an ended session: {answer}")
        return answer.status == 200
