"""`vmoveuserdir`: move a mailbox to another directory, also on another file system.

    vmoveuserdir alice@example.com /srv/mail/alice

The directory is given by its full path, and is not there yet.  The server may go on meanwhile: what
it delivers to the old home follows.
Exit codes and texts: spec/delivery.md 2.  The work: `manage.rename`.
"""

from indimail.cli.change import NamedChange, Planned
from indimail.cli.site import Command, Failed
from indimail.manage.aliasdomains import real_domain
from indimail.manage.names import split_address
from indimail.manage.rename import plan_home_move


def _begin(command: Command, email: str, directory: str) -> Planned:
    site, accounts, disk = command.site, command.accounts, command.disk
    name, domain = split_address(email)
    if not domain:
        raise Failed(f"{name}: Not a fully qualified email", 1)
    domain = real_domain(site, accounts, domain)
    found = accounts.find(name, domain)
    said = ""
    if found is not None and found.directory != directory:  # by the completion of this very change
        said = f"{name}@{domain} old {found.directory} new {directory} done"
    return Planned(
        lambda: plan_home_move(site, accounts, disk, name, domain, directory),
        said,
        is_always_said=True,
    )


CHANGE = NamedChange(
    "vmoveuserdir",
    "Move a mailbox to another directory.",
    {"email": "email", "directory": "path"},
    _begin,
)
add_arguments, run = CHANGE.add_arguments, CHANGE.run
