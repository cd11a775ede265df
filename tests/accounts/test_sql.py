"""What only the SQL adapter promises: files, the schema and its versions, errors that tell nothing."""

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, inspect, text

from databases import PASSWORD, SERVERS, admin, database, name_of
from indimail.accounts.dialect import normal
from indimail.accounts.port import Account, AliasLine, LastEvent
from indimail.accounts.postgresql import BoundedConnection
from indimail.accounts.schema import VERSION
from indimail.accounts.sql import SqlAccounts, sqlite_url
from indimail.mail.errors import AccountsUnavailable
from indimail.mail.secret import Secret

ALICE = Account("alice", "example.com", Secret("$5$salt$hash"))
OURS = {
    "indimail", "indibak", "valias", "lastauth", "userquota", "aliasdomain", "ip_alias_map",
    "indimail_schema",
}  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "indimail.db")


class Database:
    """A database, and a look at it beside the adapter."""

    def __init__(self, kind: str, url: str) -> None:
        self.kind = kind
        self.url = url
        self._engine = create_engine(normal(url))
        self._opened: list[SqlAccounts] = []

    def accounts(self) -> SqlAccounts:
        self._opened.append(SqlAccounts(self.url))
        return self._opened[-1]

    def ask(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements; return the rows of the last one."""
        with self._engine.begin() as db:
            results = [db.execute(text(statement)) for statement in statements]
            return [tuple(row) for row in results[-1]] if results[-1].returns_rows else []

    @property
    def tables(self) -> set[str]:
        return set(inspect(self._engine).get_table_names())

    def indexes(self, table: str) -> set[str]:
        return {str(index["name"]) for index in inspect(self._engine).get_indexes(table)}

    def close(self) -> None:
        for accounts in self._opened:
            accounts.close()
        self._engine.dispose()


@pytest.fixture(params=["sqlite", *SERVERS])
def db(request: pytest.FixtureRequest, path: str) -> Iterator[Database]:
    made = contextlib.nullcontext(sqlite_url(path))
    with made if request.param == "sqlite" else database(request.param) as url:
        opened = Database(request.param, url)
        yield opened
        opened.close()


def at_once(work: Callable[[], object], count: int) -> None:
    """Run it on some threads, and raise what went wrong on any."""
    failures: list[Exception] = []

    def run() -> None:
        try:
            work()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


# -- SQLite ------------------------------------------------------------------------------------


def test_the_file_is_for_its_owner_alone(path: str) -> None:
    SqlAccounts(sqlite_url(path)).find("alice", "example.com")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_the_tables_have_indimails_names_and_lengths(path: str) -> None:
    accounts = SqlAccounts(sqlite_url(path))
    accounts.set_homes("/home", "T2Zsym", "example.com", 1, "")
    with sqlite3.connect(path) as db:
        tables = {row[0] for row in db.execute("select name from sqlite_master where type='table'")}
        columns = [row[1:3] for row in db.execute("pragma table_info(indimail)")]
    assert tables >= OURS
    assert "dir_control_home_T2Z" in tables
    assert columns[:9] == [
        ("pw_name", "VARCHAR(40)"),
        ("pw_domain", "VARCHAR(67)"),
        ("pw_passwd", "VARCHAR(128)"),
        ("pw_uid", "INTEGER"),
        ("pw_gid", "INTEGER"),
        ("pw_gecos", "VARCHAR(48)"),
        ("pw_dir", "VARCHAR(156)"),
        ("pw_shell", "VARCHAR(30)"),
        ("scram", "VARCHAR(255)"),
    ]


def test_sqlite_syncs_every_commit_and_keeps_the_rollback_journal(path: str) -> None:
    accounts = SqlAccounts(sqlite_url(path))
    with accounts._ready().connect() as db:
        assert db.exec_driver_sql("pragma synchronous").scalar() == 3  # EXTRA
        assert db.exec_driver_sql("pragma journal_mode").scalar() == "delete"


def test_a_change_is_alone_from_its_first_look_on(path: str) -> None:
    accounts = SqlAccounts(sqlite_url(path))
    with accounts._change() as db, contextlib.closing(sqlite3.connect(path, timeout=0)) as other:
        db.exec_driver_sql("select count(*) from indimail")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("begin immediate")


def test_a_missing_folder_is_accounts_unavailable_and_mends(tmp_path: Path) -> None:
    accounts = SqlAccounts(sqlite_url(str(tmp_path / "later" / "indimail.db")))
    with pytest.raises(AccountsUnavailable):
        accounts.find("alice", "example.com")
    (tmp_path / "later").mkdir()
    assert accounts.find("alice", "example.com") is None


def test_a_broken_file_is_accounts_unavailable(path: str) -> None:
    Path(path).write_bytes(b"no database " * 100)
    with pytest.raises(AccountsUnavailable):
        SqlAccounts(sqlite_url(path)).find("alice", "example.com")


def test_what_is_stored_is_not_in_an_error(path: str) -> None:
    """Nor in what the error came of, which a log may show."""
    accounts = SqlAccounts(sqlite_url(path))
    accounts.add(ALICE)
    with sqlite3.connect(path) as db:
        db.executescript(
            "create trigger full before update on indimail begin select raise(fail, 'full'); end;"
            "create trigger gone before insert on indimail begin select raise(fail, 'full'); end;"
        )
    secrets = Secret("$6$s3cret"), Secret("{CRAM}s3cret")
    for change in (
        lambda: accounts.set_password("alice", "example.com", *secrets),
        lambda: accounts.modify(
            "alice", "example.com", lambda row: replace(row, password=secrets[0])
        ),
    ):
        with pytest.raises(AccountsUnavailable, match="full") as raised:
            change()
        assert "s3cret" not in "".join(traceback.format_exception(raised.value))


def test_sqlite_needs_no_driver_of_a_server() -> None:
    program = (
        "import sys; from indimail.accounts.sql import SqlAccounts\n"
        "SqlAccounts('sqlite:////nowhere/x')\n"
        "print({'pymysql', 'psycopg'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b"set()\n"


# -- every database ----------------------------------------------------------------------------


def test_a_change_is_seen_by_another_connection(db: Database) -> None:
    ours, others = db.accounts(), db.accounts()
    assert others.find("alice", "example.com") is None
    ours.add(ALICE)
    assert others.find("alice", "example.com") == ALICE


def test_writers_at_once_leave_the_last_event(db: Database) -> None:
    accounts = db.accounts()
    accounts.add(ALICE)
    event = LastEvent("deli", 1_795_000_000, "192.0.2.1")
    at_once(lambda: [accounts.record_event(ALICE, event) for _ in range(5)], 4)
    assert accounts.events("alice", "example.com") == [event]


def test_a_user_is_locked_once_by_deliveries_at_once(db: Database) -> None:
    accounts = db.accounts()
    accounts.add(ALICE)
    locked: list[bool] = []
    at_once(lambda: locked.append(accounts.lock_for_quota("alice", "example.com", 5)), 4)
    assert sorted(locked) == [False, False, False, True]


def test_the_first_homes_of_a_group_are_counted_by_commands_at_once(db: Database) -> None:
    accounts = db.accounts()
    at_once(lambda: accounts.set_homes("/home", "A2E", "example.com", 101, "0"), 4)
    assert accounts.homes("/home", "A2E", "example.com") == (101, "0")


def test_rows_of_indimail_that_we_do_not_read_go_with_their_user_and_domain(db: Database) -> None:
    db.ask(
        "create table vfilter (emailid varchar(107))",
        "create table vlimits (domain varchar(67))",
        *(
            f"insert into vfilter values ('{address}')"
            for address in ("alice@example.com", "bob@example.com", "bob@xample.com")
        ),
        "insert into vlimits values ('example.com')",
    )
    accounts = db.accounts()
    accounts.add(ALICE)
    look = "select emailid from vfilter union select domain from vlimits order by 1"
    assert accounts.move_user("alice", "example.com", "zoe", "/mail/zoe")
    accounts.rename_domain("example.com", "example.org", [])
    assert db.ask(look) == [
        ("bob@example.org",), ("bob@xample.com",), ("example.org",), ("zoe@example.org",)
    ]  # fmt: skip
    assert accounts.remove_user("zoe", "example.org")
    accounts.remove_domain("example.org")
    assert db.ask(look) == [("bob@xample.com",)]


@pytest.mark.parametrize("kind", SERVERS)
def test_what_is_too_long_is_refused_and_not_cut(kind: str) -> None:
    """SQLite knows no length."""
    with database(kind) as url:
        accounts = SqlAccounts(url)
        with pytest.raises(AccountsUnavailable):
            accounts.add(Account("alice", "example.com", Secret("h" * 129)))
        assert accounts.users("example.com") == []
        accounts.close()


def test_an_error_tells_neither_the_databases_password_nor_a_users(db: Database) -> None:
    accounts = db.accounts()
    accounts.add(ALICE)
    db.ask("drop table indibak")
    with pytest.raises(AccountsUnavailable) as raised:
        accounts.set_password("alice", "example.com", Secret("$5$new"), Secret("{CRAM}x"))
    texts = [str(raised.value), str(raised.value.__cause__)]
    assert "indibak" in texts[0]
    for secret in ("$5$new", "{CRAM}x", PASSWORD, "geheim"):
        assert not any(secret in text for text in texts), texts


@pytest.mark.parametrize("kind", SERVERS)
def test_a_login_that_is_refused_is_told_without_its_password(kind: str) -> None:
    with database(kind) as url:
        stranger = SqlAccounts(url.replace(f"//{name_of(url)}:", "//nobody_here:"))
        with pytest.raises(AccountsUnavailable) as raised:
            stranger.find("alice", "example.com")
        assert "//nobody_here:***@127.0.0.1" in str(raised.value)
        assert "geheim" not in f"{raised.value} {raised.value.__cause__}"


@pytest.mark.parametrize(
    ("query", "mode"), [("?sslmode=require", "disable"), ("?sslcert=/etc/client.pem", None)]
)
def test_postgresqls_tls_does_not_depend_on_a_home(
    query: str, mode: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home that may not be read made libpq give up TLS, or the connection."""
    given: list[dict[str, Any]] = []

    def connect(**options: Any) -> None:
        given.append(options)
        raise OSError("no server")

    monkeypatch.setattr(BoundedConnection, "connect", connect)
    with pytest.raises(AccountsUnavailable):
        SqlAccounts(f"postgresql://u:x@127.0.0.1/x{query}").find("alice", "example.com")
    assert given[0].get("sslcertmode") == mode


# -- the schema --------------------------------------------------------------------------------


def test_an_empty_database_gets_the_tables_whoever_asks_first(db: Database) -> None:
    at_once(lambda: db.accounts().find("alice", "example.com"), 6)
    assert db.tables == OURS
    assert db.ask("select version from indimail_schema") == [(VERSION,)]
    assert "valias_lines" in db.indexes("valias")


@pytest.mark.parametrize("kind", SERVERS)
def test_a_database_that_is_missing_is_made_with_its_tables(kind: str) -> None:
    with database(kind) as url:
        with admin(kind) as ask:
            ask(f"DROP DATABASE {name_of(url)}")
            if kind == "postgresql":
                ask(f"ALTER ROLE {name_of(url)} CREATEDB")
        accounts = SqlAccounts(url)
        with pytest.raises(AccountsUnavailable):
            accounts.find("alice", "example.com")
        accounts.make_tables()
        assert accounts.add(ALICE)
        accounts.close()


def test_a_newer_schema_is_refused_and_not_touched(db: Database) -> None:
    db.accounts().add(ALICE)
    db.ask(f"update indimail_schema set version = {VERSION + 1}", "drop table lastauth")
    with pytest.raises(AccountsUnavailable) as raised:
        db.accounts().find("alice", "example.com")
    assert f"schema version {VERSION + 1} is newer than {VERSION}" in str(raised.value)
    assert "lastauth" not in db.tables


def make_older(db: Database) -> None:
    """Leave what version 1 had, and a user and an alias in it."""
    accounts = db.accounts()
    accounts.add(ALICE)
    accounts.add_alias("list", "example.com", "&alice@example.com")
    accounts.close()
    where = " on valias" if db.kind == "mariadb" else ""
    db.ask(f"drop index valias_lines{where}")
    if db.kind == "sqlite":  # from before there were versions
        db.ask("drop table indimail_schema")
    else:
        db.ask("update indimail_schema set version = 1")


def test_an_older_schema_is_migrated_after_a_copy(db: Database) -> None:
    make_older(db)
    at_once(lambda: db.accounts().find("alice", "example.com"), 3)
    assert db.ask("select version from indimail_schema") == [(VERSION,)]
    assert "valias_lines" in db.indexes("valias")
    accounts = db.accounts()
    assert accounts.find("alice", "example.com") == ALICE
    assert accounts.aliases_to("alice@example.com") == [
        AliasLine("list", "example.com", "&alice@example.com")
    ]
    if db.kind == "sqlite":
        copy = f"{db.url.removeprefix('sqlite:///')}.version1"
        assert stat.S_IMODE(os.stat(copy).st_mode) == 0o600
        with contextlib.closing(sqlite3.connect(copy)) as old:
            assert old.execute("select pw_name from indimail").fetchall() == [("alice",)]
            assert old.execute("pragma index_list(valias)").fetchall()[1:] == []
    else:
        assert db.ask("select pw_name from indimail_version1") == [("alice",)]
        assert db.ask("select valias_line from valias_version1") == [("&alice@example.com",)]


def test_a_migration_that_was_cut_short_is_ended_and_keeps_its_copy(db: Database) -> None:
    """As after a crash behind the first change: the copy is of before, whatever came since."""
    make_older(db)
    db.accounts().find("alice", "example.com")
    db.ask("delete from valias")
    if db.kind == "sqlite":
        db.ask("drop table indimail_schema")
    else:
        db.ask("update indimail_schema set version = 1")
    db.accounts().find("alice", "example.com")
    assert db.ask("select version from indimail_schema") == [(VERSION,)]
    if db.kind == "sqlite":
        copy = f"{db.url.removeprefix('sqlite:///')}.version1"
        with contextlib.closing(sqlite3.connect(copy)) as old:
            assert old.execute("select count(*) from valias").fetchall() == [(1,)]
    else:
        assert db.ask("select count(*) from valias_version1") == [(1,)]


# As IndiMail makes them (spec/delivery.md 1.3): fixed lengths, compared without case.
CHANGED = "timestamp timestamp not null default current_timestamp on update current_timestamp"
USERS = (
    "(pw_name char(40) not null, pw_domain char(67) not null, pw_passwd char(128) not null,"
    " pw_uid int not null, pw_gid int not null, pw_gecos char(48) not null,"
    " pw_dir char(156) not null, pw_shell char(30) not null, scram char(255),"
    f" {CHANGED}, primary key (pw_name, pw_domain), index pw_gecos (pw_gecos(25)),"
    " index pw_uid (pw_uid)) default charset=latin1"
)
INDIMAILS = [
    f"create table indimail {USERS}",
    f"create table indibak {USERS}",
    "create table valias (alias char(40) not null, domain char(67) not null,"
    f" valias_line char(190) not null, {CHANGED}, unique index (alias, domain, valias_line),"
    " index (alias, domain)) default charset=latin1",
    "create table lastauth (user char(40) not null, domain char(67) not null,"
    " service char(10) not null, remote_ip char(46) not null, quota int not null,"
    f" gecos char(48) not null, {CHANGED}, primary key (user, domain, service))"
    " default charset=latin1",
    "create table userquota (user char(40) not null, domain char(67) not null,"
    f" quota bigint unsigned not null, {CHANGED}, primary key (user, domain))"
    " default charset=latin1",
    "insert into indimail (pw_name, pw_domain, pw_passwd, pw_uid, pw_gid, pw_gecos, pw_dir,"
    " pw_shell, scram) values ('alice', 'example.com', '$5$salt$hash', 0, 2, 'Alice',"
    " '/mail/A2E/example.com/alice', '50000000S,1000C', null)",
    "insert into valias (alias, domain, valias_line) values"
    " ('abuse', 'example.com', '&postmaster@example.com')",
]


@pytest.mark.interop
def test_a_database_that_indimail_made_is_read_and_written_as_it_is() -> None:
    with database("mariadb") as url:
        db = Database("mariadb", url)
        db.ask(*INDIMAILS)
        names = ("indimail", "indibak", "valias", "lastauth", "userquota")
        before = {name: db.ask(f"show create table {name}") for name in names}
        accounts = db.accounts()
        alice = accounts.find("alice", "example.com")
        assert alice is not None
        assert (alice.quota, alice.flags, alice.active) == ("50000000S,1000C", 2, True)
        assert accounts.aliases("abuse", "example.com") == ["&postmaster@example.com"]
        for stranger in ("Alice", "\u00e1lice", "alice ", "\u8c37\u6b4c", "\U0001f600"):
            assert accounts.find(stranger, "example.com") is None
            assert accounts.aliases(stranger, "example.com") == []
        accounts.add_alias("sales", "example.com", "&alice@example.com")
        for stranger in ("Alice", "\u00e1lice", "alice "):
            assert not accounts.remove_user(stranger, "example.com")
            assert not accounts.move_user(stranger, "example.com", "zoe", "/mail/zoe")
        accounts.remove_domain("xample.com")
        assert accounts.find("alice", "example.com") == alice
        assert accounts.aliases("sales", "example.com") == ["&alice@example.com"]
        assert accounts.lock_for_quota("alice", "example.com", 777)
        event = LastEvent("pass", 1_795_000_000, "192.0.2.1")
        accounts.record_event(alice, event)
        accounts.record_event(alice, event)
        assert accounts.events("alice", "example.com") == [event]
        assert db.ask("select unix_timestamp(timestamp) from lastauth") == [(1_795_000_000,)]
        with accounts._ready().connect() as session:  # whatever the zone of the server
            assert session.execute(text("select @@time_zone")).scalar() == "+00:00"
        assert db.ask("select pw_gid from indimail") == [(0x12,)]
        assert db.ask("select quota from userquota") == [(777,)]
        accounts.set_homes("/home", "A2E", "example.com", 101, "0")
        assert accounts.homes("/home", "A2E", "example.com") == (101, "0")
        assert {name: db.ask(f"show create table {name}") for name in names} == before
        assert db.tables == OURS | {"dir_control_home_A2E"}
        db.close()


@pytest.mark.interop
def test_a_change_by_indimail_of_a_table_that_we_made_has_its_time() -> None:
    """Its statements do not name the column."""
    with database("mariadb") as url:
        db = Database("mariadb", url)
        db.accounts().add(ALICE)
        db.ask("update indimail set timestamp = '2001-01-01'", "update indimail set pw_gecos = 'A'")
        assert db.ask("select year(timestamp) > 2001 from indimail") == [(1,)]
        db.close()
