"""Adding a user, changing a password."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.passwords import Method
from indimail.accounts.port import Account, Flag, LastEvent
from indimail.accounts.scram import Mechanism
from indimail.mail.secret import Secret
from indimail.manage.aliasdomains import real_domain
from indimail.manage.assign import add_entry, domain_entry
from indimail.manage.domains import NewDomain
from indimail.manage.site import Refused, Site
from indimail.manage.users import (
    NewUser,
    check_domain_is_ours,
    method_setting,
    plan_password,
    scram_setting,
)
from manage.site_tree import QuickDisk, add_domain, add_user, carried_out, make_site

ALICE = NewUser("alice", "example.com", Secret("hash"), Secret("keys"))
NEW = Secret("new"), Secret("new keys")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = make_site(str(tmp_path / "i"))
    add_domain(site, MemoryAccounts(), QuickDisk(), NewDomain("example.com", Secret("x")))
    return site


def test_a_user_has_a_row_a_maildir_and_a_date(site: Site) -> None:
    accounts = MemoryAccounts()
    home = f"{site.places.mail}/A2E/example.com/alice"
    expected = Account(
        "alice",
        "example.com",
        Secret("hash"),
        gecos="alice",
        directory=home,
        quota="NOQUOTA",
        scram=Secret("keys"),
    )
    assert add_user(site, accounts, QuickDisk(), ALICE, 1_795_000_000.5) == expected
    assert accounts.find("alice", "example.com") == expected
    assert sorted(os.listdir(f"{home}/Maildir")) == ["cur", "new", "tmp"]
    assert accounts.events("alice", "example.com") == [LastEvent("add", 1_795_000_000, "")]


def test_a_taken_name_changes_nothing(site: Site) -> None:
    accounts, disk = MemoryAccounts(), QuickDisk()
    first = add_user(site, accounts, disk, ALICE, 0.0)
    again = NewUser("alice", "example.com", Secret("other"))
    outcome = add_user(site, accounts, disk, again, 0.0)
    assert outcome == Refused("iadduser: username alice@example.com exists", 100, 73)
    assert accounts.find("alice", "example.com") == first


@pytest.mark.parametrize(("name", "active"), [("alice", False), ("abuse", True)])
def test_an_rfc_id_is_always_active(site: Site, name: str, active: bool) -> None:
    new = NewUser(name, "example.com", Secret("x"), active=False)
    added = add_user(site, MemoryAccounts(), QuickDisk(), new, 0.0)
    assert isinstance(added, Account)
    assert added.active is active


def test_a_bad_name_makes_nothing(site: Site) -> None:
    accounts = MemoryAccounts()
    new = NewUser("../../etc", "example.com", Secret("x"))
    assert add_user(site, accounts, QuickDisk(), new, 0.0) == Refused(
        "iadduser: illegal username", 100
    )
    assert accounts.users("example.com") == []


@pytest.mark.parametrize(("variables", "quota", "stored"), [
    ({}, "", "NOQUOTA"),
    ({"HARD_QUOTA": "50M"}, "", "52428800"),
    ({"HARD_QUOTA": "50M"}, "NOQUOTA", "NOQUOTA"),
    ({"HARD_QUOTA": "nonsense"}, "", "NOQUOTA"),
])  # fmt: skip
def test_the_quota_of_a_new_user(
    site: Site, variables: dict[str, str], quota: str, stored: str
) -> None:
    site = replace(site, variables=variables)
    new = NewUser("alice", "example.com", Secret("x"), quota=quota)
    added = add_user(site, MemoryAccounts(), QuickDisk(), new, 0.0)
    assert isinstance(added, Account)
    assert added.quota == stored


def test_the_domain_s_own_layout_holds(site: Site, tmp_path: Path) -> None:
    folder = Path(site.domain_dir("example.com"))
    (folder / ".base_path").write_text(f"{tmp_path}/homes/\n")
    (folder / ".users_per_level").write_text("2\n")
    accounts = MemoryAccounts()
    homes = []
    for name in ("alice", "bob", "carol"):
        new = NewUser(name, "example.com", Secret("x"))
        added = add_user(site, accounts, QuickDisk(), new, 0.0)
        assert isinstance(added, Account)
        homes.append(os.path.relpath(added.directory, tmp_path / "homes"))
    assert homes == [
        "A2E/example.com/alice",
        "A2E/example.com/0/bob",
        "A2E/example.com/0/carol",
    ]


def test_a_home_that_does_not_fit_its_column_is_refused(site: Site) -> None:
    new = NewUser("alice", "example.com", Secret("x"), base="/" + "b" * 140)
    outcome = add_user(site, MemoryAccounts(), QuickDisk(), new, 0.0)
    assert isinstance(outcome, Refused)
    assert outcome.text.endswith("Name too long")


def test_a_user_of_a_domain_that_is_not_ours_is_refused(site: Site) -> None:
    new, accounts = replace(ALICE, domain="example.org"), MemoryAccounts()
    outcome = add_user(site, accounts, QuickDisk(), new, 0.0)
    assert outcome == Refused("example.org: No such domain", 1, os.EX_NOHOST)


def test_a_password_is_replaced_and_dated(site: Site) -> None:
    accounts = MemoryAccounts()
    assert plan_password(accounts, "alice", "example.com", *NEW, 9.0) == Refused(
        "alice@example.com: No such user", 1, 67
    )
    add_user(site, accounts, QuickDisk(), ALICE, 5.0)
    writes = plan_password(accounts, "alice", "example.com", *NEW, 9.0)
    carried_out(site, accounts, QuickDisk(), writes)
    found = accounts.find("alice", "example.com")
    assert found is not None
    assert (found.password, found.scram) == NEW
    assert accounts.events("alice", "example.com") == [
        LastEvent("add", 5, ""),
        LastEvent("pass", 9, ""),
    ]


def test_a_user_who_may_not_change_it_keeps_the_password() -> None:
    accounts = MemoryAccounts()
    account = Account("a", "example.com", Secret("old"), flags=Flag.NO_PASSWD_CHNG)
    accounts.add(account)
    outcome = plan_password(accounts, "a", "example.com", *NEW, 0.0)
    assert outcome == Refused("ipasswd: User not allowed to change password", 255, 77)
    assert accounts.find("a", "example.com") == account


def test_an_alias_domain_is_a_link_or_a_row(site: Site) -> None:
    accounts = MemoryAccounts()
    accounts.add_alias_domain("row.example", "example.com")
    os.symlink("example.com", site.domain_dir("link.example"))
    for domain in ("row.example", "link.example", "example.com"):
        assert real_domain(site, accounts, domain) == "example.com"


def test_only_a_virtual_domain_that_is_not_root_s_has_users(site: Site) -> None:
    disk = QuickDisk()
    add_entry(disk, site.places.users_dir, domain_entry("root.example", 0, 0, "/d"))
    assert check_domain_is_ours(site, disk, "example.com") is None
    assert check_domain_is_ours(site, disk, "example.org") == Refused(
        "example.org: No such domain", 1, 68
    )
    assert check_domain_is_ours(site, disk, "root.example") == Refused(
        "domain root.example with uid 0", 100, 77
    )


def test_where_the_hash_method_is_looked_for(tmp_path: Path) -> None:
    disk = QuickDisk()
    site, other = make_site(str(tmp_path)), make_site(str(tmp_path), PASSWORD_HASH="1")
    assert method_setting(site, disk, "example.com", "") == ("", Method.ARGON2ID)
    shared = replace(site, default_method=Method.SHA512)
    assert method_setting(shared, disk, "example.com", "") == ("", Method.SHA512)
    Path(site.control("hash_method")).write_text("DES\n")
    assert method_setting(site, disk, "example.com", "") == ("DES", Method.DES)
    os.makedirs(site.domain_dir("example.com"))
    Path(site.domain_dir("example.com"), "hash_method").write_text("SHA-256\n")
    assert method_setting(site, disk, "example.com", "") == ("SHA-256", Method.SHA256)
    assert method_setting(other, disk, "example.com", "") == ("1", Method.MD5)
    assert method_setting(other, disk, "example.com", "YESCRYPT") == ("YESCRYPT", Method.YESCRYPT)
    assert method_setting(site, disk, "example.com", "ROT13") == ("ROT13", None)


def test_where_the_scram_method_is_looked_for(tmp_path: Path) -> None:
    disk = QuickDisk()
    site, other = make_site(str(tmp_path)), make_site(str(tmp_path), PASSWORD_SCRAM="none")
    assert scram_setting(site, disk, "example.com", "") is Mechanism.SHA256
    Path(site.control("scram_method")).write_text("none\n")
    assert scram_setting(site, disk, "example.com", "") is None
    os.makedirs(site.domain_dir("example.com"))
    Path(site.domain_dir("example.com"), "scram_method").write_text("SCRAM-SHA-1\n")
    assert scram_setting(site, disk, "example.com", "") is Mechanism.SHA1
    assert scram_setting(other, disk, "example.com", "") is None
    assert scram_setting(other, disk, "example.com", "scram-sha-256") is Mechanism.SHA256
    assert scram_setting(site, disk, "example.com", "SCRAM-MD5") == Refused(
        "wrong SCRAM method SCRAM-MD5: SCRAM-SHA-1 SCRAM-SHA-256 none", 100
    )
