"""A question of the mail path: its words are made once for each kind of database.

    FIND = Question(select(INDIMAIL).where(INDIMAIL.c.pw_name == bindparam("name")))
    FIND.rows(db, name="alice")                     -> [("alice", ...)]

The driver's own cursor is asked, for SQLAlchemy spends more on a row than the database does.  What
fails is asked again by SQLAlchemy, which knows what each driver's errors mean (a connection is
lost, a table is missing): so an error is the same here as anywhere else.

Columns have to be text or numbers: those pass a driver as they are.
Source: PEP 249.  Not here: what is asked (`accounts.lookups`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection

from indimail.accounts import dialect
from indimail.accounts.database import rows
from indimail.accounts.port import is_storable

_Words = tuple[str, Sequence[str] | None]  # the text, and the order of its keys where it has one


class Question:
    """A SELECT with bound parameters."""

    def __init__(self, query: Any) -> None:  # noqa: ANN401 - a Select, or several in one
        self._query: Final = query
        self._words: Final[dict[str, _Words]] = {}

    def rows(self, db: Connection, **keys: str) -> Sequence[Sequence[Any]]:
        """Return what is found; what a database cannot hold names nothing in it."""
        if not all(map(is_storable, keys.values())):
            return []
        try:
            return self._ask(db, keys)
        except dialect.driver_error(db):
            dialect.prepare_no_more(db)
            return rows(db, self._query, **keys)

    def _ask(self, db: Connection, keys: Mapping[str, str]) -> Sequence[Sequence[Any]]:
        text, order = self._words.get(db.dialect.name) or self._compile(db)
        cursor = db.connection.cursor()
        cursor.execute(text, keys if order is None else [keys[name] for name in order])
        return cursor.fetchall()

    def _compile(self, db: Connection) -> _Words:
        compiled = self._query.compile(dialect=db.dialect)
        words = self._words[db.dialect.name] = str(compiled), compiled.positiontup
        return words
