"""Alias lines: what becomes of mail for an address besides, or without, its mailbox.

    add_line(accounts, "sales", "example.com", "&alice@example.com")     -> None, or Refused(...)

A line is ``&user@domain`` or ``user@domain`` (forward), ``/path/`` (Maildir) or ``| program``.

Sources: spec/delivery.md 1.3, 2 (valias), 5.3 b.  Not here: following a line (`delivery`).
"""

import re
from typing import Final

from indimail.accounts.port import ALIAS_LINE_LENGTH, Accounts
from indimail.manage.names import check_user
from indimail.manage.site import Refused

_LINE: Final = re.compile(
    r"/.*|\|\s*\S.*|&[^@\s&|/][^@\s]*(?:@[^@\s]+)?|[^@\s&|/.#][^@\s]*@[^@\s]+"
)
_EXPECTED: Final = "&user@domain, user@domain, /path/of/a/Maildir/ or | program"


def add_line(accounts: Accounts, name: str, domain: str, line: str) -> Refused | None:
    """Add a line; the alias needs no mailbox, but a name that one could have."""
    refused = check_user(name, domain) or check_line(line)
    if refused is not None:
        return refused
    if accounts.add_alias(name, domain, line):
        return None
    return Refused(f"{name}@{domain}: the line [{line}] is there already", 255)


def remove_line(accounts: Accounts, name: str, domain: str, line: str) -> Refused | None:
    """Remove a line."""
    if not line.strip():
        return _EMPTY
    if accounts.remove_alias(name, domain, line):
        return None
    return _missing(accounts, name, domain, line)


def replace_line(accounts: Accounts, name: str, domain: str, old: str, new: str) -> Refused | None:
    """Put a line in another's place."""
    refused = _EMPTY if not old.strip() else check_line(new)
    if refused is not None:
        return refused
    if accounts.replace_alias(name, domain, old, new):
        return None
    return _missing(accounts, name, domain, old)


def check_line(line: str) -> Refused | None:
    """Refuse a line that no delivery understands."""
    if not line.strip():
        return _EMPTY
    if len(line) > ALIAS_LINE_LENGTH:
        return Refused(f"alias line of {len(line)} characters: at most {ALIAS_LINE_LENGTH}", 1)
    if not line.isprintable() or not _LINE.fullmatch(line):
        return Refused(f"invalid alias line {line!r}: expected {_EXPECTED}", 1)
    return None


def _missing(accounts: Accounts, name: str, domain: str, line: str) -> Refused:
    there = ", ".join(accounts.aliases(name, domain)) or "none"
    return Refused(f"{name}@{domain}: no line [{line}]; its lines: {there}", 1)


_EMPTY: Final = Refused("You cannot have an empty alias line", 1)
