"""Homes are brought to the places that the layout has for them (spec/delivery.md 1.2, vreorg)."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.port import Account
from indimail.mail.secret import Secret
from indimail.manage.domains import NewDomain
from indimail.manage.homes import counted_homes
from indimail.manage.removal import plan_user_removal
from indimail.manage.rename import plan_home_move
from indimail.manage.reorganize import plan_reorganization
from indimail.manage.site import Refused, Site
from indimail.manage.users import NewUser
from manage.site_tree import QuickDisk, add_domain, add_user, carried_out, make_site

DOMAIN = "example.com"


class World:
    """A domain with users a1 to a5, two in a directory, and a mail in each inbox."""

    def __init__(self, root: str) -> None:
        self.site: Site = make_site(root)
        self.accounts, self.disk = MemoryAccounts(), QuickDisk()
        new = NewDomain(DOMAIN, Secret("x"), users_per_level=2)
        add_domain(self.site, self.accounts, self.disk, new)
        for number in range(1, 6):
            self.add(f"a{number}")

    def add(self, name: str, base: str = "") -> None:
        added = add_user(
            self.site, self.accounts, self.disk, NewUser(name, DOMAIN, Secret("x"), base=base)
        )
        assert isinstance(added, Account)
        Path(added.directory, "Maildir/new/1.mail").write_text(name)

    def remove(self, name: str) -> None:
        self.do(plan_user_removal(self.site, self.accounts, self.disk, name, DOMAIN))

    def move(self, name: str, directory: str) -> None:
        self.do(plan_home_move(self.site, self.accounts, self.disk, name, DOMAIN, directory))

    def level(self, number: int) -> None:
        Path(self.site.domain_dir(DOMAIN), ".users_per_level").write_text(f"{number}\n")

    def reorganize(self, *named: str, anew: bool) -> str:
        return self.do(
            plan_reorganization(self.site, self.accounts, self.disk, DOMAIN, named, anew=anew)
        )

    def do(self, writes: list[object] | Refused) -> str:  # type: ignore[type-arg]
        refused = carried_out(self.site, self.accounts, self.disk, writes)  # type: ignore[arg-type]
        return refused.text if refused else ""

    @property
    def homes(self) -> str:
        """Where homes lie below the domain's folder of A2E; each has its mail."""
        folder = f"{self.site.places.mail}/A2E/{DOMAIN}/"
        found = []
        for user in self.accounts.users(DOMAIN):
            if user.name == "postmaster":
                continue
            assert Path(user.directory, "Maildir/new/1.mail").read_text() == user.name
            found.append(user.directory.removeprefix(folder))
        return " ".join(found)

    @property
    def counted(self) -> list[tuple[str, int, int, str]]:
        rows = counted_homes(self.site, self.accounts, self.disk, DOMAIN)
        return [(row.group, row.counted, row.homes, row.bucket) for row in rows]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(str(tmp_path / "i"))


def test_homes_are_as_if_the_domain_were_filled_today(world: World) -> None:
    assert world.homes == "a1 0/a2 0/a3 1/a4 1/a5"
    for name in ("a1", "a3"):
        world.remove(name)
    world.add("a6")
    assert world.homes == "0/a2 1/a4 1/a5 a6"
    assert world.reorganize(anew=True) == ""
    assert world.homes == "a2 0/a4 0/a5 1/a6"
    assert world.counted == [("A2E", 4, 4, "1"), ("L2P", 1, 1, "")]
    assert list(Path(world.site.domain_dir(DOMAIN)).glob("*_A2E")) == []  # no bucket is free
    world.add("a7")
    assert world.homes == "a2 0/a4 0/a5 1/a6 1/a7"


def test_another_number_of_users_in_a_directory(world: World) -> None:
    world.level(100)
    assert world.reorganize(anew=True) == ""
    assert world.homes == "a1 a2 a3 a4 a5"
    world.level(3)
    assert world.reorganize(anew=True) == ""
    assert world.homes == "a1 a2 0/a3 0/a4 0/a5"


def test_named_users_come_first(world: World) -> None:
    assert world.reorganize("a5", "a4", anew=True) == ""
    assert world.homes == "0/a1 1/a2 1/a3 0/a4 a5"


def test_what_is_in_order_stays(world: World) -> None:
    before, counted = world.homes, world.counted
    assert world.reorganize(anew=True) == ""
    assert (world.homes, world.counted) == (before, counted)


def test_a_counter_that_counts_nobody_is_nothing(world: World) -> None:
    world.accounts.set_homes("/", "Q2S", DOMAIN, 7, "3")
    assert ("Q2S", 7, 0, "3") in world.counted
    world.reorganize(anew=True)
    assert world.counted == [("A2E", 5, 5, "1"), ("L2P", 1, 1, "")]


def test_a_home_elsewhere_stays_unless_it_is_named(world: World, tmp_path: Path) -> None:
    elsewhere = str(tmp_path / "elsewhere" / "a2")
    world.move("a2", elsewhere)
    assert world.reorganize(anew=True) == ""
    assert world.homes == f"a1 {elsewhere} 0/a3 0/a4 1/a5"
    assert world.reorganize("a2", anew=False) == ""
    assert world.homes == "a1 1/a2 0/a3 0/a4 1/a5"
    assert world.counted[0] == ("A2E", 5, 5, "1")


def test_each_home_keeps_its_base(world: World, tmp_path: Path) -> None:
    """And those of one file system are counted together."""
    other = str(tmp_path / "large")
    world.add("a6", base=other)
    world.remove("a1")
    assert world.reorganize(anew=True) == ""
    assert world.homes == f"a2 0/a3 0/a4 1/a5 {other}/A2E/{DOMAIN}/1/a6"
    assert world.counted[0] == ("A2E", 5, 5, "1")


def test_who_is_named_twice_or_is_in_place_is_counted_once(world: World, tmp_path: Path) -> None:
    world.move("a2", str(tmp_path / "elsewhere"))
    assert world.reorganize("a1", "a2", "a2", anew=False) == ""
    assert world.homes == "a1 0/a2 0/a3 1/a4 1/a5"
    assert world.counted[0] == ("A2E", 5, 5, "1")


def other(world: World, directory: str, domain: str = DOMAIN) -> None:
    """Let somebody have a home where none of the layout is."""
    world.accounts.add(Account("b", domain, Secret("x"), directory=directory))


@pytest.mark.parametrize(("prepare", "named", "said"), [
    (lambda world, mail: None, ["zoe"], "zoe@example.com: No such user"),
    (lambda world, mail: os.makedirs(f"{mail}/0/a1"), [], "{mail}/0/a1: exists"),
    (lambda world, mail: (world.level(100), other(world, f"{mail}/1")), [],
     "{mail}/1/a4: is also of b@example.com ({mail}/1); nothing was changed"),
    (lambda world, mail: other(world, f"{mail}/3"), [],
     "{mail}/3/a4: is also of b@example.com ({mail}/3); nothing was changed"),
    (lambda world, mail: other(world, f"{mail}/b", "example.net"), [],
     "{mail}: is also of b@example.net ({mail}/b); nothing was changed"),
    (lambda world, mail: other(world, world.site.places.db), ["b"],
     "{db}: is also of the instance ({db}); nothing was changed"),
])  # fmt: skip
def test_what_is_refused_moves_nothing(
    world: World, prepare: Callable[[World, str], object], named: list[str], said: str
) -> None:
    mail, db = f"{world.site.places.mail}/A2E/{DOMAIN}", world.site.places.db
    world.level(1)
    prepare(world, mail)
    before = world.accounts.users(DOMAIN)
    assert world.reorganize(*named, anew=True) == said.format(mail=mail, db=db)
    assert world.accounts.users(DOMAIN) == before
