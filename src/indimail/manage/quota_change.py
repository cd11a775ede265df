"""A new quota, from what users write and what is stored; the file maildirsize then says the same.

    new_quota("52428800,1000", "+5M")            -> '57671680,1000'
    new_quota("NOQUOTA", "50M,1000")             -> '52428800S,1000C'
    new_quota("52428800", "NOQUOTA")             -> 'NOQUOTA'

Sources: spec/delivery.md 2 (vsetuserquota), 2.3.  Not here: how a quota is read (`delivery.quota`),
how a mailbox is counted (`mailbox.maildirsize`).
"""

import os
from typing import Final

from indimail.accounts.port import QUOTA_LENGTH
from indimail.delivery.quota import UNLIMITED, Quota, parse_quota
from indimail.durable.disk import Disk
from indimail.mail.clock import SystemClock
from indimail.mailbox.maildirsize import MaildirSizes

EXPECTED: Final = "50M, 50M,1000, NOQUOTA; +5M or -5M where there is a limit"

_TOO_MUCH: Final = 1 << 63  # what a column of numbers holds


def new_quota(stored: str, wanted: str) -> str | None:
    """Return what is to be stored; None where `wanted` is not understood or leaves nothing."""
    if wanted[:1] in ("+", "-"):
        quota = _adjusted(stored, wanted)
        has_units = stored[-1:] in "sScC"
    else:
        quota = parse_quota(wanted) if wanted else None
        has_units = quota is not None and quota.messages > 0
    if quota is None or not fits(quota):
        return None
    text = quota.definition if has_units else str(quota)
    return text if len(text) <= QUOTA_LENGTH else None


def fits(quota: Quota) -> bool:
    """Tell whether a row can hold a quota."""
    return max(quota.octets, quota.messages) < _TOO_MUCH and len(str(quota)) <= QUOTA_LENGTH


def recount(disk: Disk, maildir: str, stored: str) -> None:
    """Count what the mailbox holds, and write it with the quota; without a limit no file is kept."""
    quota = parse_quota(stored) or UNLIMITED
    path = os.path.join(maildir, "maildirsize")
    if not quota.is_unlimited:
        MaildirSizes(disk, SystemClock()).recount(maildir, quota)
    elif disk.exists(path):
        disk.unlink(path)


def _adjusted(stored: str, wanted: str) -> Quota | None:
    """Add to the size, or take from it; the count of messages stays."""
    before, step = parse_quota(stored), parse_quota(wanted[1:])
    if before is None or step is None or not before.octets or not step.octets or step.messages:
        return None
    octets = before.octets + (step.octets if wanted[0] == "+" else -step.octets)
    return Quota(octets, before.messages) if octets > 0 else None
