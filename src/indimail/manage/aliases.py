"""Alias lines: what becomes of mail for an address besides, or without, its mailbox.

    change = LineChange(new="&alice@example.com")
    plan_alias_change(site, accounts, disk, "sales", "example.com", change)
        -> [AddAlias(...), TellAccount(...)], or Refused(...)

A line is ``&user@domain`` or ``user@domain`` (forward), ``/path/`` (Maildir) or ``| program``.

Sources: spec/delivery.md 1.3, 2 (valias), 5.3 b.  Not here: following a line (`delivery`).
"""

import os
import re
from dataclasses import dataclass
from typing import Final

from indimail.accounts.port import ALIAS_LINE_LENGTH, Accounts, AliasLine
from indimail.durable.disk import Disk
from indimail.manage.names import check_user
from indimail.manage.room import check_room_for_line
from indimail.manage.row_writes import AddAlias, RemoveAlias
from indimail.manage.site import Refused, Site
from indimail.manage.users import check_domain_is_ours
from indimail.manage.writes import TellAccount, Write

_LINE: Final = re.compile(
    r"/.*|\|\s*\S.*|&[^@\s&|/][^@\s]*(?:@[^@\s]+)?|[^@\s&|/.#][^@\s]*@[^@\s]+"
)
_EXPECTED: Final = "&user@domain, user@domain, /path/of/a/Maildir/ or | program"


@dataclass(frozen=True, slots=True)
class LineChange:
    """A line that comes, one that goes, or both: one in the other's place."""

    new: str | None = None
    gone: str | None = None

    def __str__(self) -> str:
        return f"+[{self.new or ''}] -[{self.gone or ''}]"


def plan_alias_change(
    site: Site, accounts: Accounts, disk: Disk, name: str, domain: str, change: LineChange
) -> list[Write] | Refused:
    """Return what changes the lines of an address of ours, where its domain's limits leave room."""
    refused = check_domain_is_ours(site, disk, domain)
    writes = refused or plan_alias_lines(accounts, name, domain, change)
    if isinstance(writes, Refused) or change.new is None:
        return writes
    gone = None if change.gone is None else AliasLine(name, domain, change.gone)
    new = AliasLine(name, domain, change.new)
    return check_room_for_line(site, accounts, disk, new, gone) or writes


def plan_alias_lines(
    accounts: Accounts, name: str, domain: str, change: LineChange
) -> list[Write] | Refused:
    """Return what changes the lines of an address, which needs no mailbox.

    A line that takes another's place may be there already.
    """
    lines = accounts.aliases(name, domain)
    refused = _check(lines, name, domain, change)
    if refused is not None:
        return refused
    writes: list[Write] = []
    if change.new is not None:
        writes.append(AddAlias(name, domain, change.new))
    if change.gone is not None and change.gone != change.new:
        writes.append(RemoveAlias(name, domain, change.gone))
    return [*writes, TellAccount(name, domain)]


def _check(lines: list[str], name: str, domain: str, change: LineChange) -> Refused | None:
    new, gone = change.new, change.gone
    if gone is None:
        refused = check_user(name, domain) or check_line(new or "")
        if refused is None and new in lines:
            return Refused(
                f"{name}@{domain}: the line [{new}] is there already", 255, os.EX_CANTCREAT
            )
        return refused
    refused = _EMPTY if not gone.strip() else None if new is None else check_line(new)
    if refused is None and gone not in lines:
        there = ", ".join(lines) or "none"
        return Refused(f"{name}@{domain}: no line [{gone}]; its lines: {there}", 1, os.EX_NOUSER)
    return refused


def check_line(line: str) -> Refused | None:
    """Refuse a line that no delivery understands."""
    if not line.strip():
        return _EMPTY
    if len(line) > ALIAS_LINE_LENGTH:
        return Refused(f"alias line of {len(line)} characters: at most {ALIAS_LINE_LENGTH}", 1)
    if not line.isprintable() or not _LINE.fullmatch(line):
        return Refused(f"invalid alias line {line!r}: expected {_EXPECTED}", 1)
    return None


_EMPTY: Final = Refused("You cannot have an empty alias line", 1)
