"""The programs that run for one user: how many at once, and who waits.

    programs.run(task, done)         # done(Ended(...)), or done(a MailError); returns how to end it

At most ``at_once`` run, and of one home a quarter of them, so that a line which hangs takes the turn
from its own domain alone.  Who waited for `PATIENCE` seconds is deferred.

Runs on the event loop of qmail-lspawn.  Not here: one program (`serve.guard`).
"""

import asyncio
import os
import socket
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final

from indimail.delivery.program import Ended
from indimail.mail.errors import MailError, Temporary
from indimail.serve.descendants import below, kill, tasks_of
from indimail.serve.guard import Task, read_result, start

PATIENCE: Final = 60.0
SHARE: Final = 4
COUNTED: Final = 10.0  # seconds for which the number of a user's tasks is believed
# The kernel counts a user's tasks, not a program's: so many programs may fork what they want before
# another one cannot, and is deferred.  Their guards end them at their next look.
ROOM: Final = 10

Done = Callable[[Ended | MailError], None]


@dataclass(eq=False, slots=True)
class _Program:
    task: Task
    done: Done
    until: float
    guard: int = 0
    end: socket.socket | None = None
    said: bytes = b""


class Programs:
    """Starts guards, and hears what they say."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[_Program] = deque()
        self._running: set[_Program] = set()
        self._homes: Counter[str] = Counter()
        self._tasks = 0
        self._counted = -COUNTED
        self._orphaned = False  # there may be children that are no guards

    def run(self, task: Task, done: Done) -> Callable[[], None]:
        """Run a program in its turn; the result ends it, and then nothing is told."""
        program = _Program(task, done, self._loop.time() + PATIENCE)
        self._waiting.append(program)
        self._start_some()
        return lambda: self._drop(program)

    def tick(self) -> None:
        """Defer who waited for too long; called every second."""
        if self._orphaned:
            self._end_orphans()
        now = self._loop.time()
        for program in [p for p in self._waiting if p.until <= now]:
            self._waiting.remove(program)
            _close(program.task)
            task = program.task
            program.done(
                Temporary(f"{task.command}: too many programs run in {task.home}. (#4.3.0)")
            )

    def _start_some(self) -> None:
        for program in list(self._waiting):
            task = program.task
            most = task.limits.at_once
            if len(self._running) >= most:
                return
            if self._homes[task.home] < max(1, most // SHARE):
                self._waiting.remove(program)
                self._start(program)

    def _start(self, program: _Program) -> None:
        task = program.task
        tasks = self._count() + ROOM * task.limits.processes
        try:
            program.guard, end = start(replace(task, tasks=tasks))
        except OSError as error:
            failure = Temporary(f"{task.command}: not started: {error.strerror}. (#4.3.0)")
            self._loop.call_soon(program.done, failure)
            return
        finally:
            _close(task)
        program.end = end
        self._running.add(program)
        self._homes[task.home] += 1
        self._loop.add_reader(end.fileno(), self._on_guard, program, end)

    def _on_guard(self, program: _Program, end: socket.socket) -> None:
        try:
            data = end.recv(65_536)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        program.said += data
        if not data:
            self._end(program, end)
            program.done(read_result(program.said))
            self._start_some()

    def _end(self, program: _Program, end: socket.socket) -> None:
        """Bury a guard; one that was killed left its program to us."""
        self._loop.remove_reader(end.fileno())
        end.close()
        self._running.discard(program)
        home = program.task.home
        self._homes[home] -= 1
        if not self._homes[home]:
            del self._homes[home]
        os.waitpid(program.guard, 0)
        if not program.said:
            self._orphaned = True
            self._end_orphans()

    def _end_orphans(self) -> None:
        """End what a guard left to us that was killed itself."""
        guards = {program.guard for program in self._running}
        me = os.getpid()
        found = below(me)
        ours = [pid for pid, seen in found.items() if seen.parent == me and pid not in guards]
        for orphan in ours:
            for pid in (orphan, *below(orphan)):
                kill(pid)
            with suppress(ChildProcessError):
                os.waitpid(orphan, os.WNOHANG)
        self._orphaned = bool(ours)

    def _drop(self, program: _Program) -> None:
        """End a program that nobody waits for: its guard sees the end of its socket."""
        if program in self._waiting:
            self._waiting.remove(program)
            _close(program.task)
        elif program in self._running and program.end is not None:
            program.done = _nobody
            program.end.shutdown(socket.SHUT_WR)

    def _count(self) -> int:
        """Return how many tasks the user has."""
        now = self._loop.time()
        if now - self._counted > COUNTED:
            self._counted = now
            self._tasks = tasks_of(os.getuid())
        return self._tasks


def _nobody(_: Ended | MailError) -> None:
    return


def _close(task: Task) -> None:
    if task.file >= 0:
        os.close(task.file)
