"""Mailboxes that are copied: names, flags, times, again after a crash, and what is left."""

import errno
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from importing_trees import Tree, dump
from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.port import Account
from indimail.app.instance import Instance
from indimail.durable.disk import SystemDisk
from indimail.mail.secret import Secret
from indimail.manage.importing import maildirs
from indimail.manage.importing.maildirs import IMPORTED, CopyMaildir, others, wanted
from indimail.manage.site import Site
from indimail.manage.writes import Stores
from manage.site_tree import QuickDisk

AT = 1_230_865_445  # 2 January 2009
NAMES = ["1234.M1P2.old,S=6:2,S", "1235.M1P2.old:2,RST", "1236.M1P2.old"]


SITE = Site(Instance("/nowhere"), {}, 0, 0)  # copies go nowhere near it


class Gone(BaseException):
    """The process is gone."""


@pytest.fixture
def old(tmp_path: Path) -> Tree:
    tree = Tree(str(tmp_path / "old"))
    tree.put_mail("alice", NAMES[0], "hello\n", "cur", at=AT)
    tree.put_mail("alice", NAMES[1], "world!\n", "cur", ".Sent", at=AT)
    tree.put_mail("alice", NAMES[2], "new\n")
    tree.write("alice/Maildir/.Sent/maildirfolder", "")
    tree.write("alice/Maildir/courierimapsubscribed", "INBOX.Sent\n")
    tree.write("alice/Maildir/maildirsize", "1S\n1 1\n")
    tree.write("alice/Maildir/tmp/1.unfinished", "x")
    return tree


@pytest.fixture
def copy(old: Tree, tmp_path: Path) -> CopyMaildir:
    return copy_of(old, tmp_path)


def copy_of(old: Tree, tmp_path: Path, *, link: bool = False) -> CopyMaildir:
    target = tmp_path / "here" / "Maildir"
    target.mkdir(parents=True, exist_ok=True)
    source = f"{old.folder}/alice/Maildir"
    return CopyMaildir(source, str(target), os.geteuid(), "alice", "example.com", link)


def run(copy: CopyMaildir, disk: SystemDisk | None = None) -> list[int]:
    return list(copy.batches(Stores(SITE, accounts(), disk or QuickDisk(), lambda _: None)))


def accounts(*, is_there: bool = True) -> MemoryAccounts:
    found = MemoryAccounts()
    if is_there:
        found.add(Account("alice", "example.com", Secret("*"), quota="50M"))
    return found


def files(copy: CopyMaildir) -> dict[str, bytes]:
    root = Path(copy.maildir)
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_names_flags_folders_and_times_are_as_they_were(copy: CopyMaildir, old: Tree) -> None:
    before = dump(old.folder)
    assert run(copy) == [3]
    assert files(copy) == {
        f"cur/{NAMES[0]}": b"hello\n",
        f".Sent/cur/{NAMES[1]}": b"world!\n",
        f"new/{NAMES[2]}": b"new\n",
        ".Sent/maildirfolder": b"",
        "courierimapsubscribed": b"INBOX.Sent\n",
        "maildirsize": b"52428800S\n10 2\n",  # without what is marked with T
        IMPORTED: b".Sent/1235.M1P2.old\n/1234.M1P2.old,S=6\n/1236.M1P2.old\n",
    }
    for name in (f"cur/{NAMES[0]}", f".Sent/cur/{NAMES[1]}"):
        kept = os.stat(f"{copy.maildir}/{name}")
        assert (int(kept.st_mtime), kept.st_mode & 0o777) == (AT, 0o600)
    assert dump(old.folder) == before


def test_a_second_time_brings_what_came_meanwhile_and_nothing_that_was_moved_or_removed(
    copy: CopyMaildir, old: Tree
) -> None:
    run(copy)
    os.unlink(f"{copy.maildir}/cur/{NAMES[0]}")
    os.rename(f"{copy.maildir}/new/{NAMES[2]}", f"{copy.maildir}/.Sent/cur/{NAMES[2]}:2,S")
    old.put_mail("alice", "1237.M1P2.old", "late\n")
    assert run(copy) == [1]
    mails = [name for name in files(copy) if "/" in name and "M1P2" in name]
    assert sorted(mails) == [
        f".Sent/cur/{NAMES[1]}", f".Sent/cur/{NAMES[2]}:2,S", "new/1237.M1P2.old",
    ]  # fmt: skip
    assert run(copy) == []


def test_killed_at_any_change_and_run_again_it_is_as_undisturbed(
    old: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maildirs, "_AT_ONCE", 2)
    undisturbed = copy_of(old, tmp_path / "a")
    counted = Countdown(10_000)
    run(undisturbed, counted)
    changes = 10_000 - counted.left
    assert changes > 10
    for number in range(changes):
        copy = copy_of(old, tmp_path / f"b{number}")
        with pytest.raises(Gone):
            run(copy, Countdown(number))
        for left in Path(copy.maildir).glob(
            "tmp/*.maildirsize"
        ):  # another process has another name
            left.unlink()
        run(copy)
        assert files(copy) == files(undisturbed), number


class Countdown(QuickDisk):
    """Dies at a change, and syncs nothing."""

    def __init__(self, left: int) -> None:
        super().__init__(self.count)
        self.left = left

    def count(self) -> None:
        if not self.left:
            raise Gone
        self.left -= 1

    def sync_filesystem(self, path: str) -> None:
        self.before()


def test_mails_are_synced_before_they_have_their_names_and_names_before_the_list(
    copy: CopyMaildir,
) -> None:
    order: list[str] = []

    class Ordered(QuickDisk):
        def sync_filesystem(self, path: str) -> None:
            order.append("sync")

        def sync_file(self, path: str) -> None:
            order.append(f"sync {os.path.basename(path)}")

        def rename(self, source: str, target: str) -> None:
            super().rename(source, target)
            if not target.endswith("maildirsize"):
                order.append(os.path.basename(target))

    run(copy, Ordered())
    small = [f"{word}{name}" for name in ("courierimapsubscribed", "maildirfolder")
             for word in ("sync ", "")]  # fmt: skip
    list_ = [f"sync .{IMPORTED}.{os.getpid()}.tmp", IMPORTED]
    assert order == [*small, "sync", *NAMES[::2], NAMES[1], "sync", *list_]


class Full(QuickDisk):
    """A disk with some room."""

    def free(self, path: str) -> int:
        return maildirs.RESERVE + 16


def test_a_disk_without_room_for_the_next_mails_ends_it_before_they_are_written(
    copy: CopyMaildir, old: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maildirs, "_AT_ONCE", 1)
    old.put_mail("alice", "1238.M1P2.old", "x" * 17)
    with pytest.raises(OSError, match="No space left") as raised:
        run(copy, Full())
    assert raised.value.errno == errno.ENOSPC
    assert not any("/tmp/" in name or name == IMPORTED for name in files(copy))
    run(copy)
    assert "new/1238.M1P2.old" in files(copy)


def test_a_write_that_fails_leaves_no_half_mail(
    copy: CopyMaildir, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "utime", full)
    monkeypatch.setattr(maildirs, "open", Broken, raising=False)
    with pytest.raises(OSError, match="No space left"):
        run(copy)
    assert not any("M1P2" in name for name in files(copy))


def full(*_arguments: object, **_named: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Broken:
    """A file that takes nothing."""

    def __new__(cls, fd: int | str, mode: str = "r", **named: int) -> "Broken":
        if mode == "wb":
            return super().__new__(cls)
        return open(fd, mode, **named)  # type: ignore[return-value, call-overload]

    def __init__(self, fd: int, mode: str = "") -> None:
        self._fd = fd

    def write(self, _octets: bytes) -> None:
        full()

    def __enter__(self) -> "Broken":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def test_a_mail_that_its_reader_moves_meanwhile_is_brought_the_next_time(
    copy: CopyMaildir, old: Tree
) -> None:
    class Moving(QuickDisk):
        def free(self, path: str) -> int:
            maildir = f"{old.folder}/alice/Maildir"
            os.rename(f"{maildir}/new/{NAMES[2]}", f"{maildir}/cur/{NAMES[2]}:2,S")
            return super().free(path)

    assert run(copy, Moving()) == [2]
    assert run(copy) == [1]
    assert files(copy)[f"cur/{NAMES[2]}:2,S"] == b"new\n"


def test_links_and_what_is_no_folder_are_left_and_told(copy: CopyMaildir, old: Tree) -> None:
    maildir = Path(old.folder, "alice", "Maildir")
    secret = old.write("secret/cur/9.M1P2.secret", "secret\n")
    (maildir / ".Linked").symlink_to(secret.parent.parent)
    (maildir / "cur" / "9.M9P9.old:2,S").symlink_to(secret)
    (maildir / "courierimapkeywords").mkdir()
    run(copy)
    assert not any(b"secret" in octets for octets in files(copy).values())
    assert others(copy.source) == [".Linked", "courierimapkeywords"]


def test_a_folder_whose_cur_is_a_link_is_not_followed(copy: CopyMaildir, old: Tree) -> None:
    secret = old.write("secret/9.M1P2.secret", "secret\n")
    folder = Path(old.folder, "alice", "Maildir", ".Evil")
    folder.mkdir()
    (folder / "cur").symlink_to(secret.parent)
    run(copy)
    assert not any(b"secret" in octets for octets in files(copy).values())


def test_files_of_another_owner_are_left_and_counted(copy: CopyMaildir) -> None:
    other = replace(copy, owner=os.geteuid() + 1)
    assert wanted(other) == ([], 3)
    run(other)
    assert set(files(copy)) == {"maildirsize"} or not files(copy)
    assert wanted(copy)[1] == 0


@pytest.mark.parametrize("is_linked", [True, False])
def test_a_mail_has_a_second_name_where_that_was_asked_for(
    old: Tree, tmp_path: Path, is_linked: bool
) -> None:
    copy = copy_of(old, tmp_path, link=is_linked)
    run(copy)
    source = os.stat(f"{copy.source}/cur/{NAMES[0]}")
    target = os.stat(f"{copy.maildir}/cur/{NAMES[0]}")
    assert (source.st_ino == target.st_ino) is is_linked
    assert int(target.st_mtime) == AT


def test_where_no_second_name_can_be_it_is_copied(old: Tree, tmp_path: Path) -> None:
    class Elsewhere(QuickDisk):
        def link(self, source: str, target: str) -> None:
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    copy = copy_of(old, tmp_path, link=True)
    run(copy, Elsewhere())
    assert files(copy)[f"cur/{NAMES[0]}"] == b"hello\n"


def test_a_mailbox_whose_user_went_meanwhile_is_not_made_again(copy: CopyMaildir) -> None:
    os.rmdir(copy.maildir)
    stores = Stores(SITE, accounts(is_there=False), QuickDisk(), lambda _: None)
    assert list(copy.batches(stores)) == []
    assert not os.path.exists(copy.maildir)


def test_a_mailbox_that_was_never_made_is(copy: CopyMaildir) -> None:
    os.rmdir(copy.maildir)
    assert run(copy) == [3]


def test_odd_names_are_kept(copy: CopyMaildir, old: Tree) -> None:
    names: Sequence[bytes] = [b"1.\xff\xfe.old:2,S", "2.ü.old".encode(), b"3.a b'\".old"]
    folder = os.fsencode(f"{old.folder}/alice/Maildir/new/")
    for name in names:
        Path(os.fsdecode(folder + name)).write_text("odd\n")
    run(copy)
    assert set(names) <= set(os.listdir(os.fsencode(copy.maildir) + b"/new"))
    assert run(copy) == []
