"""The ledger against what the nodes say at the end: every acknowledged change."""
from concurrent.futures import ThreadPoolExecutor
from threading import local
from caller import Caller, Unanswered
from ledger import ACCEPTED, LOST
from scene import login_body, refresh_form

CALLERS = 8


class Verify:
    def __init__(self, ledger, nodes):
        self.ledger, self.nodes = ledger, nodes
        self.own = local()

    def ask(self, *what, **more):
        if not hasattr(self.own, "caller"):
            self.own.caller = Caller()
        return self.own.caller.ask(*what, **more)

    def all(self):
        ledger = self.ledger
        work = [(self.account, account) for account in ledger.accounts + ledger.reserved]
        work += [(self.ended, session) for session in ledger.ended]
        work += [(self.living, session) for session in ledger.sessions]
        with ThreadPoolExecutor(CALLERS) as callers:
            for _ in callers.map(self.one, range(len(work)), work):
                pass

    def one(self, number, work):
        check, what = work
        turn = number % len(self.nodes)
        try:
            check(what, self.nodes[turn:] + self.nodes[:turn])
        except Unanswered as error:
            self.ledger.fault(LOST, f"cannot be looked at: {error}")

    def account(self, account, nodes):
        """It can log in, and its profile is right on another node."""
        answer = self.ask(nodes[0], "POST", "/login", data=login_body(account))
        if answer.status != 200:
            return self.ledger.fault(LOST, f"account {account.email}: {answer}")
        answer = self.ask(nodes[1], "GET", "/user/profile", answer.json()["token"])
        right = {"user": {"email": account.email, "name": account.name}}
        if answer.status != 200 or answer.json() != right:
            self.ledger.fault(LOST, f"the profile of {account.email}: {answer}")

    def living(self, session, nodes):
        """Its last refresh token is good, and so is the access token that it gives."""
        answer = self.ask(nodes[0], "POST", "/token", form=refresh_form(session.refresh))
        if answer.status != 200:
            what = f"refresh token {session.refreshes} of {session.account.email}"
            return self.ledger.fault(LOST, f"{what}: {answer}")
        answer = self.ask(nodes[1], "GET", "/jwks", answer.json()["access_token"])
        if answer.status != 200:
            self.ledger.fault(LOST, f"an access token of {session.account.email}: {answer}")

    def ended(self, session, nodes):
        for node in nodes:
            answer = self.ask(node, "GET", "/jwks", session.access)
            if answer.status != 401:
                self.ledger.fault(ACCEPTED, f"at the end, a session that {session.ended_by} has ended: {answer}")
        answer = self.ask(nodes[0], "POST", "/token", form=refresh_form(session.refresh))
        if answer.status != 400:
            self.ledger.fault(ACCEPTED, f"at the end, the refresh token of an ended session: {answer}")
