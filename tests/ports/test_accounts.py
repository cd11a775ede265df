"""One suite for the port `Accounts`, run on every adapter."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.port import Account, Accounts, Flag, LastEvent
from indimail.accounts.sql import SqlAccounts, sqlite_url
from indimail.mail.secret import Secret

ALICE = Account(
    name="alice",
    domain="example.com",
    password=Secret("$5$salt$hash"),
    flags=Flag.NO_POP | Flag.V_OVERRIDE,
    gecos="Alice",
    directory="/mail/A2E/example.com/alice",
    quota="50000000S,1000C",
    scram=Secret("{CRAM}secret"),
)


def memory(_folder: Path) -> Accounts:
    return MemoryAccounts()


def sqlite(folder: Path) -> Accounts:
    return SqlAccounts(sqlite_url(str(folder / "indimail.db")))


@pytest.fixture(params=[memory, sqlite], ids=lambda adapter: adapter.__name__)
def accounts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Accounts]:
    make: Callable[[Path], Accounts] = request.param
    opened = make(tmp_path)
    yield opened
    if isinstance(opened, SqlAccounts):
        opened.close()


def test_an_absent_user_is_none(accounts: Accounts) -> None:
    assert accounts.find("alice", "example.com") is None
    assert accounts.aliases("alice", "example.com") == []
    assert accounts.users("example.com") == []
    assert accounts.events("alice", "example.com") == []


@pytest.mark.parametrize("active", [True, False])
def test_a_user_comes_back_as_added(accounts: Accounts, active: bool) -> None:
    account = replace(ALICE, active=active)
    assert accounts.add(account)
    assert accounts.find("alice", "example.com") == account
    assert accounts.find("alice", "example.org") is None


@pytest.mark.parametrize("active", [True, False])
def test_a_taken_name_stays_as_it_is(accounts: Accounts, active: bool) -> None:
    accounts.add(ALICE)
    assert not accounts.add(replace(ALICE, gecos="another", active=active))
    assert accounts.users("example.com") == [ALICE]


def test_users_are_listed_by_name_with_the_inactive_ones(accounts: Accounts) -> None:
    carol, bob = replace(ALICE, name="carol"), replace(ALICE, name="bob", active=False)
    for account in (carol, ALICE, bob, replace(ALICE, domain="example.org")):
        accounts.add(account)
    assert accounts.users("example.com") == [ALICE, bob, carol]


def test_a_change_replaces_every_field(accounts: Accounts) -> None:
    changed = replace(
        ALICE,
        password=Secret("other"),
        flags=Flag.BOUNCE_MAIL,
        gecos="",
        quota="NOQUOTA",
        active=False,
        scram=Secret(""),
    )
    assert not accounts.modify(ALICE)
    accounts.add(ALICE)
    assert accounts.modify(changed)
    assert accounts.users("example.com") == [changed]


@pytest.mark.parametrize("active", [True, False])
def test_a_password_is_replaced_with_its_scram(accounts: Accounts, active: bool) -> None:
    bob = replace(ALICE, name="bob")
    accounts.add(bob)
    assert not accounts.set_password("alice", "example.com", Secret("new"), Secret(""))
    accounts.add(replace(ALICE, active=active))
    assert accounts.set_password("alice", "example.com", Secret("new"), Secret(""))
    found = accounts.find("alice", "example.com")
    assert found == replace(ALICE, active=active, password=Secret("new"), scram=Secret(""))
    assert accounts.find("bob", "example.com") == bob


def test_alias_lines_come_sorted_and_once(accounts: Accounts) -> None:
    assert accounts.add_alias("abuse", "example.com", "&postmaster@example.com")
    assert accounts.add_alias("abuse", "example.com", "&alice@example.com")
    assert not accounts.add_alias("abuse", "example.com", "&alice@example.com")
    assert accounts.aliases("abuse", "example.com") == [
        "&alice@example.com",
        "&postmaster@example.com",
    ]
    assert accounts.aliases("abuse", "example.org") == []


def test_an_alias_domain_stands_for_its_real_one(accounts: Accounts) -> None:
    assert accounts.add_alias_domain("example.net", "example.com")
    assert not accounts.add_alias_domain("example.net", "example.org")
    assert accounts.real_domain("example.net") == "example.com"
    assert accounts.real_domain("example.com") == "example.com"


def test_buckets_advance_at_each_full_level(accounts: Accounts) -> None:
    buckets = [accounts.next_directory("/home", "A2E", "example.com", 3) for _ in range(7)]
    assert buckets == ["", "", "0", "0", "0", "1", "1"]
    assert accounts.next_directory("/home", "A2E", "example.org", 3) == ""
    assert accounts.next_directory("/home", "F2K", "example.com", 3) == ""
    assert accounts.next_directory("/", "A2E", "example.com", 1) == "0"


def test_the_last_event_of_each_service_is_kept(accounts: Accounts) -> None:
    accounts.add(ALICE)
    for event in (
        LastEvent("pass", 1_795_000_000, "192.0.2.1"),
        LastEvent("add", 1_795_000_001, ""),
        LastEvent("pass", 1_795_000_002, "2001:db8::1"),
    ):
        accounts.record_event(ALICE, event)
    assert accounts.events("alice", "example.com") == [
        LastEvent("add", 1_795_000_001, ""),
        LastEvent("pass", 1_795_000_002, "2001:db8::1"),
    ]


def test_nothing_in_a_name_becomes_sql(accounts: Accounts) -> None:
    name = "x' or '1'='1"
    assert accounts.find(name, "example.com") is None
    accounts.add(replace(ALICE, name=name))
    accounts.add(ALICE)
    assert accounts.find(name, "example.com") == replace(ALICE, name=name)
