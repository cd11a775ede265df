"""All rows of a user database as lines of JSON, which any database takes back.

    with snapshot(url, folder) as rows:
        for line in rows.lines(): ...       # b'{"table": "indimail", "row": {"pw_name": ...}}'
    load("postgresql://...", lines, moved, "/home")     -> {"indimail": 12, "valias": 3, ...}

The lines are of one moment: on a server one transaction that sees one state, of a SQLite file a
copy, made by its online backup, so that writers wait for that and not for us.  A row has IndiMail's
column names; times are UTC.  Counters of homes name a file system: here they are rows of
``dir_control``, without it, and `load` makes them for another one.

Tables that are none of ours (an IndiMail's vfilter) are left out; `Snapshot.left_out` names them.

Raises `AccountsUnavailable`; `load` does where there are rows already, and ValueError for a line
that is none.
Sources: sqlite.org/backup.html; mariadb.com/kb "START TRANSACTION" (consistent reads of InnoDB);
postgresql.org "Transaction Isolation".
"""

import json
import os
import sqlite3.dbapi2
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Engine, Table, func, insert, inspect, select
from sqlalchemy.exc import SQLAlchemyError

from indimail.accounts import dialect, engines
from indimail.accounts.changes import set_homes
from indimail.accounts.database import Database
from indimail.accounts.tables import METADATA, counter_of
from indimail.mail.errors import AccountsUnavailable
from indimail.mail.secret import mask

Row = dict[str, str | int | None]
COUNTERS: Final = "dir_control"
BATCH: Final = 500  # rows of one statement
_BOOKKEEPING: Final = ("alembic_version", "indimail_schema")


class Snapshot:
    """The rows of one moment."""

    def __init__(self, db: Connection) -> None:
        self._db = db
        there = set(inspect(db).get_table_names())
        self._tables = [table for table in METADATA.sorted_tables if table.name in there]
        self._counters = sorted(name for name in there if name.startswith(COUNTERS))
        known = {*METADATA.tables, *self._counters, *_BOOKKEEPING}
        self.left_out = sorted(name for name in there - known if "_version0" not in name)
        self.counts: Counter[str] = Counter()

    def lines(self) -> Iterator[bytes]:
        """Yield every row as a line, without its end."""
        for table in self._tables:
            for row in self._rows(table):
                yield self._line(table.name, row)
        for name in self._counters:
            group = name.rpartition("_")[2]
            for row in self._rows(counter_of(name)):
                counter = {name: row[name] for name in ("domain", "cur_users", "the_dir")}
                yield self._line(COUNTERS, {"group": group, **counter})

    def _rows(self, table: Table) -> Iterator[Row]:
        query = select(table).order_by(*table.primary_key.columns)
        options = {"stream_results": True, "yield_per": BATCH}
        for row in self._db.execute(query, execution_options=options).mappings():
            yield {str(name): _plain(value) for name, value in row.items()}

    def _line(self, table: str, row: Row) -> bytes:
        self.counts[table] += 1
        return json.dumps({"table": table, "row": row}, ensure_ascii=False).encode(
            "utf-8", "surrogateescape"
        )


def _plain(value: object) -> str | int | None:
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ", "seconds")
    assert value is None or isinstance(value, str | int), value
    return value


@contextmanager
def snapshot(url: str, folder: str) -> Iterator[Snapshot]:
    """Open the rows as they are now; a copy of a SQLite file lies in `folder` meanwhile."""
    made = engines.normal(url)
    copy = os.path.join(folder, ".rows.tmp")
    try:
        if made.get_backend_name() == "sqlite":
            _copy(str(made.database), copy)
            made = made.set(database=copy)
        engine = engines.make_engine(made, engines.PATIENCE, kept=False)
        try:
            with _reading(engine) as db:
                yield Snapshot(db)
        finally:
            engine.dispose()
    except (SQLAlchemyError, sqlite3.dbapi2.Error) as error:
        raise AccountsUnavailable(f"{mask(url)}: {dialect.reason(error)}") from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(copy)


@contextmanager
def _reading(engine: Engine) -> Iterator[Connection]:
    """Open a transaction that sees one state of all tables."""
    with engine.connect() as db:
        if engine.dialect.name != "sqlite":
            db = db.execution_options(isolation_level="REPEATABLE READ")  # noqa: PLW2901
        yield db


def _copy(path: str, copy: str) -> None:
    """Copy a file in one step: writers wait no longer than for the disk."""
    if not os.path.isfile(path):
        raise AccountsUnavailable(f"{path}: no such file")
    with suppress(FileNotFoundError):  # of a process that was killed
        os.unlink(copy)
    engines.touch(copy)
    connect = sqlite3.dbapi2.connect
    with closing(connect(path, timeout=engines.BUSY)) as source, closing(connect(copy)) as target:
        target.execute("PRAGMA synchronous=OFF")
        source.backup(target)


def load(
    url: str,
    lines: Callable[[], Iterable[bytes]],
    moved: Callable[[str, Row], Row],
    filesystem: str,
) -> Counter[str]:
    """Fill an empty database, in one transaction; return how many rows each table got.

    `lines` may be asked for more than once; `moved` changes a row of a table; `filesystem` is what
    homes are counted on now.
    """
    database = Database(url)
    try:
        database.make_tables()
        return database.change(_load, lines, moved, filesystem)
    finally:
        database.close()


def count(url: str) -> Counter[str]:
    """Return how many rows each of our tables has, counters of homes left out."""
    database = Database(url)
    try:
        return database.ask(_counted)
    finally:
        database.close()


def _counted(db: Connection) -> Counter[str]:
    tables = METADATA.sorted_tables
    return Counter(
        {t.name: db.execute(select(func.count()).select_from(t)).scalar() for t in tables}
    )


def _load(
    db: Connection,
    lines: Callable[[], Iterable[bytes]],
    moved: Callable[[str, Row], Row],
    filesystem: str,
) -> Counter[str]:
    if there := sorted(name for name, number in _counted(db).items() if number):
        raise AccountsUnavailable(f"has rows ({' '.join(there)}), expected an empty database")
    loaded: Counter[str] = Counter()
    counters: dict[tuple[str, str], tuple[int, str]] = {}
    for name, rows in _batches(lines()):
        loaded[name] += len(rows)
        if name == COUNTERS:
            for row in rows:
                _add_counter(counters, row)
        else:
            table = METADATA.tables[name]
            db.execute(insert(table), [_values(table, moved(name, row)) for row in rows])
    for (group, domain), (number, bucket) in counters.items():
        set_homes(db, filesystem, group, domain, number, bucket)
    return loaded


def _batches(lines: Iterable[bytes]) -> Iterator[tuple[str, list[Row]]]:
    """Yield rows of one table, some at a time.  Raises ValueError for what is no line of ours."""
    batch: tuple[str, list[Row]] = ("", [])
    for line in lines:
        found = json.loads(line)
        name, row = found["table"], found["row"]
        if name != COUNTERS and name not in METADATA.tables:
            raise ValueError(f"a row of {name}, which is no table of ours")
        if name != batch[0] or len(batch[1]) == BATCH:
            if batch[1]:
                yield batch
            batch = (name, [])
        batch[1].append(row)
    if batch[1]:
        yield batch


def _add_counter(counters: dict[tuple[str, str], tuple[int, str]], row: Row) -> None:
    """Add up what several file systems had; the last bucket is that of the largest."""
    key = (str(row["group"]), str(row["domain"]))
    number, bucket = int(row["cur_users"] or 0), str(row["the_dir"] or "")
    before, old_bucket = counters.get(key, (0, ""))
    counters[key] = (before + number, bucket if number >= before else old_bucket)


def _values(table: Table, row: Row) -> dict[str, Any]:
    """Return a row as the table takes it; a time that is none becomes now."""
    values: dict[str, Any] = dict(row)
    for name in values:
        if name not in table.c:
            raise ValueError(f"a column {name}, which {table.name} does not have")
        if table.c[name].type.python_type is datetime:
            values[name] = _time(str(row[name]))
    return values


def _time(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # MariaDB's 0000-00-00
        return datetime.now(UTC).replace(tzinfo=None)
