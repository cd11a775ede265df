"""A database that IndiMail made is read and written as it is: its tables, from MariaDB."""

import pytest
from sqlalchemy import text

from databases import Database, database
from indimail.accounts.port import Account, LastEvent
from indimail.mail.secret import Secret

pytestmark = pytest.mark.interop

ALICE = Account("alice", "example.com", Secret("$5$salt$hash"))
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
        with accounts.database.engine().connect() as session:  # whatever the zone of the server
            assert session.execute(text("select @@time_zone")).scalar() == "+00:00"
        assert db.ask("select pw_gid from indimail") == [(0x12,)]
        assert db.ask("select quota from userquota") == [(777,)]
        accounts.set_homes("/home", "A2E", "example.com", 101, "0")
        assert accounts.homes("/home", "A2E", "example.com") == (101, "0")
        assert {name: db.ask(f"show create table {name}") for name in names} == before
        assert db.tables - set(names) == {
            "aliasdomain", "ip_alias_map", "alembic_version", "dir_control_home_A2E",
        }  # fmt: skip
        db.close()


def test_a_change_by_indimail_of_a_table_that_we_made_has_its_time() -> None:
    """Its statements do not name the column."""
    with database("mariadb") as url:
        db = Database("mariadb", url)
        db.accounts().add(ALICE)
        db.ask("update indimail set timestamp = '2001-01-01'", "update indimail set pw_gecos = 'A'")
        assert db.ask("select year(timestamp) > 2001 from indimail") == [(1,)]
        db.close()
