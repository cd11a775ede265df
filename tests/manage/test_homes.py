"""Homes of users to be: where they lie, how they are counted, that they are on disk."""

import os
from pathlib import Path

import pytest

from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.port import Account
from indimail.mail.secret import Secret
from indimail.manage.domains import NewDomain
from indimail.manage.file_writes import MakeHomes
from indimail.manage.homes import NewHomes, counted_homes
from indimail.manage.layout import make_homes
from indimail.manage.removal import plan_user_removal
from indimail.manage.row_writes import AddUsers
from indimail.manage.users import NewUser
from indimail.testing.disk import Crash, SimulatedDisk, until_the_crash
from manage.site_tree import QuickDisk, add_domain, add_user, carried_out, make_site

DOMAIN = "example.com"
NAMES = ("alice", "adam", "zoe", "anna", "0", "ada", "bea")


@pytest.mark.parametrize(("gone", "expected", "free"), [
    (0, "2/alice 3/adam 3/anna 4/ada 4/bea", None),
    (2, "alice 0/adam 2/anna 3/ada 3/bea", ""),
    (6, "alice 0/adam 0/anna 1/ada 1/bea", "2\n"),
])  # fmt: skip
def test_many_homes_are_those_of_one_after_the_other(
    tmp_path: Path, gone: int, expected: str, free: str | None
) -> None:
    """Two in a bucket, and freed buckets first."""
    found = []
    for place in ("one by one", "at once"):
        root = tmp_path / place / "i"
        root.parent.mkdir()
        site, disk, accounts = make_site(str(root)), QuickDisk(), MemoryAccounts()
        add_domain(site, accounts, disk, NewDomain(DOMAIN, Secret("x"), users_per_level=2))
        for number in range(6):
            add_user(site, accounts, disk, NewUser(f"e{number}", DOMAIN, Secret("x")))
        for number in range(gone):
            writes = plan_user_removal(site, accounts, disk, f"e{number}", DOMAIN)
            carried_out(site, accounts, disk, writes)
        if place == "one by one":
            for name in NAMES:
                add_user(site, accounts, disk, NewUser(name, DOMAIN, Secret("x")))
        else:
            homes = NewHomes(site, accounts, disk, DOMAIN)
            added = tuple(
                Account(name, DOMAIN, Secret("x"), directory=homes.next(name)) for name in NAMES
            )
            made = MakeHomes(tuple(account.directory for account in added))
            writes = [made, AddUsers(added, 0), *homes.writes()]
            carried_out(site, accounts, disk, writes)
        users = accounts.users(DOMAIN)
        assert all(os.path.isdir(f"{user.directory}/Maildir/new") for user in users)
        folder = Path(site.domain_dir(DOMAIN))
        found.append(
            (
                [os.path.relpath(user.directory, root) for user in users],
                [count.bucket for count in counted_homes(site, accounts, disk, DOMAIN)],
                sorted((path.name, path.read_text()) for path in folder.glob("*_A2E")),
            )
        )
        assert all(
            count.counted == count.homes for count in counted_homes(site, accounts, disk, DOMAIN)
        )
    assert found[0] == found[1]
    homes, _, files = found[0]
    wanted = {f"mail/A2E/{DOMAIN}/{home}" for home in expected.split()}
    assert wanted <= set(homes)
    assert files == ([] if free is None else [(".root_A2E", free)])


HOMES = [f"/mail/A2E/example.com/{bucket}a{number}" for bucket in ("", "0/") for number in (1, 2)]
FOLDERS = [f"{home}/Maildir/{part}" for home in HOMES for part in ("cur", "new", "tmp")]


def test_many_homes_are_on_disk_when_they_are_made() -> None:
    """Killed before any operation, and made again: also what was there, but on no disk yet."""
    disk = SimulatedDisk()
    make_homes(disk, HOMES)
    for number in range(1, disk.operations + 1):
        disk = SimulatedDisk()
        disk.crash_at(number, Crash.KILL)
        with until_the_crash(disk):
            make_homes(disk, HOMES)
        disk = disk.restart()
        make_homes(disk, HOMES)
        survivor = disk.survivor(Crash.POWER)
        assert [path for path in FOLDERS if not survivor.exists(path)] == []
        assert survivor.mode("/mail/A2E/example.com/0") == 0o700
