"""A worker's view of the configuration: the supervisor's snapshot, up to date when it matters.

    if follower.when_fresh(go_on): ...     # True: use follower.current now; else go_on() comes

A change of a file in control/, tcp/ or users/ is seen by the worker's own watch, before the next
connection or MAIL.  The worker then asks the supervisor, who parses once for all; until the answer
comes, whoever needs the configuration waits.  A broken file leaves the old one in force.
"""

import pickle
from collections.abc import Callable

from indimail.app.channel import Channel, Configured, Stale
from indimail.serve.snapshot import Snapshot


class Follower:
    """Keeps `current`."""

    def __init__(self, snapshot: Snapshot, channel: Channel, changed: Callable[[], bool]) -> None:
        self._current = snapshot
        self._channel = channel
        self._changed = changed
        self._waiting: list[Callable[[], None]] = []

    @property
    def current(self) -> Snapshot:
        """The newest snapshot."""
        return self._current

    def when_fresh(self, go_on: Callable[[], None]) -> bool:
        """Return True where the snapshot is up to date; else call `go_on` once it is."""
        if self._waiting:
            self._waiting.append(go_on)
            return False
        if not self._changed():
            return True
        self._waiting.append(go_on)
        self._channel.send(Stale())
        return False

    def configured(self, message: Configured) -> None:
        """Take the supervisor's word, and let those go on who waited for it."""
        if message.snapshot is not None:
            self._current = pickle.loads(message.snapshot)  # noqa: S301  our own process's
            return  # the answer to what we asked follows
        waiting, self._waiting = self._waiting, []
        for go_on in waiting:
            go_on()
