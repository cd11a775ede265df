"""What the queues know of a mail, read beside a running server or without one.

    queues = Queues.open("/var/indimail/queue")
    for name, status in queues.status(): ...          # messages with a waiting recipient
    queues.records_of(1838568448000000001)            # trace records that the rows stand for

`Queues` is the `trace.find.LateOutcomes` of `indimail explain`: an outcome leaves its queue only after
the trace has it, so one of the two always tells it.  Rows keep no time of a deferral; its record
has the time the message was accepted.

Raises `QueueUnwritable` for a database that cannot be read, OSError for the folder.
Not here: changing anything in a queue (its owner's control socket).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from indimail.mail.channel import Channel
from indimail.mail.errors import MailError, QueueUnwritable
from indimail.mail.events import Event, Record
from indimail.mail.ids import QueueId
from indimail.mail.verdict import NO_RULE, Rule
from indimail.queue.found import found_queues
from indimail.queue.port import Counts, MessageStatus, QueuedMessage, RecipientStatus, State
from indimail.queue.sqlite import SqliteReader, database_of

Facts = dict[str, str | int | float | bool]


class Queues:
    """Readers of all queues of an instance, by name."""

    def __init__(self, readers: list[tuple[str, SqliteReader]]) -> None:
        self._readers = readers

    @classmethod
    def open(cls, base: str, *named: str) -> Self:
        """Open the queues below `base` and those of `named`."""
        return cls([
            (os.path.basename(path), SqliteReader.open(database_of(path)))
            for path in found_queues(base, *named)
        ])  # fmt: skip

    def status(self) -> Iterator[tuple[str, MessageStatus]]:
        """Walk the messages that are in a queue, with the queue's name."""
        for name, reader in self._readers:
            with _told_of(name):
                for status in reader.status():
                    if any(r.state is State.WAITING for r in status.recipients):
                        yield name, status

    def counts(self) -> list[tuple[str, Counts]]:
        """Count what waits, by queue."""
        counts = []
        for name, reader in self._readers:
            with _told_of(name):
                counts.append((name, reader.counts()))
        return counts

    def records_of(self, queue_id: int) -> list[Record]:
        """Return the records that the rows of a mail stand for; none where it is unknown."""
        if not 0 < queue_id < 1 << 63:
            return []
        records = []
        for name, reader in self._readers:
            with _told_of(name):
                found = reader.message(QueueId(queue_id))
            if found is not None:
                records.append(_accepted(name, found.message, len(found.recipients)))
                for status in found.recipients:
                    records += _records(found.message, status)
        return records

    def close(self) -> None:
        """Let go of the databases."""
        for _, reader in self._readers:
            reader.close()


@contextmanager
def _told_of(name: str) -> Iterator[None]:
    """Say which queue cannot be read."""
    try:
        yield
    except MailError as error:
        raise QueueUnwritable(f"{name}: {error}") from error


def _accepted(name: str, message: QueuedMessage, recipients: int) -> Record:
    facts: Facts = {
        "sender": message.reverse_path, "size": message.size, "recipients": recipients,
        "queue": name,
    }  # fmt: skip
    return Record(message.id, message.born, Event.MESSAGE, "accept", f"queued in {name}",
                  NO_RULE, "", facts)  # fmt: skip


def _records(message: QueuedMessage, status: RecipientStatus) -> Iterator[Record]:
    recipient = status.recipient
    facts: Facts = {
        "recipient": recipient.address, "number": recipient.number, "sender": message.reverse_path,
    }  # fmt: skip
    kind = "local: " if recipient.channel is Channel.LOCAL else "remote: waits in the queue for "
    yield Record(
        message.id, message.born, Event.ROUTE, recipient.channel.value, kind + recipient.target,
        Rule.parse(recipient.route), "", {**facts, "target": recipient.target},
    )  # fmt: skip
    rule = Rule.parse(status.rule)
    if status.state is not State.WAITING:
        yield Record(message.id, status.at, Event.OUTCOME, status.state.value, status.text, rule,
                     "", facts)  # fmt: skip
    elif recipient.attempts:
        again: Facts = {**facts, "attempt": recipient.attempts, "next_try": recipient.due}
        yield Record(message.id, message.born, Event.DELIVERY, "deferred", status.text, rule,
                     "", again)  # fmt: skip
