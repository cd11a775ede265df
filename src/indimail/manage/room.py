"""What the limits of a domain leave room for: accounts, aliases, forwards, replies, quotas.

    check_room_for_user(site, accounts, disk, "example.com", "carol")
        -> None, or Refused("example.com: has 10 accounts, its limit (vlimit -P) is 10", 100)

They count where the domain has the file `.domain_limits` (`vmoddomain -l 1`).  Reserved names
(postmaster, ...) and users with the flag V_OVERRIDE are free of them, and are not counted.  What
is there already stays, also where a limit came later: only what would make more is refused.

- An account is a user, active or not, or a distribution list.
- A forward is an address one of whose lines leads to another domain; any other address with lines
  is an alias.  A distribution list is neither.
- An automatic reply is a home with `.vacation.msg`.
- The quota of a domain is what its users may hold together; where it has one, each has one.

Source: spec/delivery.md 9.2; that counts are enforced here is an extension.
Not here: setting limits (`manage.limits`), logins (`accounts.limits`), mailing lists.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from indimail.accounts.port import NO_DEFAULT, RFC_IDS, Account, Accounts, AliasLine, Flag, Limits
from indimail.delivery.quota import UNLIMITED, Quota, parse_quota
from indimail.durable.disk import Disk
from indimail.manage.aliasdomains import real_domain
from indimail.manage.autoreply import TEXT
from indimail.manage.site import Refused, Site

SWITCH: Final = ".domain_limits"


def limits_in_force(site: Site, accounts: Accounts, disk: Disk, domain: str) -> Limits | None:
    """Return the limits of a domain that has them on."""
    if not disk.exists(os.path.join(site.domain_dir(domain), SWITCH)):
        return None
    return accounts.limits("", domain)


def limited_quota(limits: Limits | None, hard_quota: str) -> str:
    """Return the quota of a new user for whom none was given; `hard_quota` where limits say none."""
    if limits is None or not (limits.defaultquota or limits.defaultmaxmsgcount):
        return hard_quota
    octets = limits.defaultquota or (parse_quota(hard_quota) or UNLIMITED).octets
    return str(Quota(0 if octets == NO_DEFAULT else octets, limits.defaultmaxmsgcount))


def check_room_for_user(
    site: Site, accounts: Accounts, disk: Disk, domain: str, name: str
) -> Refused | None:
    """Refuse a user more than the domain may have."""
    limits = limits_in_force(site, accounts, disk, domain)
    if limits is None or name in RFC_IDS:
        return None
    there = len(_counted(accounts, domain))
    return _refused(domain, "accounts", there + 1, there, limits.maxpopaccounts, "-P")


def check_room_for_line(
    site: Site, accounts: Accounts, disk: Disk, new: AliasLine, gone: AliasLine | None = None
) -> Refused | None:
    """Refuse an alias line, or one in another's place, that makes an alias or forward too many."""
    domain = new.domain
    limits = limits_in_force(site, accounts, disk, domain)
    if limits is None:
        return None
    lines = set(accounts.domain_aliases(domain))
    before = _addresses(site, accounts, domain, lines)
    after = _addresses(site, accounts, domain, (lines - {gone}) | {new})
    return _refused(
        domain, "aliases", len(after.aliases), len(before.aliases), limits.maxaliases, "-A"
    ) or _refused(
        domain, "forwards", len(after.forwards), len(before.forwards), limits.maxforwards, "-F"
    )


def check_room_for_reply(
    site: Site, accounts: Accounts, disk: Disk, account: Account
) -> Refused | None:
    """Refuse an automatic reply more than the domain may have."""
    limits = limits_in_force(site, accounts, disk, account.domain)
    if limits is None or _is_free(account) or limits.maxautoresponders < 0:
        return None
    answering = {
        other.name
        for other in _counted(accounts, account.domain)
        if disk.exists(os.path.join(other.directory, TEXT))
    }
    after = len(answering | {account.name})
    return _refused(
        account.domain, "automatic replies", after, len(answering), limits.maxautoresponders, "-R"
    )


def check_room_for_quota(
    site: Site, accounts: Accounts, disk: Disk, account: Account, wanted: str
) -> Refused | None:
    """Refuse a quota, as it is stored, with which users may hold more than their domain may.

    `account` is the user as it is, or one to be, whose own quota is an empty text.
    """
    limits = limits_in_force(site, accounts, disk, account.domain)
    if limits is None or _is_free(account):
        return None
    others = [
        parse_quota(other.quota) or UNLIMITED
        for other in _counted(accounts, account.domain)
        if other.name != account.name
    ]
    old = [parse_quota(account.quota) or UNLIMITED] if account.quota else []
    return _check_quotas(limits, others, old, [(account, parse_quota(wanted) or UNLIMITED)])


def check_room_for_users(
    site: Site, accounts: Accounts, disk: Disk, domain: str, users: Sequence[Account]
) -> Refused | None:
    """Refuse users, as they shall be, of whom some are there, where they are or may hold too much."""
    limits = limits_in_force(site, accounts, disk, domain)
    if limits is None:
        return None
    wanted = {user.name: user for user in users if not _is_free(user)}
    there = {user.name: user for user in _counted(accounts, domain)}
    after = len(there | wanted)
    refused = _refused(domain, "accounts", after, len(there), limits.maxpopaccounts, "-P")
    quotas = {name: parse_quota(user.quota) or UNLIMITED for name, user in there.items()}
    changed = [
        (user, quota)
        for user in wanted.values()
        if (quota := parse_quota(user.quota) or UNLIMITED) != quotas.get(user.name)
    ]
    names = {user.name for user, _ in changed}
    others = [quota for name, quota in quotas.items() if name not in names]
    old = [quotas[user.name] for user, _ in changed if user.name in quotas]
    return refused or _check_quotas(limits, others, old, changed)


def _check_quotas(
    limits: Limits,
    others: Sequence[Quota],
    old: Sequence[Quota],
    new: Sequence[tuple[Account, Quota]],
) -> Refused | None:
    """Refuse quotas in the place of old ones with which users may hold more than their domain."""
    for what, most, option in (
        ("octets", limits.diskquota, "-Q"),
        ("messages", limits.maxmsgcount, "-M"),
    ):
        held, before = (sum(getattr(quota, what) for quota in quotas) for quotas in (others, old))
        after = sum(getattr(quota, what) for _, quota in new)
        if not most or not all(getattr(quota, what) for quota in old):
            continue
        told = f"{limits.domain}: its users may hold {most} {what} (vlimit {option})"
        for account, quota in new:
            if not getattr(quota, what):
                return _too_many(f"{told}: {account.address} needs a quota of {what}")
        if held + after > max(most, held + before):
            return _too_many(f"{told}, and the others have {held}: {after} is too much")
    return None


def _refused(
    domain: str, what: str, after: int, before: int, most: int, option: str
) -> Refused | None:
    if most < 0 or after <= max(most, before):
        return None
    return _too_many(f"{domain}: has {before} {what}, its limit (vlimit {option}) is {most}")


def _too_many(text: str) -> Refused:
    return Refused(text, 100, os.EX_NOPERM)


def _is_free(account: Account) -> bool:
    return account.name in RFC_IDS or Flag.V_OVERRIDE in account.flags


def _counted(accounts: Accounts, domain: str) -> list[Account]:
    return [account for account in accounts.users(domain) if not _is_free(account)]


@dataclass(frozen=True, slots=True)
class _Addresses:
    """The names that count as aliases, and those that count as forwards."""

    aliases: set[str]
    forwards: set[str]


def _addresses(
    site: Site, accounts: Accounts, domain: str, lines: Iterable[AliasLine]
) -> _Addresses:
    uncounted = RFC_IDS | {
        account.name for account in accounts.users(domain) if _is_free(account) or account.is_group
    }
    counted = [alias for alias in lines if alias.name not in uncounted]
    places = {_domain_of(alias.line) or domain for alias in counted}
    elsewhere = {place for place in places if real_domain(site, accounts, place) != domain}
    forwards = {alias.name for alias in counted if _domain_of(alias.line) in elsewhere}
    return _Addresses({alias.name for alias in counted} - forwards, forwards)


def _domain_of(line: str) -> str:
    """Return the domain that a line leads to; empty for a Maildir, a program, a name alone."""
    return "" if line[:1] in "/|" else line.rpartition("@")[2] if "@" in line else ""
