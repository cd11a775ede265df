"""What limits of a domain, or of a user's own, end and close at a login.

    bounds = bounds_of(lookup, account, is_on=True, closes=True, now=now)
    bounds.ended        -> Ended.DOMAIN: the domain's time is over; None: it goes on
    bounds.flags        -> Flag.NO_POP | ...: services that are closed besides the account's own

They count where the domain has the file `.domain_limits` (`vmoddomain -l 1`); services are closed
by them where DOMAIN_LIMITS is set too.  A user's own row goes before the domain's.  The flag
V_OVERRIDE frees a user of all of it.

Sources: spec/delivery.md 9.2; spec/cluster-users.md 1.4 (vlimits), 1.5.
Not here: the row (`accounts.port.Limits`), counts and quotas (`manage.limits`).
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from indimail.accounts.port import Account, Flag, Limits, Lookup

CLOSED_BY: Final = {
    "disable_pop": Flag.NO_POP,
    "disable_imap": Flag.NO_IMAP,
    "disable_dialup": Flag.NO_DIALUP,
    "disable_passwordchanging": Flag.NO_PASSWD_CHNG,
    "disable_webmail": Flag.NO_WEBMAIL,
    "disable_relay": Flag.NO_RELAY,
    "disable_smtp": Flag.NO_SMTP,
}


class Ended(Enum):
    """Why a right password opens nothing, as a client is told."""

    DOMAIN = "domain has expired"
    PASSWORD = "password has expired"  # noqa: S105 - no password


@dataclass(frozen=True, slots=True)
class Bounds:
    """What limits say of a login: whether it is over, and flags besides the account's own."""

    ended: Ended | None = None
    flags: Flag = Flag(0)


UNBOUNDED: Final = Bounds()


def bounds_of(lookup: Lookup, account: Account, *, is_on: bool, closes: bool, now: float) -> Bounds:
    """Return what limits say of a login; `now` is wall time, in seconds.

    `is_on`: the domain has `.domain_limits`; `closes`: DOMAIN_LIMITS is set.
    """
    if not is_on or Flag.V_OVERRIDE in account.flags:
        return UNBOUNDED
    limits = lookup.limits(account.name, account.domain) or lookup.limits("", account.domain)
    if limits is None:
        return UNBOUNDED
    return Bounds(_ended(limits, now), closed_by(limits) if closes else Flag(0))


def closed_by(limits: Limits) -> Flag:
    """Return the flags of the services that limits close."""
    closed = Flag(0)
    for column, flag in CLOSED_BY.items():
        if getattr(limits, column):
            closed |= flag
    return closed


def _ended(limits: Limits, now: float) -> Ended | None:
    if 0 <= limits.domain_expiry < now:
        return Ended.DOMAIN
    return Ended.PASSWORD if 0 <= limits.passwd_expiry < now else None
