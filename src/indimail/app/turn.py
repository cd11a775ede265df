"""Asking something at most once in a turn of the event loop.

    changed = OncePerTurn(watch.changed, loop.call_soon, False)
    if changed(): ...              # True once; then False until the next turn

What happened before a client's bytes came was there before the turn that reads them began, so one
look at its beginning is enough for all the bytes it reads.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class OncePerTurn(Generic[T]):
    """A question, and whether it was asked in this turn."""

    __slots__ = ("_again", "_ask", "_asked", "_call_soon")

    def __init__(
        self, ask: Callable[[], T], call_soon: Callable[[Callable[[], None]], object], again: T
    ) -> None:
        """`again` is what whoever asks again in the same turn is told."""
        self._ask = ask
        self._again = again
        self._call_soon = call_soon
        self._asked = False

    def __call__(self) -> T:
        """Return the answer the first time, `again` for the rest of the turn."""
        if self._asked:
            return self._again
        self._asked = True
        self._call_soon(self._end)
        return self._ask()

    def _end(self) -> None:
        self._asked = False
