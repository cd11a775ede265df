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
from indimail.manage.homes import NewHomes
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
    here = {account.name: account for account in accounts.users(domain.name)}
    level = domain.settings.get(".users_per_level", "")
    homes = NewHomes(
        site, accounts, disk, domain.name, users_per_level=int(level) if level.isdecimal() else 0
    )
    taken: dict[str, TakenUser] = {}
    housed: dict[str, str] = {}  # where a home lies -> where it is here
    for user in domain.users:
        name = _name(site, domain.name, user, report)
        if name in taken:
            report.note(State.LEFT, user.where, user.name, "a second one; the first counts")
        if not name or name in taken:
            continue
        source = user.home
        known = here.get(name)
        directory = known.directory if known else housed.get(source, "")
        if source in housed:
            report.note(State.CHANGED, user.where, name, f"shares the home {housed[source]}")
        if not directory:
            directory = _directory(user, source, homes, name, ways, report)
        if source:
            housed.setdefault(source, directory)
        noted = Report()
        account = _account(accounts, name, domain.name, user, directory, ways, noted, known)
        is_same = known is None or _is_same(known, account, user, report)
        if is_same:
            report.take_notes(noted)
        events = user.events or (LastEvent("add", int(now), ""),)
        locked = Flag.BOUNCE_MAIL in account.flags
        arrival = Arrival(known or account, events, user.usage if locked else 0)
        taken[name] = TakenUser(arrival, user, known is None, is_same)
    _tell_of_clear_texts(domain, taken, ways, report)
    return TakenUsers(list(taken.values()), homes.writes())


def _name(site: Site, domain: str, user: FoundUser, report: Report) -> str:
    """Return the name as it will be, empty where it is none."""
    name = user.name.lower()
    refused = check_user(name, domain, "", site.variables.get("ALLOWCHARS", ""))
    if refused is not None:
        report.note(State.LEFT, user.where, user.name, refused.text)
        return ""
    if name != user.name:
        report.note(State.CHANGED, user.where, user.name, f"is {name} here")
    return name


def _directory(
    user: FoundUser, source: str, homes: NewHomes, name: str, ways: Ways, report: Report
) -> str:
    """Return the home here: a new one, or where it is."""
    if ways.mail is not Mail.IN_PLACE:
        return homes.next(name)
    is_usable = source.isprintable() and len(source) <= DIRECTORY_LENGTH
    if source and is_usable and "'" not in source and '"' not in source and source.count("/") > 2:
        return source
    if source:
        report.note(State.MEND, user.where, user.directory, "cannot be a home: it has a new one")
    return homes.next(name)


def _account(
    accounts: Accounts,
    name: str,
    domain: str,
    user: FoundUser,
    directory: str,
    ways: Ways,
    report: Report,
    known: Account | None,
) -> Account:
    """Return the account as the source has it; `known` is the one that is here."""
    hashed = (lambda _: known.password) if known else ways.hashed
    password, scram = decide(user, keep_clear=ways.keep_clear, hashed=hashed, report=report)
    return Account(
        name=name,
        domain=domain,
        password=password,
        scram=scram,
        flags=_flags(user, report),
        gecos=_gecos(user, accounts, report),
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


def _tell_of_clear_texts(
    domain: FoundDomain, taken: dict[str, TakenUser], ways: Ways, report: Report
) -> None:
    left = [user for user in taken.values() if user.is_same and user.found.clear]
    if left and not ways.keep_clear:
        why = "their hashes are taken; -C keeps them, for CRAM-MD5"
        what = f"{domain.name}: passwords of {len(left)} users that are stored as they are"
        report.note(State.LEFT, domain.where, what, why)
