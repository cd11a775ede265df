"""`sendmail`: put a mail from standard input into the queue.

    printf 'To: alice@example.com\\nSubject: hello\\n\\nhello\\n' | sendmail -t
    sendmail -f eve@example.net alice@example.com <message

With -t the recipients of the header are added to those of the command line.  A line with a lone dot
does not end the message, with -i or without.  A running server takes it over ``run/inject.sock``;
where none runs it stays in the spool directory until one starts.

Exit codes (sysexits): 0 it is durable in the queue, or the spool directory; 64 wrong use; 65 no
recipient, or an address too long; 69 refused for good; 75 try again later.

Source: spec/queue.md 6.2.  Not here: the header's rules (`manage.compose`).
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO, Final

from indimail.app.instance import DEFAULT_ROOT, Instance, find_root

if TYPE_CHECKING:
    from indimail.manage.compose import Author
    from indimail.queue.submission import Receipt, Submission

PROGRAM: Final = "sendmail"
LONGEST_HEADER: Final = 4 << 20
PIECE: Final = 262_144
IGNORED: Final = ("-E", "-G", "-i", "-J", "-m", "-n", "-U", "-v", "-x")
IGNORED_WITH_VALUE: Final = ("-A", "-B", "-e", "-L", "-N", "-o", "-O", "-p", "-R", "-V")
ALIASES: Final = 100  # exit code where somebody wants a database of aliases made


class _Refused(Exception):
    """Why it ends: the text, and the exit code."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("recipients", nargs="*", metavar="ADDRESS", help="who gets it")
    parser.add_argument("-t", dest="header", action="store_true", help="and who the header names")
    parser.add_argument("-f", "-r", dest="sender", metavar="ADDRESS", help="the envelope sender")
    parser.add_argument("-F", dest="name", metavar="NAME", help="the sender's name, for people")
    parser.add_argument("-b", dest="mode", default="m", metavar="MODE", help="m: mail; p: as mailq")
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
    if args.mode not in {"m", "d"}:
        return _failed(f"-b{args.mode}: only -bm and -bp", os.EX_USAGE)
    if not args.header and not args.recipients:
        return _failed("usage: sendmail [-t] [-f ADDRESS] [ADDRESS ...] <message", os.EX_USAGE)
    try:
        return _send(args, sys.stdin.buffer)
    except _Refused as error:
        return _failed(str(error), error.code)


def _send(args: argparse.Namespace, stream: BinaryIO) -> int:
    from indimail.app.configuration import open_instance  # noqa: PLC0415 - not for --help
    from indimail.mail.header import split_header  # noqa: PLC0415
    from indimail.manage.compose import compose  # noqa: PLC0415

    instance = open_instance(find_root(args.root, os.environ), os.environ)
    me = _me(instance)
    author = _author(args, os.environ, me)
    head, lines = _header(stream)
    fields, beginning = split_header(head)
    composed = compose(fields, author, *_marks(me))
    given = composed.recipients if args.header else ()
    recipients = tuple(_qualified(r, me) for r in (*args.recipients, *given))
    if not recipients:
        raise _Refused("no recipients: the header names nobody", os.EX_DATAERR)
    sender = author.address if args.sender is None else _sender(args.sender, me)
    receipt = _submit(instance, sender, recipients, _body(composed.header, beginning, lines))
    if receipt.code == 0:
        return os.EX_OK
    return _failed(receipt.reason, _exit_code(receipt))


def _submit(
    instance: Instance, sender: str, recipients: Sequence[str], body: Iterator[bytes]
) -> "Receipt":
    """Hand it to the server, or leave it for its next start."""
    from indimail.durable.disk import SystemDisk  # noqa: PLC0415 - not for --help
    from indimail.queue.submission import (  # noqa: PLC0415
        NobodyListens,
        Submission,
        spool_submission,
        submit,
    )

    submission = Submission(sender, tuple(recipients), queue=instance.queuedir)
    _require_text(submission)
    try:
        return submit(os.path.join(instance.run, "inject.sock"), submission, body)
    except NobodyListens:
        umask = os.umask(0o022)  # the server has to read it; only it can find it
        try:
            return spool_submission(SystemDisk(), instance.spool, submission, body)
        finally:
            os.umask(umask)


def _require_text(submission: "Submission") -> None:
    for address in (submission.reverse_path, *submission.recipients):
        if any(ord(c) < 0x20 or ord(c) == 0x7F or 0xD800 <= ord(c) <= 0xDFFF for c in address):
            raise _Refused(f"{address!a}: not an address", os.EX_DATAERR)


# -- the message ----------------------------------------------------------------------------------


def _header(stream: BinaryIO) -> tuple[bytes, Iterator[bytes]]:
    """Return what stands up to the body's first line, and the rest as pieces; line ends LF."""
    from indimail.mail.header import begins_body  # noqa: PLC0415 - not for --help

    head = bytearray()
    first = stream.readline(PIECE)
    crlf = first.endswith(b"\r\n")
    line = stream.readline(PIECE) if first.startswith((b"From ", b">From ")) else first
    while line:
        head += line
        if begins_body(line):
            break
        if len(head) > LONGEST_HEADER:
            raise _Refused(f"the header has more than {LONGEST_HEADER} octets", os.EX_DATAERR)
        line = stream.readline(PIECE)
    pieces = iter(lambda: stream.read(PIECE), b"")
    if not crlf:
        return bytes(head), pieces
    return bytes(head).replace(b"\r\n", b"\n"), _unix_lines(pieces)


def _unix_lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Make CRLF LF, also where it was cut in two."""
    held = b""
    for piece in pieces:
        text = held + piece
        held = b"\r" if text.endswith(b"\r") else b""
        yield (text[:-1] if held else text).replace(b"\r\n", b"\n")
    yield held


def _body(header: bytes, beginning: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the message; its last line ends."""
    last = header + b"\n" + beginning
    for piece in pieces:
        if piece:
            yield last
            last = piece
    yield last if last.endswith(b"\n") else last + b"\n"


def _marks(me: str) -> tuple[str, str]:
    """Return a Message-ID and the date."""
    import secrets  # noqa: PLC0415 - not for --help
    import time  # noqa: PLC0415

    from indimail.mail.dates import header_date  # noqa: PLC0415

    now = time.time()
    return f"<{int(now)}.{os.getpid()}.{secrets.token_hex(6)}@{me}>", header_date(now)


# -- who ------------------------------------------------------------------------------------------


def _me(instance: Instance) -> str:
    path = os.path.join(instance.control_dir, "me")
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().strip() or "localhost"
    except OSError as error:
        raise _Refused(f"{path}: {error.strerror}", os.EX_TEMPFAIL) from error


def _author(args: argparse.Namespace, environ: "os._Environ[str]", me: str) -> "Author":
    from indimail.manage.compose import Author  # noqa: PLC0415 - not for --help

    user = _first(environ, "QMAILUSER", "MAILUSER", "USER", "LOGNAME") or _login_name()
    host = _first(environ, "QMAILHOST", "MAILHOST") or me
    name = args.name or _first(environ, "QMAILNAME", "MAILNAME", "NAME")
    address = _sender(args.sender, me) if args.sender else ""
    return Author(address or (user if "@" in user else f"{user}@{host}"), name)


def _first(environ: "os._Environ[str]", *names: str) -> str:
    return next((environ[name] for name in names if environ.get(name)), "")


def _login_name() -> str:
    import pwd  # noqa: PLC0415 - not for --help

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid{os.getuid()}"


def _sender(given: str, me: str) -> str:
    """Return an envelope sender; ``<>`` and an empty one are the null reverse-path."""
    bare = given[1:-1] if given.startswith("<") and given.endswith(">") else given
    return _qualified(bare, me) if bare else ""


def _qualified(address: str, me: str) -> str:
    return address if "@" in address else f"{address}@{me}"


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


def _failed(reason: str, code: int) -> int:
    print(f"{PROGRAM}: {reason}", file=sys.stderr)
    return code
