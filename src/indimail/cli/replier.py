"""`replier`: answer with what a program makes of the message, from a dot-qmail file.

    |replier ./robot "$SENDER" ./answer

The program gets the message, in the directory, with REQUEST to REQUEST4: what stands behind
``inlocal-`` in the local part.  If it exits 0, its output is sent to the address, and the file is
done (99).  111: so ends this too.  Any other, or no such program: the file goes on.

In front of the output stand Mailing-List (the file ``mailinglist``), the fields of ``headeradd`` and
``Delivered-To: replier RECIPIENT``; fields that ``headerremove`` names are gone.  The envelope sender
is the empty one, so that nobody answers (RFC 3834 3.3).

Exit codes: 0 go on; 99 it is durable in the queue (``replier: qp ID``); 100 a bounce, a message that
has Mailing-List, an address that is not ``inlocal-``; 111 try again later.

Source: spec/delivery.md 7; replier(1) of the qtools.
"""

import argparse
import os
from collections.abc import Iterator
from contextlib import chdir
from typing import Final

from indimail.cli.program_line import (
    DONE,
    PERMANENT,
    TEMPORARY,
    Ended,
    add_program,
    address,
    attempt,
    forward,
    make_seekable,
    message,
    program_of,
    run_program,
    temporary,
)
from indimail.cli.root import add_root

PROGRAM: Final = "replier"
BOUNCE: Final = "I don't reply to bounce messages (#5.7.2)"
LISTED: Final = "I don't reply to mailing lists (#5.7.2)"
ELSEWHERE: Final = "I do not accept messages at this address (#5.1.1)"
LONGEST_HEADER: Final = 262_144


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_root(parser)
    parser.add_argument("directory", metavar="DIR", help="the robot's files")
    parser.add_argument("address", metavar="ADDRESS", help="who gets the reply")
    add_program(parser)


def run(args: argparse.Namespace) -> int:
    """Run the program, and send what it prints."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    from indimail.delivery.replier import requested  # noqa: PLC0415 - not for --help

    if address("SENDER") in {"", "#@[]"}:
        raise Ended(BOUNCE, PERMANENT)
    variables = requested(address("LOCAL"), _first_line(args.directory, "inlocal"))
    if variables is None:
        raise Ended(ELSEWHERE, PERMANENT)
    added, removed = _changes(args.directory, address("RECIPIENT"))
    make_seekable()
    if any(_is_listed(field) for field in _header(0)[0]):
        raise Ended(LISTED, PERMANENT)
    os.environ.update(variables)
    with temporary() as output:
        with chdir(args.directory):
            code = run_program(program_of(args), (os.POSIX_SPAWN_DUP2, output.fileno(), 1))
        if code != 0:
            return TEMPORARY if code == TEMPORARY else 0
        body = _edited(output.fileno(), removed, added)
        print(f"{PROGRAM}: qp {forward(args.root, '', [args.address], body)}")
    return DONE


def _changes(directory: str, recipient: str) -> tuple[bytes, frozenset[str]]:
    """Return the fields that stand in front, and the names of those that go."""
    fields = f"Mailing-List: {_first_line(directory, 'mailinglist')}\n"
    fields += "".join(f"{line}\n" for line in _lines(directory, "headeradd"))
    fields += f"Delivered-To: replier {recipient}\n"
    removed = frozenset(line.lower() for line in _lines(directory, "headerremove"))
    return fields.encode("utf-8", "surrogateescape"), removed


def _lines(directory: str, name: str) -> list[str]:
    path = os.path.join(directory, name)
    with open(path, encoding="utf-8", errors="surrogateescape") as file:
        return [line.rstrip() for line in file if line.strip()]


def _first_line(directory: str, name: str) -> str:
    return next(iter(_lines(directory, name)), "")


def _is_listed(field: bytes) -> bool:
    from indimail.mail.header import field_name  # noqa: PLC0415 - not for --help

    return field_name(field) == "mailing-list"


def _header(fd: int) -> tuple[list[bytes], int]:
    """Return a file's fields, and where its body begins."""
    from indimail.mail.header import split_header  # noqa: PLC0415 - not for --help

    head = os.pread(fd, LONGEST_HEADER, 0)
    fields, rest = split_header(head)
    if len(head) == LONGEST_HEADER and not rest:
        raise Ended(f"the header has more than {LONGEST_HEADER} octets", PERMANENT)
    return fields, len(head) - len(rest)


def _edited(fd: int, removed: frozenset[str], added: bytes) -> Iterator[bytes]:
    from indimail.delivery.replier import edited  # noqa: PLC0415 - not for --help

    fields, begin = _header(fd)
    yield edited(fields, removed, added) + b"\n"
    for piece in message(fd=fd):
        yield piece[begin:]
        begin = max(0, begin - len(piece))
