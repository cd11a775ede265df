"""spec/delivery.md 4 (mbox)."""

import errno
import mailbox
import os
from contextlib import closing
from pathlib import Path

import pytest

from indimail.durable.lock import lock_file
from indimail.mail.errors import MailboxFull, MailboxUnwritable
from indimail.mailbox import mbox
from indimail.mailbox.mbox import append_mbox

FROM = "From eve@example.net Thu Jan  1 00:00:00 1970\n"


@pytest.fixture
def box(tmp_path: Path) -> Path:
    return tmp_path / "box"


@pytest.mark.parametrize(
    ("mail", "stored"),
    [
        (b"Subject: x\n\nhello\n", b"Subject: x\n\nhello\n\n"),
        (b"Subject: x\n\nno end", b"Subject: x\n\nno end\n\n"),
        (b"From here\n\nFrom there\n>From\n>From x\n>>From y\n",
         b">From here\n\n>From there\n>From\n>>From x\n>>>From y\n\n"),
        (b"a From b\nfrom x\nFrom\n", b"a From b\nfrom x\nFrom\n\n"),
        (b"", b"\n"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 5, 1000])
def test_a_mail_is_appended_behind_its_from_line(box: Path, mail, stored, size) -> None:
    box.write_bytes(b"what was there\n")
    append_mbox(str(box), [mail[at : at + size] for at in range(0, len(mail), size)], FROM)
    assert box.read_bytes() == b"what was there\n" + FROM.encode() + stored


def test_python_s_mailbox_reads_what_was_written(box: Path) -> None:
    for text in ("one", "From two\n>From two"):
        append_mbox(str(box), [f"Subject: x\n\n{text}\n".encode()], FROM)
    with closing(mailbox.mbox(str(box))) as reader:
        found = [mail.get_payload() for mail in reader]
    assert found == ["one\n", ">From two\n>>From two\n"]


def test_a_new_file_is_its_owner_s(box: Path) -> None:
    append_mbox(str(box), [b"x\n"], FROM)
    assert box.stat().st_mode & 0o777 == 0o600


def test_a_line_without_end_takes_no_more_memory_than_a_bound(box: Path, monkeypatch) -> None:
    monkeypatch.setattr(mbox, "_LONGEST_LINE", 100)
    append_mbox(str(box), [b"x" * 80] * 5 + [b"\nFrom a\n"], FROM)
    assert box.read_bytes() == FROM.encode() + b"x" * 400 + b"\n>From a\n\n"


def test_the_middle_of_a_long_line_is_no_from_line(box: Path, monkeypatch) -> None:
    monkeypatch.setattr(mbox, "_LONGEST_LINE", 100)
    append_mbox(str(box), [b"x" * 80, b"y" * 80, b"From z\n"], FROM)
    assert box.read_bytes() == FROM.encode() + b"x" * 80 + b"y" * 80 + b"From z\n\n"


def test_a_file_that_somebody_has_locked_is_waited_for_and_left(box: Path, monkeypatch) -> None:
    monkeypatch.setattr(mbox, "PATIENCE", 0.01)
    box.write_bytes(b"theirs\n")
    fd = os.open(box, os.O_RDWR)
    assert lock_file(fd, 0.0)
    with pytest.raises(MailboxUnwritable, match="File has been locked for 30 seconds"):
        append_mbox(str(box), [b"x\n"], FROM)
    os.close(fd)
    append_mbox(str(box), [b"x\n"], FROM)
    assert box.read_bytes().startswith(b"theirs\nFrom ")


@pytest.mark.parametrize(
    ("code", "kind", "text"),
    [
        (errno.EDQUOT, MailboxFull, "Recipient's mailbox is full"),
        (errno.ENOSPC, MailboxUnwritable, "No space left on device"),
        (errno.EIO, MailboxUnwritable, "Input/output error"),
    ],
)
def test_what_could_not_be_written_is_cut_off_again(box, monkeypatch, code, kind, text) -> None:
    box.write_bytes(b"what was there\n")

    def fail(fd: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(mbox, "sync_descriptor", fail)
    with pytest.raises(kind, match=text):
        append_mbox(str(box), [b"x\n"], FROM)
    assert box.read_bytes() == b"what was there\n"


def test_a_mail_that_cannot_be_read_leaves_nothing_of_it(box: Path) -> None:
    def pieces():
        yield b"half\n"
        raise MailboxUnwritable("the spool is broken")

    with pytest.raises(MailboxUnwritable, match="spool"):
        append_mbox(str(box), pieces(), FROM)
    assert box.read_bytes() == b""


@pytest.mark.parametrize("path", ["/nowhere/at/all/box", "/"])
def test_a_file_that_cannot_be_opened_keeps_the_mail(path: str) -> None:
    with pytest.raises(MailboxUnwritable, match=rf"Unable to open {path}: .*\(#4.2.1\)"):
        append_mbox(path, [b"x\n"], FROM)


def test_a_device_is_no_mbox() -> None:
    with pytest.raises(MailboxUnwritable, match="Not a regular file"):
        append_mbox("/dev/null", [b"x\n"], FROM)


def test_a_pipe_is_not_waited_for(box: Path) -> None:
    os.mkfifo(box)
    with pytest.raises(MailboxUnwritable, match="Unable to open"):
        append_mbox(str(box), [b"x\n"], FROM)


def test_the_name_of_a_new_file_is_synced_too(box: Path, monkeypatch) -> None:
    synced = []
    monkeypatch.setattr(mbox, "sync_descriptor", lambda fd: synced.append(os.fstat(fd).st_ino))
    append_mbox(str(box), [b"x\n"], FROM)
    append_mbox(str(box), [b"x\n"], FROM)
    new, folder = box.stat().st_ino, box.parent.stat().st_ino
    assert synced == [new, folder, new]
