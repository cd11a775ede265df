"""The lock that a full mailbox gets: what a decision has to know of it, set, lifted, and told on.

    seen = locks.look(account, uid, gid)             # what it holds, and whose lock it is
    locks.lift(account.address)                      # there is room again: the quota's lock goes
    locks.lock("alice@example.com", 1_050_000)       # it holds too much already

A change is told to all workers, as one by a command is.  Every call may wait for a database or a
whole Maildir.

Source: spec/delivery.md 5.3a, 5.5 (4), 10 (6).  Not here: when a lock is set or lifted
(`delivery.overquota`), the administrator's lock (`manage.user_change`), who counts (`serve.quota`).
"""

import logging
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from indimail.accounts.port import Account, Accounts, Lookup
from indimail.delivery.plan import Deliver
from indimail.delivery.quota import Usage
from indimail.durable.disk import Disk
from indimail.mail.errors import MailboxUnwritable
from indimail.mailbox.maildirsize import count_maildir, inbox
from indimail.serve.snapshot import QuotaSettings

LOG: Final = logging.getLogger("indimail.quota")


class Held(NamedTuple):
    """What a mailbox holds, and whether it keeps what is over quota waiting."""

    usage: Usage
    waits: bool


class LockSeen(NamedTuple):
    """A locked account: what it holds, its userquota (0: the administrator's lock), as in `Held`."""

    usage: Usage
    userquota: int
    waits: bool


class Mailboxes(Protocol):
    """Who looks into the mailboxes of a user of the system."""

    def held(self, deliver: Deliver, *, counted: bool) -> Held:
        """Look, and count if that is wanted; from a thread.  Raises MailError."""


class StillMailboxes:
    """Counts without writing a figure down."""

    def __init__(self, disk: Disk, settings: QuotaSettings) -> None:
        self._disk = disk
        self._settings = settings

    def held(self, deliver: Deliver, *, counted: bool) -> Held:
        """Count if that is wanted, and look for the file that makes mail wait."""
        maildir = inbox(deliver.maildir)
        trash = self._settings.counting.include_trash
        try:
            usage = count_maildir(self._disk, maildir, include_trash=trash) if counted else Usage()
        except OSError as error:
            raise MailboxUnwritable(
                f"Unable to read {maildir}: {error.strerror}. (#4.3.0)"
            ) from error
        return Held(usage, self._disk.exists(self._settings.hold_file(maildir)))


class Locks(Protocol):
    """What a decision asks of a locked account; a dry run lifts nothing."""

    def look(self, account: Account, uid: int, gid: int) -> LockSeen:
        """Look at the account, whose files belong to this user.  Raises MailError."""

    def lift(self, address: str) -> bool:
        """Clear the quota's lock; False where it is the administrator's by now."""


class ReadLocks:
    """Only looks: for who asks what a delivery would do."""

    def __init__(self, lookup: Lookup, mailboxes: Callable[[int, int], Mailboxes]) -> None:
        self._lookup = lookup
        self._mailboxes = mailboxes

    def look(self, account: Account, uid: int, gid: int) -> LockSeen:
        """Count what the mailbox holds.  Raises MailError."""
        row = self._lookup.userquota(account.name, account.domain)
        held = self._mailboxes(uid, gid).held(Deliver(f"{account.directory}/Maildir"), counted=True)
        return LockSeen(held.usage, row, held.waits)

    def lift(self, address: str) -> bool:  # noqa: ARG002
        """Say that the quota's lock would go."""
        return True


class QuotaLocks:
    """The locks of the accounts of this server."""

    def __init__(
        self,
        accounts: Accounts,
        lookup: Lookup,
        mailboxes: Callable[[int, int], Mailboxes],
        changed: Callable[[str, str], object],
    ) -> None:
        """`lookup` may remember; `mailboxes` returns those of a user, by uid and gid.

        `changed` tells everybody of an account, by name and domain.
        """
        self._accounts = accounts
        self._lookup = lookup
        self._mailboxes = mailboxes
        self._changed = changed

    def look(self, account: Account, uid: int, gid: int) -> LockSeen:
        """Look; nothing is counted for an administrator's lock.  Raises MailError."""
        row = self._lookup.userquota(account.name, account.domain)
        maildir = f"{account.directory}/Maildir"
        deliver = Deliver(maildir, account=account.address, limit=account.quota)
        held = self._mailboxes(uid, gid).held(deliver, counted=row != 0)
        return LockSeen(held.usage, row, held.waits)

    def lift(self, address: str) -> bool:
        """Clear the quota's lock; False where it is the administrator's by now."""
        name, _, domain = address.rpartition("@")
        lifted = self._accounts.lift_quota_lock(name, domain)
        if lifted:
            LOG.info("%s: there is room again, unlocked", address)
            self._changed(name, domain)
        return lifted

    def lock(self, address: str, octets: int) -> None:
        """Set the quota's lock, with the usage that led to it; one that is there stays."""
        name, _, domain = address.rpartition("@")
        if self._accounts.lock_for_quota(name, domain, octets):
            LOG.info("%s: over quota with %d octets, locked", address, octets)
            self._changed(name, domain)
