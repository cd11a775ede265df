import os

import pytest

from indimail.control import watch as module
from indimail.control.watch import FolderWatch, InotifyWatch, StatWatch, watch


@pytest.fixture(params=[InotifyWatch, StatWatch])
def seen(request, tmp_path):
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "me").write_text("mx\n")
    it = request.param([f"{tmp_path}/control", f"{tmp_path}/tcp"])
    yield it
    it.close()


def write(path, text):
    """Write, and make the time of change another one also where the clock is coarse."""
    path.write_text(text)
    state = path.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 1))


def test_nothing_happened_nothing_changed(seen):
    assert not seen.changed()
    assert not seen.changed()


def test_each_kind_of_change_is_seen_once(seen, tmp_path):
    control = tmp_path / "control"
    changes = [
        lambda: write(control / "me", "mx2\n"),
        lambda: write(control / "locals", ""),
        lambda: (control / "locals").rename(control / "rcpthosts"),
        lambda: (tmp_path / "x").rename(control / "me"),
        lambda: (control / "me").chmod(0o600),
        (control / "rcpthosts").unlink,
    ]
    (tmp_path / "x").write_text("mx3\n")
    for change in changes:
        change()
        assert seen.changed()
        assert not seen.changed()


def test_what_begins_with_a_dot_is_nobodys_configuration(seen, tmp_path):
    (tmp_path / "control" / ".me.swp").write_text("x")
    assert not seen.changed()


def test_a_directory_that_comes_later_is_seen_and_so_are_its_files(seen, tmp_path):
    (tmp_path / "tcp").mkdir()
    (tmp_path / "tcp" / "tcp.smtp").write_text(":deny\n")
    assert seen.changed()
    write(tmp_path / "tcp" / "tcp.smtp", ":allow\n")
    assert seen.changed()
    assert not seen.changed()


def test_a_directory_may_be_replaced(seen, tmp_path):
    (tmp_path / "control").rename(tmp_path / "old")
    (tmp_path / "control").mkdir()
    (tmp_path / "control" / "me").write_text("other\n")
    assert seen.changed()
    seen.changed()
    write(tmp_path / "control" / "me", "again\n")
    assert seen.changed()
    write(tmp_path / "old" / "me", "unseen\n")
    assert not seen.changed()


def test_many_changes_are_one(seen, tmp_path):
    for number in range(3000):
        (tmp_path / "control" / f"file{number}").touch()
    assert seen.changed()
    assert not seen.changed()


def test_without_inotify_the_entries_are_compared(tmp_path, monkeypatch):
    def refuse(**_):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(module, "INotify", refuse)
    assert isinstance(watch([str(tmp_path)]), StatWatch)


def test_with_inotify_the_kernel_is_asked(tmp_path):
    it = watch([str(tmp_path)])
    assert isinstance(it, InotifyWatch)
    it.close()


def test_so_many_folders_are_watched_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST_FOLDERS", 2)
    folders = [tmp_path / name for name in "abc"]
    for folder in folders:
        folder.mkdir()
    homes = FolderWatch()
    assert [homes.add(str(folder)) for folder in folders] == [True, True, False]
    assert homes.add(str(folders[0]))
    write(folders[2] / ".qmail", "")
    assert not homes.changed()
    write(folders[1] / ".qmail", "")
    assert homes.changed()
    assert not homes.changed()
    homes.close()
