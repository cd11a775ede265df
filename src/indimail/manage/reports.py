"""What is known of a user, of a domain.

    report_user(site, accounts, disk, account)              -> UserReport(usage=Usage(...), ...)
    report_domain(site, accounts, disk, "example.com")      -> DomainReport(...), or Refused(...)

With a quota, what a mailbox holds is counted anew into its maildirsize.
Sources: spec/delivery.md 2 (vuserinfo, vdominfo), 2.6.  Not here: printing it (`cli`).
"""

import os
from dataclasses import dataclass
from typing import Final

from indimail.accounts.passwords import METHODS
from indimail.accounts.port import Account, Accounts, AliasLine, LastEvent, Limits
from indimail.delivery.quota import UNLIMITED, Quota, Usage, parse_quota
from indimail.durable.disk import Disk
from indimail.mail.clock import SystemClock
from indimail.mailbox.maildirsize import MaildirSizes, count_maildir
from indimail.manage.aliasdomains import alias_names, real_domain
from indimail.manage.assign import Entry, entry_of_domain
from indimail.manage.homes import domain_base
from indimail.manage.room import SWITCH
from indimail.manage.routing import is_live
from indimail.manage.site import Refused, Site
from indimail.manage.users import method_setting

LOGINS: Final = ("imap", "pop3", "webm")


@dataclass(frozen=True, slots=True)
class UserReport:
    """A user with what its mailbox holds and what leads to it.

    `forwards` are the alias lines of its own address, `aliases` those of others that forward to it.
    `limits` are its own; `has_limits` tells whether limits are on in its domain.
    """

    account: Account
    has_home: bool
    quota: Quota
    usage: Usage
    events: list[LastEvent]
    forwards: list[str]
    aliases: list[AliasLine]
    limits: Limits | None
    has_limits: bool

    @property
    def last_login(self) -> LastEvent | None:
        """The last time that the user read its mail."""
        logins = [event for event in self.events if event.service in LOGINS]
        return max(logins, key=lambda event: event.time, default=None)


def report_user(site: Site, accounts: Accounts, disk: Disk, account: Account) -> UserReport:
    """Return what is known of a user."""
    return UserReport(
        account=account,
        has_home=os.path.isdir(account.directory),
        quota=parse_quota(account.quota) or UNLIMITED,
        usage=usage_of(disk, account),
        events=accounts.events(account.name, account.domain),
        forwards=accounts.aliases(account.name, account.domain),
        aliases=accounts.aliases_to(account.address),
        limits=accounts.limits(account.name, account.domain),
        has_limits=_has_limits(site, account.domain),
    )


def usage_of(disk: Disk, account: Account) -> Usage:
    """Return what a mailbox holds."""
    maildir = os.path.join(account.directory, "Maildir")
    quota = parse_quota(account.quota) or UNLIMITED
    if quota.is_unlimited:
        return count_maildir(disk, maildir)
    return MaildirSizes(disk, SystemClock()).recount(maildir, quota)


@dataclass(frozen=True, slots=True)
class DomainReport:
    """A domain, or an alias domain, which stands for `real`; `base` is where homes lie.

    `has_limits` tells whether its limits are on.
    """

    domain: str
    real: str
    entry: Entry
    directory: str
    base: str
    method_name: str
    users: int
    alias_domains: list[str]
    limits: Limits | None
    has_limits: bool
    is_live: bool


def report_domain(
    site: Site, accounts: Accounts, disk: Disk, domain: str
) -> DomainReport | Refused:
    """Return what is known of a domain."""
    entry = entry_of_domain(disk, site.places.users_dir, domain)
    if entry is None:
        return Refused(f"{domain}: domain does not exist", 1, os.EX_NOHOST)
    real = real_domain(site, accounts, domain)
    name, method = method_setting(site, disk, real, "")
    return DomainReport(
        domain=domain,
        real=real,
        entry=entry,
        directory=site.domain_dir(real),
        base=domain_base(site, disk, real),
        method_name=next((label for label, way in METHODS.items() if way is method), name),
        users=len(accounts.users(real)),
        alias_domains=alias_names(site, accounts, disk, real),
        limits=accounts.limits("", real),
        has_limits=_has_limits(site, real),
        is_live=is_live(site, disk, domain),
    )


def _has_limits(site: Site, domain: str) -> bool:
    return os.path.exists(os.path.join(site.domain_dir(domain), SWITCH))
