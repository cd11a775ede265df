"""A database that IndiMail made is read and written as it is: its tables, from MariaDB."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import text

from databases import Database, admin, database, name_of
from indimail.accounts.port import NO_DEFAULT, Account, LastEvent
from indimail.mail.errors import AccountsUnavailable
from indimail.mail.secret import Secret
from indimails import INDIMAILS

pytestmark = pytest.mark.interop

ALICE = Account("alice", "example.com", Secret("$5$salt$hash"))
FOREIGN = "\u8c37\u6b4c"  # not in latin1


@pytest.fixture
def db() -> Iterator[Database]:
    with database("mariadb") as url:
        made = Database("mariadb", url)
        made.ask(*INDIMAILS)
        yield made
        made.close()


def test_a_database_that_indimail_made_is_read_and_written_as_it_is(db: Database) -> None:
    names = ("indimail", "indibak", "valias", "lastauth", "userquota", "vlimits")
    before = {name: db.ask(f"show create table {name}") for name in names}
    accounts = db.accounts()
    alice = accounts.find("alice", "example.com")
    assert alice is not None
    assert (alice.quota, alice.flags, alice.active) == ("50000000S,1000C", 2, True)
    assert accounts.aliases("abuse", "example.com") == ["&postmaster@example.com"]
    limits = accounts.limits("", "example.com")
    assert limits is not None
    assert limits.defaultquota == NO_DEFAULT
    assert accounts.limits("", "Example.com") is None
    accounts.set_limits("", "example.com", {"maxaliases": 7})
    assert accounts.limits("", "example.com") == replace(limits, maxaliases=7)
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
    with (
        accounts.database.engines().changing.connect() as session
    ):  # whatever the zone of the server
        assert session.execute(text("select @@time_zone")).scalar() == "+00:00"
    assert db.ask("select pw_gid from indimail") == [(0x12,)]
    assert db.ask("select quota from userquota") == [(777,)]
    accounts.set_homes("/home", "A2E", "example.com", 101, "0")
    assert accounts.homes("/home", "A2E", "example.com") == (101, "0")
    assert {name: db.ask(f"show create table {name}") for name in names} == before
    assert db.tables - set(names) == {
        "aliasdomain", "bulkmail", "fstab", "ip_alias_map", "relay", "alembic_version",
        "dir_control_home_A2E",
    }  # fmt: skip


def test_a_change_by_indimail_of_a_table_that_we_made_has_its_time() -> None:
    """Its statements do not name the column."""
    with database("mariadb") as url:
        db = Database("mariadb", url)
        db.accounts().add(ALICE)
        db.ask("update indimail set timestamp = '2001-01-01'", "update indimail set pw_gecos = 'A'")
        assert db.ask("select year(timestamp) > 2001 from indimail") == [(1,)]
        db.close()


@pytest.mark.parametrize(
    ("field", "column"),
    [("gecos", "pw_gecos"), ("directory", "pw_dir"), ("password", "pw_passwd")],
)
def test_a_value_that_the_table_cannot_hold_is_refused_by_its_column(
    db: Database, field: str, column: str
) -> None:
    accounts = db.accounts()
    value = Secret(f"s3cret{FOREIGN}") if field == "password" else f"s3cret{FOREIGN}"
    bad = replace(ALICE, name="bob", **{field: value})
    before = accounts.users("example.com")
    for change in (
        lambda: accounts.add(bad),
        lambda: accounts.modify("alice", "example.com", lambda _: bad),
    ):
        with pytest.raises(AccountsUnavailable, match=f"{column}.* has characters") as raised:
            change()
        assert "s3cret" not in str(raised.value)
        assert "xE8" not in str(raised.value)
    assert accounts.users("example.com") == before


def test_a_line_that_the_table_cannot_hold_changes_nothing(db: Database) -> None:
    accounts = db.accounts()
    for change in (accounts.add_alias, accounts.remove_alias):
        with pytest.raises(AccountsUnavailable, match="has characters"):
            change("abuse", "example.com", f"{FOREIGN}@example.com")
    assert accounts.aliases("abuse", "example.com") == ["&postmaster@example.com"]
    assert accounts.aliases_to(f"{FOREIGN}@example.com") == []


def test_tables_of_ours_beside_indimails_are_asked_together(db: Database) -> None:
    """With one query, though their character sets differ."""
    db.ask("drop table valias", "drop table indibak")
    accounts = db.accounts()
    accounts.add_alias("alice", "example.com", f"&{FOREIGN}@example.com")
    accounts.add_alias(FOREIGN, "example.com", "&alice@example.com")
    account, lines = accounts.known("alice", "example.com")
    assert account == accounts.find("alice", "example.com")
    assert account is not None
    assert lines == (f"&{FOREIGN}@example.com",)
    assert accounts.known(FOREIGN, "example.com") == (None, ("&alice@example.com",))
    assert accounts.known("Alice", "example.com") == (None, ())


def test_tables_that_cannot_be_asked_together_are_no_absent_user(db: Database) -> None:
    db.ask("alter table indibak convert to character set latin1 collate latin1_german2_ci")
    with pytest.raises(AccountsUnavailable, match="UNION"):
        db.accounts().find("alice", "example.com")


def test_what_the_tables_can_hold_is_known_before(db: Database) -> None:
    accounts = db.accounts()
    assert accounts.can_hold("/mail/caf\u00e9")
    for text_ in (FOREIGN, f"caf\u00e9 {FOREIGN}", "\U0001f600"):
        assert not accounts.can_hold(text_)


def test_what_indimail_left_null_or_zero_is_nothing(db: Database) -> None:
    db.ask(
        "set sql_mode = ''",
        "alter table indimail modify pw_passwd char(128), modify pw_uid int, modify pw_gid int,"
        " modify pw_gecos char(48), modify pw_dir char(156), modify pw_shell char(30)",
        "insert into indimail (pw_name, pw_domain) values ('bob', 'example.com')",
        "insert into lastauth values"
        " ('bob', 'example.com', 'pop3', '192.0.2.1', 0, '', '0000-00-00 00:00:00')",
    )
    accounts = db.accounts()
    assert accounts.find("bob", "example.com") == Account(
        "bob", "example.com", Secret(""), quota=""
    )
    assert accounts.events("bob", "example.com") == [LastEvent("pop3", 0, "192.0.2.1")]


def test_columns_that_we_do_not_know_stay(db: Database) -> None:
    db.ask("alter table indimail add column token char(9) not null default 'none'")
    db.ask("update indimail set token = 'kept'")
    accounts = db.accounts()
    accounts.modify("alice", "example.com", lambda row: replace(row, gecos="Alice A"))
    accounts.lock_for_quota("alice", "example.com", 777)
    assert db.ask("select pw_gecos, pw_gid, token from indimail") == [("Alice A", 0x12, "kept")]


def test_who_may_not_make_or_change_tables_is_told_which(db: Database) -> None:
    """What is there is read; what is missing, or written, is refused and changes nothing."""
    name = name_of(db.url)
    with admin("mariadb") as ask:
        ask(f"REVOKE ALL ON {name}.* FROM {name}@'%'")
        ask(f"GRANT SELECT ON {name}.* TO {name}@'%'")
        accounts = db.accounts()
        with pytest.raises(AccountsUnavailable, match="CREATE command denied to user"):
            accounts.find("alice", "example.com")
        ask(f"GRANT ALL ON {name}.* TO {name}@'%'")
        alice = accounts.find("alice", "example.com")
        accounts.close()
        ask(f"REVOKE ALL ON {name}.* FROM {name}@'%'")
        ask(f"GRANT SELECT ON {name}.* TO {name}@'%'")
        accounts = db.accounts()
        assert accounts.find("alice", "example.com") == alice
        with pytest.raises(AccountsUnavailable, match=r"INSERT command denied .*valias"):
            accounts.add_alias("sales", "example.com", "&alice@example.com")
        ask(f"GRANT ALL ON {name}.* TO {name}@'%'")
    assert accounts.aliases("sales", "example.com") == []
