"""When a backup, and a restored instance, count as whole: after all of it is on disk."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from indimail.accounts.sql import SqlAccounts, sqlite_url
from indimail.app.instance import Instance
from indimail.durable.disk import SystemDisk
from indimail.mail.secret import Secret
from indimail.manage.backup.archive import Archive
from indimail.manage.backup.make import make_backup
from indimail.manage.backup.manifest import BackupRefused, read_manifest
from indimail.manage.backup.restore import Order, restore
from indimail.manage.backup.verify import verified
from indimail.manage.domains import NewDomain
from indimail.manage.site import Site
from manage.site_tree import QuickDisk, add_domain, make_site


class Heard(SystemDisk):
    """Syncs nothing, and writes down what it was asked for, in order."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def write_new(self, path: str, parts: Sequence[bytes], mode: int = 0o600) -> None:
        super().write_new(path, parts, mode)
        self.heard.append(("write", path))

    def rename(self, source: str, target: str) -> None:
        super().rename(source, target)
        self.heard.append(("rename", target))

    def sync_file(self, path: str) -> None:
        self.heard.append(("sync", path))

    def sync_directory(self, path: str) -> None:
        self.heard.append(("sync names", path))

    def sync_filesystem(self, path: str) -> None:
        self.heard.append(("sync all", path))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A small instance of whoever runs the test."""
    found = replace(make_site(str(tmp_path / "i")), uid=os.geteuid(), gid=os.getegid())
    accounts = SqlAccounts(url_of(found))
    made = NewDomain("example.com", Secret("hash"))
    assert add_domain(found, accounts, QuickDisk(), made) is None
    accounts.close()
    return found


def url_of(site: Site) -> str:
    return sqlite_url(f"{site.places.db}/indimail.db")


def tell(_: str) -> None:
    pass


def backup(site: Site, disk: SystemDisk, folder: Path, say: Callable[[str], None] = tell) -> None:
    make_backup(site, url_of(site), disk, str(folder), say, with_mail=True)


def test_the_manifest_has_its_name_when_all_is_on_disk_and_stays(
    site: Site, tmp_path: Path
) -> None:
    disk, folder = Heard(), tmp_path / "backup"
    backup(site, disk, folder)
    new = f"{folder}/.manifest.json.tmp"
    assert disk.heard == [
        ("sync names", str(tmp_path)),
        ("sync all", str(folder)),
        ("write", new),
        ("sync", new),
        ("rename", f"{folder}/manifest.json"),
        ("sync names", str(folder)),
    ]


def test_an_instance_has_its_name_when_all_of_it_is_on_disk(site: Site, tmp_path: Path) -> None:
    folder, root, disk = tmp_path / "backup", tmp_path / "new", Heard()
    backup(site, QuickDisk(), folder)
    root.mkdir()
    new = replace(site, places=Instance(str(root)))
    restore(Order(str(folder), new, url_of(new)), *verified(str(folder), tell), disk, tell)
    renamed = f"{root}/control/me"
    assert disk.heard.index(("sync all", str(root))) == len(disk.heard) - 5
    assert [kind for kind, _ in disk.heard[-4:]] == ["write", "sync", "rename", "sync names"]
    assert disk.heard[-2] == ("rename", renamed)


def test_a_backup_that_fails_is_none(site: Site, tmp_path: Path) -> None:
    def fail(word: str) -> None:
        if word == "trace":
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        backup(site, QuickDisk(), tmp_path / "backup", fail)
    with pytest.raises(BackupRefused, match="no backup: it was not ended"):
        read_manifest(str(tmp_path / "backup"))


def test_an_empty_directory_that_is_there_is_taken_and_closed(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    folder.mkdir(mode=0o755)
    backup(site, QuickDisk(), folder)
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a/../../x"])
def test_a_list_that_leads_out_of_the_instance_is_refused(
    site: Site, tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, end = tmp_path / "backup", Archive.end

    def lead_out(archive: Archive) -> str:
        archive.same(path, "control/me")
        return end(archive)

    monkeypatch.setattr(Archive, "end", lead_out)
    backup(site, QuickDisk(), folder)
    with pytest.raises(BackupRefused, match="expected a path below the instance"):
        verified(str(folder), tell)
