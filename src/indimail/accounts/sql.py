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

import re
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
    column,
    delete,
    insert,
    inspect,
    literal,
    or_,
    select,
    table,
    union_all,
    update,
)
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError

from indimail.accounts import dialect
from indimail.accounts.layout import ALPHABET, counter_table
from indimail.accounts.port import (
    Account,
    AliasLine,
    Flag,
    LastEvent,
    above,
    is_lock_changed,
    moved_line,
    moved_path,
)
from indimail.accounts.schema import bring_up_to_date, load_where_unreadable
from indimail.accounts.tables import (
    ALIASDOMAIN,
    INDIBAK,
    INDIMAIL,
    IP_ALIAS_MAP,
    LASTAUTH,
    LEVELS,
    OTHERS,
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


def _named(table: Table, name: str, domain: str | None) -> Any:  # noqa: ANN401 - a Select
    """Select names that begin so, or with a domain (that begins so) are the same."""
    query = select(table.c.pw_name, table.c.pw_domain)
    if domain is None:
        return query.where(table.c.pw_name.startswith(name, autoescape=True))
    of = table.c.pw_domain.startswith(domain, autoescape=True)
    return query.where(table.c.pw_name == name, of)


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
_ALIAS_DOMAINS: Final = select(ALIASDOMAIN.c.alias).where(
    ALIASDOMAIN.c.domain == bindparam("domain")
)
_OF_EVENT: Final = ("remote_ip", "quota", "gecos", "timestamp")
# What a user has beside its account: table, column of the name, column of the domain.
_USER_ROWS: Final = (
    (LASTAUTH, LASTAUTH.c.user, LASTAUTH.c.domain),
    (USERQUOTA, USERQUOTA.c.user, USERQUOTA.c.domain),
    (VALIAS, VALIAS.c.alias, VALIAS.c.domain),
)


def sqlite_url(path: str) -> str:
    """Return the URL of a SQLite file."""
    return f"sqlite:///{path}"


def prepare(url: str) -> None:
    """Import what a database needs, in a process that soon may not read the library."""
    dialect.load_driver(url)
    load_where_unreadable()


class SqlAccounts:
    """The port `Accounts` on a database."""

    def __init__(self, url: str) -> None:
        """Import what the database needs; it is asked at the first call."""
        prepare(url)
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

    def addresses(self, beginning: str, most: int) -> list[str]:
        """Return addresses that begin so, sorted; the first `most` of them."""
        name, at, domain = beginning.partition("@")
        queries = (_named(rows, name, domain if at else None) for rows in (INDIMAIL, INDIBAK))
        found = self._read(union_all(*queries).order_by("pw_name", "pw_domain").limit(most))
        addresses = (f"{row[0]}@{row[1]}" for row in found)
        return sorted(address for address in addresses if address.startswith(beginning))

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

    def add_users(self, accounts: Sequence[Account], time: int) -> None:
        """Add users with the time of their making; a name that is taken keeps its row."""
        with self._change() as db:
            taken = _taken(db, accounts)
            for rows in (INDIMAIL, INDIBAK):
                new = [
                    _columns(a) for a in accounts if _table(a) is rows and a.address not in taken
                ]
                dialect.upsert_all(db, rows, new)
            events = [_event_columns(a, LastEvent("add", time, "")) for a in accounts]
            dialect.upsert_all(db, LASTAUTH, events, replace=_OF_EVENT)

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
            if is_lock_changed(found, changed):
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

    def housed(self, path: str) -> list[Account]:
        """Return the accounts whose homes are a directory, lie in it or hold it."""
        below = f"{_escaped(path)}/%"
        found: list[Sequence[Any]] = []
        for rows, active in ((INDIMAIL, 1), (INDIBAK, 0)):
            query = select(*(rows.c[field] for field in _FIELDS), literal(active)).where(
                or_(rows.c.pw_dir.in_(above(path)), rows.c.pw_dir.like(below, escape="!"))
            )
            found += self._read(query)
        # LIKE takes upper case for lower case, and a path is not its like.
        accounts = map(_account, found)
        return [a for a in accounts if a.directory in above(path) or path in above(a.directory)]

    def homes(self, filesystem: str, group: str, domain: str) -> tuple[int, str]:
        """Return how many homes the group has, and the bucket of the last one."""
        counters = counter_of(counter_table(filesystem, group))
        query = select(counters.c.cur_users, counters.c.the_dir).where(counters.c.domain == domain)
        with self._database_errors(), self._ready().connect() as db:
            if not inspect(db).has_table(counters.name):
                return 0, ""
            row = db.execute(query).first()
            return (int(row[0]), str(row[1])) if row else (0, "")

    def set_homes(self, filesystem: str, group: str, domain: str, count: int, bucket: str) -> None:
        """Say how many homes the group has, and the bucket of the next one."""
        with self._change() as db:
            counters = counter_of(counter_table(filesystem, group))
            if not inspect(db).has_table(counters.name):
                with dialect.alone(db):
                    counters.create(db, checkfirst=True)
            values = {"cur_users": count, "the_dir": bucket, **_levels(bucket)}
            dialect.upsert(db, counters, {"domain": domain, **values}, replace=list(values))

    def remove_user(self, name: str, domain: str) -> bool:
        """Remove all rows of a user, and the alias lines of all domains that forward to it."""
        address = f"{name}@{domain}"
        with self._change() as db:
            for line in (address, f"&{address}"):
                db.execute(delete(VALIAS).where(dialect.same(db, VALIAS.c.valias_line, line)))
            for rows, named, of in _USER_ROWS:
                db.execute(delete(rows).where(dialect.same(db, named, name), of == domain))
            for others, key in _others(db):
                db.execute(delete(others).where(dialect.same(db, key, address)))
            gone = [
                db.execute(
                    delete(rows).where(
                        dialect.same(db, rows.c.pw_name, name), rows.c.pw_domain == domain
                    )
                ).rowcount
                for rows in (INDIMAIL, INDIBAK)
            ]
        return any(gone)

    def move_user(self, name: str, domain: str, new_name: str, directory: str) -> bool:
        """Let all rows of a user say another name and home; False: no such user."""
        old, new = f"{name}@{domain}", f"{new_name}@{domain}"
        with self._change() as db:
            found = _held(db, name, domain)
            if found is None:
                return False
            values = {"pw_name": new_name, "pw_dir": directory}
            rows = _table(found)
            db.execute(_of(update(rows), rows, found).values(values))
            if new_name != name:
                for rows, named, of in _USER_ROWS:
                    if rows is not VALIAS:
                        db.execute(delete(rows).where(named == new_name, of == domain))
                        here = update(rows).where(dialect.same(db, named, name), of == domain)
                        db.execute(here.values(_renamed(rows, named, new_name)))
                for alias, _, line in list(db.execute(_ALIASES, {"name": name, "domain": domain})):
                    if alias == name:
                        _alias_removed(db, _alias_columns(name, domain, line))
                        _inserted(db, VALIAS, _alias_columns(new_name, domain, line))
                for others, key in _others(db):
                    here = update(others).where(dialect.same(db, key, old))
                    db.execute(here.values({key.name: new}))
            _move_lines(
                db, lambda line: new if line == old else line, [(found.directory, directory)]
            )
            return True

    def remove_domain(self, domain: str) -> None:
        """Remove all rows of a domain; the lines of others that forward to its users too."""
        at = f"@{domain}"
        with self._change() as db:
            to_it = _ALIAS_LINES.where(VALIAS.c.valias_line.like(f"%{_escaped(at)}", escape="!"))
            for name, of_domain, line in list(db.execute(to_it)):
                if line.endswith(at) and not line.startswith("|"):
                    _alias_removed(db, _alias_columns(name, of_domain, line))
            for rows, of in _domain_rows(db):
                db.execute(delete(rows).where(of == domain))
            db.execute(delete(ALIASDOMAIN).where(ALIASDOMAIN.c.domain == domain))
            for others, key, text in _others_of(db, domain):
                db.execute(delete(others).where(dialect.same(db, key, text)))

    def rename_domain(self, domain: str, new: str, folders: Sequence[tuple[str, str]]) -> None:
        """Let all rows of a domain say another one, and the lines of others that forward to it."""
        at = f"@{domain}"
        with self._change() as db:
            for rows in (INDIMAIL, INDIBAK):
                here = select(rows.c.pw_name, rows.c.pw_dir).where(rows.c.pw_domain == domain)
                for name, path in list(db.execute(here)):
                    db.execute(
                        update(rows)
                        .where(rows.c.pw_name == name, rows.c.pw_domain == domain)
                        .values(pw_dir=moved_path(path, folders))
                    )
            for rows, of in _domain_rows(db):
                if db.execute(select(of).where(of == domain).limit(1)).first() is None:
                    continue  # it is done; what is there of the new name stays
                db.execute(delete(rows).where(of == new))
                db.execute(update(rows).where(of == domain).values(_renamed(rows, of, new)))
            db.execute(update(ALIASDOMAIN).where(ALIASDOMAIN.c.domain == domain).values(domain=new))
            for others, key, text in _others_of(db, domain):
                renamed = f"{text[: -len(domain)]}{new}"
                old = update(others).where(dialect.same(db, key, text))
                db.execute(old.values({key.name: renamed}))
            _move_lines(
                db,
                lambda line: f"{line.removesuffix(at)}@{new}" if line.endswith(at) else line,
                folders,
            )

    def alias_domains(self, domain: str) -> list[str]:
        """Return the alias domains that stand for a domain, sorted."""
        return sorted(str(row[0]) for row in self._read(_ALIAS_DOMAINS, domain=domain))

    def remove_alias_domain(self, alias: str) -> bool:
        """Let `alias` stand for nothing; False where it did not."""
        with self._change() as db:
            here = delete(ALIASDOMAIN).where(ALIASDOMAIN.c.alias == alias)
            return bool(db.execute(here).rowcount)

    def address_domains(self) -> list[tuple[str, str]]:
        """Return local IP address and default domain, sorted."""
        query = select(IP_ALIAS_MAP.c.ipaddr, IP_ALIAS_MAP.c.domain)
        return sorted((str(row[0]), str(row[1])) for row in self._read(query))

    def map_address(self, address: str, domain: str) -> None:
        """Give a local IP address a default domain; an empty one takes it away."""
        with self._change() as db:
            if domain:
                values = {"ipaddr": address, "domain": domain}
                dialect.upsert(db, IP_ALIAS_MAP, values, replace=["domain"])
            else:
                db.execute(delete(IP_ALIAS_MAP).where(IP_ALIAS_MAP.c.ipaddr == address))

    def record_event(self, account: Account, event: LastEvent) -> None:
        """Keep `event` as the last one of its service (table lastauth)."""
        with self._change() as db:
            dialect.upsert(db, LASTAUTH, _event_columns(account, event), replace=_OF_EVENT)

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


def _taken(db: Connection, accounts: Sequence[Account]) -> set[str]:
    """Return the addresses of those that are there, active or not."""
    names = [account.name for account in accounts]
    domains = {account.domain for account in accounts}
    found: set[str] = set()
    for rows in (INDIMAIL, INDIBAK):
        here = select(rows.c.pw_name, rows.c.pw_domain).where(
            rows.c.pw_name.in_(names), rows.c.pw_domain.in_(domains)
        )
        found |= {f"{row[0]}@{row[1]}" for row in db.execute(here)}
    return found


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


def _event_columns(account: Account, event: LastEvent) -> dict[str, Any]:
    return {
        "user": account.name,
        "domain": account.domain,
        "service": event.service,
        "remote_ip": event.remote_ip,
        "quota": 0,
        "gecos": account.gecos,
        "timestamp": datetime.fromtimestamp(event.time, UTC).replace(tzinfo=None),
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


def _domain_rows(db: Connection) -> Iterator[tuple[Any, Any]]:
    """Yield the tables that have rows of domains, with the column that names one."""
    for rows in (INDIMAIL, INDIBAK):
        yield rows, rows.c.pw_domain
    for rows, _, of in _USER_ROWS:
        yield rows, of
    yield IP_ALIAS_MAP, IP_ALIAS_MAP.c.domain
    for name in inspect(db).get_table_names():
        if name.startswith("dir_control"):
            counters = table(name, column("domain"))
            yield counters, counters.c.domain


def _others(db: Connection) -> Iterator[tuple[Any, Any]]:
    """Yield the tables of IndiMail that are there and not ours, with the column of the address."""
    names = set(inspect(db).get_table_names())
    for name, key in OTHERS.items():
        if name in names:
            rows = table(name, column(key))
            yield rows, rows.c[key]


def _others_of(db: Connection, domain: str) -> Iterator[tuple[Any, Any, str]]:
    """Yield such a table, its column and a text in it: the domain, or an address in it."""
    for others, key in _others(db):
        ends = key.like(f"%{_escaped(domain)}", escape="!")
        for (text,) in list(db.execute(select(key).where(ends).distinct())):
            if text == domain or text.endswith(f"@{domain}"):
                yield others, key, text


def _renamed(rows: Any, named: Any, new: str) -> dict[str, Any]:  # noqa: ANN401 - table, column
    """Return what an update sets; the time in lastauth is that of the event, and stays."""
    kept = {"timestamp": LASTAUTH.c.timestamp} if rows is LASTAUTH else {}
    return {named.name: new, **kept}


def _move_lines(
    db: Connection, moved: Callable[[str], str], folders: Sequence[tuple[str, str]]
) -> None:
    """Change the alias lines that forward to what moved, or name a path in it."""
    for name, domain, line in list(db.execute(_ALIAS_LINES)):
        address = line.removeprefix("&")
        new = moved(address)
        changed = moved_line(line, {} if new == address else {address: new}, folders)
        if changed != line:
            _alias_removed(db, _alias_columns(name, domain, line))
            _inserted(db, VALIAS, _alias_columns(name, domain, changed))


def _escaped(text: str) -> str:
    """Return a text as it stands in a pattern of LIKE with the escape ``!``."""
    return re.sub(r"([!%_])", r"!\1", text)


def _levels(bucket: str) -> dict[str, int]:
    digits = bucket.split("/") if bucket else []
    places = [*map(ALPHABET.index, digits), *[0] * (LEVELS - len(digits))]
    return {"level_cur": len(digits), **{f"level_index{at}": n for at, n in enumerate(places)}}
