"""Asking something at most once in a turn of the event loop.

    changed = OncePerTurn(watch.changed, loop.call_soon)
    if changed(): ...              # True once; then False until the next turn

What happened before a client's bytes came was there before the turn that reads them began, so one
look at its beginning is enough for all the bytes it reads.
"""

from collections.abc import Callable


class OncePerTurn:
    """A question, and whether it was asked in this turn."""

    __slots__ = ("_ask", "_asked", "_call_soon")

    def __init__(
        self, ask: Callable[[], bool], call_soon: Callable[[Callable[[], None]], object]
    ) -> None:
        self._ask = ask
        self._call_soon = call_soon
        self._asked = False

    def __call__(self) -> bool:
        """Return the answer the first time, False for the rest of the turn."""
        if self._asked:
            return False
        self._asked = True
        self._call_soon(self._end)
        return self._ask()

    def _end(self) -> None:
        self._asked = False
