"""The rows of a database, whichever of the three: told, and put back.

    rows = Rows("postgresql://...")
    kept = rows.all()                # {"indimail": [{"pw_name": "alice", ...}, ...], ...}
    rows.put_back(kept)              # a table that was not there goes
    told(kept)                       # a line for each row, without the time of its change

Not here: files (`crash.stage`).
"""

from typing import Any

from sqlalchemy import Connection, MetaData, Table, create_engine, delete, insert, inspect, select
from sqlalchemy.pool import NullPool

from indimail.accounts.engines import normal
from indimail.accounts.sql import SqlAccounts
from indimail.accounts.tables import counter_of

Kept = dict[str, list[dict[str, Any]]]


class Rows:
    """All rows of a database."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(normal(url), poolclass=NullPool)
        self._known = MetaData()

    def all(self) -> Kept:
        with self._engine.connect() as db:
            return {
                table.name: [dict(row) for row in db.execute(select(table)).mappings()]
                for table in self._tables(db)
            }

    def put_back(self, kept: Kept) -> None:
        """Let the database have these tables, which it has or had, with these rows alone."""
        with self._engine.begin() as db:
            for table in self._tables(db):
                if table.name in kept:
                    db.execute(delete(table))
                else:
                    table.drop(db)
        with self._engine.begin() as db:
            for table in self._tables(db, missing=kept):
                if kept[table.name]:
                    db.execute(insert(table), kept[table.name])

    def copy_to(self, url: str) -> "Rows":
        """Put the rows into an empty database, and return those."""
        kept, copy = self.all(), Rows(url)
        accounts = SqlAccounts(url)
        accounts.make_tables()
        accounts.close()
        with copy._engine.begin() as db:
            there = inspect(db).get_table_names()
            for name in kept.keys() - set(there):
                is_counter = name.startswith("dir_control")
                made = counter_of(name) if is_counter else self._known.tables[name]
                made.to_metadata(MetaData()).create(db)
        copy.put_back(kept)
        return copy

    def _tables(self, db: Connection, missing: Kept | None = None) -> list[Table]:
        """Return the tables that are there; those of `missing` that are not are made again."""
        names = inspect(db).get_table_names()
        for name in sorted((missing or {}).keys() - set(names)):
            self._known.tables[name].create(db)
            names.append(name)
        return [
            self._known.tables[name]
            if name in self._known.tables
            else Table(name, self._known, autoload_with=db)
            for name in names
        ]


def told(kept: Kept) -> list[str]:
    """Return a line for each row."""
    return [
        f"row {table} {sorted((name, value) for name, value in row.items() if name != 'timestamp')}"
        for table, rows in kept.items()
        for row in rows
    ]
