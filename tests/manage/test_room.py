"""What the limits of a domain leave room for (spec/delivery.md 9.2)."""

import os
from pathlib import Path

import pytest

from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.port import NO_DEFAULT, Account, AliasLine, Flag, Limits
from indimail.mail.secret import Secret
from indimail.manage.room import (
    SWITCH,
    check_room_for_line,
    check_room_for_quota,
    check_room_for_reply,
    check_room_for_user,
    limited_quota,
)
from indimail.manage.site import Refused, Site
from manage.site_tree import QuickDisk, make_site

DOMAIN = "example.com"
DISK = QuickDisk()
Told = str | None


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = make_site(str(tmp_path / "i"))
    os.makedirs(site.domain_dir(DOMAIN))
    Path(site.domain_dir(DOMAIN), SWITCH).touch()
    return site


@pytest.fixture
def accounts(tmp_path: Path) -> MemoryAccounts:
    """Users with 10 MB, a free one, a group; alice answers, and so does the free one."""
    known = MemoryAccounts()
    for name, flags, gecos in (
        ("alice", Flag(0), ""), ("bob", Flag(0), ""), ("free", Flag.V_OVERRIDE, ""),
        ("team", Flag(0), "MailGroup team"), ("postmaster", Flag(0), ""),
    ):  # fmt: skip
        home = f"{tmp_path}/home/{name}"
        os.makedirs(home)
        known.add(Account(name, DOMAIN, Secret("x"), flags=flags, gecos=gecos, directory=home,
                          quota="10000000,100"))  # fmt: skip
        if name in ("alice", "free"):
            Path(home, ".vacation.msg").touch()
    return known


def told(outcome: Refused | None) -> Told:
    assert outcome is None or outcome.code == 100
    return outcome and outcome.text


@pytest.mark.parametrize(("most", "name", "expected"), [
    (-1, "carol", None),
    (4, "carol", None),
    (3, "carol", "example.com: has 3 accounts, its limit (vlimit -P) is 3"),
    (0, "carol", "example.com: has 3 accounts, its limit (vlimit -P) is 0"),
    (0, "abuse", None),
])  # fmt: skip
def test_accounts(
    site: Site, accounts: MemoryAccounts, most: int, name: str, expected: Told
) -> None:
    """The reserved and the free ones are not counted: alice, bob and the group are."""
    accounts.set_limits("", DOMAIN, {"maxpopaccounts": most})
    assert told(check_room_for_user(site, accounts, DISK, DOMAIN, name)) == expected


@pytest.mark.parametrize(("name", "line", "gone", "expected"), [
    ("new", "&alice@example.com", None, "example.com: has 1 aliases, its limit (vlimit -A) is 1"),
    ("new", "| program", None, "example.com: has 1 aliases, its limit (vlimit -A) is 1"),
    ("new", "| forward x@example.net", None,
     "example.com: has 1 aliases, its limit (vlimit -A) is 1"),
    ("new", "/mail/Maildir/", None, "example.com: has 1 aliases, its limit (vlimit -A) is 1"),
    ("new", "&x@alias.example", None, "example.com: has 1 aliases, its limit (vlimit -A) is 1"),
    ("new", "x@example.net", None, "example.com: has 1 forwards, its limit (vlimit -F) is 1"),
    ("sales", "&bob@example.com", None, None),  # one line more of an alias that there is
    ("away", "&y@example.net", None, None),
    ("sales", "&x@example.net", None, "example.com: has 1 forwards, its limit (vlimit -F) is 1"),
    ("away", "&bob@example.com", "&x@example.net",
     "example.com: has 1 aliases, its limit (vlimit -A) is 1"),
    ("away", "&y@example.net", "&x@example.net", None),
    ("team", "&x@example.net", None, None),
    ("free", "&x@example.net", None, None),
    ("abuse", "&x@example.net", None, None),
])  # fmt: skip
def test_aliases_and_forwards(
    site: Site, accounts: MemoryAccounts, name: str, line: str, gone: str | None, expected: Told
) -> None:
    accounts.add_alias_domain("alias.example", DOMAIN)
    accounts.set_limits("", DOMAIN, {"maxaliases": 1, "maxforwards": 1})
    for known, there in (
        ("sales", "&alice@example.com"), ("away", "&x@example.net"), ("team", "&bob@example.com"),
        ("postmaster", "&alice@example.com"), ("free", "&x@example.net"),
    ):  # fmt: skip
        accounts.add_alias(known, DOMAIN, there)
    old = AliasLine(name, DOMAIN, gone) if gone else None
    outcome = check_room_for_line(site, accounts, DISK, AliasLine(name, DOMAIN, line), old)
    assert told(outcome) == expected


@pytest.mark.parametrize(("most", "name", "expected"), [
    (-1, "bob", None),
    (2, "bob", None),
    (1, "bob", "example.com: has 1 automatic replies, its limit (vlimit -R) is 1"),
    (1, "alice", None),  # another text
    (0, "alice", None),
    (0, "free", None),
    (0, "postmaster", None),
])  # fmt: skip
def test_automatic_replies(
    site: Site, accounts: MemoryAccounts, most: int, name: str, expected: Told
) -> None:
    accounts.set_limits("", DOMAIN, {"maxautoresponders": most})
    account = accounts.find(name, DOMAIN)
    assert account is not None
    assert told(check_room_for_reply(site, accounts, DISK, account)) == expected


TOO_MUCH = "example.com: its users may hold 50000000 octets (vlimit -Q), and the others have"


@pytest.mark.parametrize(("name", "before", "wanted", "expected"), [
    ("carol", "", "20000000,100", None),
    ("carol", "", "20000001,100", f"{TOO_MUCH} 30000000: 20000001 is too much"),
    ("carol", "", "NOQUOTA", "example.com: its users may hold 50000000 octets (vlimit -Q): "
     "carol@example.com needs a quota of octets"),
    ("carol", "", "1000000", "example.com: its users may hold 500 messages (vlimit -M): "
     "carol@example.com needs a quota of messages"),
    ("carol", "", "1000000,201", "example.com: its users may hold 500 messages (vlimit -M), and "
     "the others have 300: 201 is too much"),
    ("bob", "10000000,100", "30000000,100", None),
    ("bob", "10000000,100", "30000001,100", f"{TOO_MUCH} 20000000: 30000001 is too much"),
    ("bob", "90000000,100", "80000000,100", None),  # less than it was
    ("bob", "NOQUOTA", "80000000,900", None),
    ("free", "10000000,100", "NOQUOTA", None),
    ("postmaster", "10000000,100", "NOQUOTA", None),
])  # fmt: skip
def test_quotas(
    site: Site, accounts: MemoryAccounts, name: str, before: str, wanted: str, expected: Told
) -> None:
    accounts.set_limits("", DOMAIN, {"diskquota": 50_000_000, "maxmsgcount": 500})
    account = accounts.find(name, DOMAIN) or Account(name, DOMAIN, Secret("x"))
    account = Account(name, DOMAIN, Secret("x"), flags=account.flags, quota=before)
    assert told(check_room_for_quota(site, accounts, DISK, account, wanted)) == expected


def test_limits_that_are_off_leave_room(site: Site, accounts: MemoryAccounts) -> None:
    values = {"maxpopaccounts": 0, "maxaliases": 0, "maxautoresponders": 0, "diskquota": 1}
    accounts.set_limits("", DOMAIN, values)
    os.unlink(os.path.join(site.domain_dir(DOMAIN), SWITCH))
    bob = accounts.find("bob", DOMAIN)
    assert bob is not None
    line = AliasLine("new", DOMAIN, "&bob@example.com")
    assert check_room_for_user(site, accounts, DISK, DOMAIN, "carol") is None
    assert check_room_for_line(site, accounts, DISK, line) is None
    assert check_room_for_reply(site, accounts, DISK, bob) is None
    assert check_room_for_quota(site, accounts, DISK, bob, "NOQUOTA") is None


@pytest.mark.parametrize(("values", "hard", "expected"), [
    ({}, "52428800", "52428800"),
    ({}, "NOQUOTA", "NOQUOTA"),
    ({"defaultquota": 1000}, "52428800", "1000"),
    ({"defaultquota": 1000, "defaultmaxmsgcount": 5}, "52428800", "1000,5"),
    ({"defaultmaxmsgcount": 5}, "52428800", "52428800,5"),
    ({"defaultquota": NO_DEFAULT}, "52428800", "NOQUOTA"),
])  # fmt: skip
def test_the_quota_of_a_new_user(values: dict[str, int], hard: str, expected: str) -> None:
    limits = Limits("", DOMAIN, **values)  # type: ignore[arg-type]
    assert limited_quota(limits, hard) == expected
    assert limited_quota(None, hard) == hard
