"""All rows as lines: of one moment, and the same in every database."""

import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from databases import SERVERS, database
from indimail.accounts.port import Account, Flag, LastEvent
from indimail.accounts.rows import COUNTERS, Row, count, load, snapshot
from indimail.accounts.sql import SqlAccounts, sqlite_url
from indimail.mail.errors import AccountsUnavailable
from indimail.mail.secret import Secret

KINDS = ["sqlite", *SERVERS]
CHAIN = ["sqlite", "mariadb", "postgresql", "sqlite"]
ALICE = Account("alice", "example.com", Secret("hash"), 7, Flag.NO_POP, "Ålice", "/m/alice", "5M",
                scram=Secret("{CRAM}x"))  # fmt: skip
BOB = replace(ALICE, name="bob", active=False, scram=Secret(""), directory="/m/bob")


@contextmanager
def made(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield sqlite_url(f"{folder}/{os.urandom(4).hex()}.db")
    else:
        with database(kind) as url:
            yield url


def fill(url: str) -> None:
    accounts = SqlAccounts(url)
    accounts.add(ALICE)
    accounts.add(BOB)
    accounts.add_alias("sales", "example.com", "&alice@example.com")
    accounts.add_alias_domain("example.net", "example.com")
    accounts.record_event(ALICE, LastEvent("imap", 1_700_000_000, "192.0.2.1"))
    accounts.set_userquota("alice", "example.com", 1 << 40)
    accounts.map_address("192.0.2.1", "example.com")
    accounts.set_homes("/old", "A2E", "example.com", 2, "0/1")
    accounts.set_homes("/older", "A2E", "example.com", 1, "Z")
    accounts.close()


def dumped(url: str, folder: Path) -> list[bytes]:
    with snapshot(url, str(folder)) as rows:
        return list(rows.lines())


def without_counters(lines: list[bytes]) -> list[bytes]:
    """Return the rows but for those that name a file system."""
    return [line for line in lines if b'"dir_control' not in line]


def same(_table: str, row: Row) -> Row:
    return row


@pytest.mark.slow
@pytest.mark.interop
def test_rows_go_from_one_database_to_the_next_and_back(tmp_path: Path) -> None:
    with ExitStack() as stack:
        chain = [stack.enter_context(made(kind, tmp_path)) for kind in CHAIN]
        fill(chain[0])
        first = dumped(chain[0], tmp_path)
        for url, other in pairwise(chain):
            lines = dumped(url, tmp_path)
            loaded = load(other, lambda lines=lines: lines, same, "/new")  # type: ignore[misc]
            assert loaded == count(url) + Counter({COUNTERS: loaded[COUNTERS]})
            assert count(other) == count(url)
    assert without_counters(lines) == without_counters(first)


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    with made("sqlite", tmp_path) as url, made("sqlite", tmp_path) as other:
        fill(url)
        lines = dumped(url, tmp_path)
        loaded = load(other, lambda: lines, same, "/new")
        assert loaded["indimail"] == loaded["indibak"] == loaded["valias"] == 1
        assert without_counters(dumped(other, tmp_path)) == without_counters(lines)
        accounts = SqlAccounts(other)
        assert accounts.users("example.com") == [ALICE, BOB]
        login = LastEvent("imap", 1_700_000_000, "192.0.2.1")
        assert accounts.events("alice", "example.com") == [login]
        assert accounts.homes("/new", "A2E", "example.com") == (3, "0/1")
        accounts.close()


def test_a_line_is_a_row_with_indimails_names(tmp_path: Path) -> None:
    url = sqlite_url(f"{tmp_path}/x.db")
    fill(url)
    line = json.loads(dumped(url, tmp_path)[0])
    assert line["table"] == "aliasdomain"
    assert line["row"].keys() == {"alias", "domain", "timestamp"}
    assert line["row"]["timestamp"][4:5] == "-"


@pytest.mark.parametrize("kind", KINDS)
def test_what_changes_meanwhile_is_not_seen(kind: str, tmp_path: Path) -> None:
    with made(kind, tmp_path) as url:
        fill(url)
        accounts = SqlAccounts(url)
        with snapshot(url, str(tmp_path)) as rows:
            lines = rows.lines()
            first = [next(lines)]
            accounts.add(replace(ALICE, name="carol"))  # nor does it wait for us
            accounts.remove_user("alice", "example.com")
            told = b"\n".join([*first, *lines])
        assert b'"alice"' in told
        assert b'"carol"' not in told
        accounts.close()


def test_a_database_with_rows_is_left_alone(tmp_path: Path) -> None:
    with made("sqlite", tmp_path) as url:
        fill(url)
        before = dumped(url, tmp_path)
        with pytest.raises(AccountsUnavailable, match="expected an empty database"):
            load(url, lambda: before, same, "/")
        assert dumped(url, tmp_path) == before


def test_a_line_that_is_none_leaves_nothing(tmp_path: Path) -> None:
    with made("sqlite", tmp_path) as source, made("sqlite", tmp_path) as url:
        fill(source)
        lines = dumped(source, tmp_path)
        for wrong in (b'{"table": "passwd", "row": {}}', b'{"table": "valias", "row": {"x": 1}}'):
            with pytest.raises(ValueError, match="which"):
                load(url, lambda wrong=wrong: [*lines, wrong], same, "/")  # type: ignore[misc]
            assert not any(count(url).values())


def test_tables_of_others_are_named_and_left_out(tmp_path: Path) -> None:
    url = sqlite_url(f"{tmp_path}/x.db")
    fill(url)
    accounts = SqlAccounts(url)
    with accounts.database.engines().changing.begin() as db:
        db.exec_driver_sql("CREATE TABLE spam (x INTEGER)")
    accounts.close()
    with snapshot(url, str(tmp_path)) as rows:
        assert rows.left_out == ["spam"]


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    url = sqlite_url(f"{tmp_path}/none.db")
    with pytest.raises(AccountsUnavailable, match="no such file"), snapshot(url, str(tmp_path)):
        pass
    assert list(tmp_path.iterdir()) == []
