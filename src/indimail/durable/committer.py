"""Group commit: what gathers while the previous round runs is made durable by the next one.

    committer = Committer(store.apply, loop.call_soon_threadsafe, name="queue1")
    committer.submit(change, done)   # then done(None) after the commit that covers it, or done(error)

One thread, one round at a time.  For an item that somebody waits for (`submit`) a round begins at
once, unless `company` says that more are on their way: then it waits up to `COMPANY` seconds for
them, so that few rounds pay for many.  One session alone is never delayed, and after a wait that was
in vain the next rounds do not wait.  What nobody waits for (`add`: a mark, a copy in tmp/) gathers
for `LEISURE` seconds and then rides with the next round.  The same class carries both kinds of rounds
the project has: the queue's commits, and the syncs of Maildir files.

A round that fails fails for all in it: each `done` gets the error, and nothing of it is true.  An
item that failed alone is returned by the round, with its place, and told by itself.
`wake` decides where `done` runs, a whole round in one call: `loop.call_soon_threadsafe` brings it
to the event loop, `at_once` runs it on the committer's own thread (then it must be quick, and safe
there: it may submit to another committer).

Source: DESIGN 4 (group commit).  Not here: what a round does (`queue.sqlite`, `durable.batch`).
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Final, Generic, Protocol, TypeVar

from indimail.mail.errors import Misuse

# Seconds; a sync costs a part of that, and saves one for each item that came.
LEISURE: Final = 0.04
COMPANY: Final = 0.002
MANY: Final = 64  # so many need not wait for more
IN_VAIN: Final = 63  # at most so many rounds begin at once after waits in vain
NEVER: Final = inf

LOG: Final = logging.getLogger("indimail.committer")

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)
Done = Callable[[Exception | None], None]
Wake = Callable[[Callable[[], None]], object]
# Makes a round true; returns the items that failed alone, by their places.  Raises for all of it.
Run = Callable[[Sequence[T]], Mapping[int, Exception] | None]


class Rounds(Protocol[T_contra]):
    """What takes items and makes them durable."""

    def submit(self, item: T_contra, done: Done) -> None:
        """Add an item that somebody waits for; a round begins soon."""

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
        self,
        run: Run[T],
        wake: Wake,
        name: str,
        most: int = 2000,
        company: Callable[[], bool] = lambda: False,
    ) -> None:
        """`run` makes a round true; `most` bounds its items, so that no reply waits for ever.

        `company` tells whether more items will probably be submitted in a moment.
        """
        self._run = run
        self._wake = wake
        self._most = most
        self._company = company
        self._awaited: deque[tuple[T, Done]] = deque()
        self._leisurely: deque[tuple[T, Done]] = deque()
        self._due = NEVER  # when the leisurely ones have gathered for long enough
        self._calls: SimpleQueue[bool] = SimpleQueue()  # False: end when nothing is left
        self._called = False  # a call is on its way
        self._hurries = False  # nobody else is to be expected
        self._vain = 0  # so many rounds began at once after the last wait in vain
        self._spared = 0  # so many of them are left
        self._gathering = False  # the thread knows, or is told, that there are leisurely ones
        self._closed = False
        self._thread = threading.Thread(target=self._rounds, name=f"committer-{name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Items that the running round does not cover."""
        return len(self._awaited) + len(self._leisurely)

    def submit(self, item: T, done: Done) -> None:
        """Add an item that somebody waits for.  Raises Misuse after `close`."""
        self._append(self._awaited, item, done)
        if self._company() and len(self._awaited) < MANY:
            self._call()
        elif not self._hurries:
            self._hurries = True
            self._calls.put(True)

    def add(self, item: T, done: Done) -> None:
        """Add an item that nobody waits for.  Raises Misuse after `close`."""
        self._append(self._leisurely, item, done)
        if not self._gathering or len(self._leisurely) >= MANY:
            self._gathering = True
            self._call()

    def close(self) -> None:
        """Finish everything submitted, then end the thread."""
        self._closed = True
        self._calls.put(False)
        self._thread.join()

    def _append(self, items: deque[tuple[T, Done]], item: T, done: Done) -> None:
        if self._closed:
            raise Misuse("the committer is closed")
        items.append((item, done))

    def _call(self) -> None:
        """Wake the thread, unless a call is on its way."""
        if not self._called:
            self._called = True
            self._calls.put(True)

    def _rounds(self) -> None:
        goes_on = True
        while goes_on or self.waiting:
            if goes_on:
                goes_on = self._wait() and self._wait_for_company()
            self._called = self._hurries = False  # before the items are taken: none is overlooked
            if self._due == NEVER and self._leisurely:
                self._due = monotonic() + LEISURE
            if round_ := self._taken(everything=not goes_on):
                self._finish(round_)

    def _wait(self) -> bool:
        """Wait for a call, or for the leisurely items' time; False: the end."""
        left = len(self._leisurely)
        if len(self._awaited) or left >= MANY or (left and self._due == NEVER):
            return True  # more than one round had room for, or they came while it ran
        patience = None if self._due == NEVER else max(0.0, self._due - monotonic())
        try:
            return self._calls.get(timeout=patience)
        except Empty:
            return True

    def _wait_for_company(self) -> bool:
        """Give those a moment who are on their way; False: the end."""
        before = len(self._awaited)
        if not before or self._hurries:
            return True
        if self._spared:
            self._spared -= 1
            return True
        self._called = True  # nobody needs to wake us
        until = monotonic() + COMPANY
        while not self._hurries and (left := until - monotonic()) > 0:
            try:
                if not self._calls.get(timeout=left):
                    return False
            except Empty:
                break
        came = len(self._awaited) > before
        self._vain = self._spared = 0 if came else min(2 * self._vain + 1, IN_VAIN)
        return True

    def _taken(self, *, everything: bool) -> list[tuple[T, Done]]:
        """Take a round: what is awaited, and the leisurely ones when it is their time."""
        number = min(len(self._awaited), self._most)
        taken = [self._awaited.popleft() for _ in range(number)]
        many = len(self._leisurely) >= MANY
        if everything or many or monotonic() >= self._due:
            self._due = NEVER
            self._gathering = False  # before they are taken, as above
            number = min(len(self._leisurely), self._most)
            taken += [self._leisurely.popleft() for _ in range(number)]
        return taken

    def _finish(self, round_: list[tuple[T, Done]]) -> None:
        failure: Exception | None = None
        alone: Mapping[int, Exception] | None = None
        try:
            alone = self._run([item for item, _ in round_])
        except Exception as error:  # the task boundary of this thread
            failure = error
        self._wake(partial(_tell, round_, failure, alone or {}))


def at_once(call: Callable[[], None]) -> None:
    """Run a round's `done`s on the committer's own thread."""
    call()


def _tell(
    round_: Sequence[tuple[T, Done]], failure: Exception | None, alone: Mapping[int, Exception]
) -> None:
    """Tell each; one that fails in hearing it does not keep the others from their replies."""
    for place, (_, done) in enumerate(round_):
        try:
            done(failure or alone.get(place))
        except Exception:  # the task boundary of what goes on after a round
            LOG.exception("after a round")
