"""`qmail-queue`: put a message into the queue as it is, its envelope apart.

    printf 'Feve@example.net\\0Talice@example.com\\0\\0' >envelope
    qmail-queue <message 1<envelope          # the message on descriptor 0, the envelope on 1

The envelope is ``F`` and the sender, then ``T`` and each recipient, each with a NUL, and one more NUL.
The message is read to its end before the envelope, as qmail's clients write them.

Exit codes: 0 it is durable; 11 an address is too long; 51 no memory; 53 it cannot be written; 54 it
cannot be read, or ends early; 71 the server takes nothing now; 74 it went away; 88 as the text on
descriptor 2 (or ERROR_FD) says, whose first letter is D (for good) or Z (for now); 91 the envelope is
none.  11 to 40 are for good, all others for now.

Source: spec/queue.md 5.5, spec/smtp.md 9.  Not here: a message that lacks fields (`qmail-inject`).
"""

import argparse
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from indimail.app.instance import find_root, open_instance
from indimail.cli.root import add_root

MESSAGE: Final = 0
ENVELOPE: Final = 1
PIECE: Final = 262_144
IN_MEMORY: Final = 1 << 20
LONGEST_ADDRESS: Final = 1002
LONGEST_ENVELOPE: Final = 4 << 20

TOO_LONG: Final = 11
NO_MEMORY: Final = 51
UNWRITABLE: Final = 53
UNREADABLE: Final = 54
AS_TOLD: Final = 88
FORMAT: Final = 91


class Unqueued(Exception):
    """Why nothing is queued: the exit code, and the text of code 88."""

    def __init__(self, code: int, text: str = "") -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sent it, and for whom."""

    sender: str
    recipients: tuple[str, ...]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_root(parser)


def run(args: argparse.Namespace) -> int:
    """Queue what stands on the descriptors 0 and 1."""
    try:
        return _queue(args)
    except Unqueued as reason:
        return _ended(reason.code, str(reason))
    except MemoryError:
        return NO_MEMORY


def _queue(args: argparse.Namespace) -> int:
    from indimail.cli.handover import NotText, hand_over  # noqa: PLC0415 - not for --help

    body = _held()
    envelope = parse_envelope(_whole_envelope())
    instance = open_instance(find_root(args.root, os.environ), os.environ)
    try:
        receipt = hand_over(instance, envelope.sender, envelope.recipients, body)
    except NotText as error:
        raise Unqueued(AS_TOLD, f"D{error} (#5.1.3)") from error
    return _ended(receipt.code, receipt.text)


def parse_envelope(octets: bytes) -> Envelope:
    """Read an envelope.  Raises `Unqueued`."""
    text, end, _ = octets.partition(b"\0\0")  # what may follow is not looked at
    if octets and not octets.startswith(b"F"):
        raise Unqueued(FORMAT)
    if not end:
        raise Unqueued(UNREADABLE)
    first, *others = text.split(b"\0")
    if not all(entry.startswith(b"T") for entry in others):
        raise Unqueued(FORMAT)
    if any(len(entry) - 1 > LONGEST_ADDRESS for entry in (first, *others)):
        raise Unqueued(TOO_LONG)
    sender, *recipients = (
        entry[1:].decode("utf-8", "surrogateescape") for entry in (first, *others)
    )
    return Envelope(sender, tuple(recipients))


def _whole_envelope() -> bytes:
    """Read up to its end; the client may keep the descriptor open."""
    octets = bytearray()
    for piece in _pieces(ENVELOPE):
        octets += piece
        if b"\0\0" in octets[-len(piece) - 1 :]:
            break
        if len(octets) > LONGEST_ENVELOPE:
            raise Unqueued(AS_TOLD, "Dsorry, too many recipients (#5.7.1)")
    return bytes(octets)


def _held() -> Iterator[bytes]:
    """Read the message to its end; return it again, from memory or from a file without a name."""
    parts: list[bytes] = []
    size = 0
    pieces = _pieces(MESSAGE)
    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size > IN_MEMORY:
            return _spooled(parts, pieces)
    return iter(parts)


def _spooled(parts: list[bytes], pieces: Iterator[bytes]) -> Iterator[bytes]:
    import tempfile  # noqa: PLC0415 - most messages need none

    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - open until the program ends
        file.writelines(parts)
    except OSError as error:
        raise Unqueued(UNWRITABLE) from error
    for piece in pieces:
        try:
            file.write(piece)
        except OSError as error:
            raise Unqueued(UNWRITABLE) from error
    file.seek(0)
    return iter(lambda: file.read(PIECE), b"")


def _pieces(fd: int) -> Iterator[bytes]:
    while True:
        try:
            piece = os.read(fd, PIECE)
        except OSError as error:
            raise Unqueued(UNREADABLE) from error
        if not piece:
            return
        yield piece


def _ended(code: int, text: str) -> int:
    """Tell the text of code 88 where the client reads it."""
    if code == AS_TOLD and text:
        given = os.environ.get("ERROR_FD", "2")
        with suppress(OSError):  # nobody reads: the code says enough
            os.write(int(given) if given.isdecimal() else 2, text.encode("utf-8", "replace"))
    return code
