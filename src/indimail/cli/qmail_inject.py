"""`qmail-inject`: complete a mail from standard input and put it into the queue.

    printf 'To: alice, bob@example.net\\nSubject: hello\\n\\nhello\\n' | qmail-inject
    qmail-inject -n <message                 # shows the message, queues nothing

Who gets it: with -a the arguments, with -h the header's recipients, with -H both, with -A (the
default) the arguments where there are some, else the header's.  -f is the envelope sender and goes
before Return-Path and all variables.

QMAILINJECT holds letters: c the author's name as a comment, s Return-Path is not looked at, f a From
of the message is replaced, i a Message-ID is replaced, r a sender for each recipient (VERP), m a
sender for each message, n as -n.

Exit codes: 0 it is durable in the queue, or the spool directory; 100 it never will be; 111 try again
later.

Source: spec/queue.md 6.1.  Not here: the message (`cli.injection`).
"""

import argparse
import os
import sys
from typing import TYPE_CHECKING, Final

from indimail.app.instance import find_root, open_instance
from indimail.cli.root import add_root

if TYPE_CHECKING:
    from indimail.cli.injection import Mail

PROGRAM: Final = "qmail-inject"
PERMANENT: Final = 100
TEMPORARY: Final = 111


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    group = parser.add_argument_group("qmail's options", conflict_handler="resolve")
    ways = {
        "-a": "the arguments get it",
        "-h": "who the header names gets it",
        "-A": "the arguments, where there are none the header (the default)",
        "-H": "both",
    }
    for option, text in ways.items():
        group.add_argument(option, dest="way", action="store_const", const=option[1], help=text)
    group.add_argument("-f", dest="sender", metavar="SENDER", help="the envelope sender")
    group.add_argument("-n", dest="shown", action="store_true", help="print it, queue nothing")
    group.add_argument("-N", dest="shown", action="store_false", help="queue it (the default)")
    group.add_argument("recipients", nargs="*", metavar="ADDRESS", help="who gets it")
    add_root(parser)
    parser.set_defaults(way="A", shown=None)


def run(args: argparse.Namespace) -> int:
    """Queue what stands on standard input."""
    from indimail.cli.injection import NotSent, Order, inject, prepare  # noqa: PLC0415 - not for --help

    instance = open_instance(find_root(args.root, os.environ), os.environ)
    order = Order(*_recipients(args), args.sender)
    is_shown = "n" in os.environ.get("QMAILINJECT", "") if args.shown is None else args.shown
    try:
        if is_shown:
            return _show(prepare(instance, order, os.environ, sys.stdin.buffer))
        receipt = inject(instance, order, os.environ, sys.stdin.buffer)
    except NotSent as error:
        return _failed(str(error), PERMANENT if error.is_permanent else TEMPORARY)
    except BrokenPipeError:  # of -n: `cli.main` knows
        raise
    except OSError as error:
        return _failed(f"unable to read the message: {error.strerror}", TEMPORARY)
    if receipt.code == 0:
        return os.EX_OK
    return _failed(receipt.reason, PERMANENT if receipt.is_permanent else TEMPORARY)


def _recipients(args: argparse.Namespace) -> tuple[tuple[str, ...], bool]:
    """Return the arguments that count, and whether the header does."""
    given = tuple(args.recipients)
    match args.way:
        case "a":
            return given, False
        case "h":
            return (), True
        case "H":
            return given, True
        case _:
            return given, not given


def _show(mail: "Mail") -> int:
    for piece in mail.body:
        sys.stdout.buffer.write(piece)
    return os.EX_OK


def _failed(reason: str, code: int) -> int:
    print(f"{PROGRAM}: fatal: {reason}", file=sys.stderr)
    return code
