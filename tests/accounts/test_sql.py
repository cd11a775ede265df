"""What only the SQL adapter promises: files, writers at once, errors that tell nothing."""

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from databases import PASSWORD, SERVERS, Database, at_once, database, name_of
from indimail.accounts.port import Account, LastEvent
from indimail.accounts.postgresql import BoundedConnection
from indimail.accounts.sql import SqlAccounts, sqlite_url
from indimail.mail.errors import AccountsUnavailable
from indimail.mail.secret import Secret

ALICE = Account("alice", "example.com", Secret("$5$salt$hash"))

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
    with accounts.database.engines().changing.connect() as db:
        assert db.exec_driver_sql("pragma synchronous").scalar() == 3  # EXTRA
        assert db.exec_driver_sql("pragma journal_mode").scalar() == "delete"


def test_a_change_is_alone_from_its_first_look_on(path: str) -> None:
    def change(db: Connection) -> None:
        db.exec_driver_sql("select count(*) from indimail")
        other = sqlite3.connect(path, timeout=0)
        with contextlib.closing(other), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("begin immediate")

    SqlAccounts(sqlite_url(path)).database.change(change)


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
    db.ask("alter table indibak rename column scram to other")
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
