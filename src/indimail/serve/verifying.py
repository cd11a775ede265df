"""Is the password right?  Our accounts and the modules beside them; may take a while.

    verifier = Verifier(users, accounts, site, clock, modules, postauth, secret)
    verifier.judge(attempt)                  -> LoggedIn or Denied       on a thread
    verifier.keys("ana@example.com", Mechanism.SHA256, settings)         -> ScramKeys

No such user, a user without a password and a wrong password are one answer, and take the same time.
Only who knows the password is told that the account is inactive, closed or over.

A password that was compared with a stored hash is not hashed again for the same one: what is kept of
it is a hash with a key that this process alone has, and whether it was right.

Raises AccountsUnavailable.  Sources: spec/smtp.md 3.4; spec/cluster-users.md 3.1, 3.4, 3.5.
Not here: the loop's side (`serve.authentication`), programs (`serve.checkpassword`).
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from indimail.accounts.limits import UNBOUNDED, Bounds, Ended, bounds_of
from indimail.accounts.login import Storing, bounded, open_account
from indimail.accounts.port import Account, Accounts, Flag, Lookup
from indimail.accounts.scram import Mechanism, ScramKeys, answers, parse_scram, split_stored
from indimail.accounts.scramkeys import keys_for
from indimail.mail.clock import Clock
from indimail.mail.secret import Secret
from indimail.mail.verdict import Rule
from indimail.serve.login import (
    OURS,
    Attempt,
    AuthSettings,
    Denied,
    LoggedIn,
    Outcome,
    Why,
    split_login,
)
from indimail.wire.sasl_server import CramAnswer, Password, ScramProof, Token

KEPT: Final = 20_000  # passwords that were right or wrong
_NOTHING: Final = Secret("")
T = TypeVar("T")


class Site(Protocol):
    """What is known of domains besides their rows; may wait for a disk."""

    def storing(self, domain: str) -> Storing:
        """Return how a password of the domain is stored today."""

    def has_limits(self, domain: str) -> bool:
        """Tell whether the limits of the domain are on (``.domain_limits``)."""


class Users(Lookup, Protocol):
    """The accounts behind a cache."""

    def invalidate(self, name: str, domain: str) -> None:
        """Forget a user."""


class Modules(Protocol):
    """Programs that know passwords or tokens."""

    def __call__(self, modules: tuple[str, ...], attempt: Attempt, /) -> Outcome:
        """Ask them, in this order."""


class PostAuth(Protocol):
    """A program that has the last word."""

    def __call__(self, program: str, attempt: Attempt, who: LoggedIn, /) -> Outcome:
        """Ask it about who is let in."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """Who knows passwords; `secret` is the server's, for the salts of who has no keys."""

    users: Users
    accounts: Accounts
    site: Site
    clock: Clock
    modules: Modules
    postauth: PostAuth
    secret: bytes
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    _seen: dict[bytes, bool] = field(default_factory=dict)  # digest -> it was right
    _keys: dict[bytes, ScramKeys] = field(default_factory=dict, repr=False)
    _nobodys: Secret = field(default_factory=lambda: Secret(secrets.token_hex(16)))

    def judge(self, attempt: Attempt) -> Outcome:
        """Ask the modules, and POSTAUTH about who they know."""
        outcome, program = self._judge(attempt), attempt.settings.postauth
        if program and isinstance(outcome, LoggedIn):
            return self.postauth(program, attempt, outcome)
        return outcome

    def _judge(self, attempt: Attempt) -> Outcome:
        """Ask the modules in their order; the first that knows the password decides."""
        if isinstance(attempt.credentials, Token):
            return self.modules(attempt.settings.oauth, attempt)
        if isinstance(attempt.credentials, ScramProof):
            return self._by_our_accounts(attempt)
        denied = Denied(Why.WRONG)
        for part in _parts(attempt.settings.modules):
            ours = part == (OURS,)
            outcome = self._by_our_accounts(attempt) if ours else self.modules(part, attempt)
            if isinstance(outcome, LoggedIn) or outcome.why is Why.CLOSED:
                return outcome
            if denied.why is not Why.LATER:  # nobody knows whether that module would have
                denied = outcome
        return denied

    def keys(self, user: str, mechanism: Mechanism, settings: AuthSettings) -> ScramKeys:
        """Return the keys of a user, or some of nobody's."""
        account, _ = self._account(user, settings)
        if account is None:
            return keys_for(None, mechanism, user.lower(), self.secret)
        # Of a clear text they are made anew, thousands of rounds for who may only have asked.
        stored = f"{user.lower()}\0{account.password.reveal()}\0{account.scram.reveal()}"
        digest = self.digest(mechanism.value, Secret(stored))
        found = self._keys.get(digest)
        if found is None:
            found = keys_for(account, mechanism, user.lower(), self.secret)
            _make_room(self._keys)
            self._keys[digest] = found
        return found

    def digest(self, of: str, password: Secret) -> bytes:
        """Return what is kept of a password: a keyed hash of it, and of what it was given for."""
        octets = f"{of}\0{password.reveal()}".encode("utf-8", "surrogateescape")
        return hashlib.blake2b(octets, key=self._key, digest_size=32).digest()

    def _by_our_accounts(self, attempt: Attempt) -> Outcome:
        settings, given = attempt.settings, attempt.credentials
        account, domain = self._account(given.user, settings)
        bounds = self._bounds(account, settings) if account else UNBOUNDED
        rule = Rule("accounts", key=account.address if account else given.user)
        if isinstance(given, Password):
            opened, repeated = self._open(account, domain, given, bounds)
            if opened is None:
                return Denied(Why.WRONG, Why.WRONG.value, rule, repeated)
            return _let_in(opened, attempt, rule)
        if isinstance(given, ScramProof) and not given.bound:
            return Denied(Why.UNBOUND, given.reason or Why.UNBOUND.value, rule)
        is_right = (
            self._answers(account, given, settings) if isinstance(given, CramAnswer)
            else isinstance(given, ScramProof) and given.is_right
        )  # fmt: skip
        if account is None or not is_right:
            return Denied(Why.WRONG, Why.WRONG.value, rule)
        return _let_in(bounded(account, bounds), attempt, rule)

    def _open(
        self, account: Account | None, domain: str, given: Password, bounds: Bounds
    ) -> tuple[Account | Ended | None, bool]:
        """Return what a password opens, and whether it was wrong before."""
        login, password = given.user.lower(), given.password
        stored = account.password.reveal() if account else ""
        digest = self.digest(f"{login}\0{stored}", password)
        was_right = self._seen.get(digest)
        if was_right is not None:
            return (bounded(account, bounds) if account and was_right else None), not was_right
        octets = password.reveal().encode("utf-8", "surrogateescape")
        opened = open_account(self.accounts, account, octets, self.site.storing(domain), bounds)
        if isinstance(opened, Account) and opened.password.reveal() != stored:  # hashed anew
            self.users.invalidate(opened.name, opened.domain)
            digest = self.digest(f"{login}\0{opened.password.reveal()}", password)
        _make_room(self._seen)
        self._seen[digest] = opened is not None
        return opened, False

    def _answers(self, account: Account | None, given: CramAnswer, settings: AuthSettings) -> bool:
        """Tell whether a keyed hash was made with the password; for nobody it takes as long."""
        hashed, column = (
            split_stored(account.password, account.scram) if account else (_NOTHING, _NOTHING)
        )
        known = [parse_scram(column).clear, hashed if settings.hash_is_secret else None]
        right = [
            answers(secret or self._nobodys, given.challenge, given.response, given.digest)
            for secret in known
        ]
        return any(is_right and bool(secret) for is_right, secret in zip(right, known, strict=True))

    def _account(self, user: str, settings: AuthSettings) -> tuple[Account | None, str]:
        """Return whom a login names, and the domain: ``user@domain``, ``user%domain``, ``user``."""
        name, domain = split_login(user, settings.default_domain)
        if not name or not domain:
            return None, domain
        domain = self.users.real_domain(domain)
        account = self.users.known(name, domain).account
        return None if account is None or account.is_group else account, domain

    def _bounds(self, account: Account, settings: AuthSettings) -> Bounds:
        return bounds_of(
            self.users, account, is_on=self.site.has_limits(account.domain),
            closes=settings.domain_limits, now=self.clock.now(),
        )  # fmt: skip


def _make_room(kept: dict[bytes, T]) -> None:
    """Leave room for one more; several threads may be at it."""
    while len(kept) >= KEPT:
        kept.pop(next(iter(kept)), None)


def _let_in(opened: Account | Ended, attempt: Attempt, rule: Rule) -> Outcome:
    """Let who knows the password in, unless the account is closed."""
    if isinstance(opened, Ended):
        return Denied(Why.CLOSED, opened.value, rule)
    if not opened.active and not attempt.settings.allow_inactive:
        return Denied(Why.CLOSED, "this account is inactive", rule)
    if opened.flags & attempt.closed_by:
        return Denied(Why.CLOSED, f"this account cannot use {attempt.service}", rule)
    return LoggedIn(opened.address, Flag.NO_RELAY not in opened.flags, rule)


def _parts(modules: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Cut a chain at our own module: the programs before it and behind it know each other."""
    parts: list[tuple[str, ...]] = []
    for module in modules:
        if module == OURS or not parts or parts[-1] == (OURS,):
            parts.append((module,))
        else:
            parts[-1] += (module,)
    return parts
