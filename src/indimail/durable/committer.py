"""Group commit: what gathers while the previous round runs is made durable by the next one.

    committer = Committer(store.apply, loop.call_soon_threadsafe, name="queue1")
    committer.submit(change, done)   # then done(None) after the commit that covers it, or done(error)

One thread, one round at a time, no artificial delay: under load a round carries many changes, with
one session it carries one.  The same class carries both kinds of rounds the project has: the
queue's commits, and the syncs of Maildir files.

A round that fails fails for all in it: each `done` gets the error, and nothing of it is true.
`done` runs on the thread that owns the callers (the event loop), a whole round in one call.

Source: DESIGN 4 (group commit).  Not here: what a round does (`queue.sqlite`, `durable.batch`).
"""

import threading
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from indimail.mail.errors import Misuse

T = TypeVar("T")
Item = TypeVar("Item", contravariant=True)
Done = Callable[[Exception | None], None]
Wake = Callable[[Callable[[], None]], object]


class Rounds(Protocol[Item]):
    """What a committer is to those who submit: a test may run the rounds one by one."""

    @property
    def waiting(self) -> int:
        """Items that the running round does not cover."""

    def submit(self, item: Item, done: Done) -> None:
        """Add an item to the next round; `done` after it."""

    def close(self) -> None:
        """Finish everything submitted."""


class Committer(Generic[T]):
    """Runs rounds of items on a thread of its own."""

    def __init__(
        self, run: Callable[[Sequence[T]], None], wake: Wake, name: str, most: int = 2000
    ) -> None:
        """`run` makes a round true; `wake` hands a call to the callers' thread (loop-safe).

        `most` bounds the items of a round, so that one reply never waits for a huge one.
        """
        self._run = run
        self._wake = wake
        self._most = most
        self._gathered: list[tuple[T, Done]] = []
        self._ready = threading.Condition(threading.Lock())
        self._closing = False
        self._thread = threading.Thread(target=self._rounds, name=f"committer-{name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Items that the running round does not cover."""
        return len(self._gathered)

    def submit(self, item: T, done: Done) -> None:
        """Add an item to the next round."""
        with self._ready:
            if self._closing:
                raise Misuse("the committer is closed")
            self._gathered.append((item, done))
            if len(self._gathered) == 1:
                self._ready.notify()

    def close(self) -> None:
        """Finish everything submitted, then end the thread."""
        with self._ready:
            self._closing = True
            self._ready.notify()
        self._thread.join()

    def _rounds(self) -> None:
        while round_ := self._next_round():
            failure: Exception | None = None
            try:
                self._run([item for item, _ in round_])
            except Exception as error:  # the task boundary of this thread
                failure = error
            self._wake(lambda round_=round_, failure=failure: _tell(round_, failure))  # type: ignore[misc]

    def _next_round(self) -> list[tuple[T, Done]]:
        """Wait for items; an empty round means the end."""
        with self._ready:
            while not self._gathered and not self._closing:
                self._ready.wait()
            if len(self._gathered) <= self._most:
                taken, self._gathered = self._gathered, []
            else:
                taken = self._gathered[: self._most]
                del self._gathered[: self._most]
            return taken


def _tell(round_: Sequence[tuple[T, Done]], failure: Exception | None) -> None:
    for _, done in round_:
        done(failure)
