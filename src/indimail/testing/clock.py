"""A clock that stands still until it is told.

    clock = FakeClock()
    clock.advance(7 * 86400)         # a week of retries takes no time

Satisfies `mail.clock.Clock`.  Units: seconds.
"""

from typing import Final

START: Final = 1_000_000_000.0  # 2001-09-09T01:46:40Z


class FakeClock:
    """Wall time and steady time, moved by hand."""

    def __init__(self, now: float = START) -> None:
        """`now` is the wall time to begin with; the steady clock begins at 0."""
        self._now = now
        self._steady = 0.0

    def now(self) -> float:
        """Wall time, seconds since the epoch (UTC)."""
        return self._now

    def steady(self) -> float:
        """Seconds of a clock that never steps."""
        return self._steady

    def advance(self, seconds: float) -> None:
        """Let time pass on both clocks; a steady clock does not go back."""
        if seconds < 0:
            raise ValueError("time passes forwards; step() sets the wall clock back")
        self._now += seconds
        self._steady += seconds

    def step(self, seconds: float) -> None:
        """Correct the wall clock, in either direction, as an operator or NTP does."""
        self._now += seconds
