"""What runs on threads in the server, here one step at a time, on the only thread there is.

    commits = SteppedCommitter(store.apply, ready.append, between)
    commits.submit(change, done)
    commits.step()               # one round; `done` comes with the next calls of the loop

`between` is told before and after each round, which is where a crash between two commits happens.
A PowerCut goes through everything: it is no error of the round.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from indimail.durable.committer import Done, Run

T = TypeVar("T")


class SteppedCommitter(Generic[T]):
    """The rounds of `durable.committer`, run when the test says so."""

    def __init__(
        self,
        run: Run[T],
        wake: Callable[[Callable[[], None]], object],
        between: Callable[[], None],
    ) -> None:
        self._run = run
        self._wake = wake
        self._between = between
        self.rounds = 0
        self._gathered: list[tuple[T, Done]] = []

    @property
    def waiting(self) -> int:
        return len(self._gathered)

    def submit(self, item: T, done: Done) -> None:
        self._gathered.append((item, done))

    def add(self, item: T, done: Done) -> None:
        self._gathered.append((item, done))

    def close(self) -> None:
        while self._gathered:
            self.step()

    def step(self) -> None:
        """Run one round."""
        self.rounds += 1
        taken, self._gathered = self._gathered, []
        failure: Exception | None = None
        alone: Mapping[int, Exception] | None = None
        self._between()
        try:
            alone = self._run([item for item, _ in taken])
        except Exception as error:
            failure = error
        self._between()
        for place, (_, done) in enumerate(taken):
            told = failure or (alone or {}).get(place)
            self._wake(lambda done=done, told=told: done(told))  # type: ignore[misc]


class SteppedAside:
    """Work for other threads: begun later, in order, its end told to the loop later still."""

    def __init__(self, wake: Callable[[Callable[[], None]], object]) -> None:
        self._wake = wake
        self._work: deque[tuple[Callable[[], object], Callable[[object], None]]] = deque()

    def __call__(self, work: Callable[[], object], then: Callable[[object], None]) -> None:
        self._work.append((work, then))

    @property
    def waiting(self) -> int:
        return len(self._work)

    def step(self) -> None:
        """Do the oldest piece of work."""
        work, then = self._work.popleft()
        result: object
        try:
            result = work()
        except Exception as error:
            result = error
        self._wake(lambda: then(result))
