"""The user database in SQL: SQLite, MariaDB or PostgreSQL.

    accounts = SqlAccounts("sqlite:////var/indimail/db/indimail.db")
    accounts.find("alice", "example.com")

Tables are made at first use, so an empty database is a valid start.  Values are bound, never
pasted.  An answer is what was asked for, octet by octet: IndiMail's tables in MariaDB compare
without case and accents, so that is looked at here again.

An adapter belongs to one process: make it after a fork, not before.  It finds the database again
after an outage.  No call waits for a server that fell silent for more than some seconds; look-ups
after one that did fail at once for `PAUSE`, and then one tries for all.

Raises `AccountsUnavailable` for whatever the database reports; a duplicate row is an answer.
Sources: spec/cluster-users.md 1.1, 1.4.  Not here: where databases differ (`accounts.dialect`).
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Engine,
    Table,
    bindparam,
    delete,
    insert,
    inspect,
    literal,
    select,
    union_all,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from indimail.accounts import dialect
from indimail.accounts.layout import ALPHABET, bucket_after, counter_table
from indimail.accounts.port import Account, AliasLine, Flag, LastEvent, is_newly_locked
from indimail.accounts.schema import bring_up_to_date
from indimail.accounts.tables import (
    ALIASDOMAIN,
    INDIBAK,
    INDIMAIL,
    LASTAUTH,
    USERQUOTA,
    VALIAS,
    counter_of,
)
from indimail.mail.errors import AccountsUnavailable
from indimail.mail.secret import Secret, mask

SLOW: Final = 1.0  # seconds; a look-up that failed after so long failed by waiting
PAUSE: Final = 1.0  # seconds
TRIAL: Final = 10.0  # seconds; a look-up that waits for all that it may wait for ends sooner

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
_ALIASES: Final = select(VALIAS.c.alias, VALIAS.c.domain, VALIAS.c.valias_line).where(
    VALIAS.c.alias == bindparam("name"), VALIAS.c.domain == bindparam("domain")
)
_ALIAS_LINES: Final = select(VALIAS.c.alias, VALIAS.c.domain, VALIAS.c.valias_line)
_DOMAIN_ALIASES: Final = _ALIAS_LINES.where(VALIAS.c.domain == bindparam("domain"))
_ALIASES_TO: Final = _ALIAS_LINES.where(
    VALIAS.c.valias_line.in_([bindparam("plain"), bindparam("forward")])
)
_REAL_DOMAIN: Final = select(ALIASDOMAIN.c.alias, ALIASDOMAIN.c.domain).where(
    ALIASDOMAIN.c.alias == bindparam("alias")
)
_USERQUOTA: Final = select(USERQUOTA.c.quota).where(
    USERQUOTA.c.user == bindparam("name"), USERQUOTA.c.domain == bindparam("domain")
)
_EVENTS: Final = select(LASTAUTH.c.service, LASTAUTH.c.timestamp, LASTAUTH.c.remote_ip).where(
    LASTAUTH.c.user == bindparam("name"), LASTAUTH.c.domain == bindparam("domain")
)


def sqlite_url(path: str) -> str:
    """Return the URL of a SQLite file."""
    return f"sqlite:///{path}"


class SqlAccounts:
    """The port `Accounts` on a database."""

    def __init__(self, url: str) -> None:
        """Import what the database needs; it is asked at the first call."""
        dialect.load_driver(url)
        self._url = url
        self._engine: Engine | None = None
        self._opening = threading.Lock()
        self._silent_until = 0.0

    def find(self, name: str, domain: str) -> Account | None:
        """Return the account, active or not; an active row wins."""
        return _found(self._read(_FIND, name=name, domain=domain), name, domain)

    def users(self, domain: str) -> list[Account]:
        """Return all accounts of a domain, by name."""
        rows = self._read(_USERS, domain=domain)
        return sorted(map(_account, rows), key=lambda account: account.name)

    def aliases(self, name: str, domain: str) -> list[str]:
        """Return the alias lines, sorted."""
        rows = self._read(_ALIASES, name=name, domain=domain)
        return sorted(row[2] for row in rows if row[:2] == (name, domain))

    def real_domain(self, domain: str) -> str:
        """Return the domain that an alias domain stands for; any other as it is."""
        rows = self._read(_REAL_DOMAIN, alias=domain)
        return next((row[1] for row in rows if row[0] == domain), domain)

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
            if _found(db.execute(_FIND, _key(account)), account.name, account.domain):
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
        lines = {"plain": address, "forward": f"&{address}"}
        rows = self._read(_ALIASES_TO, **lines)
        return sorted(AliasLine(*row) for row in rows if row[2] in lines.values())

    def add_alias_domain(self, alias: str, domain: str) -> bool:
        """Let `alias` stand for `domain`; False where it stands for one already."""
        with self._change() as db:
            return _inserted(db, ALIASDOMAIN, {"alias": alias, "domain": domain})

    def next_directory(self, filesystem: str, group: str, domain: str, users_per_level: int) -> str:
        """Count one more home of the group and return its bucket, ``""`` or like ``0/A``."""
        with self._change() as db:
            table = counter_of(counter_table(filesystem, group))
            if not inspect(db).has_table(table.name):
                with dialect.alone(db):
                    table.create(db, checkfirst=True)
            # The row is there before it is locked: who locks none waits for nobody.
            dialect.upsert(db, table, {"domain": domain, "cur_users": 0, "the_dir": ""})
            here = table.c.domain == domain
            count, bucket = db.execute(
                select(table.c.cur_users, table.c.the_dir).where(here).with_for_update()
            ).one()
            bucket = bucket_after(count + 1, bucket, users_per_level)
            values = {"cur_users": count + 1, "the_dir": bucket, **_levels(bucket)}
            db.execute(update(table).where(here).values(values))
            return bucket

    def record_event(self, account: Account, event: LastEvent) -> None:
        """Keep `event` as the last one of its service (table lastauth)."""
        values = {
            "user": account.name,
            "domain": account.domain,
            "service": event.service,
            "remote_ip": event.remote_ip,
            "quota": 0,
            "gecos": account.gecos,
            "timestamp": datetime.fromtimestamp(event.time, UTC).replace(tzinfo=None),
        }
        with self._change() as db:
            dialect.upsert(
                db, LASTAUTH, values, replace=["remote_ip", "quota", "gecos", "timestamp"]
            )

    def make_tables(self) -> None:
        """Make what is missing now, not at the first question; on a server the database too."""
        with self._database_errors():
            dialect.make_database(dialect.normal(self._url))
            self._ready()

    def close(self) -> None:
        """Give back the connections."""
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None

    def _read(self, query: Any, **keys: str) -> list[Sequence[Any]]:  # noqa: ANN401 - a query
        if not all(map(_is_storable, keys.values())):
            return []
        begun = time.monotonic()
        if begun < self._silent_until:
            raise AccountsUnavailable(f"{mask(self._url)}: gave no answer a moment ago")
        if self._silent_until:  # this one tries, and nobody waits with it
            self._silent_until = begun + TRIAL
        silent_until = 0.0
        try:
            with self._database_errors(), self._ready().connect() as db:
                return self._rows(db, query, keys)
        except AccountsUnavailable:
            ended = time.monotonic()
            if ended - begun > SLOW:
                silent_until = ended + PAUSE
            raise
        finally:
            self._silent_until = silent_until

    @staticmethod
    def _rows(db: Connection, query: Any, keys: dict[str, str]) -> list[Sequence[Any]]:  # noqa: ANN401
        try:
            return list(db.execute(query, keys))
        except DBAPIError as error:
            if dialect.is_foreign(error):
                return []
            raise

    @contextmanager
    def _change(self) -> Iterator[Connection]:
        """Run a transaction; it is durable when this ends."""
        with self._database_errors():
            engine = self._ready().execution_options(writes=True)
            with engine.begin() as db:
                yield db

    def _ready(self) -> Engine:
        """Return the engine; the first call connects and brings the schema up to date."""
        if self._engine is not None:
            return self._engine
        if not self._opening.acquire(timeout=dialect.ANSWER):
            raise AccountsUnavailable("being opened")
        try:
            if self._engine is None:
                self._engine = self._opened()
            return self._engine
        finally:
            self._opening.release()

    def _opened(self) -> Engine:
        engine = dialect.make_engine(dialect.normal(self._url), dialect.ANSWER)
        try:
            bring_up_to_date(engine)
        except BaseException:
            engine.dispose()
            raise
        return engine

    @contextmanager
    def _database_errors(self) -> Iterator[None]:
        """Translate at the border, once, and say which database it was."""
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            raise AccountsUnavailable(f"{mask(self._url)}: {dialect.reason(error)}") from error
        except AccountsUnavailable as error:
            raise AccountsUnavailable(f"{mask(self._url)}: {error}") from error


def _is_storable(text: str) -> bool:
    """Tell whether a database can hold the text; what it cannot hold names nothing in it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _found(rows: Iterable[Sequence[Any]], name: str, domain: str) -> Account | None:
    """Return the account of the rows; an active one wins."""
    accounts = [_account(row) for row in rows if row[:2] == (name, domain)]
    return max(accounts, key=lambda account: account.active, default=None)


def _held(db: Connection, name: str, domain: str) -> Account | None:
    """Return the account; nobody changes it before the transaction ends."""
    keys = {"name": name, "domain": domain}
    rows = (row for query in _HOLD for row in db.execute(query, keys))
    return _found(rows, name, domain)


def _put_flags(db: Connection, account: Account, flags: Flag) -> None:
    table = _table(account)
    db.execute(_of(update(table), table, account).values(pw_gid=int(flags)))


def _put_userquota(db: Connection, name: str, domain: str, octets: int) -> None:
    values = {"user": name, "domain": domain, "quota": octets}
    dialect.upsert(db, USERQUOTA, values, replace=["quota"])


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
