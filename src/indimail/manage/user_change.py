"""Change a user: quota, name, password, flags, active or not, date folders, automatic reply.

    change = UserChange(quota="+5M", given=Flag.NO_POP)
    plan_user_change(site, accounts, disk, "alice", "example.com", change, now)
        -> [SetQuota(...), SetFlags(...), TellAccount(...), Recount(...)], or Refused(...)

What the server writes at the same time (the lock of a full mailbox) is not undone: each write sets
what it names, on the row as it then is.

An account that is made inactive keeps its mail, its filters, its quota and its aliases; only its
row moves to `indibak`.

Sources: spec/delivery.md 1.3, 2 (vmoduser, vsetuserquota), 2.3, 10 (5).
Not here: the files of an automatic reply (`manage.autoreply`).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from indimail.accounts.port import (
    GECOS_LENGTH,
    PASSWORD_LENGTH,
    RFC_IDS,
    Account,
    Accounts,
    Flag,
)
from indimail.durable.disk import Disk
from indimail.mail.secret import Secret
from indimail.manage.autoreply import no_reply_writes, reply_writes
from indimail.manage.file_writes import MakeHome, Recount, RemoveFile, WriteFile
from indimail.manage.quota_change import EXPECTED, new_quota
from indimail.manage.room import check_room_for_quota, check_room_for_reply
from indimail.manage.row_writes import SetActive, SetFlags, SetGecos, SetPassword, SetQuota
from indimail.manage.site import Refused, Site
from indimail.manage.writes import TellAccount, Write

DATE_FOLDER: Final = "folder.dateformat"
LONGEST_FORMAT: Final = 64  # a folder's name is to hold what becomes of it


@dataclass(frozen=True, slots=True)
class UserChange:
    """What is to change; None and False: stays.

    `quota` as users write it, ``+5M`` and ``-5M`` too; `given` are flags to set, or with `toggle`
    to turn over, after `clear` took all away, and `gone` flags to clear; `switch` makes an active
    user inactive and back, `active` says which of both it shall be;
    an empty `date_format` ends the sorting into date folders, an empty `autoreply` the replies.
    `scram` goes with a password.
    """

    quota: str | None = None
    gecos: str | None = None
    password: Secret | None = None
    scram: Secret = Secret("")
    given: Flag = Flag(0)
    clear: bool = False
    toggle: bool = False
    switch: bool = False
    gone: Flag = Flag(0)
    active: bool | None = None
    date_format: str | None = None
    autoreply: bytes | None = None

    def __str__(self) -> str:
        """Return what is asked for, without secrets and long texts."""
        flags, gone = (
            "".join(f" {flag.name}" for flag in flags) for flags in (self.given, self.gone)
        )
        told = {
            f"quota {self.quota}": self.quota is not None,
            f"name {self.gecos}": self.gecos is not None,
            "password": self.password is not None,
            "no flags": self.clear,
            f"{'turned' if self.toggle else 'set'}{flags}": bool(self.given),
            f"cleared{gone}": bool(self.gone),
            "active or not": self.switch,
            "active": self.active is True,
            "inactive": self.active is False,
            f"date folders {self.date_format}": self.date_format is not None,
            "automatic reply": self.autoreply is not None,
        }
        return ", ".join(text for text, is_asked in told.items() if is_asked)

    @property
    def is_relative(self) -> bool:
        """Tell whether it comes to something else when it is made twice."""
        return self.toggle or self.switch or (self.quota or "")[:1] in ("+", "-")


def plan_user_change(
    site: Site,
    accounts: Accounts,
    disk: Disk,
    name: str,
    domain: str,
    change: UserChange,
    now: float,
) -> list[Write] | Refused:
    """Return what changes a user; nothing is changed where anything is refused."""
    account = accounts.find(name, domain)
    if account is None:
        return Refused(f"no such user {name}@{domain}", 1, os.EX_NOUSER)
    refused = _check(account, change)
    if refused is not None:
        return refused
    quota = account.quota if change.quota is None else new_quota(account.quota, change.quota)
    if quota is None:
        what = f"invalid quota [{change.quota}] for {account.address}, which has [{account.quota}]"
        return Refused(f"{what}: expected {EXPECTED}", 100)
    refused = _check_room(site, accounts, disk, account, change, quota)
    if refused is not None:
        return refused
    is_to_be_active = _is_switched(account, change) and not account.active
    needs_home = change.date_format or change.autoreply or is_to_be_active
    rows = list(_rows(account, change, quota, int(now)))
    return [
        *([MakeHome(account.directory)] if needs_home else []),  # before mail may come
        *rows,
        *([TellAccount(name, domain)] if rows else []),
        *_files(disk, account.directory, change, quota),
    ]


def _is_switched(account: Account, change: UserChange) -> bool:
    return change.switch or change.active not in (None, account.active)


def _check(account: Account, change: UserChange) -> Refused | None:
    is_switched = _is_switched(account, change)
    if is_switched and account.active and account.name in RFC_IDS:
        return Refused("RFC Ids cannot be made inactive", 255, os.EX_NOPERM)
    gecos = change.gecos or ""
    if len(gecos) > GECOS_LENGTH:
        return Refused(f"Name too long: expected at most {GECOS_LENGTH} characters", 100)
    if ":" in gecos or not gecos.isprintable():
        what = "printable characters, and ':' not allowed in names"
        return Refused(f"invalid name {gecos!r}: expected {what}", 100)
    if change.password is not None and len(change.password.reveal()) > PASSWORD_LENGTH:
        return Refused("Password too long", 100)
    has_files = (change.quota, change.date_format, change.autoreply) != (None, None, None)
    if (has_files or is_switched) and not os.path.isabs(account.directory):
        what = "the full path of a home"
        return Refused(f"{account.address}: found [{account.directory}], expected {what}", 1)
    date = change.date_format or ""
    is_long = len(date) > LONGEST_FORMAT
    if is_long or "/" in date or date.startswith(".") or not date.isprintable():
        what = "a folder's name with the letters of strftime, like %Y-%m"
        return Refused(f"invalid date format [{date}]: expected {what}", 100)
    return None


def _check_room(
    site: Site, accounts: Accounts, disk: Disk, account: Account, change: UserChange, quota: str
) -> Refused | None:
    """Refuse what the limits of the domain leave no room for, by the flags that will be."""
    given, gone = _flags(account, change)
    account = replace(account, flags=account.flags & ~gone | given)
    refused = None
    if change.quota is not None:
        refused = check_room_for_quota(site, accounts, disk, account, quota)
    if refused is None and change.autoreply:
        refused = check_room_for_reply(site, accounts, disk, account)
    return refused


def _rows(account: Account, change: UserChange, quota: str, now: int) -> Iterator[Write]:
    name, domain = account.name, account.domain
    if change.quota is not None:
        yield SetQuota(name, domain, quota)
    if change.gecos is not None:
        yield SetGecos(name, domain, change.gecos)
    if change.password is not None:
        yield SetPassword(name, domain, change.password, change.scram, now)
    given, gone = _flags(account, change)
    if given or gone:
        yield SetFlags(name, domain, given, gone)
    if _is_switched(account, change):
        yield SetActive(name, domain, not account.active, now)


def _flags(account: Account, change: UserChange) -> tuple[Flag, Flag]:
    """Return the flags that come and those that go."""
    before = Flag(0) if change.clear else account.flags & ~change.gone
    after = before ^ change.given if change.toggle else before | change.given
    # The server may set the lock meanwhile: it goes too where all go.
    gone = change.gone | (account.flags | Flag.BOUNCE_MAIL if change.clear else change.given)
    return change.given & after, gone & ~after


def _files(disk: Disk, home: str, change: UserChange, quota: str) -> Iterator[Write]:
    maildir = os.path.join(home, "Maildir")
    if change.quota is not None:
        yield Recount(maildir, quota)
    if change.date_format is not None:
        path = os.path.join(maildir, DATE_FOLDER)
        yield WriteFile(path, change.date_format) if change.date_format else RemoveFile(path)
    if change.autoreply:
        yield from reply_writes(home, change.autoreply)
    elif change.autoreply is not None:
        yield from no_reply_writes(disk, home)
