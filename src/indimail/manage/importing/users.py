"""Users of another system as accounts of ours: names, homes, quotas, or why one is left.

    taken = take_users(site, accounts, disk, domain, ways, report, now)
    taken.users        -> [TakenUser(arrival, found, is_new=True), ...]
    taken.counted      -> [SetCount(...), ...]

A user who is here already stays as it is; where the source says something else, that is told.  Two
users of the source with one home have one home here too.

Sources: spec/delivery.md 1.2, 2.2; spec/cluster-users.md 1.2.
Not here: passwords (`manage.importing.credentials`), the rows' writing.
"""

from dataclasses import dataclass
from typing import Final

from indimail.accounts.port import (
    DIRECTORY_LENGTH,
    GECOS_LENGTH,
    QUOTA_LENGTH,
    RFC_IDS,
    Account,
    Accounts,
    Arrival,
    Flag,
    LastEvent,
)
from indimail.delivery.quota import NO_QUOTA, parse_quota
from indimail.durable.disk import Disk
from indimail.manage.homes import NewHomes, check_trees
from indimail.manage.importing.credentials import decide
from indimail.manage.importing.report import Report, State
from indimail.manage.importing.source import FoundDomain, FoundUser
from indimail.manage.importing.ways import Mail, Ways
from indimail.manage.names import check_user
from indimail.manage.site import Site
from indimail.manage.writes import Write

_KNOWN_FLAGS: Final = sum(Flag)


@dataclass(frozen=True, slots=True)
class TakenUser:
    """A user as it is here, or will be; `is_same`: the source says the same of it."""

    arrival: Arrival
    found: FoundUser
    is_new: bool
    is_same: bool

    @property
    def account(self) -> Account:
        """The row."""
        return self.arrival.account


@dataclass(frozen=True, slots=True)
class TakenUsers:
    """Those of a domain, and what counts their homes."""

    users: list[TakenUser]
    counted: list[Write]


def take_users(
    site: Site,
    accounts: Accounts,
    disk: Disk,
    domain: FoundDomain,
    ways: Ways,
    report: Report,
    now: float,
) -> TakenUsers:
    """Return the users of a domain that can be taken, by name as it was found."""
    taking = _Taking(site, accounts, disk, domain, ways, report)
    for user in domain.users:
        taking.take(user, now)
    return taking.taken()


class _Taking:
    """One domain's users, one after the other."""

    def __init__(
        self,
        site: Site,
        accounts: Accounts,
        disk: Disk,
        domain: FoundDomain,
        ways: Ways,
        report: Report,
    ) -> None:
        self._site, self._accounts, self._disk = site, accounts, disk
        self._domain, self._ways, self._report = domain, ways, report
        self._here = {account.name: account for account in accounts.users(domain.name)}
        level = domain.settings.get(".users_per_level", "")
        per_level = int(level) if level.isdecimal() else 0
        self._homes = NewHomes(site, accounts, disk, domain.name, users_per_level=per_level)
        self._taken: dict[str, TakenUser] = {}
        self._housed: dict[str, str] = {}  # where a home lies -> where it is here

    def take(self, user: FoundUser, now: float) -> None:
        """Take a user, or tell why not."""
        name = self._name(user)
        if name in self._taken:
            why = "a second one; the first counts"
            self._report.note(State.LEFT, user.where, user.name, why)
        if not name or name in self._taken:
            return
        known = self._here.get(name)
        noted = Report()
        account = self._account(name, user, self._directory(name, user, known), known, noted)
        is_same = known is None or _is_same(known, account, user, self._report)
        if is_same:
            self._report.take_notes(noted)
        events = user.events or (LastEvent("add", int(now), ""),)
        locked = Flag.BOUNCE_MAIL in account.flags
        arrival = Arrival(known or account, events, user.usage if locked else 0)
        self._taken[name] = TakenUser(arrival, user, known is None, is_same)

    def taken(self) -> TakenUsers:
        """Return those that were taken."""
        users = list(self._taken.values())
        left = [user for user in users if user.is_same and user.found.clear]
        if left and not self._ways.keep_clear:
            what = f"passwords of {len(left)} users that are stored as they are"
            why = "their hashes are taken; -C keeps them, for CRAM-MD5"
            self._report.note(State.LEFT, self._domain.where, f"{self._domain.name}: {what}", why)
        return TakenUsers(users, self._homes.writes())

    def _name(self, user: FoundUser) -> str:
        """Return the name as it will be, empty where it is none."""
        name = user.name.lower()
        allowed = self._site.variables.get("ALLOWCHARS", "")
        refused = check_user(name, self._domain.name, "", allowed)
        if refused is not None:
            self._report.note(State.LEFT, user.where, user.name, refused.text)
            return ""
        if name != user.name:
            self._report.note(State.CHANGED, user.where, user.name, f"is {name} here")
        return name

    def _directory(self, name: str, user: FoundUser, known: Account | None) -> str:
        """Return the home here: that of who is here, one that is shared, where it is, a new one."""
        shared = self._housed.get(user.home, "")
        if shared:
            self._report.note(State.CHANGED, user.where, name, f"shares the home {shared}")
        directory = known.directory if known else shared
        directory = directory or self._left_in_place(name, user) or self._homes.next(name)
        if user.home:
            self._housed.setdefault(user.home, directory)
        return directory

    def _left_in_place(self, name: str, user: FoundUser) -> str:
        """Return where a home is, if it can stay there; empty: it cannot, or shall not."""
        home = user.home
        if self._ways.mail is not Mail.IN_PLACE or not home:
            return ""
        is_named = home.isprintable() and "'" not in home and '"' not in home
        refused = check_trees(
            self._site, self._accounts, self._disk, [home], self._domain.name, name
        )
        if is_named and len(home) <= DIRECTORY_LENGTH and refused is None:
            return home
        why = refused.text if refused else "no row can name it"
        self._report.note(State.MEND, user.where, home, f"cannot stay a home, has a new one: {why}")
        return ""

    def _account(
        self, name: str, user: FoundUser, directory: str, known: Account | None, report: Report
    ) -> Account:
        """Return the account as the source has it; `known` is the one that is here."""
        hashed = (lambda _: known.password) if known else self._ways.hashed
        password, scram = decide(
            user, keep_clear=self._ways.keep_clear, hashed=hashed, report=report
        )
        return Account(
            name=name,
            domain=self._domain.name,
            password=password,
            scram=scram,
            flags=_flags(user, report),
            gecos=_gecos(user, self._accounts, report),
            directory=directory,
            quota=_quota(user, report),
            active=user.active or name in RFC_IDS,
        )


def _is_same(known: Account, account: Account, user: FoundUser, report: Report) -> bool:
    """Tell whether who is here is as the source has it, and say what is not."""
    different = [
        label
        for label in ("password", "flags", "gecos", "quota", "active")
        if getattr(account, label) != getattr(known, label)
    ]
    if different:
        why = f"is here already, with another {', '.join(different)}"
        report.note(State.KEPT, user.where, account.address, why)
    return not different


def _flags(user: FoundUser, report: Report) -> Flag:
    if unknown := user.flags & ~_KNOWN_FLAGS:
        report.note(State.LEFT, user.where, f"{user.name}: {unknown:#x}", "no such flag here")
    return Flag(user.flags & _KNOWN_FLAGS)


def _gecos(user: FoundUser, accounts: Accounts, report: Report) -> str:
    """Return the gecos as a row can have it."""
    shown = "".join(" " if c == ":" or not c.isprintable() else c for c in user.gecos).strip()
    if not accounts.can_hold(shown):  # IndiMail's own tables
        shown = shown.encode("ascii", "replace").decode()
    gecos = shown[:GECOS_LENGTH]
    if gecos != user.gecos.strip():
        report.note(State.CHANGED, user.where, user.name, f"its gecos is [{gecos}] here")
    return gecos or user.name.lower()[:GECOS_LENGTH]


def _quota(user: FoundUser, report: Report) -> str:
    """Return the quota as it is stored; vpopmail also wrote 1MB and 1000KB."""
    text = user.quota.strip()
    if text.upper() in ("", NO_QUOTA):
        return NO_QUOTA
    bare = text[:-1] if text[-1:] in "bB" else text
    quota = parse_quota(bare)
    if quota is None or len(str(quota)) > QUOTA_LENGTH:
        report.note(State.MEND, user.where, user.name, f"quota [{text}] not understood: has none")
        return NO_QUOTA
    return bare if len(bare) <= QUOTA_LENGTH else str(quota)
