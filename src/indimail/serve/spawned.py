"""A qmail-lspawn as a worker sees it, and the hands and quotas of other users.

    spawned = Spawned(Who(1001, 1001), loop, ask, settings)
    spawned.look(home, names, owner)                    # from a thread: waits
    SpawnedHands(spawned, limits).store(folder, name, content, done)

The first request asks the supervisor for the process (`ask`), whose word comes with `told`; what is
asked meanwhile waits.  A process that ends, or does not answer, fails what is in flight: each
delivery is deferred, and its next attempt settles what was staged.  One that nothing was asked of
for a while is left, and ends.  `Spawned.tick` is called every second.

Calls are the event loop's, but for `look`, `settle` and `held`, which threads make.  What an answer says is
checked: who answers is a user's process, and can at worst lie about that user's mail.

Source: DESIGN 5 (users).  Not here: the other end (`serve.lspawn`), its start (`app.residents`).
"""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import astuple, dataclass
from typing import Final, NamedTuple

from indimail.delivery.dotqmail import Name
from indimail.delivery.plan import Command, Deliver
from indimail.delivery.program import REPORT, Ended, Limits
from indimail.durable.committer import Done
from indimail.mail.errors import MailError, Temporary
from indimail.mailbox.dupmd5 import Mark
from indimail.mailbox.maildir import Settlement
from indimail.net.link import Link
from indimail.net.local import connect_local, peer
from indimail.serve.errand import (
    GREETING,
    LONGEST,
    Errand,
    Fields,
    failure,
    pack,
    read_home,
    read_mark,
    told_mark,
    unpack,
)
from indimail.serve.hands import Content, Program
from indimail.serve.home import Home
from indimail.serve.locks import Held
from indimail.serve.quota import Admission
from indimail.serve.quota_errand import asked, read_admitted, read_command, read_held
from indimail.serve.snapshot import QuotaSettings
from indimail.serve.watched import WatchedHomes
from indimail.wire.frames import BrokenFrame

TRIES: Final = 3  # a process may end as it is asked for
START: Final = 20.0  # seconds until the supervisor's word, and the greeting, have come
ANSWER: Final = 10.0  # that a thread waits for a look
SETTLED: Final = 60.0  # that it waits for a disk
COUNTED: Final = 60.0  # that it waits until a Maildir is counted
SILENCE: Final = 5.0  # after which a process is asked whether it lives ...
DEAD: Final = 30.0  # ... and given up
REST: Final = 30.0  # that a process which did not answer gets nothing more to do


class Who(NamedTuple):
    """A user of the system."""

    uid: int
    gid: int


Answered = Callable[[Errand | MailError], None]
Ask = Callable[[Who, int], None]  # the pid of one that is to be ended before; 0 for none


@dataclass(frozen=True, slots=True)
class _Request:
    number: int
    fields: Fields
    octets: bytes
    fd: int


class Spawned:
    """One process, and what it was asked."""

    def __init__(
        self,
        who: Who,
        loop: asyncio.AbstractEventLoop,
        ask: Ask,
        idle: Callable[[], float],
        watched: WatchedHomes,
    ) -> None:
        """`idle` tells for how many seconds a process is kept that has nothing to do."""
        self.who = who
        self._loop = loop
        self._ask = ask
        self._idle = idle
        self._watched = watched
        self._link: Link | None = None
        self._greeted = False
        self._asked = 0.0  # when the supervisor was; 0: it need not be
        self._tries = 0
        self._pid = 0
        self._number = GREETING
        self._open: dict[int, Answered] = {}
        self._waiting: list[_Request] = []  # for the greeting
        self._heard = self._used = 0.0
        self._resting = 0.0
        self._closed = False

    # -- asking ----------------------------------------------------------------------------------

    def call(self, fields: Fields, answered: Answered, octets: bytes = b"", fd: int = -1) -> None:
        """Ask; `fd` is closed."""
        now = self._loop.time()
        if self._closed or now < self._resting:
            _close(fd)
            answered(self._gone("does not answer"))
            return
        if not self._open:
            self._heard = now
        self._used = now
        self._number += 1
        self._open[self._number] = answered
        request = _Request(self._number, fields, octets, fd)
        if self._greeted:
            self._send(request)
            return
        self._waiting.append(request)
        if self._link is None and not self._asked:
            self._tries = 0
            self._ask_for_it()

    def wait(self, fields: Fields, seconds: float) -> Errand:
        """Ask from a thread, and wait.  Raises MailError."""
        future: Future[Errand | MailError] = Future()
        self._loop.call_soon_threadsafe(self.call, fields, future.set_result)
        try:
            found = future.result(seconds)
        except TimeoutError as error:
            self._loop.call_soon_threadsafe(self._give_up)
            raise self._gone("does not answer") from error
        if isinstance(found, MailError):
            raise found
        return found

    def look(self, home: str, names: tuple[Name, ...], owner_file: str) -> Home:
        """Do as `serve.home.look`, as that user; from a thread."""
        fields: Fields = {
            "op": "look", "home": home, "names": [(n.file, n.default) for n in names],
            "owner": owner_file,
        }  # fmt: skip
        answer = self.wait(fields, ANSWER)
        try:
            if error := failure(answer):
                raise error
            return read_home(answer, names)
        except BrokenFrame as error:
            raise self.answers_wrongly() from error

    def answers_wrongly(self) -> Temporary:
        """Return the failure of who asked, where an answer is none."""
        return self._gone("answers wrongly")

    def _send(self, request: _Request) -> None:
        if self._link is not None:
            frame = pack(request.number, request.fields, request.octets)
            self._link.send(frame, request.fd)

    # -- its life --------------------------------------------------------------------------------

    def told(self, path: str, error: str) -> None:
        """Take the supervisor's word: where it listens, or why there is none."""
        if not self._asked:
            return
        if error:
            self._fail(Temporary(f"uid {self.who.uid}: {error}. (#4.3.0)"))
            return
        try:
            sock = connect_local(path)
        except OSError:  # it ended meanwhile
            self._try_again()
            return
        process = peer(sock)
        if process.uid != self.who.uid:  # it called listen(2) after it had become that user
            sock.close()
            self._fail(self._gone(f"is of uid {process.uid}"))
            return
        self._pid = process.pid
        self._link = Link(self._loop, sock, LONGEST, self._on_frame, self._lost, files=True)

    def tick(self) -> None:
        """Leave a process that has nothing to do, and give one up that does nothing."""
        now = self._loop.time()
        if self._asked and not self._greeted and now - self._asked > START:
            self._give_up()
        elif self._greeted and self._open:
            if now - self._heard > DEAD:
                self._give_up()
            elif now - self._heard > SILENCE:
                self._number += 1
                self._send(_Request(self._number, {"op": "ping"}, b"", -1))
        elif self._greeted and now - self._used > self._idle():
            self._leave()

    def close(self) -> None:
        """Ask no more; threads that wait are told so."""
        self._closed = True
        self._fail(self._gone("is left: the server stops"))

    def _ask_for_it(self, instead_of: int = 0) -> None:
        self._tries += 1
        self._asked = self._loop.time()
        self._ask(self.who, instead_of)

    def _try_again(self) -> None:
        if self._tries < TRIES:
            self._ask_for_it()
        else:
            self._fail(self._gone("ends as it is started"))

    def _lost(self) -> None:
        """It ended: before its greeting nothing was lost."""
        self._link = None
        if self._greeted:
            self._fail(self._gone("ended"))
        else:
            self._try_again()

    def _give_up(self) -> None:
        """Have it ended, and let it rest: another that hangs would take our time as well."""
        if self._open or self._asked:
            pid = self._pid
            self._fail(self._gone("does not answer"))
            self._resting = self._loop.time() + REST
            if pid:
                self._ask(self.who, pid)

    def _leave(self) -> None:
        if self._link is not None:
            self._link.close()
        self._link = None
        self._watched.drop(self.who.uid)
        self._greeted = False
        self._asked = 0.0
        self._pid = 0

    def _fail(self, error: MailError) -> None:
        """Fail everything that was asked."""
        self._leave()
        failing, self._open = self._open, {}
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            _close(request.fd)
        for answered in failing.values():
            answered(error)

    def _gone(self, how: str) -> Temporary:
        return Temporary(f"the delivering process of uid {self.who.uid} {how}. (#4.3.0)")

    def _take_events(self) -> None:
        """Take the queue of events that comes with the greeting; no other file is taken."""
        if self._link is not None:
            fd = self._link.file()
            self._link.take_no_files()
            if fd >= 0:
                self._watched.take(self.who.uid, fd)

    # -- what it says ----------------------------------------------------------------------------

    def _on_frame(self, frame: bytes) -> None:
        """Take an answer; Raises BrokenFrame, which ends the connection."""
        answer = unpack(frame)
        self._heard = self._used = self._loop.time()
        if answer.number == GREETING:
            self._greeted = True
            self._take_events()
            waiting, self._waiting = self._waiting, []
            for request in waiting:
                self._send(request)
            return
        answered = self._open.pop(answer.number, None)
        if answered is None:
            return
        try:
            answered(answer)
        except BrokenFrame:
            answered(self.answers_wrongly())
            raise


class SpawnedHands:
    """Another user's hands; of `run`, also the server's own."""

    def __init__(self, spawned: Spawned, limits: Callable[[], Limits]) -> None:
        self._spawned = spawned
        self._limits = limits

    def store(self, folder: str, name: str, content: Content, done: Done) -> None:
        """Hand over a copy; `done` after the other end's sync."""
        fields: Fields = {"op": "store", "folder": folder, "name": name}
        self._hand_over(fields, content, _result(done))

    def publish(self, folder: str, name: str, done: Done) -> None:
        """Have it renamed; `done` after the sync of its name."""
        fields: Fields = {"op": "publish", "folder": folder, "name": name}
        self._spawned.call(fields, _result(done))

    def settle(self, folder: str, name: str, *, same_boot: bool, staged_age: float) -> Settlement:
        """Have it looked at; from a thread."""
        fields: Fields = {
            "op": "settle", "folder": folder, "name": name, "same_boot": same_boot,
            "age": float(staged_age),
        }  # fmt: skip
        answer = self._spawned.wait(fields, SETTLED)
        if error := failure(answer):
            raise error
        try:
            return Settlement(answer.text("settlement"))
        except ValueError as error:
            raise Temporary(f"settlement of {name} in {folder}. (#4.3.0)") from error

    def append(self, path: str, content: Content, from_line: str, done: Done) -> None:
        """Have it appended to an mbox."""
        fields: Fields = {"op": "append", "path": path, "from": from_line}
        self._hand_over(fields, content, _result(done))

    def run(self, program: Program, done: Callable[[Ended | Exception], None]) -> None:
        """Have a program run."""
        fields: Fields = {
            "op": "run", "command": program.command, "home": program.home,
            "environment": dict(program.environment), "envdirs": program.envdirs,
            "limits": astuple(self._limits()),
        }  # fmt: skip

        def answered(answer: Errand | MailError) -> None:
            done(answer if isinstance(answer, MailError) else _ended(answer))

        self._hand_over(fields, program.content, answered)

    def find_mark(
        self, inbox: str, digest: str, now: int, interval: int, told: Callable[[object], None]
    ) -> None:
        """Have dupmd5 looked at."""
        fields: Fields = {
            "op": "find-mark", "inbox": inbox, "digest": digest, "now": now, "interval": interval,
        }  # fmt: skip

        def answered(answer: Errand | MailError) -> None:
            if isinstance(answer, MailError):
                told(answer)
            else:
                told(failure(answer) or (read_mark(answer) if answer.fields else None))

        self._spawned.call(fields, answered)

    def add_mark(self, inbox: str, mark: Mark, interval: int, done: Done) -> None:
        """Have a mail marked."""
        fields: Fields = {"op": "add-mark", "inbox": inbox, "interval": interval}
        self._spawned.call(fields | told_mark(mark), _result(done))

    def _hand_over(self, fields: Fields, content: Content, answered: Answered) -> None:
        """Send a mail along: a small one's octets, a large one's open file."""
        fields["size"] = len(content.block) + content.size
        if content.body is not None:
            self._spawned.call(fields, answered, content.block + content.body)
            return
        fields |= {"file": True, "offset": content.offset}
        path = content.spool.path(content.id)
        try:
            fd = os.open(path or "", os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            answered(Temporary(f"{path}: {error.strerror}. (#4.3.0)"))
            return
        self._spawned.call(fields, answered, content.block, fd)


class SpawnedQuotas:
    """The quotas of another user's mailboxes: decided there, for all workers."""

    def __init__(self, spawned: Spawned, settings: Callable[[], QuotaSettings]) -> None:
        self._spawned = spawned
        self._settings = settings

    def ask(self, deliver: Deliver, size: int, told: Callable[[object], None]) -> None:
        """Have a copy judged."""

        def answered(answer: Errand | MailError) -> None:
            if not isinstance(answer, MailError):
                told(failure(answer) or read_admitted(answer, deliver))
            else:
                told(answer)

        self._spawned.call(asked(deliver, size, self._settings()), answered)

    def add(self, admission: Admission, deliver: Deliver, warn: Callable[[Command], None]) -> None:
        """Have it counted, right behind its rename."""
        admission.size = 0

        def answered(answer: Errand | MailError) -> None:
            if not isinstance(answer, MailError) and (words := answer.items("warning")):
                warn(read_command(words, deliver))

        self._spawned.call({"op": "count", "number": admission.number}, answered)

    def forget(self, admission: Admission) -> None:
        """Have it expected no longer."""
        if admission.size:
            admission.size = 0
            self._spawned.call({"op": "forget", "number": admission.number}, _nobody)

    def held(self, deliver: Deliver, *, counted: bool) -> Held:
        """Have a locked mailbox looked at; from a thread."""
        fields = asked(deliver, 0, self._settings()) | {"op": "held", "counted": counted}
        answer = self._spawned.wait(fields, COUNTED)
        try:
            if error := failure(answer):
                raise error
            return read_held(answer)
        except BrokenFrame as error:
            raise self._spawned.answers_wrongly() from error


def _nobody(_: Errand | MailError) -> None:
    """Take an answer that nobody waits for."""


def _result(done: Done) -> Answered:
    """Return who tells `done` what an answer says."""

    def answered(answer: Errand | MailError) -> None:
        done(answer if isinstance(answer, MailError) else failure(answer))

    return answered


def _ended(answer: Errand) -> Ended | MailError:
    if error := failure(answer):
        return error
    output = answer.octets[: 4 * REPORT].decode("utf-8", "replace")
    return Ended(answer.whole("code"), output, answer.whole("signal"), answer.text("limit"))


def _close(fd: int) -> None:
    if fd >= 0:
        os.close(fd)
