"""Decisions about local addresses that are wanted at the same time, made together.

    rounds = Committer(Foreseeing(foresight, cache, snapshot, uid).decide_all, wake, "foresight")
    foresee = Foresee(rounds, foresight, aside)
    foresee("example.com-alice@example.com", told)      # told(Decided(...)), or told(an error)

Nothing is known of them: a thread takes what has gathered while it was at work, asks the database
for all their accounts with one query, and decides.  So many recipients at once cost one hop between
threads and one query, and one recipient alone waits for nobody.

What may take long is decided by itself, so that nobody waits behind it: an address of another user
of the system, whose process is asked; one of none in users/assign, for the password file may be
a network's; and one that is locked, whose mailbox may have to be counted.

Not here: what is decided (`serve.foresight`).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

from indimail.accounts.cache import CachedLookup
from indimail.accounts.port import Flag
from indimail.delivery.virtual import virtual_user
from indimail.durable.committer import Rounds
from indimail.mail.errors import AccountsUnavailable, MailError
from indimail.serve.foresight import Configured, Decided, Foresight
from indimail.serve.hands import RunAside


class Alone(Exception):
    """A decision may take long."""


class Wanted(NamedTuple):
    """A virtual user, by its place in a round."""

    name: str
    domain: str


class Foreseeing:
    """Makes rounds of decisions."""

    def __init__(
        self,
        foresight: Foresight,
        accounts: CachedLookup,
        snapshot: Callable[[], Configured],
        uid: int,
    ) -> None:
        """`uid` is ours."""
        self._foresight = foresight
        self._accounts = accounts
        self._snapshot = snapshot
        self._uid = uid

    def decide_all(self, targets: Sequence[str]) -> Mapping[int, Exception]:
        """Decide about many; return those without a decision, by place: MailError, or `Alone`."""
        failed: dict[int, Exception] = {}
        wanted: dict[int, Wanted | None] = {}
        for place, target in enumerate(targets):
            try:
                wanted[place] = self._wanted(target)
            except Alone as error:
                failed[place] = error
        with suppress(AccountsUnavailable):  # a decision may need no account
            self._accounts.fetch([user for user in wanted.values() if user is not None])
        for place, user in wanted.items():
            try:
                self._check(user)
                self._foresight.decide(targets[place])
            except (MailError, Alone) as error:
                failed[place] = error
        return failed

    def _wanted(self, target: str) -> Wanted | None:
        """Return the virtual user that is meant; None: nobody, or the database is down.

        Raises Alone.
        """
        local, _, host = target.rpartition("@")
        entry = self._snapshot().assign.find(local)
        if entry is None or entry.uid != self._uid:
            raise Alone
        user = virtual_user(entry.ext)
        with suppress(AccountsUnavailable):
            return Wanted(user, self._accounts.real_domain(host.lower())) if user else None
        return None

    def _check(self, user: Wanted | None) -> None:
        """Raise Alone for an account whose lock is to be looked at."""
        if user is None:
            return
        with suppress(AccountsUnavailable):
            account = self._accounts.known(*user).account
            is_locked = account is not None and Flag.BOUNCE_MAIL in account.flags
            if is_locked or (account is None and self._snapshot().local.qmail_ext):
                raise Alone


class Foresee:
    """Asks for a decision from the event loop."""

    def __init__(self, rounds: Rounds[str], foresight: Foresight, aside: RunAside) -> None:
        self._rounds = rounds
        self._foresight = foresight
        self._aside = aside

    def __call__(self, target: str, told: Callable[[object], None]) -> None:
        """Have it decided; `told` gets the decision, or what failed, on the loop."""

        def decided(error: Exception | None) -> None:
            found: Decided | Exception | None = error
            if error is None:
                found = self._foresight.cached(target)
            if found is None or isinstance(found, Alone):  # or something changed meanwhile
                self._aside(lambda: self._foresight.decide(target), told)
            else:
                told(found)

        self._rounds.submit(target, decided)
