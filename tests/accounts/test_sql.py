"""What only the SQL adapter promises: the file, the schema, the translation of errors."""

import contextlib
import os
import sqlite3
import stat
import threading
import traceback
from dataclasses import replace
from pathlib import Path

import pytest

from indimail.accounts.port import Account
from indimail.accounts.sql import SqlAccounts, sqlite_url
from indimail.mail.errors import AccountsUnavailable
from indimail.mail.secret import Secret

ALICE = Account("alice", "example.com", Secret("hash"))


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "indimail.db")


def test_the_file_is_for_its_owner_alone(path: str) -> None:
    SqlAccounts(sqlite_url(path)).find("alice", "example.com")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


def test_the_tables_have_indimails_names_and_lengths(path: str) -> None:
    accounts = SqlAccounts(sqlite_url(path))
    accounts.next_directory("/home", "T2Zsym", "example.com", 100)
    with sqlite3.connect(path) as db:
        tables = {row[0] for row in db.execute("select name from sqlite_master where type='table'")}
        columns = [row[1:3] for row in db.execute("pragma table_info(indimail)")]
    assert tables >= {"indimail", "indibak", "valias", "lastauth", "userquota", "aliasdomain"}
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


def test_a_change_is_seen_by_another_connection(path: str) -> None:
    ours, others = SqlAccounts(sqlite_url(path)), SqlAccounts(sqlite_url(path))
    assert others.find("alice", "example.com") is None
    ours.add(ALICE)
    assert others.find("alice", "example.com") == ALICE


def test_a_change_is_alone_from_its_first_look_on(path: str) -> None:
    accounts = SqlAccounts(sqlite_url(path))
    with accounts._change() as db, contextlib.closing(sqlite3.connect(path, timeout=0)) as other:
        db.exec_driver_sql("select count(*) from indimail")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("begin immediate")


def test_writers_at_once_count_every_home(path: str) -> None:
    def count() -> None:
        accounts = SqlAccounts(sqlite_url(path))
        for _ in range(5):
            accounts.next_directory("/home", "A2E", "example.com", 100)

    threads = [threading.Thread(target=count) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with sqlite3.connect(path) as db:
        assert db.execute("select cur_users from dir_control_home_A2E").fetchall() == [(15,)]


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


def test_a_password_in_the_url_is_not_in_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the path in it is relative
    accounts = SqlAccounts("sqlite+pysqlite://user:s3cret@/x")
    with pytest.raises(AccountsUnavailable) as raised:
        accounts.find("alice", "example.com")
    assert "s3cret" not in str(raised.value)


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
