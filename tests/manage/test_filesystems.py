"""Homes are spread over file systems (spec/cluster-users.md 6.3; vadduser -b)."""

import os
import tempfile
from collections.abc import Iterator

import pytest

from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.port import Account, FileSystem
from indimail.mail.secret import Secret
from indimail.manage.domains import NewDomain
from indimail.manage.filesystems import (
    Wanted,
    balanced,
    plan_filesystem,
    plan_filesystem_removal,
    plan_recount,
)
from indimail.manage.removal import plan_user_removal
from indimail.manage.site import Refused, Site
from indimail.manage.users import NewUser, plan_user
from indimail.manage.writes import Write
from manage.site_tree import QuickDisk, add_domain, add_user, carried_out, make_site

DOMAIN = "example.com"
MIB = 1 << 20


class World:
    """A domain, and directories a, b and c for homes."""

    def __init__(self, root: str) -> None:
        self.site: Site = make_site(f"{root}/i")
        self.accounts, self.disk = MemoryAccounts(), QuickDisk()
        add_domain(self.site, self.accounts, self.disk, NewDomain(DOMAIN, Secret("x")))
        self.root = root
        for name in "abc":
            os.mkdir(f"{root}/{name}")

    def do(self, writes: list[Write] | Refused) -> Refused | None:
        return carried_out(self.site, self.accounts, self.disk, writes)

    def put(self, name: str, **values: int) -> Refused | None:
        wanted = Wanted(f"{self.root}/{name}", **values)  # type: ignore[arg-type]
        return self.do(plan_filesystem(self.accounts, wanted))

    def add(self, name: str, quota: str = "1M") -> str:
        """Return where its home went."""
        new = NewUser(name, DOMAIN, Secret("x"), quota=quota, is_balanced=True)
        added = add_user(self.site, self.accounts, self.disk, new)
        assert isinstance(added, Account)
        return added.directory.removeprefix(f"{self.root}/").partition("/")[0]

    @property
    def counted(self) -> list[str]:
        return [
            f"{os.path.basename(known.path)} {known.users} {known.octets // MIB}"
            for known in self.accounts.filesystems()
        ]


@pytest.fixture
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder:  # not tmp_path: a column has 64 characters
        yield World(folder)


def test_what_is_said_of_a_file_system_stays_until_it_is_said_otherwise(world: World) -> None:
    path = f"{world.root}/a"
    assert world.put("a", most_users=10) is None
    assert world.accounts.filesystems() == [FileSystem(path, most_users=10)]
    world.put("a", most_octets=5, is_online=False)
    assert world.accounts.filesystems() == [FileSystem(path, False, 10, 5)]
    assert world.do(plan_filesystem_removal(world.accounts, path)) is None
    assert world.accounts.filesystems() == []


@pytest.mark.parametrize(("path", "said"), [
    ("tmp", "tmp: expected the full path of a directory"),
    ("/", "/: expected the full path of a directory"),
    ("/tmp/../tmp", "/tmp/../tmp: expected the full path of a directory"),
    ("/tmp/is/not/there", "/tmp/is/not/there: no such directory"),
    ("/" + "d" * 64, "/" + "d" * 64 + ": Name too long: at most 64 characters"),
])  # fmt: skip
def test_what_can_be_none_is_refused(path: str, said: str) -> None:
    assert plan_filesystem(MemoryAccounts(), Wanted(path)) == Refused(said, 1)


def test_what_is_none_cannot_be_forgotten(world: World) -> None:
    path = f"{world.root}/a"
    refused = Refused(f"{path}: no such file system", 1)
    assert plan_filesystem_removal(world.accounts, path) == refused


def test_homes_go_round(world: World) -> None:
    for name in "abc":
        world.put(name)
    world.put("c", is_online=False)
    assert [world.add(f"u{number}") for number in range(4)] == ["a", "b", "a", "b"]
    assert world.counted == ["a 2 2", "b 2 2", "c 0 0"]
    world.do(plan_user_removal(world.site, world.accounts, world.disk, "u0", DOMAIN))
    assert world.counted == ["a 1 1", "b 2 2", "c 0 0"]
    world.put("a", is_online=False)
    assert world.add("u5") == "b"  # the last one, and the only one


def test_the_one_with_the_fewest_users_for_its_size_is_next(world: World) -> None:
    for name, users, octets in (("a", 100, 1000), ("b", 50, 100), ("c", 500, 0)):
        path = f"{world.root}/{name}"
        world.accounts.put_filesystem(FileSystem(path, most_octets=octets, users=users))

    def chosen(size_of_c: int) -> str | Refused:
        found = balanced(world.site, world.accounts, world.disk, lambda _: size_of_c)
        return found if isinstance(found, Refused) else os.path.basename(found)

    assert (chosen(100_000), chosen(5000), chosen(0)) == ("c", "a", "a")


def test_without_a_file_system_there_is_no_balance(world: World) -> None:
    new = NewUser("u0", DOMAIN, Secret("x"), is_balanced=True)
    outcome = plan_user(world.site, world.accounts, world.disk, new, 0.0)
    assert outcome == Refused("no file system is online; vfstab -i makes one known", 1)


def test_what_lies_there_is_counted_anew(world: World) -> None:
    for name in "ab":
        world.put(name)
    world.add("u0", "3M")
    world.add("u1", "NOQUOTA")
    for known in world.accounts.filesystems():
        world.accounts.put_filesystem(FileSystem(known.path, users=77, octets=77 * MIB))
    assert world.do(plan_recount(world.accounts)) is None
    assert world.counted == ["a 1 3", "b 1 0"]
