"""Set up who answers a user's mail, as `vmoduser -l` does: what `vacation EMAIL FILE` runs.

    set_reply("vacation", args)       # args: email, file, dry_run, root

Source: spec/delivery.md 2 (vacation), 2.3.  The work: `manage.user_change`.
"""

import argparse

from indimail.cli.address import our_address
from indimail.cli.change import finish, make_change
from indimail.cli.site import attempt, check, now, opened
from indimail.cli.vmoduser import read_reply
from indimail.manage.names import check_case
from indimail.manage.user_change import UserChange, plan_user_change


def set_reply(program: str, args: argparse.Namespace) -> int:
    """Let mail be answered with the file's text, + that of standard input; - no more."""
    return attempt(program, lambda: _set(program, args))


def _set(program: str, args: argparse.Namespace) -> int:
    check(check_case("email", args.email))
    text = b"" if args.file == "-" else read_reply(None if args.file == "+" else args.file, "text")
    change = UserChange(autoreply=text)
    with opened(program, args) as command:
        site, accounts, disk = command.site, command.accounts, command.disk
        name, domain = our_address(command, args.email)
        make_change(
            command,
            f"{args.email}: {change}",
            lambda: plan_user_change(site, accounts, disk, name, domain, change, now()),
            again=True,
        )
    said = f"{name}@{domain}: automatic reply {'set' if text else 'removed'}"
    return finish(command, [args.email], [said])
