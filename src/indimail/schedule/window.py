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
flight.  What does not fit stays in the queue's database and is loaded when `wants_more` says so; the
caller loads nothing that is here or in flight already.

Where a destination may be slow (another host), it has a cap of its own, and a bounded line, of which
the retried may be no more than `due_line`, so that the window always has room for others::

    window = Window[Job](per_destination=10, line=1000, due_line=100)
    job = window.next(0, 20)
    window.companions(job, lambda other: other.mail is job.mail, 99)   # go with it, in one slot

Every operation is O(1) for each item.

Source: spec/queue.md 1.8, B.5 (5).  Not here: due times (`queue.port`), when a deferred one is due
again (`schedule.retry`).
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Final, Generic, TypeVar

RESERVED: Final = 5  # one slot in five, rounded up; with a cap of 1 none
FRESH_PER_DUE: Final = 4

T = TypeVar("T", bound=Hashable)


class _Ring(Generic[T]):
    """Ready lists by destination, and the order in which these have their turns."""

    __slots__ = ("_lines", "_parked", "_standing", "_turns", "size")

    def __init__(self) -> None:
        self._lines: dict[str, deque[T]] = {}
        self._turns: deque[str] = deque()
        self._parked: set[str] = set()  # destinations that are at their cap: no turn is theirs
        self._standing: set[str] = set()  # those in `_turns` or `_parked`; some have no line left
        self.size = 0

    def add(self, item: T, destination: str) -> None:
        line = self._lines.get(destination)
        if line is not None:
            line.append(item)
        else:
            self._lines[destination] = deque((item,))
            if destination not in self._standing:
                self._standing.add(destination)
                self._turns.append(destination)
        self.size += 1

    def length(self, destination: str) -> int:
        return len(self._lines.get(destination, ()))

    def destinations(self) -> Iterable[str]:
        return self._lines

    def next(self, is_full: Callable[[str], bool] | None) -> str | None:
        """Return the destination whose turn it is; those that are full are parked."""
        turns = self._turns
        while turns:
            destination = turns[0]
            if destination not in self._lines:
                self._standing.remove(turns.popleft())
            elif is_full is not None and is_full(destination):
                self._parked.add(turns.popleft())
            else:
                return destination
        return None

    def release(self, destination: str) -> None:
        """A destination is not full any longer."""
        if destination in self._parked:
            self._parked.remove(destination)
            self._turns.append(destination)

    def take(self) -> T:
        """Take the first of the destination whose turn it is."""
        destination = self._turns.popleft()
        item = self._pop(destination)
        if destination in self._lines:
            self._turns.append(destination)
        else:
            self._standing.remove(destination)
        return item

    def companions(self, destination: str, fits: Callable[[T], bool], most: int) -> list[T]:
        """Take those that are first in a destination's line, as long as they fit."""
        found: list[T] = []
        while len(found) < most:
            line = self._lines.get(destination)
            if line is None or not fits(line[0]):
                break
            found.append(self._pop(destination))
        return found

    def _pop(self, destination: str) -> T:
        line = self._lines[destination]
        item = line.popleft()
        if not line:
            del self._lines[destination]
        self.size -= 1
        return item


class Window(Generic[T]):
    """The ready lists of one channel of one queue; items are known by identity or equality."""

    __slots__ = (
        "_at", "_busy", "_capacity", "_due", "_due_capacity", "_due_in_flight", "_due_line", "_fresh",
        "_line", "_per_destination", "_streak",
    )  # fmt: skip

    def __init__(
        self,
        capacity: int = 10_000,
        due_capacity: int = 1_000,
        per_destination: int = 0,
        line: int = 0,
        due_line: int = 0,
    ) -> None:
        """`capacity` bounds the fresh ones (`room`), `due_capacity` the retried (`wants_more`).

        `per_destination` are in flight at most, and `line` wait, of them `due_line` loaded ones (which
        are loaded many at a time, so these may be some more); 0: any number.
        """
        self._capacity = capacity
        self._due_capacity = due_capacity
        self._per_destination = per_destination
        self._line = line
        self._due_line = due_line or line
        self._fresh: _Ring[T] = _Ring()
        self._due: _Ring[T] = _Ring()
        self._due_in_flight: set[T] = set()
        self._at: dict[T, str] = {}  # where each in flight goes, where that is counted
        self._busy: dict[str, int] = {}  # in flight by destination
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

    def is_crowded(self, destination: str) -> bool:
        """Whether as many wait for a destination as may."""
        if not self._line:
            return False
        return self._fresh.length(destination) + self._due.length(destination) >= self._line

    def crowded(self) -> set[str]:
        """Return the destinations of which no more are to be loaded."""
        if not self._line:
            return set()
        due, most = self._due, self._due_line
        here = {*self._fresh.destinations(), *due.destinations()}
        return {each for each in here if self.is_crowded(each) or due.length(each) >= most}

    def add_fresh(self, item: T, destination: str) -> None:
        """Add what was just accepted."""
        self._fresh.add(item, destination)

    def add_due(self, item: T, destination: str) -> None:
        """Add what was loaded because it is due."""
        self._due.add(item, destination)

    def take(self, in_flight: int, cap: int) -> list[T]:
        """Return what to start now, so that at most `cap` are in flight; 0 starts nothing."""
        taken: list[T] = []
        while (item := self.next(in_flight + len(taken), cap)) is not None:
            taken.append(item)
        return taken

    def next(self, in_flight: int, cap: int) -> T | None:
        """Return the one to start next, where fewer than `cap` are in flight."""
        if not in_flight:
            self._due_in_flight.clear()
        if in_flight >= cap:
            return None
        is_full = self._is_full if self._per_destination else None
        # At least one slot is for retries: new mail alone must not starve them for ever.
        due_cap = max(1, cap - -(-cap // RESERVED))
        fresh = self._fresh.next(is_full)
        due = self._due.next(is_full) if len(self._due_in_flight) < due_cap else None
        if fresh is not None and not (due is not None and self._streak >= FRESH_PER_DUE):
            self._streak = self._streak + 1 if due is not None else 0
            return self._start(self._fresh.take(), fresh)
        if due is None:
            return None
        self._streak = 0
        item = self._start(self._due.take(), due)
        self._due_in_flight.add(item)
        return item

    def companions(self, item: T, fits: Callable[[T], bool], most: int) -> list[T]:
        """Take more of the destination of one that was taken: those that are next, while they fit.

        They are in flight in its slot, and end with it.
        """
        ring = self._due if item in self._due_in_flight else self._fresh
        return ring.companions(self._at[item], fits, most)

    def done(self, item: T) -> None:
        """Say that a delivery ended, however it did."""
        self._due_in_flight.discard(item)
        destination = self._at.pop(item, None)
        if destination is None:
            return
        self._busy[destination] -= 1
        if not self._busy[destination]:
            del self._busy[destination]
        for ring in (self._fresh, self._due):
            ring.release(destination)

    def _start(self, item: T, destination: str) -> T:
        if self._per_destination:
            self._at[item] = destination
            self._busy[destination] = self._busy.get(destination, 0) + 1
        return item

    def _is_full(self, destination: str) -> bool:
        return self._busy.get(destination, 0) >= self._per_destination
