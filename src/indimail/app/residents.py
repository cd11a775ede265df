"""The processes of other users, as the supervisor keeps them: one for each uid and gid, on demand.

    residents.ask(uid, gid, instead_of=0, answer=channel.send)    # Listening(...), now or once it listens

A worker asks; the process is forked, becomes that user, and listens on ``run/lspawn-UID-GID.sock``,
which the supervisor bound and whose mode lets the service account alone connect.  It ends by itself;
the next one that asks has another started.  A worker is believed about uids that `users/assign` or
the password file has, root excepted.

Source: DESIGN 5 (users).  Not here: what the process is (`app.lspawn`).
"""

import logging
import os
import pwd
import selectors
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NoReturn, Protocol

from indimail.app.channel import Listening

MOST: Final = 200  # processes
PAUSE: Final = 1.0  # after one that did not get as far as to listen
LOG: Final = logging.getLogger("indimail.serve")

Answer = Callable[[Listening], None]


class Homes(Protocol):
    """What there is for users besides the processes; `cli.serve` has it."""

    def refusal(self, uid: int, gid: int) -> str:
        """Return why nothing is delivered as this user, empty where it is."""

    def bind(self, uid: int, gid: int) -> tuple[str, socket.socket]:
        """Return the path and the socket for one.  Raises OSError."""

    def serve(self, uid: int, gid: int, listener: socket.socket, ready: socket.socket) -> None:
        """Be that user's process; in a fork."""


@dataclass(eq=False, slots=True)
class Resident:
    """A process; `end` is the socket whose other end it has for life."""

    uid: int
    gid: int
    pid: int
    path: str
    end: socket.socket
    listens: bool = False
    waiting: list[Answer] = field(default_factory=list)


class Residents:
    """Starts and buries them."""

    def __init__(self, homes: Homes, selector: selectors.BaseSelector) -> None:
        self._homes = homes
        self._selector = selector
        self._residents: dict[tuple[int, int], Resident] = {}
        self._pause: dict[tuple[int, int], float] = {}
        self._dying: set[int] = set()

    def ask(self, uid: int, gid: int, instead_of: int, answer: Answer) -> None:
        """Answer where the process of this user listens, or why there is none."""
        found = self._residents.get((uid, gid))
        if found is not None and found.pid == instead_of:
            LOG.warning(
                "the delivering process %d of uid %d does not answer; killed", found.pid, uid
            )
            self._end(found, "it did not answer")
            return
        if instead_of:
            return  # another worker had it ended
        if found is None:
            refusal = self._homes.refusal(uid, gid) or self._too_much(uid, gid)
            if refusal:
                answer(Listening(uid, gid, "", refusal))
                return
            try:
                found = self._start(uid, gid)
            except OSError as error:
                answer(Listening(uid, gid, "", f"not started: {error.strerror}"))
                return
        if found.listens:
            answer(Listening(uid, gid, found.path, ""))
        else:
            found.waiting.append(answer)

    def _too_much(self, uid: int, gid: int) -> str:
        if len(self._residents) >= MOST:
            return f"{MOST} other users have mail delivered at the moment"
        if time.monotonic() < self._pause.pop((uid, gid), 0.0):
            return "its delivering process ended as it was started"
        return ""

    def _start(self, uid: int, gid: int) -> Resident:
        path, listener = self._homes.bind(uid, gid)
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            self._become(uid, gid, listener, theirs)
        listener.close()
        theirs.close()
        ours.setblocking(False)
        resident = Resident(uid, gid, pid, path, ours)
        self._residents[uid, gid] = resident
        self._selector.register(ours, selectors.EVENT_READ, lambda _: self._hear(resident))
        return resident

    def _become(
        self, uid: int, gid: int, listener: socket.socket, ready: socket.socket
    ) -> NoReturn:
        try:
            self._homes.serve(uid, gid, listener, ready)
        except BaseException as error:  # the border of the process: the supervisor is told
            ready.send(f"{error!r}"[:500].encode())
        finally:
            os._exit(0)

    def _hear(self, resident: Resident) -> None:
        """It listens, says why it cannot, or ended."""
        try:
            said = resident.end.recv(1000)
        except BlockingIOError:
            return
        except OSError:
            said = b""
        if said == b"\0":
            resident.listens = True
            self._tell(resident, "")
            return
        if said or not resident.listens:
            reason = said.strip(b"\0").decode("utf-8", "replace") or "no reason given"
            LOG.error("the delivering process of uid %d ended: %s", resident.uid, reason)
        if not resident.listens:
            self._pause[resident.uid, resident.gid] = time.monotonic() + PAUSE
        self._end(resident, "its delivering process ended as it was started")

    def _tell(self, resident: Resident, error: str) -> None:
        waiting, resident.waiting = resident.waiting, []
        for answer in waiting:
            path = "" if error else resident.path
            answer(Listening(resident.uid, resident.gid, path, error))

    def _end(self, resident: Resident, why: str) -> None:
        self._selector.unregister(resident.end)
        resident.end.close()
        os.kill(resident.pid, signal.SIGKILL)
        self._dying.add(resident.pid)
        del self._residents[resident.uid, resident.gid]
        self._tell(resident, why)

    def reap(self) -> bool:
        """Bury who ended; True where one still has to be waited for."""
        for pid in list(self._dying):
            if os.waitpid(pid, os.WNOHANG)[0]:
                self._dying.discard(pid)
        return bool(self._dying)

    def close(self) -> None:
        """Leave them to themselves, in a fork that is none of them."""
        for resident in self._residents.values():
            resident.end.close()


def is_user(uid: int, gid: int) -> bool:
    """Tell whether the password file has this user, with this group and a home of its own."""
    try:
        found = pwd.getpwuid(uid)
        return found.pw_gid == gid and os.stat(found.pw_dir).st_uid == uid
    except (KeyError, OSError):
        return False
