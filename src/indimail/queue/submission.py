"""Giving a message to the queue's owner from another process: `sendmail`, and a worker without a queue.

    receipt = submit("/var/indimail/run/inject.sock", Submission("eve@example.net", ("a@b",)), pieces)
    receipt.code                              # 0: queued, durably; else the exit code of qmail-queue

Where nobody listens the message can be left in the spool directory (`spool_submission`), from which
it is adopted at the next start, once.  The owner of a file there is its sender, whatever it says.

Source: spec/queue.md 5.5 (exit codes), DESIGN 4.  Not here: the owner's side (`serve.inject`).
"""

import json
import os
import secrets
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from indimail.durable.disk import Disk
from indimail.mail.errors import MailError
from indimail.wire.frames import END, FrameReader, write_frame

LONGEST_ENVELOPE: Final = 4 << 20  # octets of the JSON: some ten thousand recipients
LONGEST_PIECE: Final = 1 << 20
PATIENCE: Final = 300.0  # seconds for a commit, on a machine with trouble

QUEUED: Final = 0
TOO_LONG: Final = 11
TIMEOUT: Final = 52
WRITE_ERROR: Final = 53
READ_ERROR: Final = 54
REFUSED_FOR_NOW: Final = 71
FORMAT: Final = 91


class NobodyListens(MailError):
    """No server takes submissions at that place."""


@dataclass(frozen=True, slots=True)
class Submission:
    """An envelope.

    `id` comes only from a process of the server itself: then the body has its Received line.
    `queue` names the queue it is meant for; empty: any.
    """

    reverse_path: str
    recipients: tuple[str, ...]
    eight_bit: bool = False
    smtputf8: bool = False
    auth: str = ""
    ret: str = ""
    envid: str = ""
    notify: tuple[str, ...] = ()
    orcpt: tuple[str, ...] = ()
    id: int = 0
    queue: str = ""

    def to_bytes(self) -> bytes:
        """Return the JSON frame's content."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse a frame's content.  Raises ValueError for anything that is no envelope."""
        found = json.loads(data)
        if not isinstance(found, dict) or not set(found) <= set(cls.__slots__):
            raise ValueError("not an envelope")
        for name, value in found.items():
            _require(name, value)
        for name in ("recipients", "notify", "orcpt"):
            found[name] = tuple(found.get(name, ()))
        values: dict[str, Any] = found
        return cls(**values)


def _require(name: str, value: object) -> None:
    kinds: dict[str, type] = {"eight_bit": bool, "smtputf8": bool, "id": int}
    if name in {"recipients", "notify", "orcpt"}:
        fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
    else:
        fits = isinstance(value, kinds.get(name, str))
    if not fits:
        raise ValueError(f"{name}: {value!r}")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the owner answered: 0 and the id, or an exit code of qmail-queue and its text."""

    code: int
    id: int = 0
    text: str = ""

    def to_bytes(self) -> bytes:
        """Return the answer's frame content."""
        answer = {"code": self.code, "id": str(self.id), "text": self.text}
        return json.dumps(answer, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse an answer."""
        found = json.loads(data)
        return cls(int(found["code"]), int(found["id"]), str(found["text"]))


def submit(path: str, submission: Submission, body: Iterable[bytes]) -> Receipt:
    """Hand a message to the owner and wait for its commit.

    Raises `NobodyListens` where no server runs.  A connection that breaks is code 74: it may have
    been queued, so trying again may double it, as with every queue.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        try:
            connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NobodyListens(path) from error
        try:
            for piece in _frames(submission, body):
                connection.sendall(piece)
            return _read_receipt(connection)
        except TimeoutError:
            return Receipt(TIMEOUT, text="the queue does not answer")
        except (ConnectionError, EOFError):
            return Receipt(74, text="the queue went away")


def _frames(submission: Submission, body: Iterable[bytes]) -> Iterator[bytes]:
    yield write_frame(submission.to_bytes())
    for piece in body:
        for at in range(0, len(piece), LONGEST_PIECE):
            yield write_frame(piece[at : at + LONGEST_PIECE])
    yield END


def _read_receipt(connection: socket.socket) -> Receipt:
    reader = FrameReader(LONGEST_PIECE)
    while (frame := reader.next()) is None:
        data = connection.recv(65_536)
        if not data:
            raise EOFError
        reader.feed(data)
    return Receipt.from_bytes(frame)


def spool_submission(
    disk: Disk, folder: str, submission: Submission, body: Iterable[bytes]
) -> Receipt:
    """Leave a message for the next start.

    Commit point: the name is synced in `folder`.  The name cannot be guessed, and the folder cannot
    be listed by others, so the mail is as private as the sender's own.
    """
    name = f"{int(time.time())}.{os.getpid()}.{secrets.token_hex(16)}"
    hidden, path = os.path.join(folder, f".{name}"), os.path.join(folder, name)
    try:
        disk.write_new(hidden, (), mode=0o644)
        for piece in _frames(submission, body):
            disk.append(hidden, (piece,))
        disk.sync_file(hidden)
        disk.rename(hidden, path)
        disk.sync_directory(folder)
    except OSError as error:
        return Receipt(WRITE_ERROR, text=f"{folder}: {error.strerror}")
    return Receipt(QUEUED)


def read_spooled(disk: Disk, path: str) -> Iterator[bytes]:
    """Yield the frames of a spooled submission: envelope, then pieces.  Raises ValueError."""
    reader = FrameReader(LONGEST_ENVELOPE)
    offset, size = 0, disk.size(path)
    while True:
        frame = reader.next()
        if frame == b"":
            return
        if frame is not None:
            yield frame
            continue
        if offset >= size:
            raise ValueError(f"{path}: cut short")
        data = disk.read(path, offset, 262_144)
        offset += len(data)
        reader.feed(data)
