"""Hosts that did not answer, and for how long they are left alone.

    dead = DeadHosts()
    dead.failed("192.0.2.1", 25, now, draw=random())
    dead.skipped("192.0.2.1", 25, now)       -> why, after two failures, 120 s apart or more
    dead.answered("192.0.2.1", 25)
    dead.entries()                           -> what qmail-tcpto prints
    dead.learn(host)                         # what another worker's `DeadHosts` told

A failure is: no connection, or one that ended before a greeting or with a 4xx one.  What fails again
within `max_tolerance` (120 s) of the last counted failure is the same failure; from the second one
on the host is skipped for `min_penalty` (1 h) and four to 37 minutes more, by chance, so that not
all come back at once.  A penalty of 0 never skips.  A route's own numbers beat the variables.

At most `MOST` hosts are remembered; of more, the one goes with the fewest failures, longest ago.

Units: seconds of a clock that never steps.  Source: spec/queue.md 2.3.
"""

from collections.abc import Callable, Iterator
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

MIN_PENALTY: Final = 3_600
MAX_TOLERANCE: Final = 120
MOST: Final = 1_000
FAILURES: Final = 2  # so many make a host dead
_LARGEST: Final = 10
_WEIGHT: Final = 1_024.0  # a failure keeps an entry as long as so many seconds
_JITTER: Final = (240.0, 2_224.0)  # the original's ((60 + 0..31) * 64) - 3600


class DeadHost(Struct, frozen=True):
    """A host that failed: `since` its last counted failure; without failures it answered."""

    address: str
    port: int
    failures: int
    since: float
    jitter: float


class DeadHosts:
    """The memory of one worker; what changes in it is told, for the others."""

    def __init__(self, most: int = MOST, tell: Callable[[DeadHost], None] | None = None) -> None:
        self._most = most
        self._tell = tell
        self._dead: dict[tuple[str, int], DeadHost] = {}

    def failed(
        self,
        address: str,
        port: int,
        now: float,
        draw: float,
        max_tolerance: float = MAX_TOLERANCE,
    ) -> None:
        """Note a failure; `draw` is a number of chance from 0 to 1."""
        low, high = _JITTER
        jitter = low + draw * (high - low)
        old = self._dead.get((address, port))
        if old is not None and now - old.since < max_tolerance:
            return
        failures = min(old.failures + 1, _LARGEST) if old is not None else 1
        self._changed(DeadHost(address, port, failures, now, jitter))

    def answered(self, address: str, port: int) -> None:
        """Note that a host is there."""
        if (address, port) in self._dead:
            self._changed(DeadHost(address, port, 0, 0.0, 0.0))

    def learn(self, host: DeadHost) -> None:
        """Take what another worker found; of two failures the later time counts."""
        key = (host.address, host.port)
        old = self._dead.get(key)
        if not host.failures:
            self._dead.pop(key, None)
        elif old is None:
            if len(self._dead) >= self._most:
                self._forget_one()
            self._dead[key] = host
        elif host.since > old.since:
            self._dead[key] = replace(host, failures=max(old.failures, host.failures))

    def _changed(self, host: DeadHost) -> None:
        self.learn(host)
        if self._tell is not None:
            self._tell(host)

    def skipped(
        self, address: str, port: int, now: float, min_penalty: float = MIN_PENALTY
    ) -> str | None:
        """Say why a host is left alone, and for how long; None where it is not."""
        found = self._dead.get((address, port))
        if found is None or not min_penalty or found.failures < FAILURES:
            return None
        left = found.since + min_penalty + found.jitter - now
        if left <= 0:
            return None
        ago = now - found.since
        return f"no answer {found.failures} times, last {ago:.0f} s ago; not tried for {left:.0f} s"

    def clear(self) -> None:
        """Forget all (qmail-tcpok)."""
        self._dead.clear()

    def entries(self) -> Iterator[DeadHost]:
        """Yield what is remembered, in the order of first failure."""
        yield from self._dead.values()

    def _forget_one(self) -> None:
        def worth(host: DeadHost) -> float:
            return host.since + _WEIGHT * host.failures

        least = min(self._dead.values(), key=worth)
        del self._dead[least.address, least.port]
