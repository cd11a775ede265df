"""Commands with actions, `indimail user add ...`: what all of them declare, print and return.

    ACTIONS = {"add": Action("make a user", "indimail user add alice@example.com", declare, run)}
    add_actions(parser, "user", ACTIONS)

Each is another way to say what a command of IndiMail says: the same plan is made, the same program
runs after it (POST_HANDLE, LIBEXECDIR).  With --json a change prints one object: `command`,
`dry_run`, `changed` (a line for each file and row, as --dry-run prints them), and what the action adds.

Exit codes are those of sysexits(3), `CODES`.  Not here: the work (`manage`).
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from indimail.cli.change import NamedChange, add_dry_run, carry, run_hook
from indimail.cli.root import add_root
from indimail.cli.shown import print_json
from indimail.cli.site import Command, attempt, opened
from indimail.manage.writes import Write

CODES: Final = """\
exit codes: 0 done; 64 wrong use; 65 wrong data; 66 a file that is not there; 67 no such user or
alias line; 68 no such domain; 69 not yet; 73 exists already; 74 a read or write failed; 75 busy,
or the database is away: try again; 77 not allowed; 78 wrong configuration"""


class Action(NamedTuple):
    """A word behind a command: its help, one use, its arguments, its work."""

    help: str
    example: str
    declare: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int | None]
    is_change: bool = True


def add_actions(parser: argparse.ArgumentParser, noun: str, actions: Mapping[str, Action]) -> None:
    """Declare the actions of a command, with --json, --dry-run and --root."""
    choice = parser.add_subparsers(metavar="ACTION", required=True, title="actions")
    for name, action in actions.items():
        made = choice.add_parser(
            name,
            help=action.help,
            description=f"{action.help[0].upper()}{action.help[1:]}.",
            epilog=f"example: {action.example}\n\n{CODES}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,  # or --password would be --password-file
        )
        action.declare(made)
        made.add_argument("--json", action="store_true", help="print JSON")
        if action.is_change:
            add_dry_run(made)
        made.set_defaults(program=f"indimail {noun} {name}", work=action.run)
        add_root(made, default=argparse.SUPPRESS)  # it may also stand before the action
    add_root(parser)


def run_action(args: argparse.Namespace) -> int:
    """Do what the action does."""
    return attempt(args.program, lambda: args.work(args), sysexits=True)


def named_action(change: NamedChange, help_: str, example: str) -> Action:
    """Return the action that makes the change of a command of IndiMail's."""

    def declare(parser: argparse.ArgumentParser) -> None:
        for name in change.names:
            parser.add_argument(name)

    def run(args: argparse.Namespace) -> int:
        given = [str(getattr(args, name)) for name in change.names]
        change.check(given)
        with opened(args.program, args) as command:
            planned = change.begin(command, *given)
            writes = carry(command, " ".join(given), planned.plan)
        return end_change(command, args, change.program, given, writes, planned.said)

    return Action(help_, example, declare, run)


def end_change(
    command: Command,
    args: argparse.Namespace,
    program: str | None,
    arguments: Sequence[str],
    writes: Sequence[Write],
    said: str,
    more: Mapping[str, object] | None = None,
) -> int:
    """Print what a change came to, run the hook of `program`, return its exit code.

    None: no hook runs after that command of IndiMail's.
    """
    changed = [line for write in writes for line in str(write).splitlines()]
    if args.json:
        name = args.program.removeprefix("indimail ")
        told = {"command": name, "dry_run": command.is_dry, "changed": changed}
        print_json({**told, **(more or {})})
    elif command.is_dry:
        print(*changed, sep="\n", end="\n" if changed else "")
    else:
        print(said)
    sys.stdout.flush()
    if command.is_dry or program is None:
        return os.EX_OK
    return run_hook(command.site, program, arguments, 2 if args.json else None)


def positive(text: str) -> int:
    """Return a number from 1 on: a type for argparse."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected 1 or more")
    return int(text)


def absolute(text: str) -> str:
    """Return a full path: a type for argparse."""
    if not os.path.isabs(text):
        raise argparse.ArgumentTypeError(f"found {text!r}, expected an absolute path")
    return text
