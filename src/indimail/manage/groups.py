"""Distribution lists: an account whose name begins with MailGroup, and its alias lines.

    as_group(NewUser("sales", "example.com", hashed, gecos="The sales"))     -> what plan_user makes
    plan_member(accounts, "sales", "example.com", LineChange(new="&alice@example.com"))

Mail for a group goes to its lines alone, never into its mailbox.

Source: spec/delivery.md 2 (vgroup), 10 (15).
"""

from dataclasses import replace

from indimail.accounts.port import GROUP_MARK, Accounts
from indimail.manage.aliases import LineChange, plan_alias_lines
from indimail.manage.site import Refused
from indimail.manage.users import NewUser
from indimail.manage.writes import Write


def as_group(new: NewUser) -> NewUser:
    """Return the group that a user to be is; its full name is what stands behind the mark."""
    return replace(new, gecos=f"{GROUP_MARK}{new.gecos or new.name}")


def plan_member(
    accounts: Accounts, name: str, domain: str, change: LineChange
) -> list[Write] | Refused:
    """Return what changes the lines of a group."""
    account = accounts.find(name, domain)
    if account is None:
        return Refused(f"{name}@{domain}: No such user", 1)
    if not account.is_group:
        return Refused(f"{name}@{domain}: not a group; valias changes its lines", 1)
    return plan_alias_lines(accounts, name, domain, change)
