"""The user database in SQL: SQLite in `db/indimail.db`, any other by URL.

    accounts = SqlAccounts(sqlite_url("/var/indimail/db/indimail.db"))
    accounts.find("alice", "example.com")

Tables are made at first use, so an empty database is a valid start.  Values are bound, never
pasted.  SQLite keeps its rollback journal and syncs at every commit, the journal's name too
(`synchronous=EXTRA`: with FULL a power cut can bring the last commit's journal back).

An adapter belongs to one process: make it after a fork, not before.

Raises `AccountsUnavailable` for whatever the database reports; a duplicate row is an answer.
Sources: spec/cluster-users.md 1.1, 1.4; sqlite.org/pragma.html.
"""

import os
import sqlite3.dbapi2  # noqa: F401  SQLAlchemy would import it at the first connection
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy.dialects.sqlite.pysqlite  # also for a process that soon may not read the library
from sqlalchemy import (
    Connection,
    Engine,
    Table,
    bindparam,
    create_engine,
    delete,
    event,
    insert,
    inspect,
    literal,
    select,
    union_all,
    update,
)
from sqlalchemy.engine import make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from indimail.accounts.layout import ALPHABET, bucket_after, counter_table
from indimail.accounts.port import Account, AliasLine, Flag, LastEvent, is_newly_locked
from indimail.accounts.tables import (
    ALIASDOMAIN,
    INDIBAK,
    INDIMAIL,
    LASTAUTH,
    METADATA,
    USERQUOTA,
    VALIAS,
    counter_of,
)
from indimail.mail.errors import AccountsUnavailable
from indimail.mail.secret import Secret

BUSY_SECONDS: Final = 5.0  # how long SQLite waits for another writer

_FIELDS: Final = (
    "pw_name",
    "pw_domain",
    "pw_passwd",
    "pw_uid",
    "pw_gid",
    "pw_gecos",
    "pw_dir",
    "pw_shell",
    "scram",
)


def _rows(table: Table, active: int, by_name: bool) -> Any:  # noqa: ANN401 - a Select of a row
    columns = [table.c[field] for field in _FIELDS]
    query = select(*columns, literal(active).label("active")).where(
        table.c.pw_domain == bindparam("domain")
    )
    return query.where(table.c.pw_name == bindparam("name")) if by_name else query


_FIND: Final = union_all(_rows(INDIMAIL, 1, True), _rows(INDIBAK, 0, True))
# One by one: a union takes no row lock.
_HOLD: Final = [
    _rows(table, at, True).with_for_update() for table, at in ((INDIMAIL, 1), (INDIBAK, 0))
]
_USERS: Final = union_all(_rows(INDIMAIL, 1, False), _rows(INDIBAK, 0, False))
_ALIASES: Final = select(VALIAS.c.valias_line).where(
    VALIAS.c.alias == bindparam("name"), VALIAS.c.domain == bindparam("domain")
)
_ALIAS_LINES: Final = select(VALIAS.c.alias, VALIAS.c.domain, VALIAS.c.valias_line)
_DOMAIN_ALIASES: Final = _ALIAS_LINES.where(VALIAS.c.domain == bindparam("domain"))
_ALIASES_TO: Final = _ALIAS_LINES.where(
    VALIAS.c.valias_line.in_([bindparam("plain"), bindparam("forward")])
)
_REAL_DOMAIN: Final = select(ALIASDOMAIN.c.domain).where(ALIASDOMAIN.c.alias == bindparam("alias"))
_USERQUOTA: Final = select(USERQUOTA.c.quota).where(
    USERQUOTA.c.user == bindparam("name"), USERQUOTA.c.domain == bindparam("domain")
)
_EVENTS: Final = select(LASTAUTH.c.service, LASTAUTH.c.timestamp, LASTAUTH.c.remote_ip).where(
    LASTAUTH.c.user == bindparam("name"), LASTAUTH.c.domain == bindparam("domain")
)


def sqlite_url(path: str) -> str:
    """Return the URL of a SQLite file."""
    return f"sqlite+pysqlite:///{path}"


class SqlAccounts:
    """The port `Accounts` on a database."""

    def __init__(self, url: str) -> None:
        self._url = make_url(url)
        self._engine: Engine | None = None
        self._opening = threading.Lock()

    def find(self, name: str, domain: str) -> Account | None:
        """Return the account, active or not; an active row wins."""
        return _found(self._read(_FIND, name=name, domain=domain))

    def users(self, domain: str) -> list[Account]:
        """Return all accounts of a domain, by name."""
        rows = self._read(_USERS, domain=domain)
        return sorted(map(_account, rows), key=lambda account: account.name)

    def aliases(self, name: str, domain: str) -> list[str]:
        """Return the alias lines, sorted."""
        return sorted(row[0] for row in self._read(_ALIASES, name=name, domain=domain))

    def real_domain(self, domain: str) -> str:
        """Return the domain that an alias domain stands for; any other as it is."""
        rows = self._read(_REAL_DOMAIN, alias=domain)
        return str(rows[0][0]) if rows else domain

    def userquota(self, name: str, domain: str) -> int:
        """Return the octets that the quota's lock was set with; 0: no lock of the quota's."""
        rows = self._read(_USERQUOTA, name=name, domain=domain)
        return int(rows[0][0]) if rows else 0

    def events(self, name: str, domain: str) -> list[LastEvent]:
        """Return the last event of each service, by service."""
        rows = self._read(_EVENTS, name=name, domain=domain)
        found = [
            LastEvent(row[0], int(row[1].replace(tzinfo=UTC).timestamp()), row[2]) for row in rows
        ]
        return sorted(found, key=lambda event: event.service)

    def add(self, account: Account) -> bool:
        """Add a user; False where the name is taken, active or not."""
        with self._change() as db:
            if db.execute(_FIND, _key(account)).first() is not None:
                return False
            return _inserted(db, _table(account), _columns(account))

    def modify(
        self, name: str, domain: str, change: Callable[[Account], Account]
    ) -> Account | None:
        """Replace the row by what `change` makes of it, and return that; None where it is absent."""
        with self._change() as db:
            found = _held(db, name, domain)
            if found is None:
                return None
            changed = change(found)
            for table in (INDIMAIL, INDIBAK):
                db.execute(_of(delete(table), table, found))
            db.execute(insert(_table(changed)).values(_columns(changed)))
            if is_newly_locked(found, changed):
                _put_userquota(db, name, domain, 0)
            return changed

    def set_password(
        self, name: str, domain: str, password: Secret, scram: Secret, *, old: Secret | None = None
    ) -> bool:
        """Replace both credentials; False: no such user, or the password is not `old`."""
        values = {"pw_passwd": password.reveal(), "scram": scram.reveal() or None}
        with self._change() as db:
            found = _held(db, name, domain)
            if found is None or old not in (None, found.password):
                return False
            for table in (INDIMAIL, INDIBAK):
                db.execute(_of(update(table), table, found).values(values))
            return True

    def set_userquota(self, name: str, domain: str, octets: int) -> None:
        """Say whose a lock is: 0, the administrator's; else the quota's."""
        with self._change() as db:
            _put_userquota(db, name, domain, octets)

    def lock_for_quota(self, name: str, domain: str, octets: int) -> bool:
        """Set BOUNCE_MAIL with the usage that led to it; False: absent, or locked already."""
        with self._change() as db:
            account = _held(db, name, domain)
            if account is None or Flag.BOUNCE_MAIL in account.flags:
                return False
            _put_flags(db, account, account.flags | Flag.BOUNCE_MAIL)
            _put_userquota(db, name, domain, octets)
            return True

    def lift_quota_lock(self, name: str, domain: str) -> bool:
        """Clear BOUNCE_MAIL and its userquota; False: absent, no lock, or the administrator's."""
        with self._change() as db:
            account = _held(db, name, domain)
            if account is None or Flag.BOUNCE_MAIL not in account.flags:
                return False
            row = db.execute(_USERQUOTA, _key(account)).first()
            if row is None or not row[0]:
                return False
            _put_flags(db, account, account.flags & ~Flag.BOUNCE_MAIL)
            _put_userquota(db, name, domain, 0)
            return True

    def add_alias(self, name: str, domain: str, line: str) -> bool:
        """Add an alias line; False where it was there."""
        with self._change() as db:
            return _inserted(db, VALIAS, _alias_columns(name, domain, line))

    def remove_alias(self, name: str, domain: str, line: str) -> bool:
        """Remove an alias line; False where it was not there."""
        with self._change() as db:
            return _alias_removed(db, _alias_columns(name, domain, line))

    def replace_alias(self, name: str, domain: str, old: str, new: str) -> bool:
        """Put a line in another's place, also one that is there already; False: no `old`."""
        with self._change() as db:
            if not _alias_removed(db, _alias_columns(name, domain, old)):
                return False
            _inserted(db, VALIAS, _alias_columns(name, domain, new))
            return True

    def domain_aliases(self, domain: str) -> list[AliasLine]:
        """Return all alias lines of a domain, sorted."""
        return sorted(AliasLine(*row) for row in self._read(_DOMAIN_ALIASES, domain=domain))

    def aliases_to(self, address: str) -> list[AliasLine]:
        """Return the lines of all domains that forward to the address, sorted."""
        rows = self._read(_ALIASES_TO, plain=address, forward=f"&{address}")
        return sorted(AliasLine(*row) for row in rows)

    def add_alias_domain(self, alias: str, domain: str) -> bool:
        """Let `alias` stand for `domain`; False where it stands for one already."""
        with self._change() as db:
            return _inserted(db, ALIASDOMAIN, {"alias": alias, "domain": domain})

    def next_directory(self, filesystem: str, group: str, domain: str, users_per_level: int) -> str:
        """Count one more home of the group and return its bucket, ``""`` or like ``0/A``."""
        with self._change() as db:
            table = counter_of(counter_table(filesystem, group))
            table.create(db, checkfirst=True)
            here = table.c.domain == domain
            row = db.execute(
                select(table.c.cur_users, table.c.the_dir).where(here).with_for_update()
            ).first()
            count, bucket = (row[0] + 1, row[1]) if row else (1, "")
            bucket = bucket_after(count, bucket, users_per_level)
            values = {"cur_users": count, "the_dir": bucket, **_levels(bucket)}
            if row:
                db.execute(update(table).where(here).values(values))
            else:
                db.execute(insert(table).values(domain=domain, **values))
            return bucket

    def record_event(self, account: Account, event: LastEvent) -> None:
        """Keep `event` as the last one of its service (table lastauth)."""
        values = {
            "user": account.name,
            "domain": account.domain,
            "service": event.service,
            "remote_ip": event.remote_ip,
            "gecos": account.gecos,
            "timestamp": datetime.fromtimestamp(event.time, UTC).replace(tzinfo=None),
        }
        key = [LASTAUTH.c[name] == values[name] for name in ("user", "domain", "service")]
        with self._change() as db:
            db.execute(delete(LASTAUTH).where(*key))
            db.execute(insert(LASTAUTH).values(values))

    def make_tables(self) -> None:
        """Make what is missing now, not at the first question."""
        with self._database_errors():
            self._ready()

    def close(self) -> None:
        """Give back the connections."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _read(self, query: Any, **keys: str) -> list[Sequence[Any]]:  # noqa: ANN401 - a query
        with self._database_errors(), self._ready().connect() as db:
            return list(db.execute(query, keys))

    @contextmanager
    def _change(self) -> Iterator[Connection]:
        """Run a transaction; it is durable when this ends."""
        with self._database_errors():
            engine = self._ready().execution_options(writes=True)
            with engine.begin() as db:
                yield db

    def _ready(self) -> Engine:
        """Return the engine; the first call connects and makes missing tables.

        Looks before it writes: at a start many ask at once, and writers wait for each other.
        """
        with self._opening:
            if self._engine is None:
                engine = _engine(self._url)
                if not METADATA.tables.keys() <= set(inspect(engine).get_table_names()):
                    with engine.execution_options(writes=True).begin() as db:
                        METADATA.create_all(db)
                self._engine = engine
            return self._engine

    @contextmanager
    def _database_errors(self) -> Iterator[None]:
        """Translate at the border, once."""
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            where = self._url.render_as_string(hide_password=True)
            raise AccountsUnavailable(f"{where}: {error}") from error


def _engine(url: sqlalchemy.URL) -> Engine:
    """Return an engine whose errors show no values: passwords are among them."""
    if url.get_backend_name() != "sqlite":
        return create_engine(url, pool_pre_ping=True, hide_parameters=True)
    if url.database:
        # The secrets in it are for its owner alone; SQLite would follow the umask.
        os.close(os.open(url.database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


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


def _found(rows: Iterable[Sequence[Any]]) -> Account | None:
    """Return the account of the rows; an active one wins."""
    return max(map(_account, rows), key=lambda account: account.active, default=None)


def _held(db: Connection, name: str, domain: str) -> Account | None:
    """Return the account; nobody changes it before the transaction ends."""
    keys = {"name": name, "domain": domain}
    return _found(row for query in _HOLD for row in db.execute(query, keys))


def _put_flags(db: Connection, account: Account, flags: Flag) -> None:
    table = _table(account)
    db.execute(_of(update(table), table, account).values(pw_gid=int(flags)))


def _put_userquota(db: Connection, name: str, domain: str, octets: int) -> None:
    here = (USERQUOTA.c.user == name, USERQUOTA.c.domain == domain)
    db.execute(delete(USERQUOTA).where(*here))
    db.execute(insert(USERQUOTA).values(user=name, domain=domain, quota=octets))


def _account(row: Sequence[Any]) -> Account:
    name, domain, password, uid, flags, gecos, directory, quota, scram, active = row
    return Account(
        name=name,
        domain=domain,
        password=Secret(password),
        uid=uid,
        flags=Flag(flags),
        gecos=gecos,
        directory=directory,
        quota=quota,
        active=bool(active),
        scram=Secret(scram or ""),
    )


def _columns(account: Account) -> dict[str, str | int | None]:
    return {
        "pw_name": account.name,
        "pw_domain": account.domain,
        "pw_passwd": account.password.reveal(),
        "pw_uid": account.uid,
        "pw_gid": int(account.flags),
        "pw_gecos": account.gecos,
        "pw_dir": account.directory,
        "pw_shell": account.quota,
        "scram": account.scram.reveal() or None,
    }


def _alias_columns(name: str, domain: str, line: str) -> dict[str, str]:
    return {"alias": name, "domain": domain, "valias_line": line}


def _alias_removed(db: Connection, columns: dict[str, str]) -> bool:
    here = [VALIAS.c[name] == value for name, value in columns.items()]
    return bool(db.execute(delete(VALIAS).where(*here)).rowcount)


def _table(account: Account) -> Table:
    return INDIMAIL if account.active else INDIBAK


def _key(account: Account) -> dict[str, str]:
    return {"name": account.name, "domain": account.domain}


def _of(statement: Any, table: Table, account: Account) -> Any:  # noqa: ANN401 - update or delete
    return statement.where(table.c.pw_name == account.name, table.c.pw_domain == account.domain)


def _inserted(db: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row; False where the table has it.  The transaction stays usable either way."""
    try:
        with db.begin_nested():
            db.execute(insert(table).values(values))
    except IntegrityError:
        return False
    return True


def _levels(bucket: str) -> dict[str, int]:
    digits = bucket.split("/") if bucket else []
    places = {f"level_index{at}": ALPHABET.index(digit) for at, digit in enumerate(digits)}
    return {"level_cur": len(digits), **places}
