"""Giving a message to a queue from another process: `sendmail`, and a worker without a queue.

    receipt = submit("/var/indimail/run/inject.sock", Submission("eve@example.net", ("a@b",)), pieces)
    receipt.code                              # 0: queued, durably; else the exit code of qmail-queue

Where nobody listens the message can be left in the spool directory (`spool_submission`), from which
it is adopted at the next start, once.  The owner of a file there is its sender, whatever it says.

Source: spec/queue.md 5.5 (exit codes), DESIGN 4.
Not here: the owner's side (`serve.inject`, `serve.adopt`).
"""

import json
import os
import re
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from indimail.durable.disk import Disk
from indimail.mail.errors import MailError
from indimail.wire.frames import END, BrokenFrame, FrameReader, write_frame

LONGEST_ENVELOPE: Final = 4 << 20  # octets of the JSON: some ten thousand recipients
LONGEST_PIECE: Final = 1 << 20
PATIENCE: Final = 300.0  # seconds for a commit, on a machine with trouble

QUEUED: Final = 0
TOO_LONG: Final = 11
TIMEOUT: Final = 52
WRITE_ERROR: Final = 53
READ_ERROR: Final = 54
REFUSED_FOR_NOW: Final = 71  # said before anything was taken: another owner may be asked
WENT_AWAY: Final = 74
AS_TOLD: Final = 88  # the text says it: its first letter is D (for good) or Z (for now)
FORMAT: Final = 91

_PERMANENT: Final = range(11, 41)
_LONGEST_NAME: Final = 100  # octets of a socket's path that fit in sockaddr_un, and some to spare
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]")


class NobodyListens(MailError):
    """No server takes submissions at that place."""


@dataclass(frozen=True, slots=True)
class Submission:
    """An envelope.

    `queue` is the queue it is meant for, by name or directory; empty: any.  `forwarded`: a delivery
    sends on what it got, so the sender may have to be rewritten (SRS).

    Believed only from a process of the server itself, with an `id`: then the body has its Received
    line, `uid` is who sent it, and `channels`, `targets` and `rules` are the recipients' routes.
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
    uid: int = 0
    channels: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    forwarded: bool = False

    def to_bytes(self) -> bytes:
        """Return the JSON frame's content."""
        return json.dumps(asdict(self), separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse a frame's content.  Raises ValueError for anything that is no envelope."""
        try:
            found = json.loads(data)
        except RecursionError as error:
            raise ValueError("not an envelope") from error
        if not isinstance(found, dict) or not {"reverse_path", "recipients"} <= set(found):
            raise ValueError("not an envelope")
        if not set(found) <= set(cls.__slots__):
            raise ValueError("an envelope of another version")
        for name, value in found.items():
            _require(name, value)
        for name in _LISTS & set(found):
            found[name] = tuple(found[name])
        values: dict[str, Any] = found
        return cls(**values)


_LISTS: Final = frozenset({"recipients", "notify", "orcpt", "channels", "targets", "rules"})
_KINDS: Final[dict[str, type]] = {
    "eight_bit": bool, "smtputf8": bool, "forwarded": bool, "id": int, "uid": int,
}  # fmt: skip


def _require(name: str, value: object) -> None:
    """Check the type of a value, and that a row, a log line and a header can hold it."""
    if name in _LISTS:
        fits = isinstance(value, list) and all(map(_is_plain, value))
    elif _KINDS.get(name) is int:
        fits = type(value) is int and 0 <= value < 1 << 63
    elif _KINDS.get(name) is bool:
        fits = isinstance(value, bool)
    else:
        fits = _is_plain(value)
    if not fits:
        raise ValueError(f"{name}: {str(value)[:100]!r}")


def _is_plain(value: object) -> bool:
    """Tell whether this is text of one line that UTF-8 can write (a lone surrogate is not)."""
    if not isinstance(value, str) or _CONTROLS.search(value):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the owner answered: 0 and the id, or an exit code of qmail-queue and its text."""

    code: int
    id: int = 0
    text: str = ""

    @property
    def is_permanent(self) -> bool:
        """Tell whether trying again cannot help."""
        if self.code == AS_TOLD:
            return self.text.startswith("D")
        return self.code in _PERMANENT

    @property
    def reason(self) -> str:
        """Return the text without the letter of code 88."""
        return self.text[1:] if self.code == AS_TOLD else self.text

    def to_bytes(self) -> bytes:
        """Return the answer's frame content."""
        answer = {"code": self.code, "id": str(self.id), "text": self.text}
        return json.dumps(answer, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Parse an answer."""
        found = json.loads(data)
        return cls(int(found["code"]), int(found["id"]), str(found["text"]))


def submit(
    path: str, submission: Submission, body: Iterable[bytes], patience: float = PATIENCE
) -> Receipt:
    """Hand a message to the owner and wait for its commit.

    Raises `NobodyListens` where no server runs; nothing was read of `body` then.  A connection that
    breaks is code 74, silence for `patience` seconds code 52: it may have been queued, so trying
    again may double it, as with every queue.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(patience)
        try:
            _connect(connection, path)
        except (
            FileNotFoundError,
            ConnectionRefusedError,
            PermissionError,  # for a moment: the socket is bound, and its mode not yet set
            BlockingIOError,  # too many wait already
        ) as error:
            raise NobodyListens(f"{path}: {error.strerror}") from error
        try:
            _send(connection, submission, body)
            return _read_receipt(connection)
        except TimeoutError:
            return Receipt(TIMEOUT, text="the queue does not answer")
        except (ConnectionError, EOFError):
            return Receipt(WENT_AWAY, text="the queue went away")


def _connect(connection: socket.socket, path: str) -> None:
    """Connect also where the path is longer than sockaddr_un (unix(7): 108 octets)."""
    if len(os.fsencode(path)) <= _LONGEST_NAME:
        connection.connect(path)
        return
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    finally:
        os.close(folder)


def _send(connection: socket.socket, submission: Submission, body: Iterable[bytes]) -> None:
    """Send everything; an owner that refuses stops reading, and its answer says why."""
    for piece in _frames(submission, body):
        try:
            connection.sendall(piece)
        except ConnectionError:
            return


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
    be listed by others, so the mail is as private as the sender's own.  The server has to read the
    file: the caller's umask leaves 0644 be.
    """
    name = f"{int(time.time())}.{os.getpid()}.{os.urandom(16).hex()}"
    hidden, path = os.path.join(folder, f".{name}"), os.path.join(folder, name)
    try:
        disk.write_new(hidden, (), mode=0o644)
        for piece in _frames(submission, body):
            disk.append(hidden, (piece,))
        disk.sync_file(hidden)
        disk.rename(hidden, path)
        _sync_name(disk, path)
    except OSError as error:
        for left in (hidden, path):
            with suppress(OSError):
                disk.unlink(left)
        return Receipt(WRITE_ERROR, text=f"{folder}: {error.strerror}")
    return Receipt(QUEUED)


def _sync_name(disk: Disk, path: str) -> None:
    """Make a name durable, also in a folder that one may write in and not read."""
    try:
        disk.sync_directory(os.path.dirname(path))
    except PermissionError:
        disk.sync_filesystem(path)


def read_spooled(disk: Disk, path: str) -> Iterator[bytes]:
    """Yield the frames of a spooled submission: envelope, then pieces.

    Raises ValueError where it is cut short or none, OSError for the disk.
    """
    reader = FrameReader(LONGEST_ENVELOPE)
    offset, size = 0, disk.size(path)
    while True:
        try:
            frame = reader.next()
        except BrokenFrame as error:
            raise ValueError(str(error)) from error
        if frame == b"":
            return
        if frame is not None:
            yield frame
            reader.most = LONGEST_PIECE
            continue
        data = disk.read(path, offset, 262_144) if offset < size else b""
        if not data:
            raise ValueError("cut short")
        offset += len(data)
        reader.feed(data)
