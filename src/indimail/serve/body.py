"""The octets of one message on their way to a queue: in memory, or in a file once there are many.

    body = Body(id, queue.spool, aside, received_line, lines_in_front)
    if not body.add(chunk):                     # enough gathered for a thread to write
        body.write(then)                        # then(None) once it is written, or then(error)
    body.seal(then)                             # or body.whole(), where it is not `is_large`
    body.give()                                 # from here on the octets are the queue's

`size` are the octets so far; `start` those of the lines in front, which only the file has: the
lines that a foreseen delivery will prepend (a large mail is written once).  `message_id` is known
when the file is begun, or the body was taken whole; `is_ascii` that no octet is above 127.

Not here: what becomes of it (`serve.transaction`, `serve.inject`), the file itself (`queue.spool`).
"""

from collections.abc import Callable

from indimail.mail.ids import QueueId
from indimail.queue.spool import LARGE
from indimail.serve.hands import RunAside
from indimail.serve.intake import Holding, message_id_of

Then = Callable[[object], None]


class Body:
    """A message's octets, in the order in which they came."""

    __slots__ = (
        "_aside",
        "_busy",
        "_dropped",
        "_gathered",
        "_given",
        "_id",
        "_in_file",
        "_in_front",
        "_parts",
        "_spool",
        "is_ascii",
        "message_id",
        "size",
        "start",
    )

    def __init__(
        self,
        queue_id: QueueId,
        spool: Holding,
        aside: RunAside,
        first: bytes,
        in_front: Callable[[], bytes] = bytes,
    ) -> None:
        """`in_front` gives the lines that only the file has; it is asked when there is to be one."""
        self._id = queue_id
        self._spool = spool
        self._aside = aside
        self._in_front = in_front
        self._parts = [first]
        self.size = self._gathered = len(first)  # `_gathered`: those in `_parts`
        self.start = 0
        self.is_ascii = first.isascii()
        self.message_id = ""
        self._in_file = False
        self._busy = False  # a thread is at the file
        self._given = False
        self._dropped = False

    def add(self, data: bytes) -> bool:
        """Keep octets; False where so many gathered that `write` is to be called first."""
        self._parts.append(data)
        self.size += len(data)
        self._gathered += len(data)
        self.is_ascii = self.is_ascii and data.isascii()
        return self._gathered < LARGE

    @property
    def is_large(self) -> bool:
        """Whether it goes to a file, and not into its row."""
        return self._in_file or self.size > LARGE

    def whole(self) -> bytes:
        """Return the octets of a body that is not large."""
        octets = b"".join(self._parts)
        self._parts = []
        self.message_id = message_id_of(octets)
        return octets

    def write(self, then: Then) -> None:
        """Put what gathered into the file, on a thread."""
        self._run(self._writing(), then)

    def seal(self, then: Then) -> None:
        """Write the rest and make the file durable, on a thread."""
        work, spool, id_ = self._writing(), self._spool, self._id

        def sealing() -> None:
            work()
            spool.seal(id_)

        self._run(sealing, then)

    def give(self) -> None:
        """The queue decides from now on what becomes of the octets."""
        self._given = True

    def drop(self) -> None:
        """Forget the octets; nothing more is called, and the file goes."""
        self._dropped = True
        self._parts = []
        if not self._busy:
            self._discard()

    def _writing(self) -> Callable[[], None]:
        parts, self._parts, self._gathered = self._parts, [], 0
        spool, id_ = self._spool, self._id
        if self._in_file:
            return lambda: spool.add(id_, parts) if parts else None
        self._in_file = True  # before the call: what a failed one left is discarded
        self.message_id = message_id_of(b"".join(parts))
        lines = self._in_front()
        self.start = len(lines)
        parts.insert(0, lines)
        return lambda: spool.begin(id_, parts)

    def _run(self, work: Callable[[], None], then: Then) -> None:
        self._busy = True

        def done(result: object) -> None:
            self._busy = False
            if self._dropped:
                self._discard()
            else:
                then(result)

        self._aside(work, done)

    def _discard(self) -> None:
        """Remove a file without a row."""
        if self._in_file and not self._given:
            self._in_file = False
            spool, id_ = self._spool, self._id
            self._aside(lambda: spool.discard(id_), lambda _: None)
