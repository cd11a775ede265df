"""A message from standard input, completed and put into the queue: `sendmail` and `qmail-inject`.

    order = Order(arguments=("bob@example.org",), from_header=True, sender="eve@example.net")
    receipt = inject(instance, order, os.environ, sys.stdin.buffer)

Who sends and what is wished stands in the environment: QMAILUSER MAILUSER USER LOGNAME, QMAILHOST
MAILHOST, QMAILNAME MAILNAME NAME, QMAILSUSER QMAILSHOST, QMAILINJECT, QMAILMFTFILE; what completes
addresses in QMAILDEFAULTDOMAIN QMAILDEFAULTHOST QMAILIDHOST QMAILPLUSDOMAIN, else in the control
files of those names, else in ``me``.

A line with a lone dot does not end the message.  Lines that end in CRLF get LF, if the first one
does; a ``From `` line in front goes.

Raises `NotSent`.  Source: spec/queue.md 6.1, 6.2.  Not here: the header (`mail.compose`).
"""

import os
import pwd
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from indimail.app.instance import Instance
from indimail.cli.handover import NotText, hand_over, is_text
from indimail.control.files import read_control
from indimail.mail.addresses import Hosts, mailbox_of
from indimail.mail.compose import Author, Composed, Marks, Wishes, compose
from indimail.mail.dates import header_date
from indimail.mail.header import begins_body, split_header
from indimail.queue.submission import Receipt

LONGEST_HEADER: Final = 4 << 20
PIECE: Final = 262_144

Environ = Mapping[str, str]


class NotSent(Exception):
    """Why nothing was queued; `is_permanent` where trying again cannot help."""

    def __init__(self, text: str, *, is_permanent: bool) -> None:
        super().__init__(text)
        self.is_permanent = is_permanent


@dataclass(frozen=True, slots=True)
class Order:
    """What the command line says.

    `sender` is the envelope sender (empty: the null reverse-path; None: not given).
    """

    arguments: tuple[str, ...] = ()
    from_header: bool = False
    sender: str | None = None
    name: str = ""
    sender_writes: bool = False  # `sender` is the author too, as it is for sendmail


@dataclass(frozen=True, slots=True)
class Mail:
    """A message that is ready."""

    sender: str
    recipients: tuple[str, ...]
    body: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Message:
    """What came: the header's octets up to the body's first line, then the rest."""

    head: bytes
    rest: Iterator[bytes]


def inject(instance: Instance, order: Order, environ: Environ, stream: BinaryIO) -> Receipt:
    """Complete a message and queue it."""
    mail = prepare(instance, order, environ, stream)
    if not mail.recipients:
        raise NotSent("no recipients: the header names nobody", is_permanent=True)
    try:
        forwarded = _is_of_delivery(environ)
        return hand_over(instance, mail.sender, mail.recipients, mail.body, forwarded=forwarded)
    except NotText as error:
        raise NotSent(str(error), is_permanent=True) from error


def _is_of_delivery(environ: Environ) -> bool:
    """Tell whether a line of a dot-qmail file runs us: what it sends is sent on (spec 6.1)."""
    return "EXT" in environ and "HOST" in environ


def prepare(instance: Instance, order: Order, environ: Environ, stream: BinaryIO) -> Mail:
    """Read the header and complete the message."""
    controls = Controls(instance.control_dir, environ)
    hosts = controls.hosts()
    letters = environ.get("QMAILINJECT", "")
    author = _author(order, environ, hosts)
    now = time.time()
    stamp = f"{int(now)}.{os.getpid()}"
    id_host = _one_word(controls.value("idhost", "QMAILIDHOST"))
    marks = Marks(f"<{stamp}.{os.urandom(6).hex()}@{id_host}>", header_date(now))
    wishes = Wishes(
        "f" in letters, "i" in letters, "c" in letters, _mailing_lists(environ.get("QMAILMFTFILE"))
    )
    message = _read(stream)
    fields, beginning = split_header(message.head)
    composed = compose(fields, author, marks, hosts, wishes)
    given = composed.recipients if order.from_header else ()
    named = (str(hosts.qualify(mailbox_of(address))) for address in order.arguments if address)
    return Mail(
        _sender(order, environ, composed, hosts, stamp),
        (*named, *given),
        _body(composed.header, beginning, message.rest),
    )


# -- who ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Controls:
    """Control files, each with a variable that goes before it."""

    folder: str
    environ: Environ

    def value(self, name: str, variable: str) -> str:
        """Return the variable, else the file's first line, else that of `me`."""
        return self.environ.get(variable) or self._first(name) or self.me()

    def hosts(self) -> Hosts:
        """Return what completes an address."""
        return Hosts(
            self.value("defaulthost", "QMAILDEFAULTHOST"),
            self.value("defaultdomain", "QMAILDEFAULTDOMAIN"),
            self.value("plusdomain", "QMAILPLUSDOMAIN"),
        )

    def me(self) -> str:
        """Return the host's name."""
        path = os.path.join(self.folder, "me")
        if not os.path.exists(path):
            raise NotSent(f"{path}: no such file", is_permanent=False)
        return self._first("me") or "localhost"

    def _first(self, name: str) -> str:
        file, mistakes = read_control(os.path.join(self.folder, name), f"control/{name}")
        if mistakes:
            raise NotSent(str(mistakes[0]), is_permanent=False)
        return file.first.text if file.first else ""


def _author(order: Order, environ: Environ, hosts: Hosts) -> Author:
    name = order.name or _first(environ, "QMAILNAME", "MAILNAME", "NAME")
    if order.sender_writes and order.sender and _bare(order.sender):
        address = _bare(order.sender)
    else:
        address = _first(environ, "QMAILUSER", "MAILUSER", "USER", "LOGNAME") or _login_name()
        host = _first(environ, "QMAILHOST", "MAILHOST")
        address = f"{address}@{host}" if host and "@" not in address else address
    if not is_text(address):
        raise NotSent(f"{address!a}: not an address", is_permanent=True)
    return Author(str(hosts.qualify(mailbox_of(address))), name)


def _sender(
    order: Order, environ: Environ, composed: Composed, hosts: Hosts, stamp: str
) -> str:  # fmt: skip
    """Return the envelope sender: -f, else Return-Path, else the environment's."""
    letters = environ.get("QMAILINJECT", "")
    if order.sender is not None:
        bare = _bare(order.sender)
        return str(hosts.qualify(mailbox_of(bare))) if bare else ""
    if composed.return_path is not None and "s" not in letters:
        return composed.return_path
    user = _first(environ, "QMAILSUSER", "QMAILUSER", "MAILUSER", "USER", "LOGNAME")
    host = _first(environ, "QMAILSHOST", "QMAILHOST", "MAILHOST")
    user = user or _login_name()
    address = f"{user}@{host}" if host and "@" not in user else user
    found = hosts.qualify(mailbox_of(address))
    local = f"{found.local}-{stamp}" if "m" in letters else found.local
    return f"{local}-@{found.domain}-@[]" if "r" in letters else f"{local}@{found.domain}"


def _bare(address: str) -> str:
    """Return an address without its brackets."""
    return address[1:-1] if address.startswith("<") and address.endswith(">") else address


def _first(environ: Environ, *names: str) -> str:
    return next((environ[name] for name in names if environ.get(name)), "")


def _login_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid{os.getuid()}"


def _mailing_lists(path: str | None) -> frozenset[str]:
    """Return the addresses of QMAILMFTFILE, one a line."""
    if not path:
        return frozenset()
    file, mistakes = read_control(os.path.abspath(path), path)
    if mistakes:
        raise NotSent(str(mistakes[0]), is_permanent=False)
    return frozenset(line.text.lower() for line in file.lines)


def _one_word(text: str) -> str:
    return "".join(text.split())


# -- the message ----------------------------------------------------------------------------------


def _read(stream: BinaryIO) -> Message:
    """Return what stands up to the body's first line, and the rest as pieces; line ends LF."""
    head = bytearray()
    first = stream.readline(PIECE)
    crlf = first.endswith(b"\r\n")
    line = stream.readline(PIECE) if first.startswith((b"From ", b">From ")) else first
    while line:
        head += line
        if begins_body(line):
            break
        if len(head) > LONGEST_HEADER:
            text = f"the header has more than {LONGEST_HEADER} octets"
            raise NotSent(text, is_permanent=True)
        line = stream.readline(PIECE)
    pieces = iter(lambda: stream.read(PIECE), b"")
    if not crlf:
        return Message(bytes(head), pieces)
    return Message(bytes(head).replace(b"\r\n", b"\n"), _unix_lines(pieces))


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
