"""Messages between the supervisor and its workers: pickled values over a socket pair.

    channel.send(Ready(worker=0)); channel.receive() -> [Invalidate(...)]     # [] = nothing yet

Both ends are our own code in processes of one fork, so pickle is safe here.
An end that died raises EOFError.
"""

import pickle
import socket
import struct
from dataclasses import dataclass

from indimail.schedule.deadhosts import DeadHost

HEADER = struct.Struct("!I")
PATIENCE = 10.0  # seconds that a peer may let us wait for room


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker accepts connections."""


@dataclass(frozen=True, slots=True)
class Stale:
    """A worker saw that a configuration file changed; it waits for `Configured`."""


@dataclass(frozen=True, slots=True)
class Configured:
    """The supervisor looked: here is the snapshot in force, or None where it is the one you have."""

    generation: int
    snapshot: bytes | None


@dataclass(frozen=True, slots=True)
class Invalidate:
    """Forget what is cached of an account (empty name: of all); answer `Done`."""

    token: int
    name: str
    domain: str


@dataclass(frozen=True, slots=True)
class Done:
    """A worker did what the message with this token asked."""

    token: int


@dataclass(frozen=True, slots=True)
class Changed:
    """A delivery changed an account: the supervisor has all workers forget it."""

    name: str
    domain: str


@dataclass(frozen=True, slots=True)
class Spawn:
    """A worker needs the delivering process of this user; it waits for `Listening`.

    With `instead_of`, the process of that number hangs and is to be ended; nothing is answered.
    """

    uid: int
    gid: int
    instead_of: int = 0


@dataclass(frozen=True, slots=True)
class Listening:
    """The delivering process of a user listens at `path`, or there is none, for a reason."""

    uid: int
    gid: int
    path: str
    error: str


@dataclass(frozen=True, slots=True)
class HostStates:
    """Other hosts that did not answer, or do again, as a worker found: the others learn it."""

    hosts: tuple[DeadHost, ...]


@dataclass(frozen=True, slots=True)
class ForgetHosts:
    """No host is left alone any longer (qmail-tcpok)."""


@dataclass(frozen=True, slots=True)
class TryAll:
    """Whatever waits in a queue is due now (qmailctl flush)."""


Message = (
    Ready | Stale | Configured | Invalidate | Done | Changed | Spawn | Listening | HostStates
    | ForgetHosts | TryAll
)  # fmt: skip


class Channel:
    """One end of the pair; `receive` never blocks, `send` blocks for the peer's buffer only."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._unread = bytearray()

    @classmethod
    def pair(cls) -> tuple["Channel", "Channel"]:
        """Return two ends that talk to each other."""
        one, other = socket.socketpair()
        return cls(one), cls(other)

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        return self._end.fileno()

    def send(self, message: Message) -> None:
        """Send a message whole; a peer that is gone is found out by `receive`."""
        body = pickle.dumps(message)
        self._end.settimeout(PATIENCE)
        try:
            self._end.sendall(HEADER.pack(len(body)) + body)
        except (BrokenPipeError, ConnectionResetError):
            return
        except TimeoutError:  # what followed half a message could not be read: both ends are over
            self._end.shutdown(socket.SHUT_RDWR)
        finally:
            self._end.setblocking(False)

    def receive(self) -> list[Message]:
        """Return the messages that are there.  Raises EOFError when the peer is gone."""
        while True:
            try:
                piece = self._end.recv(262_144)
            except BlockingIOError:
                return self._complete()
            except ConnectionResetError as error:
                raise EOFError from error
            if not piece:
                raise EOFError
            self._unread += piece

    def _complete(self) -> list[Message]:
        found: list[Message] = []
        while len(self._unread) >= HEADER.size:
            (size,) = HEADER.unpack_from(self._unread)
            if len(self._unread) < HEADER.size + size:
                break
            found.append(pickle.loads(self._unread[HEADER.size : HEADER.size + size]))  # noqa: S301
            del self._unread[: HEADER.size + size]
        return found

    def close(self) -> None:
        """Close this end; the peer reads EOFError."""
        self._end.close()
