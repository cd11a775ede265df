"""A new quota: from what users write and what is stored, and into the mailbox's maildirsize.

    new_quota("52428800,1000", "+5M")            -> '57671680,1000'
    new_quota("NOQUOTA", "50M,1000")             -> '52428800S,1000C'
    new_quota("52428800", "NOQUOTA")             -> 'NOQUOTA'
    record_usage(disk, maildir, "52428800")      -> Usage(...), and maildirsize says the same

Sources: spec/delivery.md 1.3, 2 (vsetuserquota), 2.3, 8.3.  Not here: how a quota is read
(`manage.quota`), what a delivery does about it (`delivery`).
"""

import os
from typing import Final

from indimail.accounts.port import QUOTA_LENGTH
from indimail.control.files import write_atomic
from indimail.durable.disk import Disk
from indimail.manage.quota import Usage, octets_of, parse_quota, usage

MAILDIRSIZE: Final = "maildirsize"
EXPECTED: Final = "50M, 50M,1000, NOQUOTA; +5M or -5M where there is a limit"

_TOO_MUCH: Final = 1 << 63  # what a column of numbers holds


def new_quota(stored: str, wanted: str) -> str | None:
    """Return what is to be stored; None where `wanted` is not understood or leaves nothing."""
    is_step = wanted[:1] in ("+", "-")
    new = _adjusted(stored, wanted) if is_step else _marked(parse_quota(wanted))
    fits = new is not None and len(new) <= QUOTA_LENGTH and octets_of(new) < _TOO_MUCH
    return new if fits else None


def record_usage(disk: Disk, maildir: str, stored: str) -> Usage:
    """Count what the mailbox holds, and write it with the quota; without a limit no file is kept.

    A copy that arrives while this counts is missing in the file until the next recount.
    """
    found, path = usage(maildir), os.path.join(maildir, MAILDIRSIZE)
    messages = stored.partition(",")[2]
    if octets_of(stored) or messages:
        first = f"{octets_of(stored)}S" + (f",{messages.rstrip('cC')}C" if messages else "")
        second = f"{found.octets} {found.messages}\n" if found.messages else ""
        write_atomic(disk, path, [f"{first}\n{second}".encode()], 0o600)
    elif disk.exists(path):
        disk.unlink(path)
        disk.sync_directory(maildir)
    return found


def _marked(quota: str | None) -> str | None:
    """Write units where messages are limited too, as vsetuserquota and maildirsize do."""
    octets, comma, messages = (quota or "").partition(",")
    return f"{octets}S,{messages}C" if comma else quota


def _adjusted(stored: str, wanted: str) -> str | None:
    """Add to the size, or take from it; the rest of the text stays as it is written."""
    octets, step = octets_of(stored), parse_quota(wanted[1:])
    if not octets or step is None or not step.isdecimal():
        return None
    octets += int(step) if wanted[0] == "+" else -int(step)
    size, comma, messages = stored.partition(",")
    unit = size[-1] if size[-1] in "sS" else ""
    return f"{octets}{unit}{comma}{messages}" if octets > 0 else None
