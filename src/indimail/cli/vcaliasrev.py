"""`vcaliasrev`: make .qmail files of a domain's alias lines.

    vcaliasrev --dry-run example.com

Source: spec/delivery.md 2.  The work: `manage.aliasfiles`.
"""

from indimail.cli.change import NamedChange, Planned
from indimail.cli.site import Command
from indimail.manage.aliasdomains import real_domain
from indimail.manage.aliasfiles import plan_files


def _begin(command: Command, domain: str) -> Planned:
    site, accounts = command.site, command.accounts
    real = real_domain(site, accounts, domain)
    return Planned(
        lambda: plan_files(site, accounts, command.disk, real), f"turned the aliases of {real}"
    )


CHANGE = NamedChange(
    "vcaliasrev", "Make .qmail files of a domain's alias lines.", {"domain": "domain"}, _begin
)
add_arguments, run = CHANGE.add_arguments, CHANGE.run
