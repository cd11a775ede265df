"""A queue's open files and its rounds, and what is done when one of them fails.

    queue = OpenQueue("queue1", opened=..., commits=..., recover=..., forget=..., clock=..., log=...)
    queue.open()                                 # recover() is called before the first round
    queue.committer.submit(change, done)         # somebody waits for the commit
    queue.mark(change, life, then)               # then() after the commit, in the same life alone
    queue.fail(error)                            # closed; forget() is called
    queue.reopen()                               # True: open again

When a commit fails the queue is *closed*: nothing more is accepted or started, what runs is
forgotten, and it is opened and recovered again every `REOPEN` seconds.  What is on disk then
decides, exactly as after a crash.  Each opening begins another `life`; what is said of an older one
is not heard.

Source: spec/queue.md 5.4; DESIGN 4.  Not here: what is recovered and forgotten (`serve.send`,
`serve.debts`, `serve.traced`), the rounds (`durable.committer`).
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from typing import Final

from indimail.durable.committer import Rounds
from indimail.mail.clock import Clock
from indimail.mail.errors import MailError, Misuse, QueueUnwritable
from indimail.mail.ids import QueueId
from indimail.mail.outcome import Failed
from indimail.queue.port import Accepted, Change, Finished, QueueReader, QueueStore, Traced
from indimail.queue.spool import Spool
from indimail.serve.maillog import DeliveryLog

REOPEN: Final = 5.0

Opened = Callable[[], tuple[QueueStore, QueueReader, Spool]]
Commits = Callable[[Callable[[Sequence[Change]], None], str], Rounds[Change]]


class OpenQueue:
    """The store of a queue, a reader, its spool and its rounds, as they were last opened."""

    store: QueueStore
    look: QueueReader
    spool: Spool
    committer: Rounds[Change]

    def __init__(
        self,
        name: str,
        *,
        opened: Opened,
        commits: Commits,
        recover: Callable[[], None],
        forget: Callable[[], None],
        clock: Clock,
        log: DeliveryLog,
    ) -> None:
        """`opened` returns the writing store, a reading one and the spool of this queue."""
        self.name = name
        self.life = 0
        self.failure: MailError | None = None
        self._opened = opened
        self._commits = commits
        self._recover = recover
        self._forget = forget
        self._clock = clock
        self._log = log
        self._doubtful: list[QueueId] = []  # not accepted; row or body may be on disk
        self._perhaps: list[QueueId] = []  # mail of ours with a file: has it a row?
        self._reopen_at = 0.0

    # -- opening -------------------------------------------------------------------------------

    def open(self) -> None:
        """Open, and learn what a crash or a failure left."""
        with ExitStack() as opened:  # an opening that fails is tried again, and leaves nothing
            self.store, self.look, self.spool = self._opened()
            opened.callback(self.store.close)
            opened.callback(self.look.close)
            self._take_back()
            self._discard(id_ for id_ in self._perhaps if self.store.message(id_) is None)
            self._perhaps.clear()
            self._recover()
            if not self.life:  # later, files without a row may be bodies that arrive
                self.spool.sweep(_Known(self.store))
            self.committer = self._commits(self.store.apply, self.name)
            opened.pop_all()

    def _take_back(self) -> None:
        """Remove what a failed commit left: its client heard a 4xx, its large body is gone."""
        for queue_id in self._doubtful:
            found = self.store.message(queue_id)
            if found is not None:
                numbers = [status.recipient.number for status in found.recipients]
                none = Failed("not accepted")
                ends: list[Change] = [Finished(queue_id, n, none, 0.0) for n in numbers]
                self.store.apply([*ends, Traced(tuple((queue_id, n) for n in numbers))])
            self.spool.discard(queue_id)
        self._doubtful.clear()

    def reopen(self) -> bool:
        """Open a closed queue again, if it is time; False: it stays closed."""
        if self._clock.steady() < self._reopen_at or self.committer.waiting:
            return False
        self._reopen_at = self._clock.steady() + REOPEN
        try:
            self.close()
            self.open()
        except MailError as error:
            self._forget()  # what was loaded would be loaded once more
            self._log.alert(f"queue {self.name} stays closed: {error}")
            return False
        self.failure = None
        self._log.alert(f"queue {self.name} opened again")
        return True

    def close(self) -> None:
        """Commit what was submitted and let go."""
        self.committer.close()
        self.look.close()
        self.store.close()

    # -- rounds and their failures -------------------------------------------------------------

    def mark(
        self, change: Change, life: int, then: Callable[[], None], own: Sequence[Accepted] = ()
    ) -> None:
        """Hand over what nobody waits for; `then` follows its commit, never a failure.

        `own` are the mails in it that were made here.  What belongs to an older life, or comes while
        the queue is being closed, is not heard.  Any thread may call; `then` runs on the event loop.
        """
        if life != self.life:
            self._discard(_spooled(own))  # they have no row and will have none
            return

        def committed(failure: Exception | None) -> None:
            if failure is not None:
                self._perhaps += _spooled(own)
                self.fail(failure)
            elif life == self.life:
                then()

        with suppress(Misuse):
            self.committer.add(change, committed)

    def fail(self, failure: Exception) -> None:
        """Stop at a failed commit: what is on disk decides after the next opening."""
        if self.failure is not None:
            return
        ours = failure if isinstance(failure, MailError) else QueueUnwritable(repr(failure))
        self.failure = ours
        self.life += 1
        self._forget()
        self._reopen_at = self._clock.steady() + REOPEN
        self._log.alert(f"queue {self.name} closed: {ours}")

    def doubt(self, queue_id: QueueId) -> None:
        """A mail was refused, but its row or body may be on disk."""
        self._doubtful.append(queue_id)

    def _discard(self, queue_ids: Iterable[QueueId]) -> None:
        for queue_id in queue_ids:
            with suppress(MailError):  # it stays until the next start sweeps it away
                self.spool.discard(queue_id)


def _spooled(mails: Sequence[Accepted]) -> list[QueueId]:
    return [mail.message.id for mail in mails if mail.message.body is None]


class _Known:
    """Which ids have a row; asked for the few names in `mess/` alone."""

    def __init__(self, store: QueueStore) -> None:
        self._store = store

    def __contains__(self, queue_id: object) -> bool:
        return isinstance(queue_id, int) and self._store.message(QueueId(queue_id)) is not None
