"""What is no whole backup, or cannot be made or put there, is refused, and nothing half made counts."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.accounts_commands import Terminal
from cli.backups.kit import ROOT
from indimail.app.instance import Instance
from indimail.cli.progress import Progress
from indimail.manage import site as sites
from indimail.manage.backup import manifest
from indimail.manage.site import Site, locked

pytestmark = pytest.mark.slow  # each runs commands: too much for `make fast`


def test_what_cannot_be_is_refused(full: Terminal, new: Terminal, kept: str) -> None:
    for folder, told in (
        (full.root, "lies in"), (f"{full.root}/x", "lies in"), ("/etc/hosts", "not a directory"),
        (f"{kept}/a/b", "no such directory"), (str(Path(kept).parent), "not empty"),
    ):  # fmt: skip
        ran = full("backup", folder)
        assert (ran.code, told in ran.err) == (os.EX_CANTCREAT, True), ran.err
    assert full("backup", kept).code == 0
    assert full("backup", kept).err == f"indimail backup: {kept}: not empty\n"
    for root, told in ((full.root, "not empty"), (f"{kept}/x", "lies in the backup"),
                       ("/etc/hosts", "not a directory"), (str(Path(kept).parent), "lies in")):  # fmt: skip
        ran = Terminal(root, new._capture, new._patch)("restore", kept)
        assert (ran.code, told in ran.err) == (os.EX_CANTCREAT, True), ran.err
    ran = new("restore", f"{kept}-none")
    assert (ran.code, ran.err) == (65, f"indimail restore: {kept}-none: no such directory\n")
    assert not os.path.exists(new.root)


def damaged(path: Path) -> Iterator[str]:
    """Flip one bit in a file, and put it back."""
    octets = path.read_bytes()
    for at in {0, len(octets) // 2, len(octets) - 1} if octets else ():
        path.write_bytes(octets[:at] + bytes([octets[at] ^ 4]) + octets[at + 1 :])
        yield str(path)
    path.write_bytes(octets + b"x")
    yield str(path)
    path.unlink()
    yield str(path)
    path.write_bytes(octets)


def test_a_bit_that_is_another_is_refused_with_the_files_name(
    full: Terminal, new: Terminal, kept: str
) -> None:
    assert full("backup", "--mail", kept).code == 0
    paths = [path for path in Path(kept).rglob("*") if path.is_file()]
    assert len(paths) > 30
    for path in paths:
        for name in damaged(path):
            told = kept if path.name == "manifest.json" and not path.exists() else name
            ran = new("restore", kept)
            assert (ran.code, f" {told}: " in ran.err) == (65, True), (name, ran.err)
            assert not os.path.exists(new.root)
    assert new("restore", kept).code == 0


def test_a_backup_of_a_newer_form_is_refused(full: Terminal, new: Terminal, kept: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifest.Manifest.__init__, "__defaults__", ((), 2))
        assert full("backup", kept).code == 0
    assert new("restore", kept).err == (
        f"indimail restore: {kept}/manifest.json: format 2, expected 1\n"
    )


class Killed(BaseException):
    """The process is gone."""


def killed_at(number: int) -> Callable[..., None]:
    """Return a `Progress.tell` that ends the process at the number-th word."""
    told = [0]

    def tell(_self: Progress, _what: str) -> None:
        told[0] += 1
        if told[0] == number:
            raise Killed

    return tell


def test_a_backup_that_was_killed_is_none(
    full: Terminal, new: Terminal, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1, 100):
        folder = f"{kept}{number}"
        with monkeypatch.context() as patch:
            patch.setattr(Progress, "tell", killed_at(number))
            try:
                assert full("backup", "--mail", folder).code == 0
            except Killed:
                assert new("restore", folder).code == 65
                assert full("backup", folder).code == os.EX_CANTCREAT
                continue
        break
    assert number > 5
    assert new("restore", folder).code == 0
    assert not list(Path(full.root).rglob("*.tmp"))


def test_a_restore_that_was_killed_left_no_instance(
    full: Terminal, new: Terminal, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert full("backup", "--mail", kept).code == 0
    for number in range(1, 100):
        with monkeypatch.context() as patch:
            patch.setattr(Progress, "tell", killed_at(number))
            try:
                assert new("restore", kept).code == 0
            except Killed:
                if os.path.exists(new.root):
                    assert new("restore", kept).code == os.EX_CANTCREAT
                    checked = new("check_config")
                    assert checked.code == os.EX_CONFIG
                    assert "control/me: found no such file" in checked.err
                    shutil.rmtree(new.root)
                continue
        break
    assert number > 4
    assert new("check_config").code == 0


def test_no_command_changes_the_instance_while_its_users_are_copied(
    full: Terminal, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = os.stat(full.root)
    site = Site(Instance(full.root), {}, owner.st_uid, owner.st_gid)
    monkeypatch.setattr(sites, "PATIENCE", 0.1)
    with locked(site, "vdeluser alice@example.com", 1.0):
        ran = full("backup", kept)
    assert (ran.code, "vdeluser alice@example.com (process" in ran.err) == (75, True)


def test_a_file_that_cannot_be_read_ends_it(full: Terminal, new: Terminal, kept: str) -> None:
    path = Path(full.root, "control", "me")
    path.chmod(0)
    ran = full("backup", kept)
    assert (ran.code, ran.err) == (77, f"indimail backup: {path}: Permission denied\n")
    assert new("restore", kept).code == 65


def test_a_database_that_is_down_ends_it(full: Terminal, new: Terminal, kept: str) -> None:
    Path(full.root, "db", "indimail.db").unlink()
    ran = full("backup", kept)
    assert (ran.code, "no such file" in ran.err) == (75, True)
    assert new("restore", kept).code == 65


@pytest.mark.skipif(not ROOT, reason="root alone is lured")
def test_no_link_lures_root_into_what_the_owner_may_not_read(full: Terminal, kept: str) -> None:
    secret = Path(full.root).parent / "secret"
    secret.write_text("root's")
    secret.chmod(0o600)
    link = Path(full.root, "control", "bouncehost")
    link.symlink_to(secret)
    os.lchown(link, os.stat(full.root).st_uid, -1)
    home = Path(full.root, "mail/A2E/example.com/alice/Maildir/new/link")
    home.symlink_to(secret)
    assert full("backup", "--mail", kept).code == 0
    assert not any(b"root's" in p.read_bytes() for p in Path(kept).rglob("*") if p.is_file())
