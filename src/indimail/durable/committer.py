"""Group commit: what gathers while the previous round runs is made durable by the next one.

    committer = Committer(store.apply, loop.call_soon_threadsafe, name="queue1")
    committer.submit(change, done)   # then done(None) after the commit that covers it, or done(error)

One thread, one round at a time.  An item that somebody waits for (`submit`) is never delayed: under
load a round carries many, with one session it carries one.  One that nobody waits for (`add`: a
mark, a copy in tmp/) rides with the next of those, or comes `LEISURE` seconds later with what else
gathered by then.  The same class carries both kinds of rounds the project has: the queue's commits,
and the syncs of Maildir files.

A round that fails fails for all in it: each `done` gets the error, and nothing of it is true.
`wake` decides where `done` runs, a whole round in one call: `loop.call_soon_threadsafe` brings it
to the event loop, `at_once` runs it on the committer's own thread (then it must be quick, and safe
there: it may submit to another committer).

Source: DESIGN 4 (group commit).  Not here: what a round does (`queue.sqlite`, `durable.batch`).
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import IntEnum
from functools import partial
from queue import Empty, SimpleQueue
from typing import Final, Generic, Protocol, TypeVar

from indimail.mail.errors import Misuse

LEISURE: Final = (
    0.005  # seconds; a sync costs a good part of that, and saves one for each that came
)
MANY: Final = 64  # so many need not wait for more

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)
Done = Callable[[Exception | None], None]
Wake = Callable[[Callable[[], None]], object]


class Rounds(Protocol[T_contra]):
    """What takes items and makes them durable."""

    def submit(self, item: T_contra, done: Done) -> None:
        """Add an item that somebody waits for; a round begins at once."""

    def add(self, item: T_contra, done: Done) -> None:
        """Add an item that nobody waits for; it rides along."""

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
        self._items: deque[tuple[T, Done]] = deque()
        self._calls: SimpleQueue[_Call] = SimpleQueue()
        self._called = _Call.NOT  # the strongest call that is on its way
        self._closed = False
        self._thread = threading.Thread(target=self._rounds, name=f"committer-{name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Items that the running round does not cover."""
        return len(self._items)

    def submit(self, item: T, done: Done) -> None:
        """Add an item that somebody waits for.  Raises Misuse after `close`."""
        self._append(item, done)
        self._call(_Call.NOW)

    def add(self, item: T, done: Done) -> None:
        """Add an item that nobody waits for.  Raises Misuse after `close`."""
        self._append(item, done)
        self._call(_Call.LATER if len(self._items) < MANY else _Call.NOW)

    def close(self) -> None:
        """Finish everything submitted, then end the thread."""
        self._closed = True
        self._calls.put(_Call.END)
        self._thread.join()

    def _append(self, item: T, done: Done) -> None:
        if self._closed:
            raise Misuse("the committer is closed")
        self._items.append((item, done))

    def _call(self, call: "_Call") -> None:
        """Wake the thread, unless a call as strong is on its way."""
        if self._called < call:
            self._called = call
            self._calls.put(call)

    def _rounds(self) -> None:
        call = _Call.NOT
        while call is not _Call.END:
            call = self._calls.get()
            if call is _Call.LATER:
                with suppress(Empty):
                    call = self._calls.get(timeout=LEISURE)
            self._called = _Call.NOT  # before the items are taken: none is overlooked
            while self._items:
                self._finish(self._taken())
                if call is not _Call.END and len(self._items) < self._most:
                    break  # they have calls of their own

    def _taken(self) -> list[tuple[T, Done]]:
        """Take what has gathered, at most a round."""
        number = min(len(self._items), self._most)
        return [self._items.popleft() for _ in range(number)]

    def _finish(self, round_: list[tuple[T, Done]]) -> None:
        failure: Exception | None = None
        try:
            self._run([item for item, _ in round_])
        except Exception as error:  # the task boundary of this thread
            failure = error
        self._wake(partial(_tell, round_, failure))


class _Call(IntEnum):
    """Why the thread is woken; the larger, the sooner it works."""

    NOT = 0
    LATER = 1
    NOW = 2
    END = 3


def at_once(call: Callable[[], None]) -> None:
    """Run a round's `done`s on the committer's own thread."""
    call()


def _tell(round_: Sequence[tuple[T, Done]], failure: Exception | None) -> None:
    for _, done in round_:
        done(failure)
