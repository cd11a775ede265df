"""One program of a .qmail line, and the process that keeps it within its limits.

    pid, end = start(task)       # a guard, forked from here
    read_result(end.recv(...))   # once it is whole: Ended(...), or the error that kept it from running

The guard reads the envdirs, makes the standard input, and starts ``/bin/sh -c COMMAND`` in the home,
in a session of its own.  It waits for sh, for octets of its output, and for time; whatever sh started
is the guard's in the end, as it adopts orphans.  When sh ends, or a limit is passed, all of it is
ended: no program outlives its delivery.  A guard whose `end` is closed from outside ends its program.

A guard does nothing else, so it may wait; and what becomes of one program is no other's concern.
Units: octets, seconds.  Sources: spec/delivery.md 4; setrlimit(2), memfd_create(2), pidfd_open(2).
Not here: how many run at once (`serve.programs`), what an exit code means (`delivery.program`).
"""

import gc
import json
import os
import resource
import select
import signal
import socket
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from indimail.delivery.program import REPORT, STOPPED, Ended, Limits
from indimail.mail.errors import MailError, Temporary
from indimail.serve.descendants import below, end_children, tasks_of
from indimail.serve.prctl import adopt_orphans, call_myself

SHELL: Final = "/bin/sh"
FIRST_LOOK: Final = 0.05  # seconds until processes and memory are counted, then twice that ...
LAST_LOOK: Final = 0.2  # ... up to this
ENDED_WITHIN: Final = 5.0
OPEN_FILES: Final = 1024  # what programs expect; the server has more
LONGEST_VARIABLE: Final = 65_536
_EXEC_FAILED: Final = 111
_PIECE: Final = 65_536
_BY_SHELL: Final = 128  # sh says so of a command that a signal ended
_DEFAULT_SIGNALS: Final = (
    signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Task:
    """A command, where and with what it runs.

    Its input is `octets`, then what an open file has from `offset` on.  `tasks` is how many its
    user may have, all told.
    """

    command: str
    home: str
    environment: Mapping[str, str]
    envdirs: tuple[str, ...]
    limits: Limits
    octets: bytes
    file: int = -1
    offset: int = 0
    tasks: int = 0


def start(task: Task) -> tuple[int, socket.socket]:
    """Fork a guard; its result comes over the socket, then the end."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid:
        theirs.close()
        ours.setblocking(False)
        return pid, ours
    try:
        ours.close()
        _serve(task, theirs)
    finally:
        os._exit(0)


def read_result(data: bytes) -> Ended | MailError:
    """Return what a guard said; one that said nothing was killed."""
    try:
        found = json.loads(data)
    except ValueError:
        return Temporary("the process that ran the program was killed. (#4.3.0)")
    if "error" in found:
        return Temporary(found["error"])
    return Ended(found["code"], found["output"], found["signal"], found["limit"])


def _serve(task: Task, end: socket.socket) -> None:
    """Be a guard."""
    gc.disable()
    signal.set_wakeup_fd(-1)
    adopt_orphans()
    call_myself("qmail-local")
    _close_but(end.fileno(), task.file)
    result: dict[str, str | int]
    try:
        ended = _Watch(task, end.fileno()).run()
        result = {
            "code": ended.code, "output": ended.output, "signal": ended.signal,
            "limit": ended.limit,
        }  # fmt: skip
    except _Unwanted:
        return
    except MailError as error:
        result = {"error": str(error)}
    except Exception as error:  # the border of the process: it is told
        result = {"error": f"{task.command}: not run: {error}. (#4.3.0)"}
    finally:
        end_children(ENDED_WITHIN)
    with suppress(OSError):
        end.sendall(json.dumps(result).encode())


class _Unwanted(Exception):
    """Nobody waits for the program any longer."""


@dataclass(slots=True)
class _Watch:
    """A running program."""

    task: Task
    end: int
    said: bytearray = field(default_factory=bytearray)
    written: int = 0
    shell: int = 0
    out: int = -1
    poll: select.poll = field(default_factory=select.poll)

    def run(self) -> Ended:
        """Start it and stay with it."""
        os.umask(0o077)
        try:
            os.chdir(self.task.home)
        except OSError as error:
            text = f"Unable to switch to {self.task.home}: {error.strerror}. (#4.3.0)"
            raise Temporary(text) from error
        variables = {**self.task.environment, **read_envdirs(self.task.envdirs)}
        environment = {name: value for name, value in variables.items() if value is not None}
        self._start(_input(self.task), environment)
        watched = os.pidfd_open(self.shell)
        self.poll.register(self.out, select.POLLIN)
        self.poll.register(watched, select.POLLIN)
        self.poll.register(self.end, select.POLLIN)
        limit = self._until_it_ends(watched)
        # Before it is reaped nobody else gets its number, so the group is still its own.
        with suppress(ProcessLookupError):
            os.killpg(self.shell, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(self.shell, 0)[1])
        return self._ended(code, limit or self._of_the_kernel(code) or self._of_its_user(code))

    def _start(self, stdin: int, environment: dict[str, str]) -> None:
        self.out, out = os.pipe()
        os.set_blocking(self.out, False)
        self.shell = os.fork()
        if not self.shell:
            _become(self.task, stdin, out, environment)
        os.close(out)
        os.close(stdin)

    def _until_it_ends(self, watched: int) -> str:
        """Return the limit that it passed; empty where it ended by itself."""
        limits = self.task.limits
        now = time.monotonic()
        until = now + limits.seconds if limits.seconds else float("inf")
        pause = FIRST_LOOK
        look = now + pause
        while True:
            ready = dict(self.poll.poll(max(0.0, min(until, look) - now) * 1000))
            if self.end in ready:
                raise _Unwanted
            if self.out in ready and not self._read():
                return f"wrote more than {limits.output} octets"
            if watched in ready:
                self._read()
                return ""
            now = time.monotonic()
            if now >= until:
                return f"ran longer than {limits.seconds} seconds"
            if now >= look:
                if limit := self._too_much():
                    return limit
                pause = min(2 * pause, LAST_LOOK)
                look = now + pause

    def _read(self) -> bool:
        """Take what it wrote; False where that is too much."""
        limits = self.task.limits
        while not limits.output or self.written <= limits.output:
            try:
                piece = os.read(self.out, _PIECE)
            except BlockingIOError:
                return True
            if not piece:
                with suppress(KeyError):
                    self.poll.unregister(self.out)
                return True
            self.written += len(piece)
            self.said += piece[: REPORT - len(self.said)]
            if self.written > REPORT:
                return not limits.output or self.written <= limits.output
        return False

    def _too_much(self) -> str:
        """Count its processes and their memory."""
        limits = self.task.limits
        found = below(os.getpid())
        if 0 < limits.processes < len(found):
            return f"started more than {limits.processes} processes"
        if 0 < limits.memory < sum(seen.memory for seen in found.values()):
            return f"took more than {limits.memory} octets of memory"
        return ""

    def _of_the_kernel(self, code: int) -> str:
        """Return the limit for which the kernel ended it, or what sh waited for."""
        number = -code if code < 0 else code - _BY_SHELL
        limits = self.task.limits
        if number == signal.SIGXCPU and limits.cpu:
            return f"took more than {limits.cpu} seconds of processor time"
        if number == signal.SIGXFSZ and limits.file:
            return f"wrote a file larger than {limits.file} octets"
        return ""

    def _of_its_user(self, code: int) -> str:
        """Doubt a failure while the kernel lets its user start nothing, whoever took the room."""
        if code in {0, STOPPED} or not self.task.limits.processes:
            return ""
        found = tasks_of(os.getuid())
        if found < self.task.tasks:
            return ""
        return f"failed with {found} processes of its user running, and may start none"

    def _ended(self, code: int, limit: str) -> Ended:
        said = self.said.decode("utf-8", "replace")
        if limit:
            return Ended(output=said, limit=limit)
        return Ended(output=said, signal=-code) if code < 0 else Ended(code, said)


def _become(task: Task, stdin: int, out: int, environment: dict[str, str]) -> None:
    """Be the program; never returns."""
    try:
        os.setsid()
        for fd, wanted in ((stdin, 0), (out, 1), (out, 2)):
            os.dup2(fd, wanted)
        os.closerange(3, 1 << 20)
        for number in _DEFAULT_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        for kind, most in _resources(task):
            hard = resource.getrlimit(kind)[1]
            if hard != resource.RLIM_INFINITY:
                most = min(most, hard)  # noqa: PLW2901
            # The kernel ends at the hard limit of processor time what does not at the soft one.
            resource.setrlimit(kind, (most, most + 1 if kind == resource.RLIMIT_CPU else most))
        os.execve(SHELL, [SHELL, "-c", task.command], environment)  # noqa: S606  sh is the shell
    except (OSError, ValueError) as error:
        with suppress(OSError):
            os.write(2, f"Unable to run {SHELL}: {error}. (#4.3.0)\n".encode())
    finally:
        os._exit(_EXEC_FAILED)


def _resources(task: Task) -> Iterator[tuple[int, int]]:
    limits = task.limits
    yield resource.RLIMIT_CORE, 0
    yield resource.RLIMIT_NOFILE, OPEN_FILES
    if limits.cpu:
        yield resource.RLIMIT_CPU, limits.cpu
    if limits.memory:
        yield resource.RLIMIT_AS, limits.memory
    if limits.file:
        yield resource.RLIMIT_FSIZE, limits.file
    if limits.processes:
        yield resource.RLIMIT_NPROC, task.tasks


def _input(task: Task) -> int:
    """Return a file that can be read from its beginning on, and sought in."""
    if task.file < 0:
        fd = os.memfd_create("mail")
        _write(fd, task.octets)
    elif not task.octets and not task.offset:
        fd = task.file
    else:
        with tempfile.TemporaryFile(buffering=0) as file:
            fd = os.dup(file.fileno())
        _write(fd, task.octets)
        offset = task.offset
        while sent := os.sendfile(fd, task.file, offset, 1 << 24):
            offset += sent
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _write(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def read_envdirs(paths: tuple[str, ...]) -> dict[str, str | None]:
    """Read folders with a file for each variable: its first line; None takes the variable away.

    Trailing blanks go, a NUL stands for a newline, an empty file is none.  Raises Temporary.
    Source: envdir(8).
    """
    found: dict[str, str | None] = {}
    for path in paths:
        try:
            for name in sorted(os.listdir(path)):
                if not name.startswith(".") and "=" not in name:
                    found[name] = _variable(os.path.join(path, name))
        except OSError as error:
            text = (
                f"Unable to read environment {error.filename or path}: {error.strerror}. (#4.3.0)"
            )
            raise Temporary(text) from error
    return found


def _variable(path: str) -> str | None:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(0, "not a regular file", path)
        data = os.read(fd, LONGEST_VARIABLE)
    finally:
        os.close(fd)
    if not data:
        return None
    line = data.partition(b"\n")[0].rstrip(b" \t")
    return line.replace(b"\0", b"\n").decode("utf-8", "surrogateescape")


def _close_but(*kept: int) -> None:
    """Close what a fork brought along, but for the standard files and these."""
    low = 3
    for fd in sorted(fd for fd in kept if fd >= low):
        os.closerange(low, fd)
        low = fd + 1
    os.closerange(low, 1 << 20)
