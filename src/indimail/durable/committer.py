"""Group commit: what gathers while the previous round runs is made durable by the next one.

    committer = Committer(store.apply, loop.call_soon_threadsafe, name="queue1")
    committer.submit(change, done)   # then done(None) after the commit that covers it, or done(error)

One thread, one round at a time, no artificial delay: under load a round carries many changes, with
one session it carries one.  The same class carries both kinds of rounds the project has: the
queue's commits, and the syncs of Maildir files.

A round that fails fails for all in it: each `done` gets the error, and nothing of it is true.
`wake` decides where `done` runs, a whole round in one call: `loop.call_soon_threadsafe` brings it
to the event loop, `at_once` runs it on the committer's own thread (then it must be quick, and safe
there: it may submit to another committer).

Source: DESIGN 4 (group commit).  Not here: what a round does (`queue.sqlite`, `durable.batch`).
"""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Generic, Protocol, TypeVar

from indimail.mail.errors import Misuse

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)
Done = Callable[[Exception | None], None]
Wake = Callable[[Callable[[], None]], object]


class Rounds(Protocol[T_contra]):
    """What takes items and makes them durable."""

    def submit(self, item: T_contra, done: Done) -> None:
        """Add an item to the next round."""

    @property
    def waiting(self) -> int:
        """Items that the running round does not cover."""

    def close(self) -> None:
        """Finish everything submitted, and take no more."""


class Committer(Generic[T]):
    """Runs rounds of items on a thread of its own."""

    def __init__(
        self, run: Callable[[Sequence[T]], None], wake: Wake, name: str, most: int = 2000
    ) -> None:
        """`run` makes a round true; `most` bounds its items, so that no reply waits for ever."""
        self._run = run
        self._wake = wake
        self._most = most
        self._gathered: SimpleQueue[tuple[T, Done] | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._rounds, name=f"committer-{name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Items that the running round does not cover."""
        return self._gathered.qsize()

    def submit(self, item: T, done: Done) -> None:
        """Add an item to the next round.  Raises Misuse after `close`."""
        if self._closed:
            raise Misuse("the committer is closed")
        self._gathered.put((item, done))

    def close(self) -> None:
        """Finish everything submitted, then end the thread."""
        self._closed = True
        self._gathered.put(None)
        self._thread.join()

    def _rounds(self) -> None:
        while round_ := self._next_round():
            failure: Exception | None = None
            try:
                self._run([item for item, _ in round_])
            except Exception as error:  # the task boundary of this thread
                failure = error
            self._wake(partial(_tell, round_, failure))

    def _next_round(self) -> list[tuple[T, Done]]:
        """Wait for items and take what has gathered; an empty round means the end."""
        taken: list[tuple[T, Done]] = []
        found = self._gathered.get()
        while found is not None:
            taken.append(found)
            if len(taken) == self._most or not self._gathered.qsize():
                return taken
            found = self._gathered.get()
        if taken:
            self._gathered.put(None)  # the end comes after this round
        return taken


def at_once(call: Callable[[], None]) -> None:
    """Run a round's `done`s on the committer's own thread."""
    call()


def _tell(round_: Sequence[tuple[T, Done]], failure: Exception | None) -> None:
    for _, done in round_:
        done(failure)
