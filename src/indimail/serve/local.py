"""qmail-local: one recipient's mail into a Maildir, exactly once.

    local.start(job, send)      # ends in send.finish(job, outcome)

The order is the promise (DESIGN 4): the copy is written to tmp/ and synced with its name; the
queue's commit marks it *staged*; it is renamed into new/ and that name synced; the next commit
marks it delivered (commit point 2).  Files of many deliveries are synced together, and marks ride
on commits that happen anyway; no step waits in the event loop.

An attempt that finds a staged copy of an earlier one settles that first.  A large body was spooled
with this delivery's lines in front where that was foreseen: then its file is linked, not copied.

Not here: what is to be done (`serve.foresight`), names and recovery rules (`mailbox.maildir`).
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol

from indimail.delivery.headers import prepended
from indimail.delivery.loop import LOOPING, is_looping
from indimail.delivery.plan import DID_ONE, Defer, Deliver, Redirect, outcome
from indimail.durable.batch import Unsynced
from indimail.durable.committer import Rounds, Wake
from indimail.durable.disk import Disk
from indimail.mail.clock import Clock
from indimail.mail.errors import CopyGone, MailError
from indimail.mail.outcome import Deferred, Delivered, Failed
from indimail.mail.verdict import NO_RULE, Rule
from indimail.mailbox import maildir
from indimail.queue.port import Step
from indimail.queue.spool import Spool
from indimail.serve.foresight import Decided, Foresight, deferred
from indimail.serve.job import Job

NO_BOOT = ""  # of a copy that is known not to be in tmp/: `recovery` believes only what it sees
WRONG = "Sorry, something is wrong here"
HEADER_SEEN = 65_536  # octets of a spooled mail in which its header is looked for


class Scheduler(Protocol):
    """What a delivery tells."""

    spool: Spool

    def stage(self, job: Job, step: Step, done: Callable[[], None]) -> None:
        """Mark a copy staged; `done` after the commit."""

    def finish(self, job: Job, result: Delivered | Deferred | Failed) -> None:
        """End the attempt."""


# Runs the first call on a thread, then the second, with what it returned or raised, on the loop.
RunAside = Callable[[Callable[[], object], Callable[[object], None]], None]


class LocalDelivery:
    """Makes the local deliveries of a worker."""

    def __init__(
        self,
        disk: Disk,
        syncs: Rounds[Unsynced],
        foresight: Foresight,
        clock: Clock,
        aside: RunAside,
        wake: Wake,
        dates: Callable[[float], str],
        me: Callable[[], str],
        boot: str,
        uid: int,
    ) -> None:
        """Join what a delivery needs.

        `syncs` tells on its own thread (`durable.committer.at_once`), so that a mark goes to the
        queue's commit without a way through the event loop; `wake` leads back to it.  `dates`
        formats a time for a header; `boot` tells one boot of the machine from another.
        """
        self.disk = disk
        self.syncs = syncs
        self.clock = clock
        self.aside = aside
        self.wake = wake
        self.boot = boot
        self._foresight = foresight
        self._dates = dates
        self._me = me
        self._uid = uid

    def start(self, job: Job, send: Scheduler) -> None:
        """Begin an attempt."""
        target = job.recipient.target
        decided = self._foresight.cached(target)
        if decided is not None and job.staged is None and job.mail.message.body is not None:
            self._carry_out(job, send, decided)
            return

        def prepared(result: object) -> None:
            if isinstance(result, Decided):
                self._carry_out(job, send, result)
            elif isinstance(result, Step):
                # Marked once more, with this boot: a copy that is then gone from tmp/ was seen.
                Copy(self, job, send, result.folder, result.name, NO_RULE).staged(None)
            elif isinstance(result, MailError):
                send.finish(job, outcome(deferred(result)))
            elif isinstance(result, Exception):
                send.finish(job, Deferred(f"{WRONG}: {result!r} (#4.3.0)"))
            else:
                send.finish(job, Delivered(DID_ONE))

        self.aside(lambda: self._prepare(job), prepared)

    def _prepare(self, job: Job) -> Decided | Step | None:
        """Decide, unless an earlier attempt staged a copy.

        That is returned where it is to be published; None: it was, and is durable now.
        """
        step = job.staged
        if step is None:
            return self._foresight.decide(job.recipient.target)
        found = maildir.recovery(
            self.disk, step.folder, step.name,
            same_boot=step.boot == self.boot, staged_age=self.clock.now() - step.at,
        )  # fmt: skip
        match found:
            case maildir.Settlement.PUBLISH:
                return step
            case maildir.Settlement.DONE:
                maildir.sync_new(self.disk, step.folder)
                return None
            case maildir.Settlement.AGAIN:
                return self._foresight.decide(job.recipient.target)

    def _carry_out(self, job: Job, send: Scheduler, decided: Decided) -> None:
        """Do what was decided; what nobody thought of keeps no slot, and stops no other mail."""
        try:
            self._follow(job, send, decided)
        except Exception as error:  # the task boundary of a delivery
            send.finish(job, Deferred(f"{WRONG}: {error!r} (#4.3.0)"))

    def _follow(self, job: Job, send: Scheduler, decided: Decided) -> None:
        match decided.plan:
            case Deliver(folder, rule):
                self._deliver(job, send, decided, folder, rule)
            case Redirect(rule=rule):  # followed once already, in the foresight
                send.finish(job, outcome(Defer("an alias of an alias is not supported yet", rule)))
            case ended:
                send.finish(job, outcome(ended))

    def _deliver(
        self, job: Job, send: Scheduler, decided: Decided, folder: str, rule: Rule
    ) -> None:
        message = job.mail.message
        if message.body is None:
            copy = Copy(self, job, send, folder, "", rule)
            self.aside(lambda: self._stage_large(copy, decided), copy.written)
            return
        if is_looping(message.body, decided.delivered_to):
            send.finish(job, Failed(LOOPING, rule))
            return
        block = self.block(job)
        name = self._name(job, len(block) + message.size)
        copy = Copy(self, job, send, folder, name, rule)
        try:
            unsynced = maildir.stage(self.disk, folder, name, (block, message.body))
        except MailError as error:
            send.finish(job, Deferred(str(error), rule))
            return
        self.syncs.add(unsynced, copy.staged)

    def _stage_large(self, copy: "Copy", decided: Decided) -> Unsynced | Failed:
        """Stage a spooled body, on a thread: by a link where its lines are in front already."""
        job, spool = copy.job, copy.send.spool
        message = job.mail.message
        path = spool.path(message.id)
        header = self.disk.read(path, message.offset, HEADER_SEEN)
        if is_looping(header, decided.delivered_to):
            return Failed(LOOPING, copy.rule)
        block = self.block(job)
        copy.name = self._name(job, len(block) + message.size)
        if message.offset == len(block) and self.disk.read(path, 0, len(block)) == block:
            linked = maildir.stage_by_link(self.disk, path, copy.folder, copy.name)
            if linked is not None:
                return linked
        pieces = spool.read(message.id, message.offset)
        return maildir.stage_pieces(self.disk, copy.folder, copy.name, _after(block, pieces))

    def block(self, job: Job) -> bytes:
        """Return the lines in front of this recipient's copy; the same at every attempt."""
        message = job.mail.message
        return self.lines(message.reverse_path, job.recipient.target, message.id, message.born)

    def lines(self, reverse_path: str, target: str, queue_id: int, born: float) -> bytes:
        """Return the lines in front of a copy, foreseen or made."""
        return prepended(reverse_path, target, queue_id, self._me(), self._uid, self._dates(born))

    def _name(self, job: Job, size: int) -> str:
        return maildir.file_name(
            int(self.clock.now()), job.mail.message.id, job.recipient.number, 0, self._me(), size
        )


class Copy:
    """One copy on its way into a Maildir.

    `staged` and `published` run on the thread of the syncs; `marked` on the event loop.
    """

    __slots__ = ("folder", "job", "local", "name", "rule", "send")

    def __init__(
        self, local: LocalDelivery, job: Job, send: Scheduler, folder: str, name: str, rule: Rule
    ) -> None:
        self.local = local
        self.job = job
        self.send = send
        self.folder = folder
        self.name = name
        self.rule = rule

    def written(self, result: object) -> None:
        """Go on after a large copy was written on a thread."""
        match result:
            case Unsynced():
                self.local.syncs.add(result, self.staged)
            case Failed():
                self.send.finish(self.job, result)
            case error:
                self._defer(error)

    def staged(self, failure: Exception | None) -> None:
        """The copy and its name in tmp/ are durable: mark it."""
        if failure is not None:
            self.local.wake(partial(self._defer, failure))
            return
        self.send.stage(self.job, self._step(self.local.boot), self.marked)

    def _step(self, boot: str) -> Step:
        return Step(
            self.job.recipient.number, 0, self.folder, self.name, boot, self.local.clock.now()
        )

    def marked(self) -> None:
        """It is marked staged: only now may it be seen in new/."""
        try:
            unsynced = maildir.publish(self.local.disk, self.folder, self.name)
        except CopyGone as error:
            # By its mark, gone means published.  It was not: the next attempt writes it again.
            self.send.stage(self.job, self._step(NO_BOOT), partial(self._defer, error))
            return
        except MailError as error:
            self._defer(error)
            return
        self.local.syncs.add(unsynced, self.published)

    def published(self, failure: Exception | None) -> None:
        """Its name in new/ is durable: it is delivered."""
        if failure is not None:
            self.local.wake(partial(self._defer, failure))
        else:
            self.send.finish(self.job, Delivered(DID_ONE, self.rule))

    def _defer(self, failure: object) -> None:
        match failure:
            case MailError():
                text = str(failure)
            case OSError():
                text = f"{maildir.TEMPORARY} {self.folder}: {failure.strerror}"
            case _:
                text = f"{WRONG}: {failure!r} (#4.3.0)"
        self.send.finish(self.job, Deferred(text, self.rule))


def _after(block: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield block
    yield from pieces
