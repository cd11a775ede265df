"""Mail that was left in the spool directory while nobody listened: into the queue, once.

    adoption = Adoption(SpoolFiles(disk, "/var/indimail/queue"), ...)
    adoption.tick(now)                     # at the start and once a second; cheap while nothing is there

Everybody may leave a file in ``queue/spool`` (1733), so its owner, as the file system has it, is the
sender, whatever the file says.  A file is first *claimed*: renamed into ``queue/adopting``, where
nobody else can change its name (if a power cut undoes that, it is claimed again).  What is cut
short, unreadable or not to be taken goes to ``queue/refused`` with a line in the log; nothing is
removed that is not in a queue.

Once: the row keeps the file's name (`source`).  Commit point: the queue's commit; then the file goes,
durably, and only then may the row be forgotten (`SpoolFiles.remove`, asked again by who forgets).
After a crash a file that a row names is removed; rows are looked at *before* a file is opened, so a
row that was forgotten meanwhile had its file removed before.

Source: DESIGN 4 (who owns a queue).  Not here: writing such a file (`queue.submission`).
"""

import errno
import logging
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from indimail.durable.disk import Disk
from indimail.mail.clock import Clock
from indimail.mail.dates import header_date
from indimail.mail.errors import MailError, QueueUnwritable
from indimail.mail.events import Facts, Trace
from indimail.mail.ids import QueueId, QueueIds
from indimail.mail.verdict import Rule
from indimail.queue.port import QueuedMessage
from indimail.queue.spool import LARGE
from indimail.queue.submission import FORMAT, READ_ERROR, Submission, read_spooled
from indimail.serve.hands import RunAside
from indimail.serve.intake import Holding, Intake, message_id_of, received_line
from indimail.serve.snapshot import Configuration, Snapshot
from indimail.serve.submitted import (
    Origin,
    Refusal,
    Settled,
    Story,
    judge,
    judge_size,
    message_of,
    settle,
    without_claims,
)

AT_ONCE: Final = 100  # files of one round
RETRY: Final = 5.0  # seconds after a queue did not take one
ABANDONED: Final = 129_600.0  # seconds after which an unfinished file is nobody's (qmail's 36 h)
LOG: Final = logging.getLogger("indimail.adopt")
_OURS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})  # it may be read later
_NAME: Final = re.compile(r"[0-9]{1,20}\.[0-9]{1,10}\.[0-9a-f]{32}")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True)
class SpoolFile:
    """Who owns a file; `fault` says why it cannot be read as one."""

    uid: int
    fault: str = ""


def look(path: str) -> SpoolFile:
    """Tell whose file this is.  Raises OSError."""
    found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode):
        return SpoolFile(found.st_uid, "not a file")
    return SpoolFile(found.st_uid, "has a second name" if found.st_nlink != 1 else "")


class SpoolFiles:
    """The three folders; every call may wait for the disk."""

    def __init__(
        self, disk: Disk, queue_base: str, look: Callable[[str], SpoolFile] = look
    ) -> None:
        self.disk = disk
        self.spool = os.path.join(queue_base, "spool")
        self._claimed = os.path.join(queue_base, "adopting")
        self._refused = os.path.join(queue_base, "refused")
        self._look = look

    def path(self, name: str) -> str:
        """Return the place of a claimed file."""
        return os.path.join(self._claimed, name)

    def changed(self) -> int:
        """Return what differs after a file came: the folder's time; 0 where there is none."""
        try:
            return os.stat(self.spool).st_mtime_ns
        except OSError:
            return 0

    def claim(self) -> list[str]:
        """Move what is whole out of everybody's reach; return what is claimed, oldest first."""
        found = sorted(self.disk.names(self.spool)) if self.disk.exists(self.spool) else []
        whole = [name for name in found if not name.startswith(".")][:AT_ONCE]
        for name in whole:
            self._claim(name)
        for name in found:
            if name.startswith("."):
                self._abandon(os.path.join(self.spool, name))
        if not self.disk.exists(self._claimed):
            return []
        return sorted(self.disk.names(self._claimed))[:AT_ONCE]

    def _claim(self, name: str) -> None:
        path = os.path.join(self.spool, name)
        try:
            if _NAME.fullmatch(name):
                self.disk.make_directories(self._claimed)
                self.disk.rename(path, self.path(name))
            else:
                self._put_aside(path, name, "its name is not one that we give")
        except OSError as error:  # another's folder, for one, cannot be moved
            LOG.warning("queue/spool/%s stays there: %s", _safe(name), error.strerror)

    def _abandon(self, path: str) -> None:
        """Remove what a program began to write and, it is long ago, did not finish."""
        with suppress(OSError):
            if time.time() - os.lstat(path).st_mtime > ABANDONED:
                self.disk.unlink(path)

    def of(self, name: str) -> SpoolFile:
        """Tell whose a claimed file is.  Raises OSError."""
        return self._look(self.path(name))

    def put_aside(self, name: str, reason: str) -> None:
        """Keep what cannot be taken where an administrator finds it."""
        self._put_aside(self.path(name), name, reason)

    def _put_aside(self, path: str, name: str, reason: str) -> None:
        self.disk.make_directories(self._refused)
        kept = _safe(name)
        while self.disk.exists(os.path.join(self._refused, kept)):
            kept += "_"
        self.disk.rename(path, os.path.join(self._refused, kept))
        LOG.error("queue/spool/%s is not taken: %s; kept as queue/refused/%s",
                  _safe(name), reason, kept)  # fmt: skip

    def remove(self, names: Iterable[str]) -> None:
        """Remove files whose mail is in a queue; durable on return.  Missing is fine."""
        removed = False
        for name in names:
            removed = True
            with suppress(FileNotFoundError):
                self.disk.unlink(self.path(name))
        if removed and self.disk.exists(self._claimed):
            self.disk.sync_directory(self._claimed)
            self.disk.sync_directory(self.spool)  # where it was renamed from


@dataclass(frozen=True, slots=True)
class Ready:
    """A file's mail, ready for the queue's commit."""

    message: QueuedMessage
    settled: Settled
    message_id: str
    origin: Origin


@dataclass(frozen=True, slots=True)
class Unfit:
    """A file that is not taken."""

    refusal: Refusal
    submission: Submission | None
    origin: Origin


class Adoption:
    """Takes the files of one spool directory, one after the other; one worker does."""

    def __init__(
        self,
        files: SpoolFiles,
        config: Configuration,
        ids: QueueIds,
        clock: Clock,
        trace: Trace,
        aside: RunAside,
        choose_queue: Callable[[], Intake | MailError],
        adopted: Callable[[], set[str]],
    ) -> None:
        """`choose_queue` gives a queue of this process; `adopted` the sources all queues know."""
        self._files = files
        self._config = config
        self._ids = ids
        self._clock = clock
        self._trace = trace
        self._aside = aside
        self._choose_queue = choose_queue
        self._adopted = adopted
        self._seen = -1
        self._at = 0.0
        self.draining = False
        self._running = False
        self._waiting: list[str] = []
        self._taken: list[str] = []
        self._kept = False  # a file of this round could not be taken now

    @property
    def running(self) -> bool:
        """Whether files are being taken."""
        return self._running

    def tick(self, now: float) -> None:
        """Look for files; `now` is the steady clock."""
        if self._running or self.draining or now < self._at:
            return
        changed = self._files.changed()
        if changed != self._seen:
            self._seen = changed
            self._running = True
            self._aside(self._gather, self._gathered)

    def _gather(self) -> list[str]:
        """Claim what is there; remove what a row names already.  On a thread."""
        while names := self._files.claim():
            known = self._adopted()
            self._files.remove([name for name in names if name in known])
            if fresh := [name for name in names if name not in known]:
                return fresh
        return []

    def _gathered(self, result: object) -> None:
        if not isinstance(result, list):
            LOG.error("the spool directory cannot be read: %s", result)
            self._again()
            return
        self._waiting, self._kept = result, False
        if not result:
            self._running = False
        elif self._config.when_fresh(self._next):
            self._next()

    def _next(self) -> None:
        """Take the next file, or end the round."""
        if self.draining:
            self._end(self._rest)
            return
        if not self._waiting:
            self._end(self._again if self._kept else self._look_again)
            return
        queue = self._choose_queue()
        if isinstance(queue, MailError):
            LOG.warning("mail waits in the spool directory: %s", queue)
            self._end(self._again)
            return
        name = self._waiting.pop(0)
        born = self._clock.now()
        queue_id = self._ids.next(int(born * 1e6))
        snapshot = self._config.current
        self._aside(
            lambda: self._prepare(name, queue_id, born, snapshot, queue.spool),
            partial(self._prepared, name, queue_id, queue),
        )

    def _end(self, then: Callable[[], None]) -> None:
        """Remove what is in a queue now."""
        taken, self._taken, self._waiting = self._taken, [], []

        def removed(result: object) -> None:
            if result is None:
                then()
            else:
                LOG.error("adopted files cannot be removed: %s", result)
                self._again()

        self._aside(lambda: self._files.remove(taken), removed)

    def _look_again(self) -> None:
        """All of these were taken or put aside: there may be more."""
        self._aside(self._gather, self._gathered)

    def _rest(self) -> None:
        """Take no more; the next process does."""
        self._running = False

    def _again(self) -> None:
        """Look again after a while, whatever the folder's time says."""
        self._running = False
        self._seen = -1
        self._at = self._clock.steady() + RETRY

    # -- one file --------------------------------------------------------------------------------

    def _prepare(
        self, name: str, queue_id: QueueId, born: float, snapshot: Snapshot, spool: Holding
    ) -> Ready | Unfit | None:
        """Read a file, on a thread; None where it is gone.  Raises QueueUnwritable, QueueFull."""
        origin = _origin(name, -1)
        submission: Submission | None = None
        try:
            file = self._files.of(name)
            origin = _origin(name, file.uid)
            if file.fault:
                return Unfit(Refusal(FORMAT, file.fault), None, origin)
            frames = read_spooled(self._files.disk, self._files.path(name))
            submission = without_claims(Submission.from_bytes(next(frames, b"")))
            refusal = judge(submission, snapshot.queue.inject)
            if refusal is not None:
                return Unfit(refusal, submission, origin)
            body = _Body(queue_id, snapshot, file.uid, born, spool)
            taken = body.take(frames)
        except FileNotFoundError:
            return None
        except ValueError as error:
            return Unfit(Refusal(FORMAT, f"not a submission: {error}"), submission, origin)
        except OSError as error:
            if error.errno in _OURS:
                raise QueueUnwritable(str(error)) from error
            return Unfit(Refusal(READ_ERROR, f"unreadable: {error.strerror}"), submission, origin)
        if isinstance(taken, Refusal):
            return Unfit(taken, submission, origin)
        settled = settle(submission, snapshot, born)
        message = message_of(
            queue_id, born, settled.meant, file.uid, body.size, taken, name,
            eight_bit=not body.is_ascii,
        )  # fmt: skip
        return Ready(message, settled, body.message_id, origin)

    def _prepared(self, name: str, queue_id: QueueId, queue: Intake, result: object) -> None:
        match result:
            case Ready(message, settled):
                done = partial(self._committed, name, queue, result)
                queue.accept(message, settled.recipients, done)
            case Unfit():
                self._refuse(name, queue_id, result)
            case None:
                self._next()
            case failure:
                self._aside(lambda: queue.spool.discard(queue_id), lambda _: None)
                self._keep(name, failure)

    def _committed(self, name: str, queue: Intake, ready: Ready, failure: Exception | None) -> None:
        """Commit point 1, of a mail whose sender is gone."""
        if failure is not None:
            self._keep(name, failure)  # a large body goes when its queue opens again
            return
        self._taken.append(name)
        story = Story(self._trace, self._clock, ready.message.id, ready.origin)
        story.connected()
        story.readdressed(ready.settled)
        story.accepted(ready.message, ready.settled.recipients, ready.message_id, queue.name)
        self._next()

    def _keep(self, name: str, failure: object) -> None:
        """Leave a file where it is, and go on with the others: one must not stop them."""
        LOG.warning("queue/spool/%s waits: %s", name, failure)
        self._kept = True
        self._next()

    def _refuse(self, name: str, queue_id: QueueId, unfit: Unfit) -> None:
        story = Story(self._trace, self._clock, queue_id, unfit.origin)
        story.connected()
        story.refused(unfit.refusal, unfit.submission, "refuse")
        reason = f"{unfit.refusal.text} (uid {unfit.origin.uid}) [id {queue_id}]"

        def moved(result: object) -> None:
            if result is not None:
                self._keep(name, result)
            else:
                self._next()

        self._aside(lambda: self._files.put_aside(name, reason), moved)


class _Body:
    """A body on its way from a spool file into a queue."""

    def __init__(
        self, queue_id: QueueId, snapshot: Snapshot, uid: int, born: float, spool: Holding
    ) -> None:
        self._id = queue_id
        self._settings = snapshot.queue.inject
        self._spool = spool
        self._line = received_line(
            queue_id, uid, snapshot.me, header_date(born), hide_host=self._settings.hide_host
        )
        self.size = len(self._line)
        self.is_ascii = True
        self.message_id = ""

    def take(self, pieces: Iterator[bytes]) -> bytes | Refusal | None:
        """Return a small body; None: it is in the queue's spool, durably.

        Raises ValueError and OSError for the file, QueueUnwritable and QueueFull for the queue.
        """
        parts, spooled = [self._line], False
        try:
            for piece in pieces:
                parts.append(piece)
                self.size += len(piece)
                self.is_ascii = self.is_ascii and piece.isascii()
                refusal = judge_size(self.size - len(self._line), self._settings)
                if refusal is not None:
                    if spooled:
                        self._spool.discard(self._id)
                    return refusal
                if self.size > LARGE:
                    if spooled:
                        self._spool.add(self._id, parts)
                    else:
                        self.message_id = message_id_of(b"".join(parts))
                        spooled = True
                        self._spool.begin(self._id, parts)
                    parts = []
            if not spooled:
                body = b"".join(parts)
                self.message_id = message_id_of(body)
                return body
            self._spool.seal(self._id)
        except (ValueError, OSError):
            if spooled:
                self._spool.discard(self._id)
            raise
        return None


def _origin(name: str, uid: int) -> Origin:
    facts: Facts = {"listener": "spool", "uid": uid, "file": name}
    return Origin(uid, Rule("queue/spool"), facts)


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name)[:200]
