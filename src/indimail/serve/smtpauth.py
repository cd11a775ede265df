"""AUTH on an SMTP connection: its questions, its penalties, and what is told of it.

    auth = SmtpAuth(client, session, answer)
    auth.offered(event); auth.keys_wanted(event); auth.ended(event)     # None, a Reply, or LATER

Wrong names and passwords are refused after PENALTY, all with one text.  Each answer leaves a record
(``auth``) and each failure the log line that tools know; neither has more of what the client sent
than the name.

Source: spec/smtp.md 2.4 (penalty), 3.4, 13.  Not here: who knows passwords (`serve.authentication`),
the exchange (`smtp.session`).
"""

import secrets
from collections.abc import Callable
from typing import Final, assert_never

from indimail.accounts.port import Flag
from indimail.accounts.scram import Mechanism, ScramKeys
from indimail.mail.events import Event, Facts
from indimail.mail.reply import Reply
from indimail.serve.client import Client
from indimail.serve.login import Attempt, Denied, LoggedIn, Outcome, Why
from indimail.serve.reception import LATER, Answer
from indimail.smtp.event import AuthEnded, AuthKeysWanted, AuthOffered
from indimail.smtp.session import SmtpSession
from indimail.wire.sasl_server import Credentials, ScramProof

_WRONG: Final = Reply(535, "5.7.8", "authorization failure (#5.7.8)")
_UNBOUND: Final = Reply(535, "5.7.4", "authorization failure (#5.7.4)")
_LATER: Final = Reply(454, "4.3.0", "temporary authentication failure (#4.3.0)")
_LIMITED: Final = Reply(454, "4.7.0", "too many failed logins, try again later (#4.7.0)")
# What the module's exit code would be (spec/smtp.md 3.4).
_STATUS: Final = {Why.LATER: 111, Why.LIMITED: 111}


class SmtpAuth:
    """The logins of one connection; `answer` takes what could not be said at once."""

    __slots__ = ("_answer", "_authenticator", "_client", "_reception", "_session")

    def __init__(
        self, client: Client, session: SmtpSession, answer: Callable[[Reply | None], None]
    ) -> None:
        self._client = client
        self._session = session
        self._answer = answer
        self._reception = client.reception
        self._authenticator = client.reception.authenticator

    def offered(self, event: AuthOffered) -> Answer:
        """AUTH: may this client try?"""
        client = self._client
        refused = self._authenticator.of_client(client.ip, client.settings.auth)
        if refused is not None:
            return self._refuse(event.mechanism, "", refused)
        now = int(self._reception.clock.now())
        self._session.nonce = f"{secrets.randbits(128)}.{now}"
        return None

    def keys_wanted(self, event: AuthKeysWanted) -> Answer:
        """SCRAM: look up the user's keys."""

        def found(result: ScramKeys | Denied) -> None:
            if isinstance(result, Denied):
                self._answer(self._refuse(event.mechanism, event.user, result))
            else:
                event.keys = result
                self._answer(None)

        attempt = self._attempt(event.mechanism, ScramProof(event.user, is_right=False))
        refused = self._authenticator.keys(Mechanism(event.hash), attempt, found)
        return LATER if refused is None else self._refuse(event.mechanism, event.user, refused)

    def ended(self, event: AuthEnded) -> Answer:
        """The credentials are there: who is it?"""

        def told(outcome: Outcome) -> None:
            reply = self._judged(event, outcome)
            if not self._is_put_off(reply):
                self._answer(reply)

        attempt = self._attempt(event.mechanism, event.credentials)
        outcome = self._authenticator.verify(attempt, told)
        return LATER if outcome is None else self._judged(event, outcome)

    def _judged(self, event: AuthEnded, outcome: Outcome) -> Reply | None:
        user = event.credentials.user
        if isinstance(outcome, Denied):
            return self._refuse(event.mechanism, user, outcome)
        self._client.logs_in(outcome, event.mechanism)
        self._tell(event.mechanism, user, outcome, None)
        return None

    def _attempt(self, mechanism: str, credentials: Credentials) -> Attempt:
        client = self._client
        return Attempt(mechanism, credentials, client.ip, Flag.NO_SMTP, client.settings.auth)

    def _refuse(self, mechanism: str, user: str, denied: Denied) -> Reply:
        client, reply = self._client, _reply(denied)
        self._tell(mechanism, user, denied, reply)
        status, tls = _STATUS.get(denied.why, 1), client.tls_version or "No"
        client.log.auth_failure(user, status, mechanism, tls)
        return reply

    def _is_put_off(self, reply: Reply | None) -> bool:
        """Answer a refusal only after PENALTY: guessing is slow."""
        penalty = self._client.settings.penalty
        if reply is None or reply.is_temporary or not penalty:
            return False
        self._reception.later(penalty, lambda: self._answer(reply))
        return True

    def _tell(self, mechanism: str, user: str, outcome: Outcome, reply: Reply | None) -> None:
        client = self._client
        facts: Facts = {
            **client.facts, "connection": str(client.connection_id), "login": user,
            "mechanism": mechanism,
        }  # fmt: skip
        verdict = "later" if reply is not None and reply.is_temporary else "refuse"
        if isinstance(outcome, LoggedIn):
            verdict, text = "accept", outcome.user + ("" if outcome.relays else ", NO_RELAY")
        else:
            text = outcome.text or outcome.why.value
        client.record(Event.AUTH, verdict, text, outcome.rule, reply, facts)


def _reply(denied: Denied) -> Reply:
    match denied.why:
        case Why.WRONG:
            return _WRONG
        case Why.UNBOUND:
            return _UNBOUND
        case Why.CLOSED:
            return Reply(535, "5.7.1", f"Sorry, {denied.text} (#5.7.1)")
        case Why.LIMITED:
            return _LIMITED
        case Why.LATER:
            return _LATER
        case _:
            assert_never(denied.why)
