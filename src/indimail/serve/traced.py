"""Letting go of outcomes: a row leaves its queue only after the trace that tells its end is synced.

    endings.add(id, number)                  # a recipient's outcome is recorded, and may go
    traced = TracedOutcomes(trace, aside)
    traced.tick([endings, ...])              # about once a second

Commit point: `sync` returned a number that covers every record added before it was asked.  Until
then the rows stay, so that after a crash their outcomes can be recorded again.  With a mail's last
row goes its file in ``mess/``; the file in the spool directory that it was adopted from goes before.

Source: DESIGN 4 (outcomes).
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from indimail.mail.errors import MailError
from indimail.mail.events import Event, Facts, Record, Trace
from indimail.mail.ids import QueueId
from indimail.mail.verdict import Rule
from indimail.queue.port import QueuedMessage, State, Traced
from indimail.serve.hands import RunAside
from indimail.serve.opening import OpenQueue


class SyncedTrace(Protocol):
    """The part of `trace.write.TraceWriter` that is needed."""

    @property
    def added(self) -> int:
        """The number of the last record added."""

    def sync(self) -> int:
        """Make everything added before durable; return the number of the last record covered."""


class Endings:
    """The outcomes of one queue that are recorded and still in their rows, and files of its mail.

    `files` are the mails that have one in ``mess/``: it goes with the last of their rows.
    """

    def __init__(self, queue: OpenQueue, trace: Trace) -> None:
        self._queue = queue
        self._trace = trace
        self._outcomes: list[tuple[QueueId, int]] = []
        self._sources: dict[QueueId, str] = {}
        self.files: set[QueueId] = set()

    def recover(self) -> None:
        """Record again the outcomes whose trace may have been lost with us."""
        store = self._queue.store
        for queue_id in store.untraced():
            found = store.message(queue_id)
            if found is None:
                continue
            if found.message.body is None:
                self.files.add(queue_id)
            self.keep_source(found.message)
            for status in found.recipients:
                if status.state is not State.WAITING:
                    facts: Facts = {
                        "recipient": status.recipient.address,
                        "number": status.recipient.number,
                    }
                    if status.owed is not None:
                        facts["owed"] = status.owed
                    self._trace.add(
                        Record(queue_id, status.at, Event.OUTCOME, status.state.value, status.text,
                               Rule.parse(status.rule), facts=facts)
                    )  # fmt: skip
                    if status.owed is None:
                        self.add(queue_id, status.recipient.number)

    def forget_work(self) -> None:
        """The queue was closed: what is on disk says what ended."""
        self._outcomes.clear()

    def keep_source(self, message: QueuedMessage) -> None:
        """Remember the spool file that a mail was adopted from."""
        if message.source:
            self._sources[message.id] = message.source

    def add(self, queue_id: QueueId, *numbers: int) -> None:
        """These recipients of a mail may go once the trace is synced."""
        self._outcomes += [(queue_id, number) for number in numbers]

    def take(self) -> list[tuple[QueueId, int]]:
        """Return the recipients whose outcomes were recorded since; sync the trace next."""
        taken, self._outcomes = self._outcomes, []
        return taken

    def take_back(self, outcomes: list[tuple[QueueId, int]]) -> None:
        """The trace could not be synced yet: they are among the next that are taken."""
        self._outcomes[:0] = outcomes

    def sources(self, outcomes: list[tuple[QueueId, int]]) -> list[str]:
        """Return the spool files these mails were adopted from: they go before the rows do."""
        if not self._sources:
            return []
        ids = {queue_id for queue_id, _ in outcomes}
        return [source for queue_id, source in self._sources.items() if queue_id in ids]

    def forget(self, outcomes: list[tuple[QueueId, int]]) -> None:
        """Let rows go whose outcomes are in the synced trace, and their files after them."""
        if not outcomes or self._queue.failure is not None:
            return
        ids = {queue_id for queue_id, _ in outcomes}
        traced = Traced(tuple(outcomes))
        self._queue.committer.add(traced, lambda failure: self._forgotten(ids, failure))

    def _forgotten(self, ids: set[QueueId], failure: Exception | None) -> None:
        if failure is not None:
            self._queue.fail(failure)
            return
        for queue_id in self._sources.keys() & ids:
            del self._sources[queue_id]
        for queue_id in self.files.intersection(ids):
            with suppress(MailError):  # it stays until the next start sweeps it away
                if self._queue.look.message(queue_id) is None:
                    self.files.discard(queue_id)
                    self._queue.spool.discard(queue_id)


class TracedOutcomes:
    """Of all queues of a process, since they share its trace."""

    def __init__(
        self,
        trace: SyncedTrace,
        aside: RunAside,
        remove_sources: Callable[[Sequence[str]], None] | None = None,
    ) -> None:
        """`remove_sources` removes, durably, the files that mails were adopted from."""
        self._trace = trace
        self._aside = aside
        self._remove_sources = remove_sources
        self.syncing = False

    def tick(self, queues: Sequence[Endings]) -> None:
        """Begin a sync where none runs; what it covers is forgotten after it."""
        if self.syncing:
            return
        self.syncing = True
        outcomes = [(endings, endings.take()) for endings in queues]
        sources = [source for endings, ended in outcomes for source in endings.sources(ended)]
        upto = self._trace.added

        def sync() -> int:
            if sources and self._remove_sources is not None:
                self._remove_sources(sources)
            return self._trace.sync()

        def synced(result: object) -> None:
            self.syncing = False
            covered = result if isinstance(result, int) else -1
            for endings, ended in outcomes:
                if covered >= upto:
                    endings.forget(ended)
                else:
                    endings.take_back(ended)

        self._aside(sync, synced)
