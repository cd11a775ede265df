"""`vaddaliasdomain`: let a domain stand for another one.

    vaddaliasdomain example.net example.com     # bob@example.net is bob@example.com

Exit codes and texts: spec/delivery.md 2.  The work: `manage.aliasdomains`.
"""

from indimail.cli.change import NamedChange, Planned
from indimail.cli.site import Command
from indimail.manage.aliasdomains import plan_alias


def _begin(command: Command, new: str, old: str) -> Planned:
    site, accounts, disk = command.site, command.accounts, command.disk
    return Planned(
        lambda: plan_alias(site, accounts, disk, new, old), f"added alias domain {new} for {old}"
    )


CHANGE = NamedChange(
    "vaddaliasdomain",
    "Let a new domain stand for one that is there.",
    {"new": "domain", "old": "domain"},
    _begin,
)
add_arguments, run = CHANGE.add_arguments, CHANGE.run
