"""Letting go of outcomes: a row leaves its queue only after the trace that tells its end is synced.

    traced = TracedOutcomes(trace, aside)
    traced.tick(sends)                       # about once a second

Commit point: `sync` returned a number that covers every record added before it was asked.  Until
then the rows stay, so that after a crash `Send` can record their outcomes again.

Source: DESIGN 4 (outcomes).  Not here: what an outcome's record says (`serve.send`).
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from indimail.serve.hands import RunAside
from indimail.serve.send import Send


class SyncedTrace(Protocol):
    """The part of `trace.write.TraceWriter` that is needed."""

    @property
    def added(self) -> int:
        """The number of the last record added."""

    def sync(self) -> int:
        """Make everything added before durable; return the number of the last record covered."""


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

    def tick(self, sends: Sequence[Send]) -> None:
        """Begin a sync where none runs; what it covers is forgotten after it."""
        if self.syncing:
            return
        self.syncing = True
        outcomes = [(send, send.take_untraced()) for send in sends]
        sources = [source for send, ended in outcomes for source in send.sources(ended)]
        upto = self._trace.added

        def sync() -> int:
            if sources and self._remove_sources is not None:
                self._remove_sources(sources)
            return self._trace.sync()

        def synced(result: object) -> None:
            self.syncing = False
            covered = result if isinstance(result, int) else -1
            for send, ended in outcomes:
                if covered >= upto:
                    send.forget(ended)
                else:
                    send.keep_untraced(ended)

        self._aside(sync, synced)
