"""A database of another system: read as it is, and never written."""

import contextlib
import os
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from databases import PASSWORD, SERVERS, database
from indimail.accounts.engines import normal
from indimail.accounts.foreign import ForeignTables
from indimail.mail.errors import AccountsUnavailable

ROWS = [
    {"pw_name": "alice", "pw_domain": "example.com", "pw_gecos": "Jürgen", "pw_gid": 2},
    {"pw_name": "bob", "pw_domain": "example.com", "pw_gecos": None, "pw_gid": 0},
]


@pytest.fixture(params=["sqlite", *SERVERS])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    kind = request.param
    made = contextlib.nullcontext(f"sqlite:///{tmp_path}/old.db")
    with made if kind == "sqlite" else database(kind) as url:
        latin1 = " ENGINE=InnoDB DEFAULT CHARSET=latin1" if kind == "mariadb" else ""
        ask(
            url,
            "create table vpopmail (pw_name char(32) not null, pw_domain char(96) not null,"
            f" pw_gecos char(48), pw_gid int, primary key (pw_name, pw_domain)){latin1}",
            "insert into vpopmail values ('bob', 'example.com', null, 0)",
            "insert into vpopmail values ('alice', 'example.com', 'Jürgen', 2)",
        )
        yield url


def ask(url: str, *statements: str) -> None:
    engine = create_engine(normal(url))
    with engine.begin() as db:
        for statement in statements:
            db.execute(text(statement))
    engine.dispose()


def test_rows_come_by_their_first_columns_without_filling_blanks(url: str) -> None:
    with contextlib.closing(ForeignTables(url)) as tables:
        assert "vpopmail" in tables.names
        assert tables.columns("vpopmail") == list(ROWS[0])
        assert tables.rows("vpopmail") == ROWS
        assert tables.count("vpopmail") == 2
        assert (tables.rows("valias"), tables.columns("valias"), tables.count("valias")) == (
            [],
            [],
            0,
        )


def test_the_server_itself_refuses_to_write(url: str) -> None:
    with contextlib.closing(ForeignTables(url)) as tables:
        for statement in (
            "insert into vpopmail values ('eve', 'example.com', '', 0)",
            "delete from vpopmail",
            "create table x (y int)",
        ):
            with pytest.raises(AccountsUnavailable, match=r"(?i)read.?only"), tables._errors():
                tables._db.execute(text(statement))
            tables._db.rollback()
        assert tables.count("vpopmail") == 2


@pytest.mark.parametrize(
    "url", SERVERS, indirect=True
)  # a reader of a SQLite file excludes writers
def test_what_is_changed_meanwhile_is_not_seen_by_half(url: str) -> None:
    with contextlib.closing(ForeignTables(url)) as tables:
        assert tables.count("vpopmail") == 2
        ask(url, "delete from vpopmail")
        assert tables.rows("vpopmail") == ROWS


def test_a_file_is_opened_for_reading_alone_and_not_made(tmp_path: Path) -> None:
    path = tmp_path / "it's 100% old.db"
    with pytest.raises(AccountsUnavailable, match="unable to open"):
        ForeignTables(f"sqlite:///{path}").rows("x")
    assert not path.exists()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("create table x (y text)")
        db.execute("insert into x values (cast(x'ff61' as text))")
        db.commit()
    path.chmod(stat.S_IRUSR)
    before = os.stat(path).st_mtime_ns, sorted(os.listdir(tmp_path))
    with contextlib.closing(ForeignTables(f"sqlite:///{path}")) as tables:
        assert tables.rows("x") == [{"y": "\udcffa"}]
    assert (os.stat(path).st_mtime_ns, sorted(os.listdir(tmp_path))) == before


def test_a_database_that_is_not_there_is_told_without_its_password() -> None:
    with pytest.raises(AccountsUnavailable) as raised:
        ForeignTables("mysql://vpopmail:geheim@127.0.0.1:1/vpopmail")
    assert "vpopmail:***@127.0.0.1" in str(raised.value)
    assert PASSWORD not in str(raised.value)
    assert "geheim" not in str(raised.value)
