"""`sendmail`: put a mail from standard input into the queue.

    printf 'To: alice@example.com\\nSubject: hello\\n\\nhello\\n' | sendmail -t
    sendmail -f eve@example.net alice@example.com <message

With -t the recipients of the header are added to those of the command line.  A line with a lone dot
does not end the message, with -i or without.  A running server takes it over ``run/inject.sock``;
where none runs it stays in the spool directory until one starts.  -bs is an SMTP conversation on
standard input and output (`cli.smtp_stdio`).

Exit codes (sysexits): 0 it is durable in the queue, or the spool directory; 64 wrong use; 65 no
recipient, or an address too long; 69 refused for good; 75 try again later.

Source: spec/queue.md 6.2.  Not here: what is done to the message (`cli.injection`, as for
qmail-inject).
"""

import argparse
import os
import sys
from typing import TYPE_CHECKING, BinaryIO, Final

from indimail.app.instance import DEFAULT_ROOT, find_root, open_instance

if TYPE_CHECKING:
    from indimail.cli.injection import Order
    from indimail.queue.submission import Receipt

PROGRAM: Final = "sendmail"
IGNORED: Final = ("-E", "-G", "-i", "-J", "-m", "-n", "-U", "-v", "-x")
IGNORED_WITH_VALUE: Final = ("-A", "-B", "-e", "-L", "-N", "-o", "-O", "-p", "-R", "-V")
ALIASES: Final = 100  # exit code where somebody wants a database of aliases made


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("recipients", nargs="*", metavar="ADDRESS", help="who gets it")
    parser.add_argument("-t", dest="header", action="store_true", help="and who the header names")
    parser.add_argument("-f", "-r", dest="sender", metavar="ADDRESS", help="the envelope sender")
    parser.add_argument("-F", dest="name", metavar="NAME", help="the sender's name, for people")
    parser.add_argument(
        "-b", dest="mode", default="m", metavar="MODE", help="m: mail; p: as mailq; s: SMTP"
    )
    parser.add_argument("-I", dest="aliases", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument(
        "--root", metavar="DIR", help=f"the instance (INDIMAIL_ROOT, {DEFAULT_ROOT})"
    )
    for option in IGNORED:
        parser.add_argument(option, dest="ignored", action="store_true", help=argparse.SUPPRESS)
    for option in IGNORED_WITH_VALUE:
        parser.add_argument(option, dest="ignored", nargs="?", help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Send what stands on standard input."""
    if args.mode == "p":
        return _list_queue(args.root)
    if args.aliases or args.mode == "i":
        return _failed("aliases: this server has no database of aliases to be made", ALIASES)
    if args.mode == "s":
        return _converse(args.root)
    if args.mode not in {"m", "d"}:
        return _failed(f"-b{args.mode}: only -bm, -bp and -bs", os.EX_USAGE)
    if not args.header and not args.recipients:
        return _failed("usage: sendmail [-t] [-f ADDRESS] [ADDRESS ...] <message", os.EX_USAGE)
    from indimail.cli.injection import Order  # noqa: PLC0415 - not for --help

    order = Order(
        tuple(args.recipients), args.header, args.sender, args.name or "", sender_writes=True
    )
    return send(PROGRAM, args.root, order, sys.stdin.buffer)


def send(program: str, root: str | None, order: "Order", stream: BinaryIO) -> int:
    """Complete a message, queue it, and return the exit code."""
    from indimail.cli.injection import NotSent, inject  # noqa: PLC0415 - not for --help

    instance = open_instance(find_root(root, os.environ), os.environ)
    try:
        receipt = inject(instance, order, os.environ, stream)
    except NotSent as error:
        code = os.EX_DATAERR if error.is_permanent else os.EX_TEMPFAIL
        return _failed(str(error), code, program)
    except OSError as error:  # of standard input
        text = f"unable to read the message: {error.strerror}"
        return _failed(text, os.EX_TEMPFAIL, program)
    return os.EX_OK if receipt.code == 0 else _failed(receipt.reason, _exit_code(receipt), program)


def _converse(root: str | None) -> int:
    from indimail.cli.injection import NotSent  # noqa: PLC0415 - not for --help
    from indimail.cli.smtp_stdio import serve_stdio  # noqa: PLC0415

    instance = open_instance(find_root(root, os.environ), os.environ)
    try:
        serve_stdio(instance, sys.stdin.fileno(), sys.stdout.fileno())
    except NotSent as error:
        return _failed(str(error), os.EX_TEMPFAIL)
    return os.EX_OK


# -- the end --------------------------------------------------------------------------------------


def _list_queue(root: str | None) -> int:
    from indimail.cli import qmail_qread  # noqa: PLC0415 - not for --help

    parser = argparse.ArgumentParser(PROGRAM)
    qmail_qread.add_arguments(parser)
    return qmail_qread.run(parser.parse_args([] if root is None else ["--root", root]))


def _exit_code(receipt: "Receipt") -> int:
    if not receipt.is_permanent:
        return os.EX_TEMPFAIL
    return os.EX_DATAERR if receipt.code == 11 else os.EX_UNAVAILABLE


def _failed(reason: str, code: int, program: str = PROGRAM) -> int:
    print(f"{program}: {reason}", file=sys.stderr)
    return code
