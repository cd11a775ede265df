"""The schema of the accounts: made, adopted, brought up to date, refused; and what is cut short."""

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, event

from databases import SERVERS, Database, admin, at_once, database, name_of
from indimail.accounts import schema
from indimail.accounts.port import Account, AliasLine
from indimail.accounts.schema import OLDEST, VERSION
from indimail.accounts.sql import SqlAccounts, sqlite_url
from indimail.accounts.tables import METADATA
from indimail.mail.errors import AccountsUnavailable
from indimail.mail.secret import Secret

ALICE = Account("alice", "example.com", Secret("$5$salt$hash"))
OURS = {
    "indimail", "indibak", "valias", "lastauth", "userquota", "aliasdomain", "ip_alias_map",
    "vlimits", "bulkmail", "fstab", "relay", "alembic_version",
}  # fmt: skip
NUMBERED = ["create table indimail_schema (version integer not null primary key)"]


def make_older(db: Database, version: str, *, before_alembic: bool = False) -> None:
    """Leave what an older version had, and a user and an alias in it."""
    accounts = db.accounts()
    accounts.add(ALICE)
    accounts.add_alias("list", "example.com", "&alice@example.com")
    accounts.close()
    db.ask(
        *(
            f"drop table {name}"
            for name in ("ip_alias_map", "vlimits", "bulkmail", "fstab", "relay")
        )
    )
    if version == OLDEST:
        db.ask(f"drop index valias_lines{' on valias' if db.kind == 'mariadb' else ''}")
    if not before_alembic:
        db.ask(f"update alembic_version set version_num = '{version}'")
        return
    db.ask("drop table alembic_version")
    if (db.kind, version) != ("sqlite", OLDEST):  # that had no numbers
        db.ask(*NUMBERED, f"insert into indimail_schema values ({int(version)})")


def assert_is_current(db: Database) -> None:
    assert db.ask("select version_num from alembic_version") == [(VERSION,)]
    assert {name for name in db.tables if "_version0" not in name} == OURS
    assert "valias_lines" in db.indexes("valias")
    assert {"indimail_gecos", "indimail_uid"} <= db.indexes("indimail")


def copied(db: Database, version: str, query: str) -> list[tuple[Any, ...]]:
    """Ask the copy of a version; `query` says `{}` behind the names of tables."""
    if db.kind != "sqlite":
        return db.ask(query.format(f"_version{version}"))
    copy = f"{db.url.removeprefix('sqlite:///')}.version{version}"
    assert stat.S_IMODE(os.stat(copy).st_mode) == 0o600
    with contextlib.closing(sqlite3.connect(copy)) as old:
        return old.execute(query.format("")).fetchall()


# -- made and adopted --------------------------------------------------------------------------


def test_an_empty_database_gets_the_tables_whoever_asks_first(db: Database) -> None:
    at_once(lambda: db.accounts().find("alice", "example.com"), 6)
    assert_is_current(db)


def test_the_revisions_are_a_line_to_the_version_and_make_what_is_known(db: Database) -> None:
    directory, revisions = schema._revisions()
    ids = [revision.revision for revision in revisions]
    assert ids == [f"{number:04}" for number in range(1, len(ids) + 1)]
    assert (ids[0], directory.get_current_head()) == (OLDEST, VERSION)
    accounts = db.accounts()
    with accounts.database.engines().changing.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        if db.kind == "mariadb":  # which says all of a table
            made = definitions(db)
            METADATA.drop_all(connection)
            METADATA.create_all(connection)
            assert definitions(db) == made


def definitions(db: Database) -> dict[str, list[str]]:
    """Return what MariaDB says of each table, line by line; its indexes have no order."""
    said = {name: db.ask(f"show create table {name}")[0][1] for name in METADATA.tables}
    return {name: sorted(text.replace(",\n", "\n").splitlines()) for name, text in said.items()}


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


def test_a_table_that_is_missing_fails_nothing(db: Database) -> None:
    """Somebody dropped it while we were at work; it is made again, as IndiMail does."""
    accounts = db.accounts()
    ask: dict[str, Callable[[], object]] = {
        "indimail": lambda: accounts.find("alice", "example.com"),
        "indibak": lambda: accounts.set_password("bob", "example.com", Secret("x"), Secret("")),
        "valias": lambda: accounts.aliases("alice", "example.com"),
        "aliasdomain": lambda: accounts.add_alias_domain("example.net", "example.com"),
        "lastauth": lambda: accounts.remove_user("bob", "example.com"),
        "userquota": lambda: accounts.set_userquota("alice", "example.com", 5),
        "ip_alias_map": lambda: accounts.rename_domain("example.com", "example.org", []),
        "bulkmail": lambda: accounts.remove_bulletin("alice", "example.com", "news"),
        "fstab": accounts.filesystems,
        "relay": lambda: accounts.relay_logins("alice", "example.com"),
        "vlimits": lambda: accounts.limits("", "example.com"),
    }
    assert ask.keys() == METADATA.tables.keys()
    accounts.make_tables()
    for name, question in ask.items():
        db.ask(f"drop table {name}")
        question()
        assert_is_current(db)


# -- older and newer ---------------------------------------------------------------------------


@pytest.mark.parametrize("before_alembic", [True, False])
@pytest.mark.parametrize("version", ["0001", "0002"])
def test_an_older_schema_is_migrated_after_a_copy(
    db: Database, version: str, before_alembic: bool
) -> None:
    make_older(db, version, before_alembic=before_alembic)
    at_once(lambda: db.accounts().find("alice", "example.com"), 3)
    assert_is_current(db)
    accounts = db.accounts()
    assert accounts.find("alice", "example.com") == ALICE
    assert accounts.aliases_to("alice@example.com") == [
        AliasLine("list", "example.com", "&alice@example.com")
    ]
    assert copied(db, version, "select pw_name from indimail{}") == [("alice",)]
    assert copied(db, version, "select valias_line from valias{}") == [("&alice@example.com",)]
    if db.kind == "sqlite" and version == OLDEST:  # it is of before
        assert "valias_lines" not in str(copied(db, version, "pragma index_list(valias)"))


@pytest.mark.parametrize("before_alembic", [True, False])
def test_a_newer_schema_is_refused_and_not_touched(db: Database, before_alembic: bool) -> None:
    db.accounts().add(ALICE)
    db.ask("drop table lastauth")
    if before_alembic:
        db.ask("drop table alembic_version", *NUMBERED, "insert into indimail_schema values (8)")
    else:
        db.ask("update alembic_version set version_num = '0008'")
    with pytest.raises(AccountsUnavailable) as raised:
        db.accounts().find("alice", "example.com")
    assert "schema version 0008 is newer than 0007; nothing was changed" in str(raised.value)
    assert "lastauth" not in db.tables
    assert len({"indimail_schema", "alembic_version"} & db.tables) == 1


class Killed(Exception):
    pass


@contextlib.contextmanager
def killed_before(number: int) -> Iterator[list[str]]:
    """End what works before its nth statement that changes something."""
    done: list[str] = []

    def count(*arguments: Any) -> None:
        statement = arguments[2].strip()
        if not statement.upper().startswith(("SELECT", "SHOW", "DESCRIBE", "PRAGMA", "BEGIN")):
            done.append(statement)
            if len(done) == number:
                raise Killed

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield done
    finally:
        event.remove(Engine, "before_cursor_execute", count)


@pytest.mark.slow
@pytest.mark.parametrize("start", ["nothing", "before alembic"])
def test_what_was_cut_short_anywhere_is_ended_by_the_next(db: Database, start: str) -> None:
    """MariaDB commits each statement; the others go back to where they began."""
    for number in range(1, 100, 1 if db.kind == "mariadb" else 6):
        db.wipe()
        if start != "nothing":
            db.ask(
                "create table valias (alias varchar(40) not null, domain varchar(67) not null,"
                " valias_line varchar(190) not null, timestamp timestamp not null default"
                " current_timestamp, unique (alias, domain, valias_line))",
                "insert into valias (alias, domain, valias_line) values ('a', 'example.com', 'b')",
                *NUMBERED,
                "insert into indimail_schema values (1)",
            )
        with killed_before(number) as done, contextlib.suppress(Killed):
            db.accounts().find("alice", "example.com")
        if len(done) < number:
            assert number > 10
            return
        assert db.accounts().aliases("a", "example.com") == (["b"] if start != "nothing" else [])
        assert_is_current(db)
        if start != "nothing":
            assert copied(db, OLDEST, "select valias_line from valias{}") == [("b",)]
    pytest.fail("it never ended")


def test_a_copy_that_is_there_stays_as_it_is(db: Database) -> None:
    """It is of before, whatever came since."""
    make_older(db, OLDEST)
    db.accounts().find("alice", "example.com")
    db.ask("delete from valias", f"update alembic_version set version_num = '{OLDEST}'")
    db.accounts().find("alice", "example.com")
    assert db.ask("select version_num from alembic_version") == [(VERSION,)]
    assert copied(db, OLDEST, "select count(*) from valias{}") == [(1,)]


# -- what it costs -----------------------------------------------------------------------------


def run(program: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_current_schema_costs_one_look_and_no_alembic(path: str) -> None:
    SqlAccounts(sqlite_url(path)).find("alice", "example.com")
    with killed_before(1) as done:
        statements: list[str] = []

        def keep(*arguments: Any) -> None:
            statements.append(arguments[2])

        event.listen(Engine, "before_cursor_execute", keep)
        SqlAccounts(sqlite_url(path)).real_domain("example.com")
        event.remove(Engine, "before_cursor_execute", keep)
    assert done == []
    asked = [text for text in statements if text.startswith("SELECT")]
    assert len(asked) == 1, asked  # beside the question, which is the driver's
    assert "alembic_version" in asked[0]
    program = (
        "import sys; from indimail.accounts import schema\n"
        "from indimail.accounts.sql import SqlAccounts\n"
        "schema._FOLDER = '/usr/lib'\n"  # which all may read
        "SqlAccounts(sys.argv[1]).find('alice', 'example.com')\n"
        "print('alembic' in sys.modules)"
    )
    assert run(program, sqlite_url(path)) == "False\n"


def test_what_only_root_may_read_is_loaded_while_it_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    monkeypatch.setattr(schema, "_revisions", lambda: loaded.append(schema._FOLDER))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    tmp_path.chmod(0o700)
    for folder in ("/usr/lib", str(tmp_path)):
        monkeypatch.setattr(schema, "_FOLDER", folder)
        schema.load_where_unreadable()
    assert loaded == [str(tmp_path)]


def test_what_was_loaded_reads_nothing_of_the_library_any_more(path: str) -> None:
    """As a worker does, which may not be able to."""
    program = (
        "import builtins, sys\n"
        "from indimail.accounts import schema\n"
        "from indimail.accounts.sql import SqlAccounts\n"
        "accounts = SqlAccounts(sys.argv[1])\n"
        "schema._revisions()\n"
        "class Nothing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        raise ImportError(f'{name} is looked for')\n"
        "sys.meta_path.insert(0, Nothing())\n"
        "schema._FOLDER = '/nowhere'\n"
        "print(accounts.find('alice', 'example.com'))"
    )
    assert run(program, sqlite_url(path)) == "None\n"
