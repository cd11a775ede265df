"""Many users at once: which rows are new users, which are there, and what is to be written.

    found, mistakes = find_users(site, accounts, disk, "users.csv", rows)
    plan_import(site, accounts, disk, [Filled(user, Secret(hashed)), ...], now)
        -> [MakeHomes(...), AddUsers(...), ..., TellAccount("", "example.com")], or Refused(...)

It is one change: all users or none.  Homes and rows are written some hundreds at once, and a
running server is told once for each domain.

Not here: the file (`manage.user_csv`), hashing its passwords (`cli.user_import`).
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter
from typing import Final

from indimail.accounts.port import RFC_IDS, Account, Accounts
from indimail.delivery.quota import parse_quota
from indimail.durable.disk import Disk
from indimail.mail.errors import Mistake
from indimail.mail.secret import Secret
from indimail.manage.aliasdomains import real_domain
from indimail.manage.file_writes import MakeHomes
from indimail.manage.homes import NewHomes
from indimail.manage.names import check_user, split_address
from indimail.manage.room import check_room_for_users
from indimail.manage.row_writes import AddUsers
from indimail.manage.site import Refused, Site
from indimail.manage.user_change import UserChange, plan_user_change
from indimail.manage.user_csv import UserRow
from indimail.manage.users import NewUser, check_domain_is_ours, domain_quota, new_account
from indimail.manage.writes import TellAccount, Write

BATCH: Final = 500  # homes, and rows, of one write


@dataclass(frozen=True, slots=True)
class FoundUser:
    """A row, whose user is there (`account`) or is new."""

    row: UserRow
    name: str
    domain: str
    account: Account | None

    @property
    def address(self) -> str:
        """The mailbox, in its real domain."""
        return f"{self.name}@{self.domain}"

    def change(self) -> UserChange:
        """Return what the row says otherwise than the account, but for the password."""
        row, account = self.row, self.account
        if account is None:
            return UserChange()
        quota, active = row.quota, row.active
        if quota is not None and parse_quota(quota) == parse_quota(account.quota):
            quota = None
        if active is not None and (active or self.name in RFC_IDS) == account.active:
            active = None
        name = None if row.name == account.gecos else row.name
        return UserChange(quota=quota, gecos=name, active=active)

    def after(self) -> list[Account]:
        """Return an account that is there with its quota as it shall be."""
        quota = self.change().quota
        return [] if self.account is None or quota is None else [replace(self.account, quota=quota)]


@dataclass(frozen=True, slots=True)
class FilledUser:
    """A user with what is to be stored of its password; None: it stays."""

    found: FoundUser
    password: Secret | None
    scram: Secret = Secret("")

    def change(self) -> UserChange:
        """Return what is to be changed of a user who is there."""
        return replace(self.found.change(), password=self.password, scram=self.scram)


def find_users(
    site: Site, accounts: Accounts, disk: Disk, file: str, rows: Iterable[UserRow]
) -> tuple[list[FoundUser], list[Mistake]]:
    """Return the users of the rows, and every row that can be none."""
    domains: dict[str, str | Refused] = {}
    there: dict[str, dict[str, Account]] = {}
    lines: dict[str, int] = {}
    found, mistakes = [], []
    for row in rows:
        name, given = split_address(row.email)
        domain = domains.get(given)
        if domain is None:
            domain = domains[given] = _our_domain(site, accounts, disk, given)
        if isinstance(domain, Refused):
            mistakes.append(Mistake(file, row.line, row.email, f"a domain of ours: {domain.text}"))
            continue
        if domain not in there:
            there[domain] = {account.name: account for account in accounts.users(domain)}
        user = FoundUser(row, name, domain, there[domain].get(name))
        refused = check_user(name, domain, "", site.variables.get("ALLOWCHARS", ""))
        if user.account is None and refused is not None:
            mistakes.append(Mistake(file, row.line, row.email, f"a user's name: {refused.text}"))
        elif user.address in lines:
            what = f"a user once: it is in line {lines[user.address]} too"
            mistakes.append(Mistake(file, row.line, row.email, what))
        else:
            lines[user.address] = row.line
            found.append(user)
    return found, [*mistakes, *_unfit(accounts, file, found)]


def _unfit(accounts: Accounts, file: str, users: Sequence[FoundUser]) -> list[Mistake]:
    """Return the rows whose names have characters that the tables lack."""
    names = {user.row.line: user.row.name or "" for user in users}
    if accounts.can_hold("".join({letter for name in names.values() for letter in name})):
        return []
    expected = "characters that the database's tables can hold"
    return [
        Mistake(file, line, f"the name {name!r}", expected)
        for line, name in names.items()
        if not accounts.can_hold(name)
    ]


def _our_domain(site: Site, accounts: Accounts, disk: Disk, domain: str) -> str | Refused:
    real = real_domain(site, accounts, domain)
    return check_domain_is_ours(site, disk, real) or real


def plan_import(
    site: Site, accounts: Accounts, disk: Disk, users: Sequence[FilledUser], now: float
) -> list[Write] | Refused:
    """Return what adds and changes users; those who are as they should be are left out."""
    writes: list[Write] = []
    by_domain = attrgetter("found.domain")
    for domain, members in groupby(sorted(users, key=by_domain), key=by_domain):
        planned = _plan_domain(site, accounts, disk, domain, list(members), now)
        if isinstance(planned, Refused):
            return planned
        writes += planned
    return writes


def _plan_domain(
    site: Site,
    accounts: Accounts,
    disk: Disk,
    domain: str,
    users: Sequence[FilledUser],
    now: float,
) -> list[Write] | Refused:
    homes = NewHomes(site, accounts, disk, domain)
    quota = domain_quota(site, accounts, disk, domain)
    added = _added(accounts, homes, quota, [user for user in users if user.found.account is None])
    if isinstance(added, Refused):
        return added
    there = [user for user in users if user.found.account is not None]
    changed = _changed(site, accounts, disk, there, now)
    if isinstance(changed, Refused):
        return changed
    after = [account for user in there for account in user.found.after()]
    refused = check_room_for_users(site, accounts, disk, domain, [*added, *after])
    if refused is not None:
        return refused
    writes = [*_batches(added, int(now)), *homes.writes(), *changed]
    return [*writes, TellAccount("", domain)] if writes else []


def _added(
    accounts: Accounts, homes: NewHomes, quota: str, users: Sequence[FilledUser]
) -> list[Account] | Refused:
    there: set[str] = set()
    if users:
        there = {account.name for account in accounts.users(users[0].found.domain)}
    made = []
    for user in users:
        if user.found.name in there:  # somebody made it while passwords were hashed
            return Refused(f"username {user.found.address} exists", 100, os.EX_CANTCREAT)
        account = _account(user, homes, quota)
        if isinstance(account, Refused):
            return account
        made.append(account)
    return made


def _account(user: FilledUser, homes: NewHomes, quota: str) -> Account | Refused:
    found, row = user.found, user.found.row
    new = NewUser(
        name=found.name,
        domain=found.domain,
        password=user.password or Secret(""),
        scram=user.scram,
        active=row.active is not False,
    )
    account = new_account(new, homes.next(found.name), row.quota or quota)
    if isinstance(account, Refused) or row.name is None:
        return account
    return replace(account, gecos=row.name)


def _batches(accounts: Sequence[Account], now: int) -> Iterator[Write]:
    for at in range(0, len(accounts), BATCH):
        batch = tuple(accounts[at : at + BATCH])
        yield MakeHomes(tuple(account.directory for account in batch))
        yield AddUsers(batch, now)


def _changed(
    site: Site, accounts: Accounts, disk: Disk, users: Iterable[FilledUser], now: float
) -> list[Write] | Refused:
    writes: list[Write] = []
    for user in users:
        change = user.change()
        if change == UserChange():
            continue
        planned = plan_user_change(
            site, accounts, disk, user.found.name, user.found.domain, change, now
        )
        if isinstance(planned, Refused):
            return replace(planned, text=f"{user.found.address}: {planned.text}")
        writes += [write for write in planned if not isinstance(write, TellAccount)]
    return writes
