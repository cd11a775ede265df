"""What a delivery to a local address would do, asked at RCPT and again at delivery.

    foresight.cached("example.com-alice@example.com")    -> Foreseen delivery, or None: ask `decide`
    foresight.decide("example.com-alice@example.com")    -> the same; may wait for a disk or database

`decide` gathers the facts (users/assign, the .qmail file, the account, its aliases) and asks
`delivery`; it runs on a thread.  Its answer is kept for `KEPT` seconds, and given again only while
the configuration, the accounts' cache and the .qmail files are what they were: a change of ours
or an edited file is seen at the next mail, a change made in the database by others within `KEPT`.

Not here: what is decided (`delivery.virtual`), the delivery itself (`serve.local`).
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from indimail.accounts.port import Account, Flag, Lookup
from indimail.delivery.assign import Assign, AssignEntry
from indimail.delivery.dotqmail import (
    VDeliver,
    find_dotqmail_names,
    missing_dotqmail,
    read_dotqmail,
)
from indimail.delivery.headers import delivered_to
from indimail.delivery.plan import Defer, Deliver, Discard, Plan, Redirect
from indimail.delivery.virtual import AccountFacts, VirtualFacts, decide_virtual, virtual_user
from indimail.durable.disk import Disk
from indimail.mail.errors import MailError
from indimail.mail.verdict import NO_RULE, Rule
from indimail.mailbox.maildir import is_sticky

KEPT: Final = 2.0  # and 3 in the cache of the accounts: others' changes are seen within 5 s
SIZE: Final = 20_000

Signature = tuple[tuple[str, tuple[int, int, int] | None], ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """A plan for one local address, and what it stands on."""

    plan: Plan
    delivered_to: bytes
    entry: AssignEntry | None
    signature: Signature
    until: float
    epoch: tuple[int, int]


class Assigned(Protocol):
    """The part of the configuration snapshot that is looked at."""

    @property
    def generation(self) -> int: ...
    @property
    def assign(self) -> Assign: ...


class Folders(Protocol):
    """Tells when a .qmail file may have changed."""

    def add(self, folder: str) -> bool:
        """Watch a folder from now on; False where that cannot be."""

    def changed(self) -> bool:
        """Tell whether a name in one of them changed since the last call."""


class Foresight:
    """Decides about local addresses, and remembers for a moment."""

    def __init__(
        self,
        accounts: Lookup,
        snapshot: Callable[[], Assigned],
        steady: Callable[[], float],
        disk: Disk,
        folders: Folders,
        root: str,
        uid: int,
    ) -> None:
        self._disk = disk
        self._folders = folders
        self._accounts = accounts
        self._snapshot = snapshot
        self._steady = steady
        self._root = root.rstrip("/") + "/"
        self._uid = uid
        self._kept: dict[str, Decided] = {}
        self._changes = 0

    def invalidate(self) -> None:
        """Forget: an account changed."""
        self._changes += 1
        self._kept.clear()

    def cached(self, target: str) -> Decided | None:
        """Return what is known and still true, without waiting for anything but a stat."""
        if self._folders.changed():
            self.invalidate()
        decided = self._kept.get(target)
        if (
            decided is None
            or decided.until < self._steady()
            or decided.epoch != (self._snapshot().generation, self._changes)
            or any(_signature(path) != seen for path, seen in decided.signature)
        ):
            return None
        return decided

    def decide(self, target: str) -> Decided:
        """Gather the facts and decide.  Raises MailError where a fact cannot be had."""
        snapshot = self._snapshot()
        epoch = (snapshot.generation, self._changes)
        until = self._steady() + KEPT
        local, _, host = target.rpartition("@")
        entry = snapshot.assign.find(local)
        signature: Signature = ()
        if entry is None:
            plan: Plan = Defer(
                f"{local}: not in users/assign (deliveries to system users: not yet). (#4.3.0)",
                Rule("users/assign"),
            )
        elif entry.uid != self._uid:
            plan = Defer(
                f"{entry.rule}: uid {entry.uid} is not the server's own {self._uid} "
                "(deliveries as another user: not yet). (#4.3.0)",
                entry.rule,
            )
        else:
            plan, signature = self._plan(entry, host)
        decided = Decided(plan, delivered_to(target), entry, signature, until, epoch)
        if len(self._kept) >= SIZE:
            self._kept.clear()
        self._kept[target] = decided
        return decided

    def _plan(self, entry: AssignEntry, host: str) -> tuple[Plan, Signature]:
        """Read the .qmail file that is meant and do what its first step says."""
        names = find_dotqmail_names(entry.dash, entry.ext)
        watched = self._folders.add(entry.home)  # before the look, so that no change falls between
        paths = [os.path.join(entry.home, name) for name in names]
        signature = tuple((path, _signature(path)) for path in paths)
        path = next((path for path, seen in signature if seen is not None), None)
        if watched:
            signature = ()
        if path is None:
            return missing_dotqmail(entry.dash), signature
        shown = path.removeprefix(self._root)
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                text = file.read(100_000)
        except OSError as error:
            reason = f"Unable to open {shown}: {error.strerror}. (#4.3.0)"
            return Defer(reason, Rule(shown)), signature
        steps = read_dotqmail(shown, text)
        match steps:
            case Defer():
                return steps, signature
            case (VDeliver() as step,):
                return self._decide_virtual(virtual_user(entry.ext), host, step), signature
            case ():
                return Discard("no delivery instruction", Rule(shown)), signature
            case _:
                rule = steps[1].rule
                text = f"{rule}: expected one line (more than one: not yet). (#4.3.0)"
                return Defer(text, rule), signature

    def _decide_virtual(self, user: str, host: str, step: VDeliver) -> Plan:
        facts = self._facts(user, host, step, alias="")
        plan = decide_virtual(facts)
        if isinstance(plan, Redirect):
            plan = decide_virtual(self._facts(plan.user, plan.domain, step, alias=plan.alias))
        if isinstance(plan, Deliver) and is_sticky(self._disk, plan.maildir):
            return Defer(f"dir {plan.maildir} is sticky", plan.rule)
        return plan

    def _facts(self, user: str, host: str, step: VDeliver, alias: str) -> VirtualFacts:
        domain = self._accounts.real_domain(host.lower())
        account = self._accounts.find(user, domain) if user else None
        aliases = tuple(self._accounts.aliases(user, domain)) if user else ()
        known = self._snapshot().assign.find(f"{domain}-{user}") is not None
        return VirtualFacts(
            user, domain, _account_facts(account), step.instruction, step.rule,
            aliases, known, alias,
        )  # fmt: skip


def _account_facts(account: Account | None) -> AccountFacts | None:
    if account is None:
        return None
    home = account.directory
    return AccountFacts(
        home=home,
        active=account.active,
        locked=bool(account.flags & Flag.BOUNCE_MAIL),
        quota=account.quota,
        is_group=account.gecos.startswith("MailGroup "),
        has_dotqmail=os.path.exists(f"{home}/.qmail"),
        holds_overquota=os.path.exists(f"{home}/Maildir/holdoverquota"),
    )


def _signature(path: str) -> tuple[int, int, int] | None:
    """Return what tells one content of a regular file from another; None where there is none."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size) if stat.S_ISREG(found.st_mode) else None


def deferred(error: MailError) -> Defer:
    """Return the plan of a delivery whose facts could not be had."""
    return Defer(f"{error.reply_text}: {error}", NO_RULE)
