"""The clients that change things. Each class is a kind of client; its `round` is done again and again."""
import base64, json, random, uuid
from concurrent.futures import ThreadPoolExecutor
from caller import Caller, Unanswered
from ledger import ACCEPTED, DOUBLE, LOST, OTHER, ROLLING
from scene import log_in, login_body, opened, refresh, refresh_form, settle, sign_up_body

# After so many refreshes a session is left to the checks at the end.
REFRESHES = 15


class Client:
    pause = 0.02

    def __init__(self, scene, number):
        self.scene, self.ledger, self.number = scene, scene.ledger, number
        self.caller = Caller()
        self.turn = number

    def nodes(self):
        """Both nodes, the other one first each time."""
        self.turn += 1
        return self.scene.nodes[self.turn % 2 :] + self.scene.nodes[: self.turn % 2]


class SignUps(Client):
    pause = 0.1

    def round(self):
        account = self.scene.new_account()
        if self.turn % 4 < 2:
            self.repeatable(account)
        else:
            self.once(account)

    def once(self, account):
        """Without an Idempotency-Key: what is not acknowledged may be there or not."""
        try:
            answer = self.caller.ask(self.nodes()[0], "POST", "/user", data=sign_up_body(account))
        except Unanswered:
            return self.ledger.count("unsure")
        if answer.status == 201:
            account.id = answer.json()["user"]["public_id"]
            self.ledger.add_account(account)
        elif answer.status == 503:
            self.ledger.count("unsure")
        else:
            self.ledger.fault(OTHER, f"the sign-up of {account.email}: {answer}")

    def repeatable(self, account):
        """With a key it is sent again until it is answered, and then once more: it is always the same account."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        for _ in range(2):
            answer, _, _ = settle(
                self.scene,
                self.nodes(),
                lambda node: self.caller.ask(node, "POST", "/user", data=sign_up_body(account), headers=headers),
            )
            if answer is None:
                return
            id = answer.json()["user"]["public_id"] if answer.status == 201 else None
            if id is None or account.id not in ("", id):
                return self.ledger.fault(LOST, f"the sign-up of {account.email}, repeated: {answer}")
            if not account.id:
                account.id = id
                self.ledger.add_account(account)


class Logins(Client):
    """Each at one node, without a pause for outages: they tell how soon it knows, and how soon it is back."""

    pause = 0.05

    def round(self):
        account, node = self.ledger.any_account(), self.scene.nodes[self.number % 2]
        try:
            answer = self.caller.ask(node, "POST", "/login", data=login_body(account))
        except Unanswered:
            return
        if answer.status == 200:
            self.ledger.add_session(opened(account, answer))
            self.scene.logged_in[node].append(answer.ended)
        elif answer.status != 503:
            self.ledger.fault(LOST, f"the login of {account.email}: {answer}")
        if self.scene.outages.covers(answer.began, answer.ended):
            self.scene.refusals.append(answer.seconds)
            if answer.status != 503 or answer.seconds > 2:
                self.ledger.fault(OTHER, f"a login while PostgreSQL was away took {answer.seconds:.2f} s: {answer}")


class Refreshes(Client):
    session = None

    def round(self):
        if self.session is None or self.session.refreshes >= REFRESHES:
            self.session = log_in(self.scene, self.caller, self.nodes(), self.ledger.any_account())
            return
        if refresh(self.scene, self.caller, self.nodes(), self.session) is None:
            self.session = None


class Twins(Client):
    """Two clients that show the same refresh token at once, one to each node."""

    session = None
    pause = 0.05

    def __init__(self, scene, number):
        super().__init__(scene, number)
        self.callers = [Caller(), Caller()]
        self.pool = ThreadPoolExecutor(2)

    def round(self):
        if self.session is None or self.session.refreshes >= REFRESHES:
            self.session = log_in(self.scene, self.caller, self.nodes(), self.ledger.any_account())
            return
        shown = self.session.refresh
        answers = list(self.pool.map(self.ask, self.callers, self.scene.nodes))
        for answer in answers:
            if answer and answer.status not in (200, 503):
                self.ledger.fault(LOST, f"one of two refreshes at once: {answer}")
        successors = {answer.json()["refresh_token"] for answer in answers if answer and answer.status == 200}
        # Once more, one after the other: again the same.
        if refresh(self.scene, self.caller, self.nodes(), self.session) is None:
            self.session = None
            return
        successors.add(self.session.refresh)
        if len(successors) > 1:
            self.ledger.fault(DOUBLE, f"{shown} of {self.session.account.email} has the successors {successors}")

    def ask(self, caller, node):
        try:
            return caller.ask(node, "POST", "/token", form=refresh_form(self.session.refresh))
        except Unanswered:
            return None


class Revocations(Client):
    """Ends sessions of an account of its own in every way that there is."""

    pause = 0.1

    def __init__(self, scene, number):
        super().__init__(scene, number)
        self.account = scene.make_account(self.caller)
        self.ledger.add_account(self.account, for_all=False)

    def round(self):
        one, two = (log_in(self.scene, self.caller, self.nodes(), self.account) for _ in range(2))
        if one is None or two is None:
            return
        if not self.are_good(one, two):
            return self.give_up(one, two)
        ways = (
            ([one], "POST", "/logout", one.access, None),
            ([one], "POST", "/revoke", None, public(one.refresh)),
            ([one], "POST", "/revoke", None, public(one.access)),
            ([one], "DELETE", f"/user/sessions/{sid(one)}", two.access, None),
            ([one], "DELETE", "/user/sessions", two.access, None),
            ([one, two], "DELETE", "/user/sessions?all=true", two.access, None),
        )
        self.end(*random.choice(ways))
        for left in (session for session in (one, two) if not session.ended_at):
            self.end([left], "POST", "/logout", left.access, None)

    def are_good(self, *sessions):
        """Or else a refusal afterwards would prove nothing."""
        asked = [(node, session) for node in self.nodes() for session in sessions]
        return all(self.status(node, "/jwks", session.access) in (200, None) for node, session in asked)

    def give_up(self, *sessions):
        for session in sessions:
            self.ledger.fault(LOST, f"a new session of {session.account.email} is refused")
            self.ledger.forget(session)

    def end(self, sessions, method, path, token, form):
        """Ends sessions; where the answer is lost, each once more by its refresh token, until it is answered."""
        node = self.nodes()[0]
        try:
            answer = self.caller.ask(node, method, path, token, form=form)
        except Unanswered:
            answer = None
        if answer and answer.status in (200, 204):
            return self.acknowledged(sessions, node, f"{method} {path}")
        if answer and answer.status != 503:
            self.ledger.fault(OTHER, f"{method} {path} with a good token: {answer}")
        for session in sessions:
            form = public(session.refresh)
            again, _, _ = settle(
                self.scene, self.nodes(), lambda node: self.caller.ask(node, "POST", "/revoke", form=form)
            )
            if again and again.status == 200:
                self.acknowledged([session], again.place, "POST /revoke, repeated")
            elif again:
                self.ledger.fault(LOST, f"POST /revoke: {again}")

    def acknowledged(self, sessions, node, how):
        for session in sessions:
            self.ledger.end(session, node)
            self.refused_at_once(session, node, how)
        for session in sessions:
            if random.random() < 0.5:
                self.repeat(session, how)
            # It is looked up: no node takes it any more.
            for place in self.nodes():
                answer = self.try_once(place, "/token", refresh_form(session.refresh))
                if answer and answer.status not in (400, 503):
                    self.ledger.fault(ACCEPTED, f"a refresh token after {how} at {node.name}: {answer}")

    def repeat(self, session, how):
        """At any node, which may not have looked since: if it says that the session is over, then it is, there too."""
        node = self.nodes()[0]
        answer = self.try_once(node, "/revoke", public(session.refresh))
        if answer and answer.status == 200:
            self.refused_at_once(session, node, f"POST /revoke, after {how} at {session.ended_by}")

    def refused_at_once(self, session, node, how):
        if self.status(node, "/jwks", session.access) == 200:
            self.ledger.fault(ACCEPTED, f"{node.name} takes an access token right after its {how}")

    def try_once(self, node, path, form):
        try:
            return self.caller.ask(node, "POST", path, form=form)
        except Unanswered:
            return None

    def status(self, node, path, token):
        try:
            return self.caller.ask(node, "GET", path, token).status
        except Unanswered:
            return None


def public(token):
    return {"token": token, "client_id": "claviger"}


def sid(session):
    claims = session.access.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sid"]


class Balanced(Client):
    """Does some of everything through the load balancer, and repeats nothing."""

    session = None

    def round(self):
        was_rolling = self.scene.is_rolling
        work = random.choice([self.sign_up, self.log_in, self.refresh, self.refresh, self.profile, self.jwk_set])
        try:
            answer = work()
            failed = answer is not None and answer.status >= 500
        except Unanswered as error:
            answer, failed = error, True
        if failed and (was_rolling or self.scene.is_rolling):
            self.ledger.fault(ROLLING, f"{work.__name__}: {answer}")
        if answer is not None and not failed and was_rolling:
            self.ledger.count("requests in rolling restart")

    def ask(self, *what, **more):
        return self.caller.ask(self.scene.door, *what, **more)

    def sign_up(self):
        account = self.scene.new_account()
        answer = self.ask("POST", "/user", data=sign_up_body(account))
        if answer.status == 201:
            account.id = answer.json()["user"]["public_id"]
            self.ledger.add_account(account)
        return answer

    def log_in(self):
        account = self.ledger.any_account()
        answer = self.ask("POST", "/login", data=login_body(account))
        if answer.status == 200:
            self.session = self.ledger.add_session(opened(account, answer))
        elif answer.status < 500:
            self.ledger.fault(LOST, f"the login of {account.email}: {answer}")
        return answer

    def refresh(self):
        session, self.session = self.session, None
        if session is None:
            return None
        try:
            answer = self.ask("POST", "/token", form=refresh_form(session.refresh))
        except Unanswered:
            self.ledger.forget(session)
            raise
        if answer.status == 200:
            tokens = answer.json()
            session.access, session.refresh = tokens["access_token"], tokens["refresh_token"]
            session.refreshes += 1
            self.ledger.count("refreshes")
            self.session = session
            return answer
        self.ledger.forget(session)
        if answer.status < 500:
            self.ledger.fault(LOST, f"refresh token {session.refreshes} of {session.account.email}: {answer}")
        return answer

    def profile(self):
        return self.session and self.ask("GET", "/user/profile", self.session.access)

    def jwk_set(self):
        return self.ask("GET", "/.well-known/jwks.json")
