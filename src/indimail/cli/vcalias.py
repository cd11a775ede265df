"""`vcalias`: make alias lines of a domain's .qmail files.

    vcalias --dry-run example.com

Source: spec/delivery.md 2.  The work: `manage.aliasfiles`.
"""

from indimail.cli.change import NamedChange, Planned
from indimail.cli.site import Command
from indimail.manage.aliasdomains import real_domain
from indimail.manage.aliasfiles import plan_rows


def _begin(command: Command, domain: str) -> Planned:
    real = real_domain(command.site, command.accounts, domain)
    return Planned(
        lambda: plan_rows(command.site, command.disk, real), f"turned the aliases of {real}"
    )


CHANGE = NamedChange(
    "vcalias", "Make alias lines of a domain's .qmail files.", {"domain": "domain"}, _begin
)
add_arguments, run = CHANGE.add_arguments, CHANGE.run
