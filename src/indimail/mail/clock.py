"""The clock as a port: wall time for people and due times, a steady one for intervals.

Layers 0 and 1 never read it: they get a time as a value.  `indimail.testing` has one that
a test moves by hand.
"""

import time
from typing import Protocol


class Clock(Protocol):
    """What the joiners ask for the time."""

    def now(self) -> float:
        """Wall time, seconds since the epoch (UTC)."""

    def steady(self) -> float:
        """Seconds of a clock that never steps."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """Wall time, seconds since the epoch (UTC)."""
        return time.time()

    def steady(self) -> float:
        """Seconds of a clock that never steps."""
        return time.monotonic()
