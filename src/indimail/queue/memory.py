"""The queue in memory: the same promises except the disk.  For tests and simulations.

Kept as plain as can be: it is what the SQLite adapter is compared with.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from msgspec import structs

from indimail.mail.channel import Channel
from indimail.mail.dsn import Dsn
from indimail.mail.ids import QueueId
from indimail.mail.outcome import Delivered
from indimail.queue.port import (
    Accepted,
    Change,
    Counts,
    Due,
    Finished,
    MessageStatus,
    Postponed,
    QueuedMessage,
    RecipientStatus,
    Reported,
    Staged,
    State,
    Step,
    Stepped,
    Traced,
)


class MemoryQueue:
    """Dictionaries of messages, recipients and staged steps."""

    def __init__(self) -> None:
        self._messages: dict[QueueId, QueuedMessage] = {}
        self._recipients: dict[tuple[QueueId, int], RecipientStatus] = {}
        self._steps: dict[tuple[QueueId, int, int], Step] = {}

    def apply(self, changes: Sequence[Change]) -> None:
        """Make a batch true."""
        for change in changes:
            match change:
                case Accepted():
                    self._accept(change)
                case Staged(id_, step) | Stepped(id_, step):
                    self._steps[id_, step.number, step.step] = step
                case Postponed():
                    self._postpone(change)
                case Finished():
                    self._finish(change)
                case Reported(id_, debts, report):
                    self._settle(id_, debts)
                    if report is not None:
                        self._accept(report)
                case Traced(outcomes):
                    for id_, number in outcomes:
                        self._forget(id_, number)

    def _accept(self, change: Accepted) -> None:
        self._messages[change.message.id] = change.message
        for r in change.recipients:
            status = RecipientStatus(r, State.WAITING, "", "", 0.0)
            self._recipients[change.message.id, r.number] = status

    def _postpone(self, change: Postponed) -> None:
        key = (change.id, change.number)
        status = self._recipients.get(key)
        if status is None or status.state is not State.WAITING:
            return
        later = structs.replace(
            status.recipient, due=change.due, attempts=status.recipient.attempts + 1,
            delayed=status.recipient.delayed or change.owed is not None,
        )  # fmt: skip
        self._recipients[key] = replace(
            status, recipient=later, text=change.text, rule=change.rule, at=change.at,
            owed=change.owed or status.owed, peer=change.peer,
        )  # fmt: skip

    def _finish(self, change: Finished) -> None:
        key, outcome = (change.id, change.number), change.outcome
        status = self._recipients.get(key)
        if status is None or status.state is not State.WAITING:
            return
        state = State.DELIVERED if isinstance(outcome, Delivered) else State.FAILED
        self._recipients[key] = replace(
            status, state=state, text=outcome.text, rule=str(outcome.rule), at=change.at,
            owed=change.owed, peer=outcome.peer,
        )  # fmt: skip
        self._drop_steps(*key)
        for forward in change.forwards:
            self._accept(forward)

    def _settle(self, id_: QueueId, debts: tuple[tuple[int, Dsn], ...]) -> None:
        for number, dsn in debts:
            status = self._recipients.get((id_, number))
            if status is not None and status.owed is dsn:
                self._recipients[id_, number] = replace(status, owed=None)

    def _drop_steps(self, id_: QueueId, number: int) -> None:
        for key in [key for key in self._steps if key[:2] == (id_, number)]:
            del self._steps[key]

    def _forget(self, id_: QueueId, number: int) -> None:
        status = self._recipients.get((id_, number))
        if status is not None and status.state is not State.WAITING and not status.owed:
            del self._recipients[id_, number]
        if not self._of(id_):
            self._messages.pop(id_, None)

    def message(self, queue_id: QueueId) -> MessageStatus | None:
        """Return a message with its body."""
        found = self._messages.get(queue_id)
        return None if found is None else MessageStatus(found, self._of(queue_id))

    def _of(self, queue_id: QueueId) -> tuple[RecipientStatus, ...]:
        keys = sorted(key for key in self._recipients if key[0] == queue_id)
        return tuple(self._recipients[key] for key in keys)

    def due(
        self,
        channel: Channel,
        before: float,
        after: tuple[float, int, int],
        limit: int,
        without: Collection[str] = (),
    ) -> list[Due]:
        """Return waiting recipients with ``due <= before``, ordered by (due, id, number)."""
        found = sorted(
            (s.recipient.due, id_, number)
            for (id_, number), s in self._recipients.items()
            if s.state is State.WAITING
            and s.recipient.channel is channel
            and s.recipient.due <= before
            and (s.recipient.due, id_, number) > after
            and s.recipient.target not in without
        )
        return [Due(id_, number, channel, due) for due, id_, number in found[:limit]]

    def staged(self) -> list[tuple[QueueId, Step]]:
        """Return every step that is staged and not done."""
        return [(key[0], step) for key, step in sorted(self._steps.items()) if not step.done]

    def steps(self, queue_id: QueueId) -> list[Step]:
        """Return the steps, staged or done, of a message's recipients that wait, in order."""
        return [step for key, step in sorted(self._steps.items()) if key[0] == queue_id]

    def untraced(self) -> list[QueueId]:
        """Return ids with finished recipients whose rows are still here."""
        done = {k[0] for k, s in self._recipients.items() if s.state is not State.WAITING}
        return sorted(done)

    def owed(self) -> list[QueueId]:
        """Return ids with recipients of whose failure the sender is to be told."""
        return sorted({k[0] for k, s in self._recipients.items() if s.owed})

    def adopted(self) -> set[str]:
        """Return the `source` of every message that came from a spool file."""
        return {m.source for m in self._messages.values() if m.source}

    def status(self) -> Iterator[MessageStatus]:
        """Walk all messages in id order, without bodies."""
        for id_ in sorted(self._messages):
            yield MessageStatus(structs.replace(self._messages[id_], body=None), self._of(id_))

    def counts(self) -> Counts:
        """Count what waits."""
        waiting = [
            (id_, s.recipient.channel)
            for (id_, _), s in self._recipients.items()
            if s.state is State.WAITING
        ]
        local = sum(channel is Channel.LOCAL for _, channel in waiting)
        return Counts(len({id_ for id_, _ in waiting}), local, len(waiting) - local)

    def largest_id(self) -> int:
        """Return the largest id that is still known, 0 for none."""
        return max(self._messages, default=0)

    def close(self) -> None:
        """Let go; nothing to do."""
