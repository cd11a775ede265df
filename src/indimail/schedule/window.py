"""What of a queue is in memory to be delivered next: a bounded window on an unbounded queue.

    window = Window[Job]()
    window.add_fresh(job, "ana@example.com")     # just accepted, or never tried
    window.add_due(other, "bob@example.com")     # deferred before, and due again
    window.take(in_flight=3, cap=10)             -> up to 7 jobs to start now
    window.done(other)                           # each job that was taken ends so
    window.wants_more()                          -> True: load more that is due

Each kind has a ready list for every destination and goes round between the destinations, so one
with ten thousand mails takes one turn like one with a single mail.  Fresh mail does not wait for
retried mail: `RESERVED` of the slots are never given to it, and of starts where both could, one in
`FRESH_PER_DUE` + 1 is a retry.  An example, cap 10, with 100,000 due and slow::

    take(0, 10)     8 due start; 2 slots stay free
    add_fresh(x)
    take(8, 10)     x starts at once

`done` tells which slots the retried ones give back; without it they count until nothing is in
flight.  Every operation is O(1) for each item.  What does not fit stays in the queue's database and
is loaded when `wants_more` says so; the caller loads nothing that is here or in flight already.

Source: spec/queue.md 1.8, B.5 (5).  Not here: due times (`queue.port`), when a deferred one is due
again (`schedule.retry`), a cap for each destination (comes with remote delivery).
"""

from collections import deque
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

RESERVED: Final = 5  # one slot in five, rounded up; with a cap of 1 none
FRESH_PER_DUE: Final = 4

T = TypeVar("T", bound=Hashable)


class _Ring(Generic[T]):
    """Ready lists by destination, and the order in which these have their turns."""

    __slots__ = ("_lines", "_turns", "size")

    def __init__(self) -> None:
        self._lines: dict[str, deque[T]] = {}
        self._turns: deque[str] = deque()
        self.size = 0

    def add(self, item: T, destination: str) -> None:
        line = self._lines.get(destination)
        if line is None:
            self._lines[destination] = deque((item,))
            self._turns.append(destination)
        else:
            line.append(item)
        self.size += 1

    def take(self) -> T:
        destination = self._turns.popleft()
        line = self._lines[destination]
        item = line.popleft()
        if line:
            self._turns.append(destination)
        else:
            del self._lines[destination]
        self.size -= 1
        return item


class Window(Generic[T]):
    """The ready lists of one channel of one queue; items are known by identity or equality."""

    __slots__ = ("_capacity", "_due", "_due_capacity", "_due_in_flight", "_fresh", "_streak")

    def __init__(self, capacity: int = 10_000, due_capacity: int = 1_000) -> None:
        """`capacity` bounds the fresh ones (`room`), `due_capacity` the retried (`wants_more`)."""
        self._capacity = capacity
        self._due_capacity = due_capacity
        self._fresh: _Ring[T] = _Ring()
        self._due: _Ring[T] = _Ring()
        self._due_in_flight: set[T] = set()
        self._streak = 0  # fresh starts since the last retry, while a retry could have started

    def __len__(self) -> int:
        return self._fresh.size + self._due.size

    @property
    def room(self) -> int:
        """How many fresh items fit; a caller that adds more is not refused."""
        return self._capacity - self._fresh.size

    def wants_more(self) -> bool:
        """Whether more due items may be loaded: half of their places are free."""
        return 2 * self._due.size <= self._due_capacity

    def add_fresh(self, item: T, destination: str) -> None:
        """Add what was just accepted."""
        self._fresh.add(item, destination)

    def add_due(self, item: T, destination: str) -> None:
        """Add what was loaded because it is due."""
        self._due.add(item, destination)

    def take(self, in_flight: int, cap: int) -> list[T]:
        """Return what to start now, so that at most `cap` are in flight; 0 starts nothing."""
        if not in_flight:
            self._due_in_flight.clear()
        # At least one slot is for retries: new mail alone must not starve them for ever.
        due_cap = max(1, cap - -(-cap // RESERVED))
        taken: list[T] = []
        for _ in range(cap - in_flight):
            due = self._due.size > 0 and len(self._due_in_flight) < due_cap
            if self._fresh.size and not (due and self._streak >= FRESH_PER_DUE):
                self._streak = self._streak + 1 if due else 0
                taken.append(self._fresh.take())
            elif due:
                self._streak = 0
                item = self._due.take()
                self._due_in_flight.add(item)
                taken.append(item)
            else:
                break
        return taken

    def done(self, item: T) -> None:
        """Say that a delivery ended, however it did."""
        self._due_in_flight.discard(item)
