"""What reception needs of a queue, whoever owns it, and what all ways into a queue share.

    queue: Intake = choose_queue(...)                 # a `serve.send.Send`, or a `serve.handover.HandOver`
    queue.spool.begin(id, parts); queue.spool.seal(id)       # a large body, on a thread
    queue.accept(message, recipients, done)           # done(None): it is durable, say so

Not here: which queue it is (`app.queues`), what comes in (`serve.transaction`, `serve.inject`).
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from indimail.durable.committer import Done
from indimail.mail.channel import Channel
from indimail.mail.events import Event, Record
from indimail.mail.ids import QueueId
from indimail.mail.verdict import Rule
from indimail.queue.port import QueuedMessage, QueuedRecipient

_MESSAGE_ID: Final = re.compile(rb"(?im)^message-id:[ \t]*(?:\n[ \t]+)?(<[^>\n]{1,250}>)")


class Holding(Protocol):
    """Where a large body is while it arrives; each call may wait for the disk."""

    def begin(self, queue_id: QueueId, parts: Sequence[bytes]) -> None:
        """Create the file with its first parts."""

    def add(self, queue_id: QueueId, parts: Sequence[bytes]) -> None:
        """Write more of the body."""

    def seal(self, queue_id: QueueId) -> None:
        """The body is whole: make it as durable as `accept` needs it."""

    def discard(self, queue_id: QueueId) -> None:
        """Remove the file of a message that did not come; missing is fine."""

    def read(self, queue_id: QueueId, offset: int) -> Iterator[bytes]:
        """Yield the body from `offset` on."""


class Intake(Protocol):
    """A queue as reception sees it."""

    @property
    def name(self) -> str:
        """The queue that has the message, once it is accepted."""

    @property
    def spool(self) -> Holding:
        """Where large bodies go."""

    def accept(
        self, message: QueuedMessage, recipients: tuple[QueuedRecipient, ...], done: Done
    ) -> None:
        """Queue a message; `done(None)` after its commit, `done(error)` where it was not queued."""


def message_id_of(beginning: bytes) -> str:
    """Return the Message-ID, angle brackets included, of what begins a message (LF); else empty."""
    end = beginning.find(b"\n\n")
    found = _MESSAGE_ID.search(beginning, 0, end if end >= 0 else len(beginning))
    return found[1].decode("utf-8", "replace") if found else ""


def received_line(queue_id: int, uid: int, me: str, date: str, *, hide_host: bool) -> bytes:
    """Return the line in front of a mail that is made on this machine (spec/queue.md 1.3)."""
    host = "" if hide_host else f" by host {me}"
    return (
        f"Received: indimail-mta queue {queue_id}{host}\n (invoked by uid {uid}); {date}\n".encode()
    )


def route_record(message: QueuedMessage, recipient: QueuedRecipient, now: float) -> Record:
    """Return the record of where a recipient goes."""
    return Record(
        message.id, now, Event.ROUTE, recipient.channel.value,
        route_text(recipient.channel, recipient.target), Rule.parse(recipient.route),
        facts={"recipient": recipient.address, "number": recipient.number,
               "target": recipient.target, "sender": message.reverse_path},
    )  # fmt: skip


def route_text(channel: Channel, target: str) -> str:
    """Return what a route's record says."""
    if channel is Channel.LOCAL:
        return f"local: {target}"
    return f"remote: for {target}"
