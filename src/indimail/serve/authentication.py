"""Who is it?  Logins of every protocol, beside the event loop.

    authenticator = Authenticator(verifier, limits, clock, aside)
    authenticator.of_client("192.0.2.7", settings)       -> Denied, or None: it may try
    authenticator.keys(wanted, attempt, told)  -> Denied, or None: told(ScramKeys | Denied) is called
    authenticator.verify(attempt, told)        -> LoggedIn, Denied, or None: told(...) is called

A password that was right a moment ago is right again at once, for `FRESH` seconds and until an account
changes (`invalidate`).  After that its row is read again (`accounts.cache`), and where the stored hash
is the same as then, nothing is hashed (`serve.verifying`).

Source: DESIGN.md 5; docs/adr/0041.  Not here: replies and penalties (`serve.smtpauth`).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Final

from indimail.accounts.port import Flag
from indimail.accounts.scram import Mechanism, ScramKeys
from indimail.mail.clock import Clock
from indimail.mail.errors import MailError
from indimail.serve.hands import RunAside
from indimail.serve.login import OURS, Attempt, AuthSettings, Denied, LoggedIn, Outcome, Why
from indimail.serve.loginlimits import LoginLimits
from indimail.serve.verifying import Verifier
from indimail.wire.sasl_server import Password

FRESH: Final = 2.0  # and 3 in the cache of the accounts: others' changes are seen within 5 s
KEPT: Final = 20_000
MOST_AT_ONCE: Final = 200  # logins that wait for a thread
LOG: Final = logging.getLogger("indimail.auth")


@dataclass(frozen=True, slots=True)
class _Fresh:
    """A password that was right, and its owner."""

    digest: bytes
    until: float
    epoch: int
    settings: AuthSettings
    outcome: LoggedIn


@dataclass(slots=True)
class Authenticator:
    """The logins of a worker."""

    verifier: Verifier
    limits: LoginLimits
    clock: Clock
    aside: RunAside
    _fresh: dict[tuple[str, Flag], _Fresh] = field(default_factory=dict)
    _epoch: int = 0  # of changes to accounts
    _waiting: int = 0

    def invalidate(self) -> None:
        """An account changed: its row is read before anybody is let in."""
        self._epoch += 1

    def of_client(self, ip: str, settings: AuthSettings) -> Denied | None:
        """Return why this client's passwords are not looked at."""
        return self.limits.of_client(ip, settings)

    def keys(
        self, mechanism: Mechanism, attempt: Attempt, told: Callable[[ScramKeys | Denied], None]
    ) -> Denied | None:
        """Look up the keys of who the client says to be."""
        refused = self.limits.of_user(attempt) or self._refused_for_now()
        if refused is not None:
            return refused
        user, settings = attempt.credentials.user, attempt.settings

        def found(result: object) -> None:
            self._waiting -= 1
            told(result if isinstance(result, ScramKeys) else _failed(result))

        self._waiting += 1
        self.aside(lambda: self.verifier.keys(user, mechanism, settings), found)
        return None

    def verify(self, attempt: Attempt, told: Callable[[Outcome], None]) -> Outcome | None:
        """Tell who it is."""
        fresh = self._still_fresh(attempt)
        if fresh is not None:
            return fresh
        refused = self.limits.of_user(attempt) or self._refused_for_now()
        if refused is not None:
            return refused
        epoch = self._epoch  # before the row is read

        def judged(result: object) -> None:
            self._waiting -= 1
            outcome = result if isinstance(result, LoggedIn | Denied) else _failed(result)
            self.limits.count(attempt, outcome)
            if isinstance(outcome, LoggedIn):
                self._keep(attempt, outcome, epoch)
            told(outcome)

        self._waiting += 1
        self.aside(lambda: self.verifier.judge(attempt), judged)
        return None

    def _refused_for_now(self) -> Denied | None:
        if self._waiting < MOST_AT_ONCE:
            return None
        return Denied(Why.LATER, f"{self._waiting} logins wait")

    def _still_fresh(self, attempt: Attempt) -> LoggedIn | None:
        given = attempt.credentials
        found = self._fresh.get((attempt.login, attempt.closed_by))
        if (
            found is not None
            and isinstance(given, Password)
            and found.epoch == self._epoch
            and found.settings is attempt.settings
            and self.clock.steady() < found.until
            and compare_digest(found.digest, self.verifier.digest(attempt.login, given.password))
        ):
            return found.outcome
        return None

    def _keep(self, attempt: Attempt, outcome: LoggedIn, epoch: int) -> None:
        """Keep who it is; what programs say is asked again each time."""
        given, settings = attempt.credentials, attempt.settings
        if not isinstance(given, Password) or settings.modules != (OURS,) or settings.postauth:
            return
        if len(self._fresh) >= KEPT:
            del self._fresh[next(iter(self._fresh))]
        self._fresh[attempt.login, attempt.closed_by] = _Fresh(
            self.verifier.digest(attempt.login, given.password), self.clock.steady() + FRESH, epoch,
            attempt.settings, outcome,
        )  # fmt: skip


def _failed(result: object) -> Denied:
    """Return what a failure of ours is."""
    if isinstance(result, MailError):
        return Denied(Why.LATER, str(result))
    LOG.error("unexpected failure of a login: %r", result)
    return Denied(Why.LATER, "unexpected failure")
