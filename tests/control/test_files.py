import os
import stat

import pytest

from indimail.control.files import (
    ControlFolder,
    add_line,
    parse_lines,
    read_control,
    remove_line,
    write_atomic,
)
from indimail.durable.disk import SystemDisk
from indimail.durable.lock import DirectoryLock
from indimail.mail.errors import Mistake
from indimail.mail.line import Line
from support import needs_root

NAME = "control/rcpthosts"


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"\n \n#\n# comment\n", []),
        (b"example.com", [(1, "example.com")]),
        (b"# ours\nexample.com \t\n\n.example.org\r\n", [(2, "example.com"), (4, ".example.org")]),
        (b" #not a comment\n", [(1, " #not a comment")]),
        ("b\u00fccher.example\u2028x\n".encode(), [(1, "b\u00fccher.example\u2028x")]),
    ],
)
def test_comments_and_empty_lines_are_counted_and_skipped(content, lines):
    assert parse_lines(content, NAME) == (tuple(Line(NAME, n, text) for n, text in lines), [])


def test_what_is_no_text_is_a_mistake_with_its_line():
    lines, mistakes = parse_lines(b"a\n\xff\xfe\nb\0c\nd", NAME)
    assert [line.text for line in lines] == ["a", "d"]
    assert mistakes == [
        Mistake(NAME, 2, r"'\xff\xfe'", "UTF-8 text"),
        Mistake(NAME, 3, "a NUL octet", "text"),
    ]


def test_a_missing_file_differs_from_an_empty_one(tmp_path):
    (tmp_path / "locals").write_text("")
    missing, _ = read_control(f"{tmp_path}/rcpthosts", NAME)
    empty, _ = read_control(f"{tmp_path}/locals", "control/locals")
    assert (missing.lines, missing.exists) == ((), False)
    assert (empty.lines, empty.exists) == ((), True)


def test_a_file_that_cannot_be_read_is_a_mistake(tmp_path):
    (tmp_path / "rcpthosts").mkdir()
    _, mistakes = read_control(f"{tmp_path}/rcpthosts", NAME)
    assert mistakes == [Mistake(NAME, None, "is a directory", "a readable file")]


def test_a_name_that_is_a_path_is_taken_as_it_stands(tmp_path):
    (tmp_path / "elsewhere").write_text("x\n")
    folder = ControlFolder(str(tmp_path / "control"), "control")
    assert folder[f"{tmp_path}/elsewhere"].lines == (Line(f"{tmp_path}/elsewhere", 1, "x"),)
    assert folder["me"].name == "control/me"


def test_a_line_is_added_once_and_the_rest_of_the_file_stays(tmp_path):
    path = tmp_path / "rcpthosts"
    disk = SystemDisk()
    assert add_line(disk, str(path), "example.com")
    assert path.read_bytes() == b"example.com\n"
    path.write_bytes(b"# ours\n\nexample.com \nlast without an end")
    assert not add_line(disk, str(path), "example.com")
    assert add_line(disk, str(path), "example.org")
    assert path.read_bytes() == b"# ours\n\nexample.com \nlast without an end\nexample.org\n"


def test_a_line_is_removed_wherever_it_is(tmp_path):
    path = tmp_path / "locals"
    path.write_bytes(b"a\n# a\nb\na \n")
    disk = SystemDisk()
    assert remove_line(disk, str(path), "a")
    assert not remove_line(disk, str(path), "a")
    assert path.read_bytes() == b"# a\nb\n"
    assert not remove_line(disk, f"{tmp_path}/missing", "a")


def test_a_replaced_file_keeps_its_mode(tmp_path):
    path = tmp_path / "batvkey"
    path.write_text("old")
    path.chmod(0o640)
    write_atomic(SystemDisk(), str(path), [b"new"])
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_what_root_writes_belongs_to_whom_the_old_file_or_the_folder_belongs(tmp_path):
    needs_root()
    os.chown(tmp_path, 12_345, 12_346)
    old = tmp_path / "old"
    old.write_text("")
    os.chown(old, 23_456, 23_457)
    write_atomic(SystemDisk(), str(old), [b"x"])
    write_atomic(SystemDisk(), f"{tmp_path}/new", [b"x"], 0o600)
    new = (tmp_path / "new").stat()
    assert (old.stat().st_uid, old.stat().st_gid) == (23_456, 23_457)
    assert (new.st_uid, new.st_gid, stat.S_IMODE(new.st_mode)) == (12_345, 12_346, 0o600)


class RecordingDisk(SystemDisk):
    """Notes the order of what makes a change durable."""

    def __init__(self):
        self.calls = []

    def sync_file(self, path):
        self.calls.append(("sync", os.path.basename(path).startswith(".")))
        super().sync_file(path)

    def rename(self, source, target):
        self.calls.append(("rename", os.path.basename(target)))
        super().rename(source, target)

    def sync_directory(self, path):
        self.calls.append(("sync names", os.path.basename(path)))
        super().sync_directory(path)


def test_contents_are_synced_before_the_rename_and_the_name_after_it(tmp_path):
    disk = RecordingDisk()
    write_atomic(disk, f"{tmp_path}/me", [b"mx\n"])
    expected = [("sync", True), ("rename", "me"), ("sync names", tmp_path.name)]
    assert disk.calls == expected


class FullDisk(SystemDisk):
    def sync_file(self, path):
        raise OSError(28, "No space left on device")


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    (tmp_path / "me").write_text("old")
    with pytest.raises(OSError, match="No space"):
        write_atomic(FullDisk(), f"{tmp_path}/me", [b"new"])
    assert os.listdir(tmp_path) == ["me"]
    assert (tmp_path / "me").read_text() == "old"


class LockedDisk(SystemDisk):
    """Looks, at each reading and writing, whether somebody else could change the folder's files."""

    def __init__(self) -> None:
        self.free = []

    def _look(self, path):
        lock = DirectoryLock.take(os.path.dirname(path))
        if lock is not None:
            lock.release()
            self.free.append(path)

    def read(self, path, offset=0, size=-1):
        self._look(path)
        return super().read(path, offset, size)

    def rename(self, source, target):
        self._look(target)
        super().rename(source, target)


def test_nobody_else_changes_a_file_between_our_reading_and_our_writing(tmp_path):
    disk = LockedDisk()
    add_line(disk, str(tmp_path / "rcpthosts"), "example.com")
    remove_line(disk, str(tmp_path / "rcpthosts"), "example.com")
    assert disk.free == []
