"""`vrenameuser`: give a mailbox another name in its domain.

    vrenameuser alice@example.com zoe@example.com

Password, quota, mail and alias lines go with it.
Exit codes and texts: spec/delivery.md 2.  The work: `manage.rename`.
"""

from indimail.cli.address import real_address
from indimail.cli.change import NamedChange, Planned
from indimail.cli.site import Command, Failed
from indimail.manage.aliasdomains import real_domain
from indimail.manage.names import split_address
from indimail.manage.rename import plan_user_rename


def _begin(command: Command, old: str, new: str) -> Planned:
    site, accounts, disk = command.site, command.accounts, command.disk
    name, domain = real_address(command, old)
    new_name, new_domain = split_address(new)
    if new_domain and real_domain(site, accounts, new_domain) != domain:
        raise Failed(f"{new}: expected an address in {domain}", 1)
    return Planned(
        lambda: plan_user_rename(site, accounts, disk, name, new_name, domain),
        f"renamed user {name}@{domain} to {new_name}@{domain}",
    )


CHANGE = NamedChange(
    "vrenameuser",
    "Give a mailbox another name in its domain.",
    {"old": "email", "new": "email"},
    _begin,
)
add_arguments, run = CHANGE.add_arguments, CHANGE.run
