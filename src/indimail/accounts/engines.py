"""Connections to SQLite, MariaDB (and MySQL) and PostgreSQL.

    engine = make_engine(normal("mysql://indimail:secret@db.example.com/indimail"), ANSWER)

    engine = make_engine(normal(url), ANSWER, asks=True)       # for questions alone

SQLite keeps its rollback journal and syncs at every commit, the journal's name too
(`synchronous=EXTRA`: with FULL a power cut can bring the last commit's journal back).  A server
gets `CONNECT` seconds for a connection and `answer` for each answer.

A change is a transaction; one that is back after a restart or an outage is found again by the ping
in front of each.  A question is one statement, and goes to the server alone: no ping, no BEGIN, no
ROLLBACK.  Who asks has to ask again where a connection had been lost.

Sessions are in UTC, and strict: a value that does not fit is refused, not cut.  An error has no
parameters in it, for passwords are among them.

Sources: sqlite.org/pragma.html; mariadb.com/kb "SQL_MODE"; libpq "Connection Strings".
Not here: statements (`accounts.dialect`).
"""

import codecs
import os
import sqlite3.dbapi2  # noqa: F401  SQLAlchemy would import it at the first connection
from importlib import import_module
from typing import Any, Final

import sqlalchemy.dialects.sqlite.pysqlite  # also for a process that soon may not read the library
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from indimail.accounts.url import SERVERS

# All in seconds.
BUSY: Final = 5.0  # how long SQLite waits for another writer
CONNECT: Final = 2
ANSWER: Final = 3
LOCKED: Final = 2  # how long a server waits for another's transaction: it shall answer in time
PATIENCE: Final = 600  # for an answer while tables are copied or changed


def normal(url: str) -> sqlalchemy.URL:
    """Return the address with the driver that we use."""
    made = make_url(url)
    scheme = made.drivername
    return made.set(drivername=SERVERS.get(scheme, scheme))


def file_of(url: str) -> str:
    """Return the file of a SQLite database, empty for others."""
    made = normal(url)
    return made.database or "" if made.get_backend_name() == "sqlite" else ""


def load_driver(url: str) -> None:
    """Import what connections need, in a process that soon may not read the library."""
    made = normal(url)
    made.get_dialect().import_dbapi()
    if made.get_backend_name() == "postgresql":
        import_module("indimail.accounts.postgresql")
    if made.host:
        codecs.lookup("idna")  # a module, which would be imported at the first connection


def make_engine(
    url: sqlalchemy.URL, answer: float, *, kept: bool = True, asks: bool = False
) -> Engine:
    """Return an engine; `kept`: its connections are used again; `asks`: nothing is changed."""
    pool: dict[str, Any] = {"pool_timeout": CONNECT} if kept else {"poolclass": NullPool}
    options: dict[str, Any] = {**pool, "hide_parameters": True}
    if asks:
        options |= {"isolation_level": "AUTOCOMMIT", "skip_autocommit_rollback": True}
        options["pool_reset_on_return"] = None
    else:
        options["pool_pre_ping"] = url.get_backend_name() != "sqlite"
    match url.get_backend_name():
        case "mysql":
            return _mysql_engine(url, answer, options)
        case "postgresql":
            return _postgresql_engine(url, answer, options, asks=asks)
        case _:
            return _sqlite_engine(url, options)


def _sqlite_engine(url: sqlalchemy.URL, options: dict[str, Any]) -> Engine:
    if url.database:
        touch(url.database)
    engine = create_engine(url, connect_args={"timeout": BUSY}, **options)
    event.listen(engine, "connect", _prepare_sqlite)
    if "isolation_level" not in options:
        event.listen(engine, "begin", _begin_sqlite)
    return engine


def touch(path: str) -> None:
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


def _mysql_engine(url: sqlalchemy.URL, answer: float, options: dict[str, Any]) -> Engine:
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
    options.setdefault("isolation_level", "READ COMMITTED")
    return create_engine(url, connect_args=arguments, **options)


def _postgresql_engine(
    url: sqlalchemy.URL, answer: float, options: dict[str, Any], *, asks: bool
) -> Engine:
    from indimail.accounts.postgresql import BoundedConnection  # noqa: PLC0415 - slow to import

    def connect(
        _dialect: object, _record: object, arguments: list[Any], given: dict[str, Any]
    ) -> BoundedConnection:
        connection = BoundedConnection.connect(*arguments, **given)
        connection.seconds = answer
        connection.execute("SET timezone = 'UTC'")
        connection.execute(f"SET lock_timeout = '{LOCKED}s'")
        connection.commit()
        if asks:
            connection.prepare_threshold = 0
        return connection

    # Prepared statements do not pass every pooler: `accounts.question` copes.  hstore is nothing to us.
    arguments = {"connect_timeout": CONNECT, "client_encoding": "utf8", "prepare_threshold": None}
    if "sslcert" not in url.query:
        # libpq would look for one in root's home, which we may not read any more: no TLS then.
        arguments["sslcertmode"] = "disable"
    engine = create_engine(url, connect_args=arguments, use_native_hstore=False, **options)
    event.listen(engine, "do_connect", connect)
    return engine


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
