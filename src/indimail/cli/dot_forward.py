"""`dot-forward`: send the message on as a .forward file says, from a dot-qmail file.

    |dot-forward .forward

The first of the files that is there and says something counts (`delivery.dotforward`).  Its commands run
first, by /bin/sh and with UFLINE, RPLINE and DTLINE in front of the message; then it is sent on, with
DTLINE and QQEH in front, to all addresses at once.  The sender is SENDER.  -n tells this and does
nothing.  Without a domain USER is the user's own address, and so are USER@HOST and the recipient's.

Exit codes: 0 the .qmail file goes on: no file, or it names the user too; 99 it is durable in the queue
(``dot-forward: qp ID``); 100 a variable is missing, a command says so, or it never will be; 111 a
delivery to a file, or try again later.

Sources: spec/delivery.md 7; dot-forward(1).
"""

import argparse
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from indimail.cli.program_line import (
    DONE,
    PERMANENT,
    TEMPORARY,
    Ended,
    address,
    attempt,
    forward,
    known_as,
    make_seekable,
    message,
    must_succeed,
    optional,
    run_fed,
    variable,
)
from indimail.cli.root import add_root

if TYPE_CHECKING:
    from indimail.delivery.dotforward import Forward

PROGRAM: Final = "dot-forward"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_root(parser)
    parser.add_argument("-n", dest="tell", action="store_true", help="tell what would be done")
    parser.add_argument("-N", dest="tell", action="store_false", help="not -n")
    parser.add_argument("files", nargs="+", metavar="FILE", help="the first that is there counts")


def run(args: argparse.Namespace) -> int:
    """Send it on."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    found = _first_of(args.files, args.root)
    if found is None:
        return 0
    if found.files:
        raise Ended(f"{found.files[0]!a}: nothing is delivered to files", TEMPORARY)
    if args.tell:
        _tell(found)
    else:
        _follow(found, args.root)
    return 0 if found.is_direct else DONE


def _first_of(paths: Sequence[str], root: str | None) -> "Forward | None":
    """Return what the first file says that is there and says something."""
    for path in paths:
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                text = file.read()
        except FileNotFoundError:
            continue
        if found := _read(text, root):
            return found
    return None


def _read(text: str, root: str | None) -> "Forward | None":
    from indimail.app.instance import find_root, open_instance  # noqa: PLC0415 - not for --help
    from indimail.cli.injection import Controls, NotSent  # noqa: PLC0415
    from indimail.delivery.dotforward import read_forward  # noqa: PLC0415

    user, host = address("USER").lower(), address("HOST").lower()
    own = {user, f"{user}@{host}"}
    own |= {known.lower() for known in known_as(os.environ.get("RECIPIENT", user))}
    folder = open_instance(find_root(root, os.environ), os.environ).control_dir
    try:
        hosts = Controls(folder, os.environ).hosts()
    except NotSent as error:
        code = PERMANENT if error.is_permanent else TEMPORARY
        raise Ended(str(error), code) from error
    return read_forward(text, lambda mailbox: str(mailbox).lower() in own, hosts.qualify)


def _tell(found: "Forward") -> None:
    lines = [f"forward {recipient}" for recipient in found.recipients]
    lines += [f"pipe through {command}" for command in found.commands]
    lines += ["direct delivery"] if found.is_direct else []
    for line in lines:
        print(ascii(line)[1:-1])


def _follow(found: "Forward", root: str | None) -> None:
    sender, line = address("SENDER"), variable("DTLINE")
    make_seekable()
    for command in found.commands:
        lines = optional("UFLINE", "RPLINE", "DTLINE")
        must_succeed(run_fed(["/bin/sh", "-c", command], lines), command)
    if found.recipients:
        body = message(line + optional("QQEH"))
        print(f"{PROGRAM}: qp {forward(root, sender, found.recipients, body)}")
