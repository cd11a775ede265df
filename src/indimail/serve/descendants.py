"""The processes below one: counted, weighed and ended.

    below(os.getpid())           -> {4711: Seen(parent=4710, memory=1_437_696), ...}
    end_children(within=5.0)     # all that is below us, whatever it forks meanwhile
    tasks_of(1001)               -> 37: what counts for RLIMIT_NPROC

One walk over /proc: the list of a process's children is not in every kernel.  Who ended meanwhile is
left out.  Units: octets.  Source: proc(5).
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_AGAIN: Final = 0.005  # seconds between two rounds of signals


@dataclass(frozen=True, slots=True)
class Seen:
    """A process: who its parent is, and the memory that it has in use."""

    parent: int
    memory: int


def below(root: int) -> dict[int, Seen]:
    """Return the children of `root`, their children, and so on."""
    every = dict(_processes())
    children: dict[int, list[int]] = {}
    for pid, seen in every.items():
        children.setdefault(seen.parent, []).append(pid)
    found: dict[int, Seen] = {}
    waiting = [root]
    while waiting:
        for pid in children.get(waiting.pop(), ()):
            if pid not in found and pid != root:
                found[pid] = every[pid]
                waiting.append(pid)
    return found


def kill(pid: int) -> None:
    """End a process; one that is gone is fine."""
    with suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def end_children(within: float) -> bool:
    """End all that is below this process and reap it; False where something is left.

    Whoever called `prctl.adopt_orphans` is the parent of all of it in the end.  Only what the
    kernel holds (a dead network disk) outlives a signal.
    """
    end = time.monotonic() + within
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0]:
                continue
        except ChildProcessError:
            return True
        for pid in below(os.getpid()):
            kill(pid)
        if time.monotonic() > end:
            return False
        time.sleep(_AGAIN)


def tasks_of(uid: int) -> int:
    """Return how many threads a user has."""
    return sum(_threads(pid, uid) for pid in _pids())


def _threads(pid: int, uid: int) -> int:
    fields = dict(line.split(b":", 1) for line in _read(pid, "status").splitlines() if b":" in line)
    real = fields.get(b"Uid", b"").split()
    return int(fields.get(b"Threads", b"0")) if real and int(real[0]) == uid else 0


def _processes() -> Iterator[tuple[int, Seen]]:
    for pid in _pids():
        fields = _read(pid, "stat").rpartition(b")")[2].split()  # a name may hold anything
        if len(fields) > 21:
            yield pid, Seen(int(fields[1]), int(fields[21]) * _PAGE)


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _read(pid: int, name: str) -> bytes:
    try:
        with open(f"/proc/{pid}/{name}", "rb", buffering=0) as file:
            return file.read()
    except OSError:
        return b""
