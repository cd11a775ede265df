"""How many passwords may be tried: of one client, and for one user.

    limits = LoginLimits(failures, logins, clock)
    limits.of_client("192.0.2.7", settings)     -> Denied(Why.LIMITED, ...), or None
    limits.of_user(attempt)                     -> the same
    limits.count(attempt, outcome)

They hold for the whole server (`net.recent`).  A wrong password that was tried before is not counted
again: a program with an old password guesses nothing.  A client from which the user logged in lately is
not held off for what others try with that name.

Source: docs/adr/0041.  Not here: PENALTY, which slows each connection (`serve.smtpauth`).
"""

from dataclasses import dataclass
from typing import Final, Protocol

from indimail.mail.clock import Clock
from indimail.mail.ip import network_of
from indimail.policy.limits import is_loopback
from indimail.serve.login import Attempt, AuthSettings, Denied, LoggedIn, Outcome, Why

PER_CLIENT: Final = 20
FAILURES_KEPT: Final = 900.0  # seconds, and no less than half of it
LOGINS_KEPT: Final = 30 * 86_400.0


class Counts(Protocol):
    """How often something happened lately."""

    def add(self, key: str, now: float, /) -> None:
        """Count it once."""

    def count(self, key: str, now: float, /) -> int:
        """Return how often it happened."""


@dataclass(frozen=True, slots=True)
class LoginLimits:
    """What a worker counts, and sees of the others."""

    failures: Counts
    logins: Counts
    clock: Clock

    def of_client(self, ip: str, settings: AuthSettings) -> Denied | None:
        """Return why this client's passwords are not looked at; this machine's own always are."""
        most = settings.per_client
        if most is None:
            most = 0 if is_loopback(ip) else PER_CLIENT
        failed = self.failures.count(_client(ip), self.clock.steady())
        if not 0 < most <= failed:
            return None
        return Denied(Why.LIMITED, f"{failed} failures of this client", settings.per_client_rule)

    def of_user(self, attempt: Attempt) -> Denied | None:
        """Return why this user's password is not looked at."""
        settings, now = attempt.settings, self.clock.steady()
        failed = self.failures.count(_user(attempt.login), now)
        if not 0 < settings.per_user <= failed or self.logins.count(_both(attempt), now):
            return None
        return Denied(Why.LIMITED, f"{failed} failures for this user", settings.per_user_rule)

    def count(self, attempt: Attempt, outcome: Outcome) -> None:
        """Count what came of an attempt."""
        now = self.clock.steady()
        match outcome:
            case LoggedIn():
                if not self.logins.count(_both(attempt), now):
                    self.logins.add(_both(attempt), now)
            case Denied(why=Why.WRONG, repeated=False):
                self.failures.add(_client(attempt.client_ip), now)
                self.failures.add(_user(attempt.login), now)


def _client(ip: str) -> str:
    return f"client {network_of(ip)}"


def _user(login: str) -> str:
    return f"user {login}"


def _both(attempt: Attempt) -> str:
    return f"{network_of(attempt.client_ip)} {attempt.login}"
