"""Homes that change while they are copied: no mail is missing, none comes twice."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from indimail.app.instance import Instance
from indimail.durable.disk import SystemDisk
from indimail.manage.backup.archive import Archive
from indimail.manage.backup.mailboxes import Mailboxes
from indimail.manage.backup.source import Owner, Source
from indimail.manage.site import Site

HOME = "mail/A2E/example.com/alice"
ME: Owner = (os.geteuid(), os.getegid())


class Box:
    """A home with mails that can be done something to in the middle of the copying."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "alice"
        for part in ("new", "cur", "tmp", ".Work/new", ".Work/cur", ".Work/tmp"):
            (self.home / "Maildir" / part).mkdir(parents=True)
        site = Site(Instance(str(folder)), {}, *ME)
        self.source = Source(site)
        self.folder = folder / "backup"
        self.archive = Archive.make(SystemDisk(), str(self.folder), site.uid)
        self.boxes = Mailboxes(self.source, self.archive)

    def write(self, name: str, text: str = "hello") -> Path:
        path = self.home / "Maildir" / name
        path.write_text(text)
        return path

    def move(self, name: str, new: str) -> None:
        (self.home / "Maildir" / name).rename(self.home / "Maildir" / new)

    def copied(self) -> dict[str, str]:
        """Copy the home; return the files of the backup, by name below Maildir."""
        assert self.boxes.copy(str(self.home), HOME, ME)
        return self.listed()

    def listed(self) -> dict[str, str]:
        self.archive.end()
        found = {}
        for line in (self.folder / "files.jsonl").read_text().splitlines():
            entry = json.loads(line)
            if "sha256" in entry or "same" in entry:
                stored = entry.get("same", entry["path"])
                text = (self.folder / "files" / stored).read_text()
                found[entry["path"].removeprefix(f"{HOME}/Maildir/")] = text
        kept = [p for p in (self.folder / "files").rglob("*") if p.is_file()]
        assert len(kept) == sum("sha256" in line for line in
                                (self.folder / "files.jsonl").read_text().splitlines())  # fmt: skip
        return found

    def at(self, monkeypatch: pytest.MonkeyPatch, name: str, do: Callable[[], object]) -> None:
        """Do something when the directory `name` has been listed for the first time."""
        names, done = self.source.names, list[str]()

        def listed(folder: str, owner: Owner | None = None) -> list[tuple[str, os.stat_result]]:
            found = names(folder, owner)
            if folder.endswith(f"/{name}") and not done:
                done.append(name)
                do()
            return found

        monkeypatch.setattr(self.source, "names", listed)


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    box = Box(tmp_path)
    with box.archive:
        yield box


def test_mails_and_files_of_a_home_are_copied(box: Box) -> None:
    box.write("new/1.a", "one")
    box.write("cur/2.b:2,S", "two")
    box.write(".Work/cur/3.c:2,", "three")
    box.write("tmp/4.d", "unfinished")
    box.write("maildirsize", "5S\n")
    box.write("index.db-wal", "an index")
    box.write("deliveryCount", "1")
    assert box.copied() == {
        "new/1.a": "one", "cur/2.b:2,S": "two", ".Work/cur/3.c:2,": "three", "deliveryCount": "1",
    }  # fmt: skip
    assert box.boxes.mails == 3


def test_modes_and_times_are_kept(box: Box) -> None:
    path = box.write("new/1.a")
    path.chmod(0o640)
    os.utime(path, ns=(1, 1_234_567_890_123_456_789))
    box.copied()
    line = (box.folder / "files.jsonl").read_text().splitlines()[-1]
    entry = json.loads(line)
    assert (entry["mode"], entry["changed"]) == (0o640, 1_234_567_890_123_456_789)


@pytest.mark.parametrize("when", ["Maildir/new", "Maildir/cur", "Maildir", ".Work"])
def test_a_mail_that_is_read_meanwhile_is_there_once(
    box: Box, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    box.write("new/1.a")
    box.at(monkeypatch, when, lambda: box.move("new/1.a", "cur/1.a:2,S"))
    assert box.copied() == {"cur/1.a:2,S": "hello"}


@pytest.mark.parametrize("when", ["Maildir/new", "Maildir/cur", ".Work", ".Work/new", ".Work/cur"])
@pytest.mark.parametrize(("old", "new"), [
    ("cur/1.a:2,S", ".Work/cur/1.a:2,S"), (".Work/cur/1.a:2,S", "cur/1.a:2,S"),
])  # fmt: skip
def test_a_mail_that_is_filed_meanwhile_is_there_once(
    box: Box, monkeypatch: pytest.MonkeyPatch, when: str, old: str, new: str
) -> None:
    box.write(old)
    box.write("cur/2.b:2,S", "another")
    box.at(monkeypatch, when, lambda: box.move(old, new))
    assert box.copied() == {new: "hello", "cur/2.b:2,S": "another"}


def test_a_mail_that_comes_meanwhile_may_be_there_and_harms_nothing(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.write("new/1.a")
    box.at(monkeypatch, "Maildir/cur", lambda: box.write("new/2.b", "late"))
    assert box.copied() == {"new/1.a": "hello", "new/2.b": "late"}


def test_a_mail_that_is_removed_meanwhile_is_kept_or_gone(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = box.write("new/1.a")
    box.at(monkeypatch, "Maildir/new", path.unlink)
    assert box.copied() == {}


def test_a_mail_that_was_copied_and_is_removed_then_is_kept(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = box.write("new/1.a")
    box.at(monkeypatch, "Maildir/cur", path.unlink)
    assert box.copied() == {"new/1.a": "hello"}


def test_a_file_that_is_written_over_has_its_last_contents(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    box.write("deliveryCount", "1")

    def replace() -> None:
        box.write("tmp/x", "twenty")
        box.move("tmp/x", "deliveryCount")

    box.at(monkeypatch, "Maildir/cur", replace)
    box.write("new/1.a")
    assert box.copied() == {"deliveryCount": "twenty", "new/1.a": "hello"}


def test_two_names_of_a_mail_are_two_names_in_the_backup(box: Box, tmp_path: Path) -> None:
    first = box.write("new/1.a", "posted")
    os.link(first, box.home / "Maildir/.Work/new/1.a")
    bob = tmp_path / "bob" / "Maildir" / "new"
    bob.mkdir(parents=True)
    os.link(first, bob / "1.b")
    assert box.boxes.copy(str(box.home), HOME, ME)
    assert box.boxes.copy(str(tmp_path / "bob"), "mail/A2E/example.com/bob", ME)
    assert box.listed() == {
        "new/1.a": "posted", ".Work/new/1.a": "posted",
        "mail/A2E/example.com/bob/Maildir/new/1.b": "posted",
    }  # fmt: skip
    assert box.boxes.mails == 3


def test_a_home_that_is_not_there_is_told(box: Box, tmp_path: Path) -> None:
    assert not box.boxes.copy(str(tmp_path / "nobody"), "mail/x", ME)


def test_links_are_kept_as_links_and_no_fifo_is_waited_for(box: Box) -> None:
    os.mkfifo(box.home / "Maildir/new/fifo")
    os.symlink("/etc/passwd", box.home / "Maildir/link")
    assert box.copied() == {}
    assert '"target":"/etc/passwd"' in (box.folder / "files.jsonl").read_text()
