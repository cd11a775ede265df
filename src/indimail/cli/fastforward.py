"""`fastforward`: send the message on as a data base says, from a dot-qmail file.

    |fastforward -p /etc/aliases.cdb

The data base is one of setforward(1) (`delivery.fastforward`).  Programs run first, by /bin/sh; then
the message is sent on, with DTLINE and QQEH in front, to all addresses at once.  The sender is
SENDER, or the target's owner.  -n tells this and does nothing; -d asks for DEFAULT@HOST (without
DEFAULT: EXT@HOST) in place of RECIPIENT.

Exit codes: 0 it is durable in the queue (``fastforward: qp ID``), with -p 99; 100 the data base does
not have the address, with -p 0, or a program says so; 111 try again later.

Source: spec/delivery.md 7; fastforward(1).  Lists of setmaillist(1) are not read: 111.
"""

import argparse
import os
from typing import TYPE_CHECKING, Final

from indimail.cli.program_line import (
    DONE,
    PERMANENT,
    TEMPORARY,
    Ended,
    address,
    attempt,
    forward,
    make_seekable,
    message,
    must_succeed,
    optional,
    run_fed,
    run_program,
    variable,
)
from indimail.cli.root import add_root

if TYPE_CHECKING:
    from indimail.delivery.fastforward import Forwarding

PROGRAM: Final = "fastforward"
UNKNOWN: Final = "Sorry, no mailbox here by that name. (#5.1.1)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_root(parser)
    for letter, dest, what in (
        ("n", "tell", "tell what would be done"),
        ("p", "through", "go on with the file where the address is not in it"),
        ("d", "default", "DEFAULT@HOST in place of RECIPIENT"),
    ):
        parser.add_argument(f"-{letter}", dest=dest, action="store_true", help=what)
        parser.add_argument(
            f"-{letter.upper()}", dest=dest, action="store_false", help=f"not -{letter}"
        )
    parser.add_argument("base", metavar="CDB", help="the data base")


def run(args: argparse.Namespace) -> int:
    """Send it on."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    sender, line = address("SENDER"), variable("DTLINE")
    found = _look_up(args.base, _recipient(default=args.default))
    if found is None:
        if not args.through:
            print(UNKNOWN)
        return 0 if args.through else PERMANENT
    sender = found.owner or sender
    if args.tell:
        _tell(found, sender)
    else:
        _check(found)
        make_seekable()
        for command in found.programs:
            _run_command(command)
        if found.recipients:
            body = message(line + optional("QQEH"))
            print(f"{PROGRAM}: qp {forward(args.root, sender, found.recipients, body)}")
    return DONE if args.through else 0


def _recipient(*, default: bool) -> str:
    if not default:
        return address("RECIPIENT")
    return f"{address('DEFAULT' if 'DEFAULT' in os.environ else 'EXT')}@{address('HOST')}"


def _look_up(path: str, recipient: str) -> "Forwarding | None":
    from indimail.control.cdb import read_cdb  # noqa: PLC0415 - not for --help
    from indimail.delivery.fastforward import forwarding_of  # noqa: PLC0415
    from indimail.mail.errors import ConfigErrors  # noqa: PLC0415

    try:
        return forwarding_of(read_cdb(path, path).get, recipient)
    except ConfigErrors as error:
        raise Ended(str(error), TEMPORARY) from error


def _tell(found: "Forwarding", sender: str) -> None:
    lines = [f"run {command}" for command in found.programs]
    lines += [f"read {name}" for name in found.lists]
    lines += [f"from <{sender}>", *(f"to <{recipient}>" for recipient in found.recipients)]
    for line in lines:
        print(ascii(line)[1:-1])


def _check(found: "Forwarding") -> None:
    """Keep the mail where it cannot be known who gets it."""
    if found.lists:
        raise Ended(f"{found.lists[0]!a}: lists of setmaillist are not read", TEMPORARY)
    if found.leads_nowhere:
        raise Ended("the address leads to itself", TEMPORARY)


def _run_command(command: str) -> None:
    argv = ["/bin/sh", "-c", command[1:]]
    lines = optional("UFLINE", "RPLINE", "DTLINE")
    code = run_fed(argv, lines) if command.startswith("!") else run_program(argv)
    must_succeed(code, command)
