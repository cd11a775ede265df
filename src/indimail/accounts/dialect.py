"""Where the databases differ: SQLite, MariaDB (and MySQL), PostgreSQL.

    upsert(db, USERQUOTA, {...}, replace=["quota"])
    with alone(db): keep_copy(db, ["valias"], "0002")

Sources: mariadb.com/kb "GET_LOCK", "Error Codes"; postgresql.org "Explicit Locking", "Error Codes".
Not here: connections (`accounts.engines`), the tables (`accounts.tables`), their versions
(`accounts.schema`).
"""

import os
import re
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from importlib import import_module
from typing import Any, Final

import sqlalchemy
from sqlalchemy import (
    ColumnElement,
    Connection,
    DateTime,
    LargeBinary,
    MetaData,
    Table,
    and_,
    cast,
    column,
    func,
    literal,
    literal_column,
    select,
    table,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from indimail.accounts.engines import LOCKED, touch
from indimail.mail.errors import AccountsUnavailable

# PostgreSQL's codes of errors.
UNTRANSLATABLE: Final = "22P05"
UNDEFINED: Final = "42P01"
# MariaDB's numbers.
ILLEGAL_MIXES: Final = (1267, 1270, 1271)  # text that a column's character set does not have
UNFIT: Final = 1366  # a value's characters
NO_TABLE: Final = 1146

# The same comparison everywhere: an octet is an octet.
TABLE_OPTIONS: Final[dict[str, Any]] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}
# As in IndiMail's tables: kept in UTC, read and written in the zone of the session.
TIMESTAMP: Final = DateTime().with_variant(sqlalchemy.TIMESTAMP(), "mysql")


class TimeOfChange(FunctionElement[Any]):
    """A column's default: now, and where the database can, now at every change."""

    inherit_cache = True


@compiles(TimeOfChange)
def _now(_element: TimeOfChange, _compiler: object, **_options: object) -> str:
    return "CURRENT_TIMESTAMP"


@compiles(TimeOfChange, "mysql")
def _now_and_at_changes(_element: TimeOfChange, _compiler: object, **_options: object) -> str:
    return "CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP"


def reason(error: Exception) -> str:
    """Return what a database said, without the statement and without the values of a row."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return str(error)
    said = error.orig.args  # MariaDB's: a number and a text
    text = str(said[-1] if said else error.orig).partition("\n")[0]
    if is_foreign(error):
        return "a value has characters that a table cannot hold"
    if said[:1] == (UNFIT,):  # it quotes the value
        return f"a value{text[text.rfind(' for column') :]} has characters that it cannot hold"
    return text


def is_foreign(error: DBAPIError) -> bool:
    """Tell whether a statement failed for characters that a table, or PostgreSQL's database, lacks."""
    is_mix = not _codes(error).isdisjoint(ILLEGAL_MIXES)
    if is_mix and "'UNION'" in str(error.orig):  # of two tables: that says nothing of the value
        return False
    return is_mix or UNTRANSLATABLE in _codes(error)


def is_missing_table(error: DBAPIError) -> bool:
    """Tell whether a statement failed because a table is not there."""
    is_said = not _codes(error).isdisjoint((NO_TABLE, UNDEFINED))
    return is_said or str(error.orig).startswith("no such table")


def _codes(error: DBAPIError) -> set[object]:
    """Return PostgreSQL's SQLSTATE, or MariaDB's number."""
    said = error.orig.args if isinstance(error.orig, Exception) else ()
    return {getattr(error.orig, "sqlstate", None), *said[:1]}


def driver_error(db: Connection) -> type[Exception]:
    """Return what a driver raises where SQLAlchemy is not between."""
    error: type[Exception] = db.dialect.loaded_dbapi.Error
    return error


def prepare_no_more(db: Connection) -> None:
    """Send whole statements on this connection: behind a pooler, what was prepared may be gone."""
    if db.dialect.name == "postgresql":
        connection: Any = db.connection.dbapi_connection
        connection.prepare_threshold = None


def can_hold(db: Connection, text: str, tables: Collection[str]) -> bool:
    """Tell whether the text's characters are in the character sets of the tables that are there."""
    if db.dialect.name == "sqlite":
        return True
    if db.dialect.name == "mysql":
        return all(_is_converted(db, text, name) for name in _character_sets(db, tables))
    try:
        db.execute(select(literal(text)))
    except DBAPIError as error:
        if is_foreign(error):
            return False
        raise
    return True


def _character_sets(db: Connection, tables: Collection[str]) -> set[str]:
    columns = table(
        "columns", *map(column, ("table_schema", "table_name", "character_set_name")),
        schema="information_schema",
    )  # fmt: skip
    name = columns.c.character_set_name
    ours = columns.c.table_name.in_(tables), columns.c.table_schema == func.database()
    return set(db.execute(select(name).where(*ours, name.is_not(None)).distinct()).scalars())


def _is_converted(db: Connection, text: str, character_set: str) -> bool:
    """Tell whether MariaDB has the text again after it was in a character set."""
    there = func.convert(literal(text).op("USING")(literal_column(character_set)))
    again = func.convert(there.op("USING")(literal_column("utf8mb4")))
    return db.execute(select(cast(again, LargeBinary))).scalar() == text.encode()


# -- statements --------------------------------------------------------------------------------


def upsert(
    db: Connection, table: Table, values: dict[str, Any], *, replace: Collection[str] = ()
) -> None:
    """Insert a row; where its key is there, replace some columns of the one that is, or none."""
    upsert_all(db, table, [values], replace=replace)


def upsert_all(
    db: Connection, table: Table, rows: Sequence[dict[str, Any]], *, replace: Collection[str] = ()
) -> None:
    """Insert rows as `upsert` one."""
    if not rows:
        return
    keys = [column.name for column in table.primary_key]
    insertion = _insertion(db.dialect.name)(table)
    on_mysql = db.dialect.name == "mysql"
    given = insertion.inserted if on_mysql else insertion.excluded
    changes: dict[str, Any] = {name: given[name] for name in replace}
    if on_mysql:
        insertion = insertion.on_duplicate_key_update(changes or {keys[0]: table.c[keys[0]]})
    elif changes:
        changes.setdefault("timestamp", func.current_timestamp())
        insertion = insertion.on_conflict_do_update(index_elements=keys, set_=changes)
    else:
        insertion = insertion.on_conflict_do_nothing(index_elements=keys)
    db.execute(insertion, rows)


def same(db: Connection, column: ColumnElement[str], value: str) -> ColumnElement[bool]:
    """Compare octet by octet, also where a column of IndiMail's does not.

    MariaDB compares as the column does too, for its index.
    """
    if db.dialect.name != "mysql":
        return column == value
    converted = func.convert(column.op("USING")(literal_column("utf8mb4")))
    return and_(column == value, cast(converted, LargeBinary) == value.encode())


def escaped(text: str) -> str:
    """Return a text as it stands in a pattern of LIKE with the escape ``!``."""
    return re.sub(r"([!%_])", r"!\1", text)


def _insertion(name: str) -> Callable[[Table], Any]:
    """Return the `insert` of a dialect; that of the database in use is imported already."""
    insert: Callable[[Table], Any] = import_module(f"sqlalchemy.dialects.{name}").insert
    return insert


# -- the schema --------------------------------------------------------------------------------


def is_indimails(db: Connection) -> bool:
    """Tell whether tables without a version are IndiMail's: it knows MariaDB, we began on SQLite."""
    return db.dialect.name != "sqlite"


@contextmanager
def alone(db: Connection) -> Iterator[None]:
    """Keep others from changing the schema meanwhile; on SQLite a transaction that writes does."""
    match db.dialect.name:
        case "mysql":
            name = select(
                func.left(func.concat("indimail.", func.database()), 64)
            ).scalar_subquery()
            if not db.execute(select(func.get_lock(name, LOCKED))).scalar():
                raise AccountsUnavailable("another process changes the schema")
            try:
                yield
            finally:
                db.execute(select(func.release_lock(name)))
        case "postgresql":
            db.execute(select(func.pg_advisory_xact_lock(literal(0x696E646961))))
            yield
        case _:
            yield


def create_whole(db: Connection, table: Table) -> None:
    """Make a table that has its name only with its indexes: MariaDB commits each statement."""
    if db.dialect.name != "mysql":
        table.create(db)
        return
    made = table.to_metadata(MetaData(), name=f"{table.name}_unfinished")
    made.drop(db, checkfirst=True)
    made.create(db)
    db.exec_driver_sql(f"RENAME TABLE {made.name} TO {table.name}")


def keep_copy(db: Connection, tables: Sequence[str], version: str) -> None:
    """Copy the tables before they are changed; a copy that is there is whole, and stays.

    SQLite: a file beside the database.  Servers: tables beside the others.
    """
    ending = f"_version{version}"
    if db.dialect.name == "sqlite":
        _copy_file(str(db.engine.url.database), ending.replace("_", "."))
        return
    there = sqlalchemy.inspect(db).get_table_names()
    if any(f"{name}{ending}" in there for name in tables):
        return
    quote = db.dialect.identifier_preparer.quote_identifier
    # MariaDB commits each of these: what is half done has another name.
    unfinished = "_unfinished" if db.dialect.name == "mysql" else ""
    like = "(LIKE {} INCLUDING ALL)" if db.dialect.name == "postgresql" else "LIKE {}"
    for name in tables:
        source, copy = quote(name), quote(f"{name}{ending}{unfinished}")
        db.exec_driver_sql(f"DROP TABLE IF EXISTS {copy}")
        db.exec_driver_sql(f"CREATE TABLE {copy} {like.format(source)}")
        db.exec_driver_sql(f"INSERT INTO {copy} SELECT * FROM {source}")  # noqa: S608 - our names
    if unfinished:
        names = [(quote(f"{t}{ending}{unfinished}"), quote(f"{t}{ending}")) for t in tables]
        db.exec_driver_sql("RENAME TABLE " + ", ".join(f"{old} TO {new}" for old, new in names))


def _copy_file(path: str, ending: str) -> None:
    copy, unfinished = f"{path}{ending}", f"{path}{ending}.unfinished"
    if os.path.exists(copy):
        return
    with suppress(FileNotFoundError):
        os.unlink(unfinished)
    touch(unfinished)
    connect = sqlite3.connect
    with closing(connect(path)) as source, closing(connect(unfinished)) as target:
        target.execute("PRAGMA synchronous=EXTRA")
        source.backup(target)
    # The change that follows is made durable in the same directory, and this name with it.
    os.rename(unfinished, copy)
