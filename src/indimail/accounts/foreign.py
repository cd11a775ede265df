"""The tables of another system's database, read and never written.

    tables = ForeignTables("mysql://vpopmail:secret@db.example.com/vpopmail")
    tables.names                 -> {'vpopmail', 'valias', 'lastauth'}
    tables.rows("vpopmail")      -> [{'pw_name': 'alice', 'pw_domain': 'example.com', ...}, ...]

All is read in one transaction that the server itself keeps from writing, so what is changed
meanwhile is seen whole or not at all (but for tables of MyISAM, which has no transactions).  A
SQLite file is opened for reading alone.

Texts come without blanks at their end: a column of type char may be filled up with them.

Raises `AccountsUnavailable` for whatever the database reports.
Sources: mariadb.com/kb "SET TRANSACTION"; postgresql.org "SET TRANSACTION"; sqlite.org/uri.html.
Not here: our own tables (`accounts.tables`), what a column means (`manage.importing`).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import (
    ColumnClause,
    Connection,
    Engine,
    column,
    create_engine,
    event,
    func,
    inspect,
    select,
)
from sqlalchemy import table as table_clause
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from indimail.accounts import dialect, engines
from indimail.mail.errors import AccountsUnavailable
from indimail.mail.secret import mask

_READ_ONLY: Final = {
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "postgresql": "SET default_transaction_read_only = on",
}


class ForeignTables:
    """A database that is somebody else's."""

    def __init__(self, url: str) -> None:
        """Connect; `close` ends it."""
        self._shown = mask(url)
        with self._errors():
            engines.load_driver(url)
            self._engine = _engine(url)
            self._db: Connection = self._engine.connect()
            if self._engine.dialect.name != "sqlite":
                self._db = self._db.execution_options(isolation_level="REPEATABLE READ")
            self.names: frozenset[str] = frozenset(inspect(self._db).get_table_names())

    def columns(self, table: str) -> list[str]:
        """Return the names of a table's columns; none where there is no such table."""
        if table not in self.names:
            return []
        with self._errors():
            return [str(found["name"]) for found in inspect(self._db).get_columns(table)]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return all rows of a table, in the order of its first columns; none: no such table."""
        named: list[ColumnClause[Any]] = [column(name) for name in self.columns(table)]
        if not named:
            return []
        query = select(*named).select_from(table_clause(table, *named)).order_by(*named[:2])
        with self._errors():
            return [_stripped(row._mapping) for row in self._db.execute(query)]

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        if table not in self.names:
            return 0
        query = select(func.count()).select_from(table_clause(table))
        with self._errors():
            return int(self._db.execute(query).scalar() or 0)

    def close(self) -> None:
        """End the transaction and the connection."""
        self._db.close()
        self._engine.dispose()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            raise AccountsUnavailable(f"{self._shown}: {dialect.reason(error)}") from error


def _engine(url: str) -> Engine:
    normal = engines.normal(url)
    if normal.get_backend_name() == "sqlite":
        path = str(normal.database)
        return create_engine("sqlite://", creator=lambda: _opened(path), poolclass=NullPool)
    statement = _READ_ONLY[normal.get_backend_name()]

    def refuse_writes(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(statement)
        cursor.close()
        connection.commit()

    engine = engines.make_engine(normal, engines.PATIENCE, kept=False)
    event.listen(engine, "connect", refuse_writes)
    return engine


def _opened(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)
    connection.text_factory = lambda octets: octets.decode("utf-8", "surrogateescape")
    return connection


def _stripped(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a row's mapping
    return {
        str(name): value.rstrip(" ") if isinstance(value, str) else value
        for name, value in row.items()
    }
