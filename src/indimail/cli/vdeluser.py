"""`vdeluser`: remove a mailbox with its mail.

    vdeluser --dry-run alice@example.com      # what would go
    vdeluser alice@example.com

A reserved name (postmaster, abuse, ...) is asked about; the first line of standard input answers.
Exit codes and texts: spec/delivery.md 2.  The work: `manage.removal`.
"""

import sys

from indimail.accounts.port import RFC_IDS
from indimail.cli.address import real_address
from indimail.cli.change import NamedChange, Planned, is_completed
from indimail.cli.site import Command, Failed
from indimail.manage.removal import plan_user_removal


def _begin(command: Command, email: str) -> Planned:
    site, accounts, disk = command.site, command.accounts, command.disk
    name, domain = real_address(command, email)
    is_asked = name in RFC_IDS and accounts.find(name, domain) and not command.is_dry
    if is_asked and not is_completed(command, email):
        _ask(f"{name}@{domain}")
    return Planned(
        lambda: plan_user_removal(site, accounts, disk, name, domain),
        f"removed user {name}@{domain}",
    )


def _ask(address: str) -> None:
    print(f"Are You sure removing RFC Id {address} (y/n) - ", end="", flush=True)
    if sys.stdin.readline()[:1] not in ("y", "Y"):
        raise Failed(f"{address}: not removed", 255)


CHANGE = NamedChange("vdeluser", "Remove a mailbox with its mail.", {"email": "email"}, _begin)
add_arguments, run = CHANGE.add_arguments, CHANGE.run
