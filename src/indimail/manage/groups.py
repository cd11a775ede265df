"""Distribution lists: an account whose name begins with MailGroup, and its alias lines.

    plan_group(site, accounts, disk, NewUser("sales", "example.com", hashed, gecos="The sales"), now)
    plan_member(accounts, "sales", "example.com", MemberChange(new="&alice@example.com"))

Mail for a group goes to its lines alone, never into its mailbox.

Source: spec/delivery.md 2 (vgroup), 10 (15).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from indimail.accounts.port import Account, Accounts
from indimail.durable.disk import Disk
from indimail.manage.aliases import check_line
from indimail.manage.row_writes import AddAlias, RemoveAlias
from indimail.manage.site import Refused, Site
from indimail.manage.users import NewUser, plan_user
from indimail.manage.writes import TellAccount, Write

MARK: Final = "MailGroup "


@dataclass(frozen=True, slots=True)
class MemberChange:
    """A line that comes, one that goes, or both: one in the other's place."""

    new: str | None = None
    gone: str | None = None


def is_group(account: Account) -> bool:
    """Tell whether an account is a distribution list."""
    return account.gecos.startswith(MARK)


def plan_group(
    site: Site, accounts: Accounts, disk: Disk, new: NewUser, now: float
) -> Sequence[Write] | Refused:
    """Return what makes a group; its name is what stands behind the mark."""
    return plan_user(site, accounts, disk, replace(new, gecos=f"{MARK}{new.gecos}"), now)


def plan_member(
    accounts: Accounts, name: str, domain: str, change: MemberChange
) -> list[Write] | Refused:
    """Return what changes the lines of a group."""
    account = accounts.find(name, domain)
    if account is None:
        return Refused(f"{name}@{domain}: No such user", 1)
    if not is_group(account):
        return Refused(f"{name}@{domain}: not a group; valias changes its lines", 1)
    lines = accounts.aliases(name, domain)
    writes: list[Write] = []
    if change.new is not None:
        refused = check_line(change.new)
        if refused is not None:
            return refused
        if change.new in lines and change.gone is None:
            what = f"the line [{change.new}] is there already"
            return Refused(f"{name}@{domain}: {what}", 255)
        writes.append(AddAlias(name, domain, change.new))
    if change.gone is not None:
        if change.gone not in lines:
            there = ", ".join(lines) or "none"
            return Refused(f"{name}@{domain}: no line [{change.gone}]; its lines: {there}", 1)
        if change.gone != change.new:
            writes.append(RemoveAlias(name, domain, change.gone))
    return [*writes, TellAccount(name, domain)]
