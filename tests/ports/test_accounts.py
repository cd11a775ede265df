"""One suite for the port `Accounts`, run on every adapter and every database."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from databases import SERVERS, database
from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.port import Account, Accounts, AliasLine, Flag, LastEvent
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


@pytest.fixture(params=["memory", "sqlite", *SERVERS])
def accounts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Accounts]:
    match request.param:
        case "memory":
            yield MemoryAccounts()
        case "sqlite":
            yield from opened(sqlite_url(str(tmp_path / "indimail.db")))
        case server:
            with database(server) as url:
                yield from opened(url)


def opened(url: str) -> Iterator[Accounts]:
    accounts = SqlAccounts(url)
    yield accounts
    accounts.close()


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


@pytest.mark.parametrize("active", [True, False])
def test_a_change_replaces_every_field(accounts: Accounts, active: bool) -> None:
    changed = replace(
        ALICE,
        password=Secret("other"),
        flags=Flag.BOUNCE_MAIL,
        gecos="",
        quota="NOQUOTA",
        active=not active,
        scram=Secret(""),
    )
    assert accounts.modify("alice", "example.com", lambda _: changed) is None
    before, bob = replace(ALICE, active=active), replace(ALICE, name="bob")
    accounts.add(before)
    accounts.add(bob)
    seen = []
    assert (
        accounts.modify("alice", "example.com", lambda row: seen.append(row) or changed) == changed
    )
    assert seen == [before]
    assert accounts.users("example.com") == [changed, bob]


def test_a_change_that_fails_changes_nothing(accounts: Accounts) -> None:
    accounts.add(ALICE)

    def fail(_: Account) -> Account:
        raise LookupError

    with pytest.raises(LookupError):
        accounts.modify("alice", "example.com", fail)
    assert accounts.users("example.com") == [ALICE]


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


@pytest.mark.parametrize("active", [True, False])
def test_a_password_is_replaced_only_where_it_still_is_the_one_that_was_read(
    accounts: Accounts, active: bool
) -> None:
    old, new, keys = ALICE.password, Secret("new"), Secret("{CRAM}new")
    alice = replace(ALICE, active=active)
    assert not accounts.set_password("alice", "example.com", new, keys, old=old)
    accounts.add(alice)
    assert not accounts.set_password("alice", "example.com", new, keys, old=Secret("older"))
    assert accounts.find("alice", "example.com") == alice
    assert accounts.set_password("alice", "example.com", new, keys, old=old)
    assert accounts.find("alice", "example.com") == replace(alice, password=new, scram=keys)
    assert not accounts.set_password("alice", "example.com", old, Secret(""), old=old)
    assert accounts.find("alice", "example.com") == replace(alice, password=new, scram=keys)


def test_alias_lines_come_sorted_and_once(accounts: Accounts) -> None:
    assert accounts.add_alias("abuse", "example.com", "&postmaster@example.com")
    assert accounts.add_alias("abuse", "example.com", "&alice@example.com")
    assert not accounts.add_alias("abuse", "example.com", "&alice@example.com")
    assert accounts.aliases("abuse", "example.com") == [
        "&alice@example.com",
        "&postmaster@example.com",
    ]
    assert accounts.aliases("abuse", "example.org") == []


def test_an_alias_line_is_removed_or_replaced(accounts: Accounts) -> None:
    for line in ("&a@example.org", "&b@example.org"):
        accounts.add_alias("list", "example.com", line)
    accounts.add_alias("other", "example.com", "&a@example.org")
    assert not accounts.remove_alias("list", "example.com", "&c@example.org")
    assert not accounts.replace_alias("list", "example.com", "&c@example.org", "&d@example.org")
    assert accounts.replace_alias("list", "example.com", "&a@example.org", "/srv/list/")
    assert accounts.aliases("list", "example.com") == ["&b@example.org", "/srv/list/"]
    assert accounts.replace_alias("list", "example.com", "/srv/list/", "&b@example.org")
    assert accounts.aliases("list", "example.com") == ["&b@example.org"]
    assert accounts.remove_alias("list", "example.com", "&b@example.org")
    assert not accounts.remove_alias("list", "example.com", "&b@example.org")
    assert accounts.aliases("other", "example.com") == ["&a@example.org"]


def test_alias_lines_of_a_domain_and_those_that_lead_to_an_address(accounts: Accounts) -> None:
    lines = [
        AliasLine("list", "example.com", "&bob@example.com"),
        AliasLine("list", "example.com", "/srv/bob@example.com/"),
        AliasLine("abuse", "example.com", "bob@example.com"),
        AliasLine("bob", "example.org", "&bob@example.com"),
        AliasLine("bob", "example.org", "&bob@example.com.au"),
    ]
    for alias in lines:
        accounts.add_alias(alias.name, alias.domain, alias.line)
    assert accounts.domain_aliases("example.com") == [lines[2], lines[0], lines[1]]
    assert accounts.domain_aliases("example.net") == []
    assert accounts.aliases_to("bob@example.com") == [lines[2], lines[3], lines[0]]


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


@pytest.mark.parametrize(
    "name", ["Alice", "\u00e1lice", "alice ", "al\0ice", "al\udce9ice", "x" * 300]
)
def test_a_name_is_compared_octet_by_octet(accounts: Accounts, name: str) -> None:
    accounts.add(ALICE)
    accounts.add_alias("alice", "example.com", "&bob@example.org")
    accounts.add_alias_domain("alice", "example.com")
    assert accounts.find(name, "example.com") is None
    assert accounts.aliases(name, "example.com") == []
    assert accounts.real_domain(name) == name
    assert accounts.aliases_to(f"{name}@example.org") == []


def test_text_of_every_script_comes_back(accounts: Accounts) -> None:
    account = replace(ALICE, name="\u8c37\u6b4c", gecos="\u0416\u00fc\U0001f600")
    assert accounts.add(account)
    assert accounts.find(account.name, "example.com") == account


OTHERS = Flag.NO_POP | Flag.V_OVERRIDE  # what ALICE has beside a lock
LOCKED = OTHERS | Flag.BOUNCE_MAIL


def lock(accounts: Accounts) -> tuple[Flag, int]:
    """Return alice's flags, and her row in userquota."""
    found = accounts.find("alice", "example.com")
    assert found is not None
    return found.flags, accounts.userquota("alice", "example.com")


@pytest.mark.parametrize("active", [True, False])
def test_the_quotas_lock_comes_and_goes_with_its_row_and_no_other_flag(
    accounts: Accounts, active: bool
) -> None:
    accounts.add(replace(ALICE, active=active))
    accounts.add(replace(ALICE, name="bob"))
    assert lock(accounts) == (OTHERS, 0)
    assert accounts.lock_for_quota("alice", "example.com", 1 << 40)
    assert lock(accounts) == (LOCKED, 1 << 40)
    assert accounts.lift_quota_lock("alice", "example.com")
    assert lock(accounts) == (OTHERS, 0)
    assert not accounts.lift_quota_lock("alice", "example.com")
    assert accounts.lock_for_quota("alice", "example.com", 5)
    assert not accounts.lock_for_quota("alice", "example.com", 6)
    assert lock(accounts) == (LOCKED, 5)
    assert accounts.find("bob", "example.com") == replace(ALICE, name="bob")
    assert accounts.userquota("bob", "example.com") == 0


def test_the_administrators_lock_is_neither_taken_over_nor_lifted(accounts: Accounts) -> None:
    accounts.add(replace(ALICE, flags=LOCKED))
    assert not accounts.lock_for_quota("alice", "example.com", 5)
    assert not accounts.lift_quota_lock("alice", "example.com")
    assert lock(accounts) == (LOCKED, 0)


def test_a_lock_that_the_administrator_sets_is_his_whatever_row_was_left(
    accounts: Accounts,
) -> None:
    accounts.add(ALICE)
    accounts.set_userquota("alice", "example.com", 777)  # as IndiMail may have left it
    accounts.modify("alice", "example.com", lambda found: replace(found, gecos="Alice B."))
    assert lock(accounts) == (OTHERS, 777)
    accounts.modify("alice", "example.com", lambda found: replace(found, flags=LOCKED))
    assert lock(accounts) == (LOCKED, 0)
    assert not accounts.lift_quota_lock("alice", "example.com")


def test_the_quotas_lock_stays_that_when_another_field_changes(accounts: Accounts) -> None:
    accounts.add(ALICE)
    accounts.lock_for_quota("alice", "example.com", 777)
    accounts.modify("alice", "example.com", lambda found: replace(found, quota="NOQUOTA"))
    assert lock(accounts) == (LOCKED, 777)
    accounts.set_userquota("alice", "example.com", 0)  # the administrator makes it his
    assert not accounts.lift_quota_lock("alice", "example.com")
    assert lock(accounts) == (LOCKED, 0)


def test_nobody_is_not_locked(accounts: Accounts) -> None:
    assert not accounts.lock_for_quota("alice", "example.com", 5)
    assert not accounts.lift_quota_lock("alice", "example.com")
    assert accounts.userquota("alice", "example.com") == 0
