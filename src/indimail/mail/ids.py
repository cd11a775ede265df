"""Queue-ids: 63-bit numbers that are never given twice.

    ids = QueueIds(giver=1)
    ids.next(now_us=1_795_477_000_000_000)   -> 1838568448000000001

A number is the time in microseconds x 1024 + the number of the process that gives it (0..1023),
and always larger than the one before, also where the clock stands still or steps back.  As it
comes from the time, it stays unique after the queue was emptied or its database lost.  In JSON
it is a string (53-bit readers would round it).
"""

from typing import Final, NewType

from indimail.mail.errors import Misuse

QueueId = NewType("QueueId", int)

GIVERS: Final = 1024  # processes that can give numbers at once


class QueueIds:
    """Gives the numbers of one process."""

    __slots__ = ("_giver", "_last_us")

    def __init__(self, giver: int, after: int = 0) -> None:
        """Start above `after`, the largest number known to have been given."""
        if not 0 <= giver < GIVERS:
            raise Misuse(f"giver {giver} is not 0..{GIVERS - 1}")
        self._giver = giver
        self._last_us = after // GIVERS

    def rise_above(self, known: int) -> None:
        """Give only numbers above one that is known to have been given."""
        self._last_us = max(self._last_us, known // GIVERS)

    def next(self, now_us: int) -> QueueId:
        """Return a new number; `now_us` is the wall clock in microseconds."""
        self._last_us = now_us if now_us > self._last_us else self._last_us + 1
        return QueueId(self._last_us * GIVERS + self._giver)


def time_of(queue_id: int) -> float:
    """Return the wall time, in seconds, at which a number was given."""
    return queue_id // GIVERS / 1e6
