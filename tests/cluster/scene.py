"""What the clients and the events share, and how a client asks again until it knows."""
import itertools, threading, time
from collections import defaultdict
from ledger import LOST, OTHER, Account, Ledger, Outages, Session
from caller import Caller, Unanswered

PASSWORD = "a walk along the river"

# For so long an unanswered refresh may be asked for again (README), less what the last try may take.
WINDOW = 9

# How long a change may stay without any answer at all.
PATIENCE = 30


class Door:
    """The way in through the load balancer."""

    name, life = "balancer", 1

    def __init__(self, port):
        self.port = port


class Scene:
    def __init__(self, nodes, door):
        self.nodes, self.door = nodes, door
        self.ledger, self.outages = Ledger(), Outages()
        self.stopping = threading.Event()
        # Whether the rolling restart is under way.
        self.is_rolling = False
        # When logins succeeded, by node, and how long each 503 took while PostgreSQL was away.
        self.logged_in = defaultdict(list)
        self.refusals = []
        # Accounts with a session each that nobody ends; every node has been asked for them.
        self.living = []
        self.numbers = itertools.count()

    def new_account(self):
        number = next(self.numbers)
        return Account(f"p{number}@example.org", f"Person {number}", PASSWORD)

    def make_account(self, caller):
        account = self.new_account()
        answer = caller.ask(self.nodes[0], "POST", "/user", data=sign_up_body(account))
        assert answer.status == 201, answer
        account.id = answer.json()["user"]["public_id"]
        return account

    def make_living(self, count):
        caller = Caller()
        for _ in range(count):
            account = self.make_account(caller)
            self.ledger.add_account(account)
            session = opened(account, caller.ask(self.nodes[1], "POST", "/login", data=login_body(account)))
            self.living.append(self.ledger.add_session(session))
        for node in self.nodes:
            self.open(node)

    def open(self, node):
        """Lets the clients rely on a node that has started, once it has been asked for each living account."""
        caller = Caller()
        for session in self.living:
            answer = caller.ask(node, "GET", "/user/profile", session.access)
            assert answer.status == 200, answer
        node.is_up = True


def sign_up_body(account):
    return {"email": account.email, "name": account.name, "password": account.password}


def login_body(account):
    return {"email": account.email, "password": account.password}


def refresh_form(token):
    return {"grant_type": "refresh_token", "refresh_token": token}


def opened(account, answer):
    assert answer.status == 200, answer
    tokens = answer.json()
    return Session(account, tokens["token"], tokens["refresh_token"])


def settle(scene, nodes, ask):
    """Asks one node after the other until one gives an answer other than 503. Gives the answer, whether an earlier
    try may have been carried out, and how long all took; no answer after much patience is a fault."""
    began, unsure = time.monotonic(), False
    for node in itertools.cycle(nodes):
        try:
            answer = ask(node)
            if answer.status != 503:
                return answer, unsure, time.monotonic() - began
            last, unsure = str(answer), True
        except Unanswered as error:
            last, unsure = str(error), unsure or error.sent
        if time.monotonic() - began > PATIENCE:
            scene.ledger.fault(OTHER, f"no answer for {PATIENCE} s, at last {last}")
            return None, True, PATIENCE
        time.sleep(0.05)


def log_in(scene, caller, nodes, account):
    """A session of an acknowledged account, from whichever node gives one; `None` is in the ledger's faults."""
    answer, _, _ = settle(scene, nodes, lambda node: caller.ask(node, "POST", "/login", data=login_body(account)))
    if answer is None or answer.status == 200:
        return answer and scene.ledger.add_session(opened(account, answer))
    scene.ledger.fault(LOST, f"the login of {account.email} was refused by {answer}")
    return None


def refresh(scene, caller, nodes, session):
    """The next refresh token of a session that is alive, stored in it; `None` where there is none."""
    form = refresh_form(session.refresh)
    answer, unsure, seconds = settle(scene, nodes, lambda node: caller.ask(node, "POST", "/token", form=form))
    if answer and answer.status == 200:
        tokens = answer.json()
        session.access, session.refresh = tokens["access_token"], tokens["refresh_token"]
        session.refreshes += 1
        scene.ledger.count("refreshes")
        return session.refresh
    scene.ledger.forget(session)
    if answer and unsure and seconds > WINDOW:
        scene.ledger.fault(OTHER, f"a refresh was not answered within its window, then {answer}")
    elif answer:
        scene.ledger.fault(LOST, f"refresh token {session.refreshes} of {session.account.email}: {answer}")
    return None
