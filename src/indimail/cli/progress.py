"""What a long command is at, on a terminal: one line of standard error that is written over.

    with Progress("indimail doctor") as progress:
        progress.tell("homes: 500 of 10000")
        progress.show("hashing", 500, 10_000)     # hashing [#...................]   5 %, 38 s left

Where standard error is no terminal nothing is written.
"""

import sys
import time
from types import TracebackType
from typing import Final, Self

OFTEN: Final = 0.1  # seconds between two lines
WIDTH: Final = 20  # of a bar
_CLEAR: Final = "\r\x1b[K"


class Progress:
    """Writes at most ten lines a second, and leaves none."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._is_shown = sys.stderr.isatty()
        self._at = self._begun = 0.0
        self._what = ""
        self._is_written = False

    def tell(self, what: str) -> None:
        """Show what is being done."""
        now = time.monotonic()
        if not self._is_shown or now - self._at < OFTEN:
            return
        self._at, self._is_written = now, True
        print(f"{_CLEAR}{self._program}: {what[:60]}", end="", file=sys.stderr, flush=True)

    def show(self, what: str, done: int, total: int) -> None:
        """Show how much is done of one thing that began with the first call, and the rest's time."""
        now = time.monotonic()
        if self._what != what:
            self._what, self._begun = what, now
        filled = WIDTH * done // total
        left = (now - self._begun) * (total - done) / max(done, 1)
        bar = "#" * filled + "." * (WIDTH - filled)
        self.tell(f"{what} [{bar}] {done * 100 // total:3} %, {left:.0f} s left")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_written:
            print(_CLEAR, end="", file=sys.stderr, flush=True)
