"""The owner's side of the local sockets: mail from programs of this machine, and from other workers.

    Acceptor(loop, run_inject_sock, lambda: InjectConnection(injection)).start()

A program connects to ``run/inject.sock`` and sends frames (`queue.submission`): envelope, body, end.
The kernel says who it is (SO_PEERCRED).  From root or the server's own uid an envelope with an `id`
comes from a worker that hands over: its routes and its Received line stand already, only a queue of
this process is taken, and its records are the other worker's.  Everybody else's message gets an id
and a Received line here, and is traced here.

Commit point 1: the queue's commit; only `InjectConnection._committed` answers 0.

Limits: `LONGEST_ENVELOPE` and `LONGEST_PIECE` octets a frame, 1002 octets an address (code 11),
``databytes`` and ``maxrecipients`` (code 88, for good), `SILENCE` and `LONGEST` seconds (code 52),
`MOST` conversations at once, `MOST_OF_ONE` of a uid (code 71).

Sources: spec/queue.md 1.3, 5.5; unix(7).  Not here: what is taken (`serve.submitted`), files in the
spool directory (`serve.adopt`).
"""

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, cast

from indimail.mail.clock import Clock
from indimail.mail.dates import header_date
from indimail.mail.errors import MailError, QueueUnwritable
from indimail.mail.events import Facts, Trace
from indimail.mail.ids import QueueId, QueueIds
from indimail.mail.verdict import Rule
from indimail.queue.port import QueuedMessage, QueuedRecipient
from indimail.queue.submission import (
    FORMAT,
    LONGEST_ENVELOPE,
    LONGEST_PIECE,
    QUEUED,
    REFUSED_FOR_NOW,
    TIMEOUT,
    WRITE_ERROR,
    Receipt,
    Submission,
)
from indimail.serve.body import Body
from indimail.serve.hands import RunAside
from indimail.serve.intake import Intake, received_line
from indimail.serve.snapshot import Configuration, Snapshot
from indimail.serve.submitted import (
    Origin,
    Refusal,
    Story,
    judge,
    judge_size,
    message_of,
    settle,
    without_claims,
)
from indimail.wire.frames import BrokenFrame, FrameReader, write_frame

SILENCE: Final = 1200.0
LONGEST: Final = 86_400.0  # as long as a qmail-queue may live (DEATH)
MOST: Final = 400
MOST_OF_ONE: Final = 100
UNREAD: Final = 262_144  # octets a program may send ahead before it has to wait
SOCKET: Final = Rule("run/inject.sock")
LOG: Final = logging.getLogger("indimail.inject")
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: struct ucred


@dataclass(slots=True)
class Injection:
    """What all injections of a worker share."""

    config: Configuration
    ids: QueueIds
    clock: Clock
    trace: Trace
    aside: RunAside
    # A queue by name or directory (empty: any); where True, only one of this process.
    choose_queue: Callable[[str, bool], Intake | MailError]
    uid: int  # the service account's
    open: "set[InjectConnection]" = field(default_factory=set)
    draining: bool = False


class InjectConnection(asyncio.Protocol):
    """One local program, or worker, with one message."""

    __slots__ = (
        "_body",
        "_born",
        "_busy",
        "_conversation",
        "_eof",
        "_handed_over",
        "_heard",
        "_id",
        "_injection",
        "_over",
        "_paused",
        "_pid",
        "_queue",
        "_reader",
        "_received",
        "_recipients",
        "_snapshot",
        "_story",
        "_submission",
        "_submitted",
        "_transport",
        "uid",
    )

    _queue: Intake
    _snapshot: Snapshot
    _recipients: tuple[QueuedRecipient, ...]
    _id: QueueId

    def __init__(self, injection: Injection) -> None:
        self._injection = injection
        self._reader = FrameReader(LONGEST_ENVELOPE)
        self._submission: Submission | None = None
        self._story: Story | None = None
        self._handed_over = False
        self._body: Body | None = None
        self._received = 0  # octets of our Received line
        self._busy = False  # waits for a thread, the configuration or the commit
        self._submitted = False  # the queue decides what becomes of the octets
        self._over = False  # answered, or gone
        self._eof = False
        self._paused = False
        self._conversation = self._heard = injection.clock.steady()
        self._born = 0.0

    # -- the transport's side --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Learn who it is."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("socket")
        found = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        self._pid, self.uid, _ = _CREDENTIALS.unpack(found)
        injection = self._injection
        injection.open.add(self)
        if injection.draining:
            self._answer(Receipt(REFUSED_FOR_NOW, text="the server stops (#4.3.2)"))
        elif self._is_one_too_many():
            self._answer(Receipt(REFUSED_FOR_NOW, text="too many messages at once (#4.3.2)"))

    def _is_one_too_many(self) -> bool:
        others = self._injection.open
        if self.uid == self._injection.uid or len(others) <= MOST_OF_ONE:
            return False
        return len(others) > MOST or sum(o.uid == self.uid for o in others) > MOST_OF_ONE

    def data_received(self, data: bytes) -> None:
        """Take octets; whoever is ahead of us has to wait."""
        if self._over:
            return
        self._heard = self._injection.clock.steady()
        self._reader.feed(data)
        if not self._busy:
            self._pump()
        elif not self._paused and self._reader.unread > UNREAD:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        """The peer is done; what it sent whole is still answered."""
        self._eof = True
        if not self._busy:
            self._pump()
        return not self._over

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  either way it is over
        """Forget the peer; a message that was not whole is dropped."""
        self._injection.open.discard(self)
        if not self._over:
            self._over = True
            if not self._submitted:
                self._told_gone()
                self._drop()

    def tick(self, now: float) -> None:
        """Close the conversation of a peer that is silent, or has been here, for too long."""
        late = now - self._heard > SILENCE or now - self._conversation > LONGEST
        if late and not self._busy and not self._over:
            self._refuse(Refusal(TIMEOUT, "timeout (#4.3.0)"))

    def drain(self) -> None:
        """The server stops: who has not begun may try again."""
        if self._submission is None and not self._over:
            self._answer(Receipt(REFUSED_FOR_NOW, text="the server stops (#4.3.2)"))

    def cut(self) -> None:
        """There is no more time."""
        self._transport.abort()

    # -- frames ----------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Take the frames that are there until one needs time."""
        try:
            while not self._busy and not self._over:
                frame = self._reader.next()
                if frame is None:
                    break
                self._take(frame)
        except BrokenFrame as error:
            self._refuse(Refusal(FORMAT, str(error)))
        if self._eof and not self._busy and not self._over:  # spec: exit 54, nothing queued
            self._over = True
            self._told_gone()
            self._drop()
            self._transport.close()

    def _take(self, frame: bytes) -> None:
        if self._submission is None:
            self._begin(frame)
        elif frame:
            self._piece(frame)
        else:
            self._end()

    def _begin(self, frame: bytes) -> None:
        """The envelope: judge it under the newest configuration."""
        try:
            self._submission = Submission.from_bytes(frame)
        except ValueError as error:
            self._refuse(Refusal(FORMAT, f"envelope: {error}"))
            return
        self._reader.most = LONGEST_PIECE
        self._busy = True
        if self._injection.config.when_fresh(self._fresh_later):
            self._fresh()

    def _fresh_later(self) -> None:
        if self._over:
            return
        self._fresh()
        self._go_on()

    def _fresh(self) -> None:
        self._busy = False
        injection, submission = self._injection, self._submission
        assert submission is not None
        self._snapshot = snapshot = injection.config.current
        self._handed_over = bool(submission.id) and self.uid in {0, injection.uid}
        if not self._handed_over:
            self._submission = submission = without_claims(submission)
            refusal = judge(submission, snapshot.queue.inject)
            if refusal is not None:
                self._refuse(refusal)
                return
        queue = injection.choose_queue(submission.queue, self._handed_over)
        if isinstance(queue, MailError):
            code = REFUSED_FOR_NOW if self._handed_over else WRITE_ERROR
            self._refuse(Refusal(code, queue.reply_text))
            return
        try:
            settled = settle(submission, snapshot, injection.clock.now())
        except ValueError as error:  # a channel of another version
            self._refuse(Refusal(FORMAT, f"envelope: {error}"))
            return
        self._submission, self._recipients = settled.meant, settled.recipients
        self._queue = queue
        line = self._name(submission)
        if self._story is not None:
            self._story.readdressed(settled)
        self._received = len(line)
        self._body = Body(self._id, queue.spool, injection.aside, line)

    def _name(self, submission: Submission) -> bytes:
        """Give the message its id, and return our Received line, where it has none."""
        self._born = self._injection.clock.now()
        if self._handed_over:
            self._id = QueueId(submission.id)
            return b""
        self._begin_story()
        snapshot = self._snapshot
        return received_line(
            self._id, self.uid, snapshot.me, header_date(self._born),
            hide_host=snapshot.queue.inject.hide_host,
        )  # fmt: skip

    def _begin_story(self) -> Story:
        injection = self._injection
        self._id = injection.ids.next(int(injection.clock.now() * 1e6))
        facts: Facts = {"listener": "inject", "uid": self.uid, "pid": self._pid}
        story = Story(injection.trace, injection.clock, self._id, Origin(self.uid, SOCKET, facts))
        story.connected()
        self._story = story
        return story

    # -- the body --------------------------------------------------------------------------------

    def _piece(self, data: bytes) -> None:
        """Keep the octets; those of a large body go to a file, a piece at a time."""
        body = self._body
        assert body is not None
        has_room = body.add(data)
        if not self._handed_over:
            refusal = judge_size(body.size - self._received, self._snapshot.queue.inject)
            if refusal is not None:
                self._refuse(refusal)
                return
        if not has_room:
            self._busy = True
            body.write(self._written)

    def _written(self, result: object) -> None:
        self._busy = False
        if result is None:
            self._go_on()
        else:
            self._refuse(_refusal_of(result))

    def _end(self) -> None:
        """End of the body: into the queue; the answer follows the commit."""
        body = self._body
        assert body is not None
        self._busy = True
        if body.is_large:
            body.seal(self._sealed)
        else:
            self._submit(body, body.whole())

    def _sealed(self, result: object) -> None:
        if result is None:
            assert self._body is not None
            self._submit(self._body, None)
        else:
            self._refuse(_refusal_of(result))

    def _submit(self, body: Body, octets: bytes | None) -> None:
        submission = self._submission
        assert submission is not None
        uid = submission.uid if self._handed_over else self.uid
        message = message_of(
            self._id, self._born, submission, uid, body.size, octets,
            eight_bit=not body.is_ascii,
        )  # fmt: skip
        self._submitted = True
        body.give()

        def committed(failure: Exception | None) -> None:
            self._committed(message, body.message_id, failure)

        self._queue.accept(message, self._recipients, committed)

    def _committed(
        self, message: QueuedMessage, message_id: str, failure: Exception | None
    ) -> None:
        """Commit point 1: without a failure the message is on disk, so 0 may be said."""
        self._busy = False
        if failure is not None:  # a large body stays: the queue sweeps when it opens again
            self._refuse(_refusal_of(failure))
            return
        if self._story is not None:
            self._story.accepted(message, self._recipients, message_id, self._queue.name)
        self._answer(Receipt(QUEUED, self._id))

    # -- the end ---------------------------------------------------------------------------------

    def _go_on(self) -> None:
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        self._pump()

    def _refuse(self, refusal: Refusal) -> None:
        """Take nothing of it, and say why."""
        self._drop()
        receipt = Receipt(refusal.code, text=refusal.text)
        id_ = 0
        if not self._handed_over:
            story = self._story or self._begin_story()
            id_ = self._id
            verdict = "refuse" if receipt.is_permanent else "later"
            story.refused(refusal, self._submission, verdict)
        self._answer(Receipt(refusal.code, id_, refusal.text))

    def _answer(self, receipt: Receipt) -> None:
        if self._over:
            return
        self._over = True
        self._transport.write(write_frame(receipt.to_bytes()))
        self._transport.close()

    def _told_gone(self) -> None:
        if self._story is not None:
            self._story.ended(
                "the program went away before its message was whole; nothing is queued"
            )

    def _drop(self) -> None:
        """Forget the octets that were not given to a queue."""
        if self._body is not None:
            self._body.drop()


def _refusal_of(failure: object) -> Refusal:
    """Return the temporary refusal for a failure of ours."""
    if isinstance(failure, MailError):
        return Refusal(WRITE_ERROR, failure.reply_text)
    LOG.error("unexpected failure: %r", failure)
    return Refusal(WRITE_ERROR, QueueUnwritable.reply_text)
