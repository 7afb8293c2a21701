"""What was acknowledged, and what went wrong."""
import random, threading, time
from collections import Counter, defaultdict
from dataclasses import dataclass, field

LOST = "acknowledged changes lost"
DOUBLE = "double successors"
ACCEPTED = "tokens accepted after revocation"
CHECKS = "failed token checks"
ROLLING = "failed requests in rolling restart"
OTHER = "other faults"
COUNTS = (LOST, DOUBLE, ACCEPTED, CHECKS, ROLLING)

# When every node has to refuse the tokens of a session that has ended.
SEEN_AFTER = 1.0


@dataclass(eq=False)
class Account:
    email: str
    name: str
    password: str
    id: str = ""


@dataclass(eq=False)
class Session:
    """One whose login was acknowledged, with its last tokens."""

    account: Account
    access: str
    refresh: str
    # When its end was acknowledged, and by which node.
    ended_at: float = 0
    ended_by: str = ""
    # The tokens that it had.
    refreshes: int = 0


class Outages:
    """When PostgreSQL was away."""

    # The last one: from when on PostgreSQL surely was away, and when it was back.
    gone, back = float("inf"), float("-inf")

    def begin(self):
        self.gone = self.back = float("inf")

    def is_gone(self):
        self.gone = time.monotonic()

    def end(self):
        self.back = time.monotonic()

    def covers(self, began, ended):
        """Whether it was away from the beginning of a request to its end."""
        return self.gone <= began and ended <= self.back


@dataclass
class Ledger:
    # Those that any client may log in to, and those whose sessions one client ends.
    accounts: list = field(default_factory=list)
    reserved: list = field(default_factory=list)
    sessions: list = field(default_factory=list)
    # In the order of the acknowledgements.
    ended: list = field(default_factory=list)
    done: Counter = field(default_factory=Counter)
    faults: dict = field(default_factory=lambda: defaultdict(list))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what):
        with self.lock:
            self.done[what] += 1

    def fault(self, kind, what):
        with self.lock:
            self.faults[kind].append(f"{time.strftime('%H:%M:%S')} {what}")

    def any_account(self):
        return random.choice(self.accounts)

    def add_account(self, account, for_all=True):
        self.count("sign-ups")
        with self.lock:
            (self.accounts if for_all else self.reserved).append(account)

    def add_session(self, session):
        self.count("logins")
        with self.lock:
            self.sessions.append(session)
        return session

    def forget(self, session):
        """What became of it is not known."""
        with self.lock:
            if session in self.sessions:
                self.sessions.remove(session)

    def end(self, session, node):
        self.count("revocations")
        with self.lock:
            if session in self.sessions:
                self.sessions.remove(session)
            session.ended_at, session.ended_by = time.monotonic(), node.name
            self.ended.append(session)
