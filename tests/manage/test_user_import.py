"""Many users at once: who is new, who is there, and what is written of them."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.port import NO_DEFAULT, Account, LastEvent
from indimail.mail.secret import Secret
from indimail.manage import user_import
from indimail.manage.aliasdomains import plan_alias
from indimail.manage.domains import NewDomain
from indimail.manage.room import SWITCH, check_room_for_users
from indimail.manage.site import Refused
from indimail.manage.user_change import UserChange
from indimail.manage.user_csv import UserRow
from indimail.manage.user_import import FilledUser, find_users, plan_import
from indimail.manage.users import NewUser
from indimail.manage.writes import TellAccount
from manage.site_tree import QuickDisk, add_domain, add_user, carried_out, make_site

DISK = QuickDisk()
HASH = Secret("hash")


class World:
    def __init__(self, root: str) -> None:
        self.site = make_site(root)
        self.accounts = MemoryAccounts()
        for domain in ("a.example", "b.example"):
            add_domain(self.site, self.accounts, DISK, NewDomain(domain, Secret("x")))
        alias = plan_alias(self.site, self.accounts, DISK, "alias.example", "a.example")
        carried_out(self.site, self.accounts, DISK, alias)
        new = NewUser("alice", "a.example", HASH, quota="5242880,10", gecos="Alice")
        add_user(self.site, self.accounts, DISK, new)

    def found(self, *rows: UserRow) -> tuple[list[user_import.FoundUser], list[str]]:
        found, mistakes = find_users(self.site, self.accounts, DISK, "f", rows)
        return found, [str(mistake) for mistake in mistakes]

    def make(self, *users: FilledUser, now: float = 7.5) -> Refused | None:
        writes = plan_import(self.site, self.accounts, DISK, users, now)
        return carried_out(self.site, self.accounts, DISK, writes)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(str(tmp_path / "i"))


def row(email: str, line: int = 2, **more: object) -> UserRow:
    return replace(UserRow(line, email, hash=HASH), **more)  # type: ignore[arg-type]


def test_new_users_get_rows_homes_and_dates(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_import, "BATCH", 3)
    rows = [row(f"u{number}@a.example", number + 2) for number in range(7)]
    rows += [row("zoe@b.example", 9, name="", quota="52428800S,9C", active=False)]
    found, mistakes = world.found(*rows)
    assert mistakes == []
    writes = plan_import(
        world.site, world.accounts, DISK, [FilledUser(u, HASH) for u in found], 7.5
    )
    assert isinstance(writes, list)
    kinds = [type(write).__name__ for write in writes]
    assert kinds == [
        *["MakeHomes", "AddUsers"] * 3, "SetCount", "TellAccount",
        "MakeHomes", "AddUsers", "SetCount", "TellAccount",
    ]  # fmt: skip
    carried_out(world.site, world.accounts, DISK, writes)
    added = world.accounts.find("u6", "a.example")
    home = f"{world.site.places.mail}/T2Zsym/a.example/u6"
    assert added == Account("u6", "a.example", HASH, gecos="u6", directory=home)
    assert world.accounts.events("u6", "a.example") == [LastEvent("add", 7, "")]
    zoe = world.accounts.find("zoe", "b.example")
    assert zoe is not None
    assert (zoe.gecos, zoe.quota, zoe.active) == ("", "52428800S,9C", False)
    for user in world.accounts.users("a.example"):
        assert sorted(os.listdir(f"{user.directory}/Maildir")) == ["cur", "new", "tmp"]


@pytest.mark.parametrize(("given", "mistake"), [
    (row("x@c.example"), "f:2: found x@c.example, expected a domain of ours: c.example: No such domain"),
    (row("a..b@a.example"), "f:2: found a..b@a.example, expected a user's name: successive periods not "
     "allowed in local-part See RFC-5322"),
    (row("first@alias.example"),
     "f:2: found first@alias.example, expected a user once: it is in line 1 too"),
])  # fmt: skip
def test_a_row_that_can_be_no_user(world: World, given: UserRow, mistake: str) -> None:
    found, mistakes = world.found(row("first@a.example", 1), given)
    assert ([user.address for user in found], mistakes) == (["first@a.example"], [mistake])


def test_a_name_that_the_tables_cannot_hold(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """IndiMail's have latin1 alone; one question is asked where all is well."""
    asked = []
    monkeypatch.setattr(
        world.accounts, "can_hold", lambda text: asked.append(text) or text.isascii()
    )
    rows = [row(f"u{number}@a.example", number, name=f"U {number}") for number in range(2, 9)]
    assert world.found(*rows)[1] == []
    assert len(asked) == 1
    _, mistakes = world.found(*rows, row("x@a.example", 9, name="\u0141"))
    expected = "characters that the database's tables can hold"
    assert mistakes == [f"f:9: found the name '\u0141', expected {expected}"]


@pytest.mark.parametrize(("more", "change"), [
    ({}, UserChange()),
    ({"quota": "5242880S,10C", "name": "Alice", "active": True}, UserChange()),
    ({"quota": "NOQUOTA"}, UserChange(quota="NOQUOTA")),
    ({"name": ""}, UserChange(gecos="")),
    ({"active": False}, UserChange(active=False)),
])  # fmt: skip
def test_what_a_row_says_otherwise_is_the_change(
    world: World, more: dict[str, object], change: UserChange
) -> None:
    (alice,), _ = world.found(row("alice@alias.example", **more))
    assert alice.change() == change
    postmaster, _ = world.found(row("postmaster@a.example", active=False))
    assert postmaster[0].change() == UserChange()  # a reserved name is always active


def test_users_who_are_there_are_changed_where_they_differ(world: World) -> None:
    (alice,), _ = world.found(row("alice@a.example", quota="1048576", name="A.", active=False))
    assert world.make(FilledUser(alice, Secret("other"), Secret("keys"))) is None
    changed = world.accounts.find("alice", "a.example")
    assert changed is not None
    assert (changed.quota, changed.gecos, changed.active) == ("1048576", "A.", False)
    assert (changed.password, changed.scram) == (Secret("other"), Secret("keys"))
    (alice,), _ = world.found(row("alice@a.example", quota="1048576", name="A.", active=False))
    assert plan_import(world.site, world.accounts, DISK, [FilledUser(alice, None)], 0.0) == []


def test_a_running_server_is_told_once_for_each_domain(world: World) -> None:
    found, _ = world.found(
        row("x@a.example"), row("alice@a.example", name="A."), row("y@b.example")
    )
    writes = plan_import(
        world.site, world.accounts, DISK, [FilledUser(u, HASH) for u in found], 0.0
    )
    assert isinstance(writes, list)
    told = [write for write in writes if isinstance(write, TellAccount)]
    assert told == [TellAccount("", "a.example"), TellAccount("", "b.example")]


def test_who_was_made_meanwhile_is_not_made_again(world: World) -> None:
    found, _ = world.found(row("x@a.example"), row("y@a.example"))
    add_user(world.site, world.accounts, DISK, NewUser("y", "a.example", Secret("theirs")))
    outcome = world.make(*(FilledUser(user, HASH) for user in found))
    assert outcome == Refused("username y@a.example exists", 100, 73)
    assert world.accounts.find("x", "a.example") is None


@pytest.mark.parametrize(("limits", "text"), [
    ({"maxpopaccounts": 3}, None),
    ({"maxpopaccounts": 2}, "a.example: has 1 accounts, its limit (vlimit -P) is 2"),
    ({"diskquota": 5_242_880 + 2_000_000}, None),
    ({"diskquota": 5_242_880 + 1_999_999}, "a.example: its users may hold 7242879 octets (vlimit -Q), "
     "and the others have 5242880: 2000000 is too much"),
    ({"diskquota": 9_000_000, "defaultquota": NO_DEFAULT}, "a.example: its users may hold 9000000 octets "
     "(vlimit -Q): y@a.example needs a quota of octets"),
])  # fmt: skip
def test_all_of_them_together_are_within_the_limits_of_their_domain(
    world: World, limits: dict[str, int], text: str | None
) -> None:
    world.accounts.set_limits("", "a.example", {"defaultquota": 1_000_000, **limits})
    Path(world.site.domain_dir("a.example"), SWITCH).touch()
    found, _ = world.found(row("x@a.example", quota="1000000"), row("y@a.example"))
    outcome = world.make(*(FilledUser(user, HASH) for user in found))
    assert outcome == (text and Refused(text, 100, 77))


@pytest.mark.parametrize(("quotas", "is_refused"), [
    (("5242880", "1000000"), False),
    (("5242881", "1000000"), True),
    (("4242880", "2000000"), False),
    (("4242880", "2000001"), True),
    (("NOQUOTA", "1000000"), True),
])  # fmt: skip
def test_changed_quotas_are_within_the_limits_together(
    world: World, quotas: tuple[str, str], is_refused: bool
) -> None:
    bob = NewUser("bob", "a.example", HASH, quota="1000000")
    add_user(world.site, world.accounts, DISK, bob)
    world.accounts.set_limits("", "a.example", {"diskquota": 6_242_880})
    Path(world.site.domain_dir("a.example"), SWITCH).touch()
    rows = [row("alice@a.example", quota=quotas[0]), row("bob@a.example", quota=quotas[1])]
    users = [
        replace(account, quota=quota)
        for user, quota in zip(world.found(*rows)[0], quotas, strict=True)
        if (account := user.account) is not None
    ]
    found = check_room_for_users(world.site, world.accounts, DISK, "a.example", users)
    assert (found is not None) is is_refused


def test_one_who_cannot_be_changed_keeps_all_from_being(world: World) -> None:
    alice = world.accounts.find("alice", "a.example")
    assert alice is not None
    world.accounts.modify("alice", "a.example", lambda user: replace(user, directory=""))
    found, _ = world.found(row("x@a.example"), row("alice@a.example", quota="NOQUOTA"))
    outcome = world.make(*(FilledUser(user, HASH) for user in found))
    assert isinstance(outcome, Refused)
    assert outcome.text.startswith("alice@a.example: ")
    assert world.accounts.find("x", "a.example") is None
