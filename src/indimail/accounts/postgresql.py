"""Connections to PostgreSQL that do not wait for ever.

    BoundedConnection.connect(...)          # as psycopg's own; then .seconds = 3

libpq has no limit for an answer: a server that fell silent would keep a thread for good.  Here a
connection whose server says nothing for `seconds` is closed, and the question fails.

Imported by `accounts.dialect` where an address names PostgreSQL, for psycopg is slow to import.
Source: psycopg.org, "Connection classes".
"""

from collections.abc import Generator
from time import monotonic
from typing import Any, TypeVar

import psycopg

T = TypeVar("T")


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that gives up."""

    seconds = 3.0

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:  # noqa: ANN401
        """Wait for what `gen` asks of the server, not longer than `seconds`."""
        return super().wait(self._bounded(gen), *args, **kwargs)

    def _bounded(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        """Pass on what the two say to each other: psycopg looks in at least ten times a second."""
        end = monotonic() + self.seconds
        answer = None
        while True:
            try:
                wanted = gen.send(answer)
            except StopIteration as done:
                value: T = done.value
                return value
            answer = yield wanted
            if not answer and monotonic() > end:
                gen.close()
                self.close()
                raise psycopg.OperationalError(f"no answer within {self.seconds:g} s")
