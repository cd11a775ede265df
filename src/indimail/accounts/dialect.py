"""Where the databases differ: SQLite, MariaDB (and MySQL), PostgreSQL.

    engine = make_engine(normal("mysql://indimail:secret@db.example.com/indimail"), ANSWER)
    upsert(db, USERQUOTA, {...}, replace=["quota"])

SQLite keeps its rollback journal and syncs at every commit, the journal's name too
(`synchronous=EXTRA`: with FULL a power cut can bring the last commit's journal back).  A server
gets `CONNECT` seconds for a connection and `answer` for each answer; one that is back after a
restart or an outage is found again by the ping in front of each use.

Sessions are in UTC, and strict: a value that does not fit is refused, not cut.  An error has no
parameters in it, for passwords are among them.

Sources: sqlite.org/pragma.html; mariadb.com/kb "SQL_MODE", "GET_LOCK"; postgresql.org "Explicit
Locking".  Not here: the tables (`accounts.tables`), their versions (`accounts.schema`).
"""

import codecs
import os
import sqlite3.dbapi2  # SQLAlchemy would import it at the first connection
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from importlib import import_module
from typing import Any, Final

import sqlalchemy.dialects.sqlite.pysqlite  # also for a process that soon may not read the library
from sqlalchemy import (
    ColumnElement,
    Connection,
    DateTime,
    Engine,
    LargeBinary,
    MetaData,
    Table,
    and_,
    cast,
    create_engine,
    event,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.functions import FunctionElement

from indimail.accounts.url import SERVERS
from indimail.mail.errors import AccountsUnavailable

# All in seconds.
BUSY: Final = 5.0  # how long SQLite waits for another writer
CONNECT: Final = 2
ANSWER: Final = 3
LOCKED: Final = 2  # how long a server waits for another's transaction: it shall answer in time
PATIENCE: Final = 600  # for an answer while tables are copied or changed

# MariaDB's numbers.
ILLEGAL_MIX: Final = 1267  # text that a column's character set does not have
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


# -- connections -------------------------------------------------------------------------------


def normal(url: str) -> sqlalchemy.URL:
    """Return the address with the driver that we use."""
    made = make_url(url)
    scheme = made.drivername
    return made.set(drivername=SERVERS.get(scheme, scheme))


def load_driver(url: str) -> None:
    """Import what connections need, in a process that soon may not read the library."""
    made = normal(url)
    made.get_dialect().import_dbapi()
    if made.get_backend_name() == "postgresql":
        import_module("indimail.accounts.postgresql")
    if made.host:
        codecs.lookup("idna")  # a module, which would be imported at the first connection


def make_engine(url: sqlalchemy.URL, answer: float, *, kept: bool = True) -> Engine:
    """Return an engine; `kept`: its connections are used again."""
    pool: dict[str, Any] = {"pool_timeout": CONNECT} if kept else {"poolclass": NullPool}
    match url.get_backend_name():
        case "mysql":
            return _mysql_engine(url, answer, pool)
        case "postgresql":
            return _postgresql_engine(url, answer, pool)
        case _:
            return _sqlite_engine(url, pool)


def _sqlite_engine(url: sqlalchemy.URL, pool: dict[str, Any]) -> Engine:
    if url.database:
        _touch(url.database)
    engine = create_engine(url, connect_args={"timeout": BUSY}, hide_parameters=True, **pool)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _touch(path: str) -> None:
    """Make the file for its owner alone, for secrets are in it; SQLite would follow the umask."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _prepare_sqlite(connection: DBAPIConnection, _record: object) -> None:
    """Take transactions into our hands: the driver would begin none before a SELECT or a CREATE."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=DELETE")
    cursor.execute("PRAGMA synchronous=EXTRA")
    cursor.close()


def _begin_sqlite(db: Connection) -> None:
    # IMMEDIATE: a reader that turns writer cannot wait, SQLite refuses it at once.
    db.exec_driver_sql("BEGIN IMMEDIATE" if db.get_execution_options().get("writes") else "BEGIN")


def _mysql_engine(url: sqlalchemy.URL, answer: float, pool: dict[str, Any]) -> Engine:
    first = (
        "SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',"
        f" innodb_lock_wait_timeout = {LOCKED}"
    )
    arguments = {
        "charset": "utf8mb4",
        "connect_timeout": CONNECT,
        "read_timeout": answer,
        "write_timeout": answer,
        "init_command": first,
    }
    return create_engine(
        url, connect_args=arguments, isolation_level="READ COMMITTED", **_SERVER, **pool
    )


def _postgresql_engine(url: sqlalchemy.URL, answer: float, pool: dict[str, Any]) -> Engine:
    from indimail.accounts.postgresql import BoundedConnection  # noqa: PLC0415 - slow to import

    def connect(
        _dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]
    ) -> BoundedConnection:
        connection = BoundedConnection.connect(*arguments, **options)
        connection.seconds = answer
        connection.execute("SET timezone = 'UTC'")
        connection.execute(f"SET lock_timeout = '{LOCKED}s'")
        connection.commit()
        return connection

    # Prepared statements do not pass every pooler, and hstore is nothing to us.
    arguments = {"connect_timeout": CONNECT, "client_encoding": "utf8", "prepare_threshold": None}
    if "sslcert" not in url.query:
        # libpq would look for one in root's home, which we may not read any more: no TLS then.
        arguments["sslcertmode"] = "disable"
    engine = create_engine(url, connect_args=arguments, use_native_hstore=False, **_SERVER, **pool)
    event.listen(engine, "do_connect", connect)
    return engine


_SERVER: Final[dict[str, Any]] = {"pool_pre_ping": True, "hide_parameters": True}


def reason(error: Exception) -> str:
    """Return what a database said, without the statement and without the values of a row."""
    if not isinstance(error, DBAPIError) or error.orig is None:
        return str(error)
    said = error.orig.args  # MariaDB's: a number and a text
    return str(said[-1] if said else error.orig).partition("\n")[0]


def is_foreign(error: DBAPIError) -> bool:
    """Tell whether a look-up failed for characters that IndiMail's tables cannot hold."""
    return isinstance(error.orig, Exception) and error.orig.args[:1] == (ILLEGAL_MIX,)


def is_missing_table(error: DBAPIError) -> bool:
    """Tell whether a statement failed because a table is not there."""
    if not isinstance(error.orig, Exception):
        return False
    if getattr(error.orig, "sqlstate", "") == "42P01":  # PostgreSQL: undefined_table
        return True
    said = error.orig.args
    return said[:1] == (NO_TABLE,) or str(said[:1]).startswith("('no such table")


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
    if any(f"{table}{ending}" in there for table in tables):
        return
    quote = db.dialect.identifier_preparer.quote_identifier
    # MariaDB commits each of these: what is half done has another name.
    unfinished = "_unfinished" if db.dialect.name == "mysql" else ""
    like = "(LIKE {} INCLUDING ALL)" if db.dialect.name == "postgresql" else "LIKE {}"
    for table in tables:
        source, copy = quote(table), quote(f"{table}{ending}{unfinished}")
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
    _touch(unfinished)
    connect = sqlite3.dbapi2.connect
    with closing(connect(path)) as source, closing(connect(unfinished)) as target:
        target.execute("PRAGMA synchronous=EXTRA")
        source.backup(target)
    # The change that follows is made durable in the same directory, and this name with it.
    os.rename(unfinished, copy)


def make_database(url: sqlalchemy.URL) -> None:
    """Make the database on its server where it is missing; a file makes itself."""
    if url.get_backend_name() == "sqlite" or not _is_missing(url):
        return
    on_postgresql = url.get_backend_name() == "postgresql"
    elsewhere = url.set(database="postgres" if on_postgresql else "")
    engine = make_engine(elsewhere, PATIENCE, kept=False)
    try:
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as db:
            name = db.dialect.identifier_preparer.quote_identifier(str(url.database))
            options = "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"
            if on_postgresql:
                options = "TEMPLATE template0 ENCODING 'UTF8'"
            db.exec_driver_sql(f"CREATE DATABASE {name} {options}")
    finally:
        engine.dispose()


def _is_missing(url: sqlalchemy.URL) -> bool:
    """Tell whether there is a server without this database; any other failure raises."""
    engine = make_engine(url, ANSWER, kept=False)
    try:
        with engine.connect():
            return False
    except DBAPIError as error:
        missing = 'database "' in str(error.orig) and "does not exist" in str(error.orig)
        if missing or "Unknown database" in str(error.orig):
            return True
        raise
    finally:
        engine.dispose()
