"""A database that is asked and changed: opened at the first question, found again after an outage.

    database = Database("mysql://indimail:secret@db.example.com/indimail")
    database.ask(lookups.find, "alice", "example.com")        # a function of a connection
    database.change(changes.add_alias, "abuse", "example.com", "&postmaster@example.com")

What is run gets a connection and its arguments.  A change is one transaction, durable when
`change` returns.  Either may be run again from its beginning: where a table is missing, for
somebody dropped it, what is missing is made, and it is run once more; and so is a question whose
connection was lost since the one before.

It belongs to one process: make it after a fork, not before.  No call waits for a server that fell
silent for more than some seconds; questions after one that did fail at once for `PAUSE`, and then
one tries for all.

Raises `AccountsUnavailable` for whatever the database reports, and says which database it was.
Source: spec/cluster-users.md 1.1 (tables are made at first use).
Not here: what is asked (`accounts.lookups`, `accounts.lists`), what is changed (`accounts.changes`,
`accounts.moves`).
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from indimail.accounts import dialect, engines
from indimail.accounts.port import is_storable
from indimail.accounts.schema import bring_up_to_date, load_where_unreadable, make_tables
from indimail.mail.errors import AccountsUnavailable
from indimail.mail.secret import mask

P = ParamSpec("P")
T = TypeVar("T")

SLOW: Final = 1.0  # seconds; a question that failed after so long failed by waiting
PAUSE: Final = 1.0  # seconds
TRIAL: Final = 10.0  # seconds; a question that waits for all that it may wait for ends sooner


def prepare(url: str) -> None:
    """Import what a database needs, in a process that soon may not read the library."""
    engines.load_driver(url)
    load_where_unreadable()


@dataclass(frozen=True, slots=True)
class Engines:
    """For questions, each a statement of its own, and for changes, which are transactions."""

    asking: Engine
    changing: Engine

    def dispose(self) -> None:
        """Give back the connections."""
        self.asking.dispose()
        self.changing.dispose()


class Database:
    """One database of accounts."""

    def __init__(self, url: str, *, exists: bool = False) -> None:
        """Import what the database needs; it is asked at the first call.

        With `exists` a SQLite file that is not there is an error: an empty one would tell of every
        user that he does not exist, and his mail would bounce.
        """
        prepare(url)
        self._url = url
        self._file = engines.file_of(url) if exists else ""
        self._engines: Engines | None = None
        self._opening = threading.Lock()
        self._silent_until = 0.0

    def ask(
        self, question: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return the answer to a question; at once an error after one that was waited for in vain."""
        begun = time.monotonic()
        if begun < self._silent_until:
            raise AccountsUnavailable(f"{mask(self._url)}: gave no answer a moment ago")
        if self._silent_until:  # this one tries, and nobody waits with it
            self._silent_until = begun + TRIAL
        silent_until = 0.0
        try:
            return self._run(_asked, question, *args, **kwargs)
        except AccountsUnavailable:
            ended = time.monotonic()
            if ended - begun > SLOW:
                silent_until = ended + PAUSE
            raise
        finally:
            self._silent_until = silent_until

    def change(
        self, change: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Make a change, whole or not at all, and return what came of it."""
        return self._run(_changed, change, *args, **kwargs)

    def make_tables(self) -> None:
        """Make what is missing now, not at the first question; on a server the database too."""
        with self._errors():
            engines.make_database(engines.normal(self._url))
            self.engines()

    def close(self) -> None:
        """Give back the connections."""
        if self._engines is not None:
            self._engines.dispose()
            self._engines = None

    def engines(self) -> Engines:
        """Return the engines; the first call connects and brings the schema up to date."""
        if self._file and not os.path.exists(self._file):
            raise AccountsUnavailable("no such file; `indimail init` makes one, without any user")
        if self._engines is not None:
            return self._engines
        if not self._opening.acquire(timeout=engines.ANSWER):
            raise AccountsUnavailable("being opened")
        try:
            if self._engines is None:
                self._engines = self._opened()
            return self._engines
        finally:
            self._opening.release()

    def _opened(self) -> Engines:
        url = engines.normal(self._url)
        made = Engines(
            engines.make_engine(url, engines.ANSWER, asks=True),
            engines.make_engine(url, engines.ANSWER).execution_options(writes=True),
        )
        try:
            bring_up_to_date(made.asking)
        except BaseException:
            made.dispose()
            raise
        return made

    def _run(
        self,
        connected: Callable[[Engines], AbstractContextManager[Connection]],
        work: Callable[Concatenate[Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        with self._errors():
            made = self.engines()
            try:
                with connected(made) as db:
                    return work(db, *args, **kwargs)
            except DBAPIError as error:
                if dialect.is_missing_table(error):
                    make_tables(made.asking)
                elif not (connected is _asked and error.connection_invalidated):
                    raise
            with connected(made) as db:
                return work(db, *args, **kwargs)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Translate at the border, once, and say which database it was."""
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            raise AccountsUnavailable(f"{mask(self._url)}: {dialect.reason(error)}") from error
        except AccountsUnavailable as error:
            raise AccountsUnavailable(f"{mask(self._url)}: {error}") from error


def _asked(made: Engines) -> AbstractContextManager[Connection]:
    return made.asking.connect()


def _changed(made: Engines) -> AbstractContextManager[Connection]:
    return made.changing.begin()


def rows(db: Connection, query: Any, **keys: str) -> list[Sequence[Any]]:  # noqa: ANN401
    """Return what a query finds; what a database cannot hold names nothing in it."""
    if not all(map(is_storable, keys.values())):
        return []
    try:
        return list(db.execute(query, keys))
    except DBAPIError as error:
        if dialect.is_foreign(error):
            return []
        raise
