"""`vrenamedomain`: give a virtual domain, or an alias domain, another name.

    vrenamedomain example.com example.net

Homes, mail, aliases and alias domains go with it.
Exit codes and texts: spec/delivery.md 2, 2.5.  The work: `manage.rename`.
"""

from indimail.cli.change import NamedChange, Planned
from indimail.cli.site import Command
from indimail.manage.rename import plan_domain_rename


def _begin(command: Command, old: str, new: str) -> Planned:
    site, accounts, disk = command.site, command.accounts, command.disk
    return Planned(
        lambda: plan_domain_rename(site, accounts, disk, old, new), f"renamed domain {old} to {new}"
    )


CHANGE = NamedChange(
    "vrenamedomain",
    "Give a virtual domain, or an alias domain, another name.",
    {"old": "domain", "new": "domain"},
    _begin,
)
add_arguments, run = CHANGE.add_arguments, CHANGE.run
