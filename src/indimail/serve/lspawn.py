"""qmail-lspawn: does in one user's homes what workers ask for; a process of that user's.

    lspawn = Lspawn(loop, hands, aside, programs, quotas, asking_uid, variables, deserted)
    lspawn.accept(sock)          # a worker connected

Many requests are in flight on a connection, and each is answered when it is done: after the sync
that it waited for, which it shares with the others (`durable.batch`).  The worker alone knows what
the answers mean for the queue.  When a worker goes, its programs are ended: what they did is done
again; and its mails that were expected take no room.  When the last one goes, `deserted` is called.

Source: DESIGN 5 (users).  Not here: the other end (`serve.spawned`), the process (`app.lspawn`).
"""

import asyncio
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from inotify_simple import INotify  # type: ignore[import-untyped]

from indimail.control.watch import WANTED
from indimail.delivery.dotqmail import Name
from indimail.delivery.plan import Deliver
from indimail.delivery.program import Ended, Limits
from indimail.mail.errors import MailError, Temporary
from indimail.mail.ids import QueueId
from indimail.mailbox.dupmd5 import Mark
from indimail.mailbox.maildir import Settlement
from indimail.net.link import Link
from indimail.net.local import peer
from indimail.serve.errand import (
    GREETING,
    LONGEST,
    Errand,
    Fields,
    failed,
    pack,
    read_mark,
    told_home,
    told_mark,
    unpack,
)
from indimail.serve.guard import Task
from indimail.serve.hands import Content, OwnHands, RunAside
from indimail.serve.home import look
from indimail.serve.locks import Held
from indimail.serve.programs import Programs
from indimail.serve.quota import Admission, MailboxQuotas
from indimail.serve.quota_errand import admitted, read_asked, told_held
from indimail.serve.snapshot import QuotaSettings
from indimail.wire.frames import BrokenFrame

NO_ID: Final = QueueId(0)
ADMITTED: Final = 20_000  # copies of a worker that are expected; more are never in flight
_PIECE: Final = 262_144


@dataclass(frozen=True, slots=True)
class Handed:
    """A large body: an open file, whose name is not ours to open."""

    fd: int

    def path(self, _: QueueId, /) -> str | None:
        """Return None: it is another user's, and has no second name here."""
        return None

    def read(self, _: QueueId, offset: int, /) -> Iterator[bytes]:
        """Yield the body from `offset` on."""
        while piece := os.pread(self.fd, _PIECE, offset):
            yield piece
            offset += len(piece)


@dataclass(eq=False, slots=True)
class _Worker:
    """A connection, what it is told of changed homes, and how to end what runs for it."""

    link: Link | None = None
    events: INotify | None = None
    running: dict[int, Callable[[], None]] = field(default_factory=dict)
    admitted: dict[int, tuple[Admission, Deliver]] = field(default_factory=dict)
    published: bool = False  # whether the last rename was made

    def answer(self, number: int, fields: Fields, octets: bytes = b"") -> None:
        if self.link is not None:
            self.link.send(pack(number, fields, octets))


class Lspawn:
    """Answers workers."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        hands: OwnHands,
        aside: RunAside,
        programs: Programs,
        quotas: Callable[[Callable[[], QuotaSettings]], MailboxQuotas],
        asking: int,
        variables: Mapping[str, str],
        deserted: Callable[[], None],
    ) -> None:
        """`asking` is the uid of the workers; `variables` are those of every program.

        `quotas` makes the quotas of this user's mailboxes, with what they ask for settings.

        What `hands` do is told on the loop.
        """
        self._loop = loop
        self._hands = hands
        self._aside = aside
        self._programs = programs
        self._settings = QuotaSettings()
        self._quotas = quotas(lambda: self._settings)
        self._asking = asking
        self._variables = variables
        self._deserted = deserted
        self._workers: set[_Worker] = set()

    def accept(self, sock: socket.socket) -> None:
        """Greet a worker; nobody else is answered."""
        if peer(sock).uid != self._asking:
            sock.close()
            return
        worker = _Worker()
        worker.link = Link(
            self._loop, sock, LONGEST, lambda frame: self._on_frame(worker, frame),
            lambda: self._lost(worker), files=True,
        )  # fmt: skip
        self._workers.add(worker)
        worker.events = _events()
        fd = os.dup(worker.events.fileno()) if worker.events is not None else -1
        worker.link.send(pack(GREETING, {}), fd)

    def _lost(self, worker: _Worker) -> None:
        worker.link = None
        if worker.events is not None:
            worker.events.close()
        for end in list(worker.running.values()):
            end()
        for admission, _ in worker.admitted.values():
            self._quotas.forget(admission)
        self._workers.discard(worker)
        self.end_if_deserted()

    def end_if_deserted(self) -> None:
        """End where no worker is connected."""
        if not self._workers:
            self._deserted()

    def _on_frame(self, worker: _Worker, frame: bytes) -> None:
        """Do what is asked; what goes wrong is that request's failure, told as temporary."""
        errand = unpack(frame)
        try:
            self._do(worker, errand)
        except Exception as error:  # the task boundary of a request
            worker.answer(errand.number, failed(error))

    def _do(self, worker: _Worker, errand: Errand) -> None:
        number = errand.number

        def done(error: Exception | None) -> None:
            worker.answer(number, {} if error is None else failed(error))

        match errand.text("op"):
            case "look":
                worker.answer(number, *_look(worker, errand))
            case "store":
                content, finished = _content(worker, errand, done)
                self._hands.store(errand.text("folder"), errand.text("name"), content, finished)
            case "publish":
                self._publish(worker, errand, done)
            case "admit":
                self._admit(worker, errand)
            case "count" | "forget":
                self._count(worker, errand)
            case "held":
                self._held(worker, errand)
            case "append":
                content, finished = _content(worker, errand, done)
                line = errand.text("from")
                self._hands.append(errand.text("path"), content, line, finished)
            case "settle":
                self._settle(worker, errand)
            case "find-mark" | "add-mark":
                self._mark(worker, errand, done)
            case "run":
                self._run(worker, errand)
            case "ping":
                done(None)
            case other:
                raise BrokenFrame(f"operation {other}")

    def _publish(
        self, worker: _Worker, errand: Errand, told: Callable[[Exception | None], None]
    ) -> None:
        """Rename; one that was not made is told at once, so that it counts in no quota."""
        at_once: list[Exception | None] = []

        def done(error: Exception | None) -> None:
            at_once.append(error)
            told(error)

        self._hands.publish(errand.text("folder"), errand.text("name"), done)
        worker.published = not at_once

    def _admit(self, worker: _Worker, errand: Errand) -> None:
        """Judge a copy by the quota of its mailbox; it is expected until it is counted."""
        question = read_asked(errand)
        self._settings = question.settings

        def told(result: object) -> None:
            if not isinstance(result, Admission):
                error = result if isinstance(result, Exception) else Temporary(repr(result))
                worker.answer(errand.number, failed(error))
                return
            if worker.link is None:
                self._quotas.forget(result)
                return
            if result.size:
                if len(worker.admitted) >= ADMITTED:
                    del worker.admitted[next(iter(worker.admitted))]
                worker.admitted[errand.number] = result, question.deliver
            worker.answer(errand.number, admitted(result))

        self._quotas.ask(question.deliver, question.size, told)

    def _held(self, worker: _Worker, errand: Errand) -> None:
        """Tell what a locked mailbox holds."""
        question, counted = read_asked(errand), errand.truth("counted")
        self._settings = question.settings

        def told(result: object) -> None:
            match result:
                case Held():
                    worker.answer(errand.number, told_held(result))
                case Exception():
                    worker.answer(errand.number, failed(result))

        self._aside(lambda: self._quotas.held(question.deliver, counted=counted), told)

    def _count(self, worker: _Worker, errand: Errand) -> None:
        """Count the copy that was renamed just before, or expect it no longer."""
        fields: Fields = {}
        found = worker.admitted.pop(errand.whole("number"), None)
        if found is not None:
            admission, deliver = found
            if errand.text("op") == "count" and worker.published:
                self._quotas.add(
                    admission, deliver, lambda command: fields.update(warning=command.arguments)
                )
            else:
                self._quotas.forget(admission)
        worker.answer(errand.number, fields)

    def _settle(self, worker: _Worker, errand: Errand) -> None:
        def found() -> Settlement:
            return self._hands.settle(
                errand.text("folder"), errand.text("name"),
                same_boot=errand.truth("same_boot"), staged_age=errand.fraction("age"),
            )  # fmt: skip

        def told(result: object) -> None:
            if isinstance(result, Exception):
                worker.answer(errand.number, failed(result))
            else:
                worker.answer(errand.number, {"settlement": str(result)})

        self._aside(found, told)

    def _mark(
        self, worker: _Worker, errand: Errand, done: Callable[[Exception | None], None]
    ) -> None:
        """Mark a mail, or tell which one is there already."""
        inbox, interval = errand.text("inbox"), errand.whole("interval")
        if errand.text("op") == "add-mark":
            self._hands.add_mark(inbox, read_mark(errand), interval, done)
            return

        def told(result: object) -> None:
            if isinstance(result, Exception):
                worker.answer(errand.number, failed(result))
            else:
                worker.answer(
                    errand.number, told_mark(result if isinstance(result, Mark) else None)
                )

        self._hands.find_mark(inbox, errand.text("digest"), errand.whole("now"), interval, told)

    def _run(self, worker: _Worker, errand: Errand) -> None:
        number = errand.number

        def done(result: Ended | MailError) -> None:
            worker.running.pop(number, None)
            if isinstance(result, MailError):
                worker.answer(number, failed(result))
                return
            fields = {"code": result.code, "signal": result.signal, "limit": result.limit}
            worker.answer(number, fields, result.output.encode())

        task = Task(
            errand.text("command"),
            errand.text("home"),
            {**self._variables, **errand.texts("environment")},
            tuple(errand.items("envdirs")),
            Limits(*errand.items("limits")),
            errand.octets,
            worker.link.file() if worker.link and errand.truth("file") else -1,
            errand.whole("offset"),
        )
        worker.running[number] = self._programs.run(task, done)


def _events() -> INotify | None:
    """Return a queue of events, where this user may still have one."""
    try:
        return INotify(nonblocking=True)
    except OSError:
        return None


def _look(worker: _Worker, errand: Errand) -> tuple[Fields, bytes]:
    """Look at a home that is watched from before that on."""
    watched = False
    if worker.events is not None:
        with suppress(OSError):
            worker.events.add_watch(errand.text("home"), WANTED)
            watched = True
    names = tuple(Name(file, default) for file, default in errand.items("names"))
    home = look(errand.text("home"), names, errand.text("owner"))
    return told_home(replace(home, watched=watched), names)


def _content(
    worker: _Worker, errand: Errand, done: Callable[[Exception | None], None]
) -> tuple[Content, Callable[[Exception | None], None]]:
    """Return what is to be stored, and what to call once it is: an open file is closed then."""
    size = errand.whole("size")
    if not errand.truth("file"):
        return Content(b"", errand.octets, size, Handed(-1), NO_ID), done
    fd = worker.link.file() if worker.link is not None else -1
    if fd < 0:
        raise Temporary("the open file of a large mail did not come")

    def finished(error: Exception | None) -> None:
        os.close(fd)
        done(error)

    content = Content(errand.octets, None, size, Handed(fd), NO_ID, errand.whole("offset"))
    return content, finished
