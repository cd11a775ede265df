"""Which mails make room on a disk that fills up (spec/delivery.md 2, vpurge)."""

import os
from pathlib import Path

import pytest

from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.port import Account
from indimail.mail.secret import Secret
from indimail.manage.domains import NewDomain
from indimail.manage.purge import Purge, free_percent, plan_purge
from indimail.manage.site import Site
from indimail.manage.users import NewUser
from manage.site_tree import QuickDisk, add_domain, add_user, carried_out, make_site

DOMAIN = "example.com"
NOW = 1_800_000_000.0
DAY = 86_400
MAILS = {
    "new/1.old": 40, "cur/2.old:2,S": 40, "cur/3.old:2,ST": 40, "cur/4.young:2,T": 20,
    ".Trash/new/5.old": 40, ".Trash/cur/6.old:2,S": 40, ".Trash/cur/7.young:2,S": 20,
    ".trash.2024/cur/8.old:2,S": 40, ".Spam/new/9.old": 40, ".Junk/cur/10.old:2,": 40,
    ".Quarantine/cur/11.old:2,S": 40, ".Lists/cur/12.old:2,S": 40, ".Lists/cur/13.old:2,T": 40,
    ".Lists.Trash/cur/14.old:2,S": 40, ".Trashed/cur/15.old:2,S": 40,
}  # fmt: skip


class World:
    def __init__(self, root: str) -> None:
        self.site: Site = make_site(root)
        self.accounts, self.disk = MemoryAccounts(), QuickDisk()
        add_domain(self.site, self.accounts, self.disk, NewDomain(DOMAIN, Secret("x")))
        alice = add_user(self.site, self.accounts, self.disk, NewUser("alice", DOMAIN, Secret("x")))
        assert isinstance(alice, Account)
        self.maildir = Path(alice.directory, "Maildir")
        for name, days in MAILS.items():
            path = self.maildir / name
            os.makedirs(path.parent, exist_ok=True)
            os.makedirs(path.parent.parent / "cur", exist_ok=True)
            path.touch()
            os.utime(path, (0, NOW - days * DAY))

    def purge(self, min_free: int, free: int) -> set[str]:
        """Return which mails went."""
        writes = plan_purge(
            self.site, self.accounts, self.disk, DOMAIN, Purge(30, min_free), NOW, lambda _: free
        )
        assert carried_out(self.site, self.accounts, self.disk, writes) is None
        return {name for name in MAILS if not (self.maildir / name).exists()}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(str(tmp_path / "i"))


def test_what_was_thrown_away_goes_and_nothing_else(world: World) -> None:
    gone = world.purge(min_free=10, free=9)
    assert gone == {
        "cur/3.old:2,ST", ".Trash/new/5.old", ".Trash/cur/6.old:2,S", ".trash.2024/cur/8.old:2,S",
        ".Spam/new/9.old", ".Junk/cur/10.old:2,", ".Quarantine/cur/11.old:2,S",
        ".Lists/cur/13.old:2,T",
    }  # fmt: skip


def test_a_disk_with_room_is_left_alone(world: World) -> None:
    assert world.purge(min_free=10, free=10) == set()


def test_each_disk_is_asked_once(world: World) -> None:
    asked: list[str] = []

    def free(path: str) -> int:
        asked.append(path)
        return 100

    wanted = Purge(30, 10)
    assert plan_purge(world.site, world.accounts, world.disk, DOMAIN, wanted, NOW, free) == []
    assert len(asked) == 1
    assert os.path.ismount(asked[0])


def test_how_much_is_free(tmp_path: Path) -> None:
    assert 0 <= free_percent(str(tmp_path)) <= 100
    assert free_percent("/proc") == 0  # of nothing nothing is free
