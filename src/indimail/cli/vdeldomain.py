"""`vdeldomain`: remove a virtual domain with its users, its mail and its alias domains.

    vdeldomain --dry-run example.com      # what would go
    vdeldomain example.com

An alias domain goes alone.
Exit codes and texts: spec/delivery.md 2.  The work: `manage.removal`.
"""

from indimail.cli.change import NamedChange, Planned
from indimail.cli.site import Command
from indimail.manage.removal import plan_domain_removal


def _begin(command: Command, domain: str) -> Planned:
    site, accounts, disk = command.site, command.accounts, command.disk
    return Planned(
        lambda: plan_domain_removal(site, accounts, disk, domain), f"removed domain {domain}"
    )


CHANGE = NamedChange(
    "vdeldomain",
    "Remove a virtual domain with its users, mail and alias domains.",
    {"domain": "domain"},
    _begin,
    misused=100,
    later={"c": "the cluster", "T": "ETRN"},
    taking_value="T",
)
add_arguments, run = CHANGE.add_arguments, CHANGE.run
