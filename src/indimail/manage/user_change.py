"""Change a user: quota, name, password, flags, active or not, date folders, automatic reply.

    change = UserChange(quota="+5M", given=Flag.NO_POP)
    change_user(site, accounts, disk, "alice", "example.com", change, now)  -> Account, or Refused

All of it is one transaction of the row, on the row as it then is: what the server writes at the
same time (the lock of a full mailbox) is not undone.

An account that is made inactive keeps its mail, its filters, its quota and its aliases; only its
row moves to `indibak`.

Sources: spec/delivery.md 1.3, 2 (vmoduser, vsetuserquota), 2.3, 10 (5).
Not here: the files of an automatic reply (`manage.autoreply`).
"""

import os
from dataclasses import dataclass, replace
from typing import Final

from indimail.accounts.port import (
    GECOS_LENGTH,
    PASSWORD_LENGTH,
    RFC_IDS,
    Account,
    Accounts,
    Flag,
    LastEvent,
)
from indimail.control.files import write_atomic
from indimail.durable.disk import Disk
from indimail.mail.secret import Secret
from indimail.manage.autoreply import remove_autoreply, write_autoreply
from indimail.manage.layout import make_home
from indimail.manage.quota_change import EXPECTED, new_quota, recount
from indimail.manage.site import Refused, Site, alone

DATE_FOLDER: Final = "folder.dateformat"


@dataclass(frozen=True, slots=True)
class UserChange:
    """What is to change; None and False: stays.

    `quota` as users write it, ``+5M`` and ``-5M`` too; `given` are flags to set, or with `toggle`
    to turn over, after `clear` took all away; `switch` makes an active user inactive and back;
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
    date_format: str | None = None
    autoreply: bytes | None = None


class _Ended(Exception):
    """The change cannot be made of this row."""

    def __init__(self, refused: Refused) -> None:
        super().__init__(refused.text)
        self.refused = refused


def change_user(
    site: Site,
    accounts: Accounts,
    disk: Disk,
    name: str,
    domain: str,
    change: UserChange,
    now: float,
) -> Account | Refused:
    """Change a user; nothing is changed where anything is refused."""
    with alone(site):
        account = accounts.find(name, domain)
        if account is None:
            return Refused(f"no such user {name}@{domain}", 1)
        refused = _check(account, change)
        if refused is not None:
            return refused
        if change.date_format or change.autoreply or (change.switch and not account.active):
            make_home(disk, account.directory)  # before the row says that mail may come
        try:
            # Commit point: the row.  What follows are files that can be made again.
            changed = accounts.modify(name, domain, lambda row: _changed(row, change))
        except _Ended as ended:
            return ended.refused
        if changed is None:
            return Refused(f"no such user {name}@{domain}", 1)
        _follow(accounts, disk, changed, change, now)
    return changed


def _check(account: Account, change: UserChange) -> Refused | None:
    if change.switch and account.active and account.name in RFC_IDS:
        return Refused("RFC Ids cannot be made inactive", 255)
    gecos = change.gecos or ""
    if len(gecos) > GECOS_LENGTH:
        return Refused(f"Name too long: expected at most {GECOS_LENGTH} characters", 100)
    if ":" in gecos or not gecos.isprintable():
        what = "printable characters, and ':' not allowed in names"
        return Refused(f"invalid name {gecos!r}: expected {what}", 100)
    if change.password is not None and len(change.password.reveal()) > PASSWORD_LENGTH:
        return Refused("Password too long", 100)
    has_files = (change.quota, change.date_format, change.autoreply) != (None, None, None)
    if (has_files or change.switch) and not os.path.isabs(account.directory):
        what = "the full path of a home"
        return Refused(f"{account.address}: found [{account.directory}], expected {what}", 1)
    date = change.date_format or ""
    if "/" in date or date.startswith(".") or not date.isprintable():
        what = "a folder's name with the letters of strftime, like %Y-%m"
        return Refused(f"invalid date format [{date}]: expected {what}", 100)
    return None


def _changed(row: Account, change: UserChange) -> Account:
    flags = Flag(0) if change.clear else row.flags
    return replace(
        row,
        quota=row.quota if change.quota is None else _quota(row, change.quota),
        gecos=row.gecos if change.gecos is None else change.gecos,
        password=change.password or row.password,
        scram=change.scram if change.password else row.scram,
        flags=flags ^ change.given if change.toggle else flags | change.given,
        active=row.active is not change.switch,
    )


def _quota(row: Account, wanted: str) -> str:
    stored = new_quota(row.quota, wanted)
    if stored is None:
        what = f"invalid quota [{wanted}] for {row.address}, which has [{row.quota}]"
        raise _Ended(Refused(f"{what}: expected {EXPECTED}", 100))
    return stored


def _follow(
    accounts: Accounts, disk: Disk, account: Account, change: UserChange, now: float
) -> None:
    if change.switch:
        service = "ACTI" if account.active else "INAC"
        accounts.record_event(account, LastEvent(service, int(now), ""))
    if change.password is not None:
        accounts.record_event(account, LastEvent("pass", int(now), ""))
    if change.clear or Flag.BOUNCE_MAIL in change.given:
        # A lock that an administrator sets is not the quota's, also where that one was before.
        accounts.set_userquota(account.name, account.domain, 0)
    maildir = os.path.join(account.directory, "Maildir")
    if change.quota is not None:
        recount(disk, maildir, account.quota)
    if change.date_format is not None:
        _write_date_format(disk, maildir, change.date_format)
    if change.autoreply:
        write_autoreply(disk, account.directory, change.autoreply)
    elif change.autoreply is not None:
        remove_autoreply(disk, account.directory)


def _write_date_format(disk: Disk, maildir: str, text: str) -> None:
    path = os.path.join(maildir, DATE_FOLDER)
    if text:
        write_atomic(disk, path, [text.encode()], 0o600)
    elif disk.exists(path):
        disk.unlink(path)
        disk.sync_directory(maildir)
