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
import pwd
import stat
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Protocol

from indimail.accounts.port import Account, Flag, Lookup
from indimail.delivery import getpw, localdomains
from indimail.delivery.assign import Assign, AssignEntry
from indimail.delivery.dotqmail import (
    DotQmail,
    Name,
    Step,
    VDeliver,
    check_home,
    find_dotqmail_names,
    missing_dotqmail,
    read_dotqmail,
)
from indimail.delivery.environment import Addressee
from indimail.delivery.headers import delivered_to
from indimail.delivery.instruction import ToMaildir
from indimail.delivery.overquota import may_lift
from indimail.delivery.plan import Action, Defer, Deliver, Fail, Jump, Plan, discarded, join
from indimail.delivery.quota import UNLIMITED, Usage, parse_quota
from indimail.delivery.virtual import (
    AccountFacts,
    VirtualFacts,
    base_user,
    decide_virtual,
    virtual_user,
)
from indimail.durable.disk import Disk
from indimail.mail.errors import MailError
from indimail.mail.verdict import NO_RULE, Rule
from indimail.mailbox.maildir import is_maildir, is_sticky
from indimail.serve.home import (
    Home,
    HomeMissing,
    HomeUnreadable,
    Listings,
    Look,
    owner_file_of,
    read_file,
)
from indimail.serve.locks import Locks, LockSeen
from indimail.serve.snapshot import LocalSettings

KEPT: Final = 2.0  # and 3 in the cache of the accounts: others' changes are seen within 5 s
SIZE: Final = 20_000
LINE: Final = 256
OWN_FILE: Final = Name(".qmail")
ROOT: Final = "Not allowed to perform deliveries as root."

# Of what is not to be kept: no file has it.
NEVER: Final = ("/", (0, 0, 0))

# Files, and what told the content of each.
_Seen = list[tuple[str, tuple[int, int, int] | None]]
Signature = tuple[tuple[str, tuple[int, int, int] | None], ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """A plan for one local address, whom it is carried out for, and what it stands on."""

    plan: Plan
    delivered_to: bytes
    who: Addressee
    uid: int
    gid: int
    signature: Signature
    until: float
    epoch: tuple[int, int, int]


class Configured(Protocol):
    """The part of the configuration snapshot that is looked at."""

    @property
    def generation(self) -> int: ...
    @property
    def assign(self) -> Assign: ...
    @property
    def default_delivery(self) -> str: ...
    @property
    def local(self) -> LocalSettings: ...


class Folders(Protocol):
    """Tells when a .qmail file may have changed."""

    def add(self, folder: str) -> bool:
        """Watch a folder from now on; False where that cannot be."""

    def news(self) -> tuple[bool, Collection[int]]:
        """Tell what may have changed since the last call.

        Whether a name in one of them, and in the homes of which other users.
        """


@dataclass(frozen=True, slots=True)
class Place:
    """Where the instance is, and who owns it."""

    root: str
    alias: str  # the home of addresses that are nobody's
    uid: int
    gid: int


class Foresight:
    """Decides about local addresses, and remembers for a moment."""

    def __init__(
        self,
        accounts: Lookup,
        snapshot: Callable[[], Configured],
        steady: Callable[[], float],
        disk: Disk,
        folders: Folders,
        place: Place,
        look_as: Callable[[AssignEntry], Look],
        locks: Locks,
    ) -> None:
        """`look_as` returns who looks into the home of an entry: its own user."""
        self._disk = disk
        self._folders = folders
        self._accounts = accounts
        self._snapshot = snapshot
        self._steady = steady
        self._place = place
        self._root = place.root.rstrip("/") + "/"
        self._look_as = look_as
        self._locks = locks
        self._kept: dict[str, Decided] = {}
        self._listings = Listings(KEPT)
        self._changes = 0
        self._changed_homes: Counter[int] = Counter()  # of other users

    def invalidate(self) -> None:
        """Forget: an account changed."""
        self._changes += 1
        self._kept.clear()

    def cached(self, target: str) -> Decided | None:
        """Return what is known and still true, without waiting for anything but a stat."""
        changed, homes = self._folders.news()
        if changed:
            self.invalidate()
        if homes:
            self._changed_homes.update(homes)
        decided = self._kept.get(target)
        if (
            decided is None
            or decided.until < self._steady()
            or decided.epoch != self._epoch(decided.uid)
        ):
            return None
        for path, seen in decided.signature:
            if _signature(path) != seen:
                return None
        return decided

    def decide(self, target: str) -> Decided:
        """Gather the facts and decide.  Raises MailError where a fact cannot be had."""
        snapshot = self._snapshot()
        changes = self._changes
        until = self._steady() + KEPT
        local, _, host = target.rpartition("@")
        entry = snapshot.assign.find(local) or self._system_user(local)
        who = Addressee(entry.user, entry.home, local, host, entry.ext)
        epoch = (snapshot.generation, changes, self._changed_homes[entry.uid])
        signature: Signature = ()
        if entry.uid == 0:
            plan = Plan((Defer(f"{entry.rule}: {ROOT}", entry.rule),))
        else:
            plan, who, signature = self._plan(entry, who, snapshot.default_delivery)
        decided = Decided(
            plan, delivered_to(target), who, entry.uid, entry.gid, signature, until, epoch
        )
        if len(self._kept) >= SIZE:
            self._kept.clear()
        self._kept[target] = decided
        return decided

    def _epoch(self, uid: int) -> tuple[int, int, int]:
        """Return what is counted up by every change that concerns a delivery as this user."""
        return self._snapshot().generation, self._changes, self._changed_homes[uid]

    def _system_user(self, local: str) -> AssignEntry:
        """Ask the password file, else it is for alias."""
        for name in getpw.candidates(local):
            try:
                found = pwd.getpwnam(name)
            except (KeyError, ValueError):
                continue
            user = getpw.SystemUser(
                found.pw_name, found.pw_uid, found.pw_gid, found.pw_dir, _owner(found.pw_dir)
            )
            if getpw.takes_mail(user):
                return getpw.entry_of(local, user)
        place = self._place
        return getpw.alias_entry(local, place.uid, place.gid, place.alias)

    def _plan(
        self, entry: AssignEntry, who: Addressee, default: str
    ) -> tuple[Plan, Addressee, Signature]:
        """Read the .qmail file that is meant and do what its lines say."""
        names = find_dotqmail_names(entry.dash, entry.ext)
        seen: _Seen = []
        is_watched = self._is_watched(entry.home, entry)
        if entry.uid == self._place.uid and not is_watched:
            files = (*(name.file for name in names), localdomains.FILE)
            paths = (os.path.join(entry.home, file) for file in files)
            seen += ((path, _signature(path)) for path in paths)
        shown = f"{entry.home}/".removeprefix(self._root)
        try:
            home = self._look(entry, names, is_watched)
        except HomeUnreadable as error:
            text = str(error).replace(self._root, "")
            if entry.uid != self._place.uid:
                seen.append(NEVER)
            return Plan((Defer(text, Rule(shown.rstrip("/"))),)), who, tuple(seen)
        if entry.uid != self._place.uid and not home.watched:
            seen.append(NEVER)  # looked at for each mail
        if home.name is not None:
            who = replace(who, default=home.name.default)
        owner = _owner_address(who, home)
        if (wrong := check_home(shown.rstrip("/"), home.mode)) is not None:
            return Plan((wrong,), owner), who, tuple(seen)
        only_local = self._snapshot().local.only_local
        if home.local_only:
            only_local = Rule(f"{shown}{localdomains.FILE}")
        file = _file_of(home, entry, shown, default)
        if file is None:
            return Plan((missing_dotqmail(),), owner, only_local=only_local), who, tuple(seen)
        steps = read_dotqmail(file)
        if isinstance(steps, Defer):
            return Plan((steps,), owner, only_local=only_local), who, tuple(seen)
        actions = join([(n, self._expanded(step, entry, who.host, seen)) for n, step in steps])
        virtual = len(steps) == 1 and isinstance(steps[0][1], VDeliver)
        return Plan(actions, "" if virtual else owner, virtual, only_local), who, tuple(seen)

    def _look(self, entry: AssignEntry, names: tuple[Name, ...], is_watched: bool) -> Home:
        """Look at an address's home; one that is watched is read once in a moment."""
        look = self._look_as(entry)
        if is_watched:
            look = self._listings.find(entry.home, self._steady(), self._changes) or look
        return look(entry.home, names, owner_file_of(entry.dash, entry.ext))

    def _expanded(
        self, step: Step, entry: AssignEntry, host: str, seen: _Seen
    ) -> Jump | tuple[Action, ...]:
        match step:
            case VDeliver():
                return self._decide_virtual(entry, host, step, seen)
            case Jump():
                return step
            case action:
                return (action,)

    def _decide_virtual(
        self, entry: AssignEntry, host: str, step: VDeliver, seen: _Seen
    ) -> tuple[Action, ...]:
        actions = decide_virtual(self._facts(entry, host, step, seen))
        if self._snapshot().local.discard_bounce:
            actions = tuple(discarded(a) if isinstance(a, Fail) else a for a in actions)
        if entry.uid == self._place.uid:
            for action in actions:
                if isinstance(action, Deliver) and is_sticky(self._disk, action.maildir):
                    return (Defer(f"dir {action.maildir} is sticky", action.rule),)
        return actions

    def _facts(self, entry: AssignEntry, host: str, step: VDeliver, seen: _Seen) -> VirtualFacts:
        user = virtual_user(entry.ext)
        domain = self._accounts.real_domain(host.lower())
        account, aliases = self._accounts.known(user, domain) if user else (None, ())
        if not entry.ext:  # the postmaster of an empty box has no aliases
            aliases = ()
        extended = ""
        if account is None and not aliases and (base := self._stand_in(user, domain)) is not None:
            extended, user, account = user, base.name, base
            aliases = self._accounts.known(user, domain).aliases
        if account is not None and self._snapshot().local.no_alias:
            aliases = ()
        if account is not None and not self._is_watched(account.directory, entry):
            own = os.path.join(account.directory, OWN_FILE.file)
            seen.append((own, _signature(own)))
        known = self._snapshot().assign.find(f"{domain}-{user}") is not None
        maildir: str | Defer = ""
        if isinstance(step.instruction, ToMaildir) and (account is None or not account.active):
            maildir = self._maildir(step.instruction.path, step.rule)
        return VirtualFacts(
            user, domain, self._account_facts(account, entry), step.instruction, step.rule,
            aliases, known, maildir, entry.home, extended,
        )  # fmt: skip

    def _is_watched(self, home: str, entry: AssignEntry) -> bool:
        return entry.uid == self._place.uid and self._folders.add(home)

    def _stand_in(self, user: str, domain: str) -> Account | None:
        """Return the account that has the mail of an absent user: QMAIL_EXT."""
        base = base_user(user) if self._snapshot().local.qmail_ext else ""
        return self._accounts.find(base, domain) if base else None

    def _maildir(self, path: str, rule: Rule) -> str | Defer:
        """Return the path itself where it is a Maildir, else the Maildir below it; it has to exist."""
        for found in (path, f"{path}/Maildir"):
            if is_maildir(self._disk, found):
                return found
        wanted = path if path.endswith("/Maildir") else f"{path}/Maildir"
        return Defer(f"address {wanted}: no Maildir there. indimail (#4.2.0)", rule)

    def _account_facts(self, account: Account | None, entry: AssignEntry) -> AccountFacts | None:
        if account is None:
            return None
        home, settings = account.directory, self._snapshot().local
        locked = bool(account.flags & Flag.BOUNCE_MAIL)
        seen = self._lock(account, entry) if locked else LockSeen(Usage(), 0, False)
        return AccountFacts(
            home=home,
            active=account.active or settings.allow_inactive,
            locked=locked,
            usage=seen.usage,
            userquota=seen.userquota,
            quota=account.quota,
            is_group=account.is_group,
            dotqmail=None if settings.no_alias else self._own_file(home, entry),
            dateformat=_dateformat(self._disk, f"{home}/Maildir"),
            holds_overquota=seen.waits,
        )

    def _lock(self, account: Account, entry: AssignEntry) -> LockSeen:
        """Look whose lock it is; one of the quota's is lifted where there is room again."""
        seen = self._locks.look(account, entry.uid, entry.gid)
        quota = parse_quota(account.quota) or UNLIMITED
        if may_lift(seen.userquota, quota, seen.usage) and not self._locks.lift(account.address):
            return seen._replace(userquota=0)  # it is the administrator's by now
        return seen

    def _own_file(self, home: str, entry: AssignEntry) -> DotQmail | None:
        """Return a virtual user's own .qmail.  Raises HomeUnreadable."""
        if entry.uid == self._place.uid:
            read = read_file(home, OWN_FILE.file)
        else:
            read = self._read_as(entry, home)
        return None if read is None else DotQmail(f"{home}/{OWN_FILE.file}", read[0], home, read[1])

    def _read_as(self, entry: AssignEntry, home: str) -> tuple[str, int] | None:
        """Have another user's process read it."""
        try:
            found = self._look_as(entry)(home, (OWN_FILE,), "")
        except HomeMissing:
            return None
        return None if found.name is None else (found.text, found.file_mode)


def _dateformat(disk: Disk, maildir: str) -> str:
    """Return the account's date folders (``vmoduser -D``); empty for none, or where it is closed."""
    with suppress(OSError):
        return disk.read(f"{maildir}/folder.dateformat", 0, LINE).decode("utf-8", "replace")
    return ""


def _file_of(home: Home, entry: AssignEntry, shown: str, default: str) -> DotQmail | None:
    """Return the file that is meant; the default delivery where it is empty or not needed."""
    if home.name is not None and home.text:
        return DotQmail(f"{shown}{home.name.file}", home.text, entry.home, home.file_mode)
    if home.name is not None or not entry.dash:
        return DotQmail("control/defaultdelivery", default, entry.home)
    return None


def _owner_address(who: Addressee, home: Home) -> str:
    """Return the sender of what is forwarded, where the address has an owner (-owner, VERP)."""
    if home.verp:
        return f"{who.local}-owner-@{who.host}-@[]"
    return f"{who.local}-owner@{who.host}" if home.owned else ""


def _owner(path: str) -> int | None:
    try:
        return os.stat(path).st_uid
    except OSError:
        return None


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
