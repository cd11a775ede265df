"""The lock that a full mailbox gets: what a decision has to know of it, set, lifted, and told on.

    usage, userquota = locks.look(account)           # what it holds, and whose lock it is
    locks.lift(account.address)                      # there is room again: the quota's lock goes
    locks.lock("alice@example.com", 1_050_000)       # it holds too much already

A change is told to all workers, as one by a command is.  Every call may wait for a database or a
whole Maildir.

Source: spec/delivery.md 5.3a, 5.5 (4), 10 (6).  Not here: when a lock is set or lifted
(`delivery.overquota`), the administrator's lock (`manage.user_change`).
"""

import logging
from collections.abc import Callable
from typing import Final, Protocol

from indimail.accounts.port import Account, Accounts, Lookup
from indimail.delivery.quota import UNLIMITED, Usage, parse_quota
from indimail.durable.disk import Disk
from indimail.mailbox.maildirsize import MaildirSizes, count_maildir

LOG: Final = logging.getLogger("indimail.quota")


class Locks(Protocol):
    """What a decision asks of a locked account; a dry run lifts nothing."""

    def look(self, account: Account) -> tuple[Usage, int]:
        """Return what the mailbox holds, and its userquota.  Raises MailError."""

    def lift(self, address: str) -> bool:
        """Clear the quota's lock; False where it is the administrator's by now."""


class ReadLocks:
    """Only looks: for who asks what a delivery would do."""

    def __init__(self, lookup: Lookup, disk: Disk) -> None:
        self._lookup = lookup
        self._disk = disk

    def look(self, account: Account) -> tuple[Usage, int]:
        """Count what the mailbox holds, and return its userquota."""
        row = self._lookup.userquota(account.name, account.domain)
        return count_maildir(self._disk, f"{account.directory}/Maildir"), row

    def lift(self, address: str) -> bool:  # noqa: ARG002
        """Say that the quota's lock would go."""
        return True


class QuotaLocks:
    """The locks of the accounts of this server."""

    def __init__(
        self,
        accounts: Accounts,
        lookup: Lookup,
        sizes: MaildirSizes,
        changed: Callable[[str, str], object],
    ) -> None:
        """`lookup` may remember; `changed` tells everybody of an account, by name and domain."""
        self._accounts = accounts
        self._lookup = lookup
        self._sizes = sizes
        self._changed = changed

    def look(self, account: Account) -> tuple[Usage, int]:
        """Return what the mailbox holds, and its userquota; nothing is counted for an admin's lock.

        Raises MailError.
        """
        row = self._lookup.userquota(account.name, account.domain)
        if not row:
            return Usage(), 0
        quota = parse_quota(account.quota) or UNLIMITED
        return self._sizes.measure(f"{account.directory}/Maildir", quota), row

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
