"""The file maildirsize (spec/delivery.md 8.3), what counts, and when it is counted anew."""

import errno
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.delivery.quota import UNLIMITED, Quota, Usage
from indimail.durable.disk import SystemDisk
from indimail.mail.errors import MailboxUnwritable
from indimail.mailbox.maildirsize import (
    EXPECTED_FOR,
    MAX_AGE,
    MAX_SIZE,
    SHARE,
    Content,
    Counting,
    MaildirSizes,
    count_maildir,
    inbox,
    parse_maildirsize,
)
from indimail.testing.clock import FakeClock
from indimail.testing.disk import Crash, Kind, SimulatedDisk

MAILDIR = "/home/alice/Maildir"
FILE = f"{MAILDIR}/maildirsize"
QUOTA = Quota(10_000)
COUNTED = (b"10000S\n",)


class Watched(SimulatedDisk):
    """A disk that tells how often it was read and which folders were listed."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.lists = 0
        self.during: Callable[[], None] | None = None  # happens while folders are listed

    def read(self, path: str, offset: int = 0, size: int = -1) -> bytes:
        self.reads += 1
        return super().read(path, offset, size)

    def names(self, path: str) -> list[str]:
        self.lists += 1
        found = super().names(path)
        if self.during is not None and path.endswith("/new"):
            happens, self.during = self.during, None
            happens()
        return found


@dataclass
class World:
    """A Maildir, what is told of it, and another program that uses it too."""

    counting: Counting = Counting()
    disk: Watched = field(default_factory=Watched)
    clock: FakeClock = field(default_factory=FakeClock)
    messages: int = 0

    def __post_init__(self) -> None:
        self.disk.now = self.clock.now
        for part in ("new", "cur", "tmp"):
            self.disk.make_directories(f"{MAILDIR}/{part}")
        self.sizes = MaildirSizes(self.disk, self.clock, self.counting)

    def has(self, *lines: str) -> None:
        """Another program writes the file anew."""
        if self.disk.exists(FILE):
            self.disk.unlink(FILE)
        self.disk.write_new(FILE, ("".join(f"{line}\n" for line in lines).encode(),))

    def gets(self, text: str) -> None:
        """Another program appends."""
        self.disk.append(FILE, (text.encode(),))

    def stored(self, size: int, folder: str = MAILDIR) -> None:
        self.messages += 1
        self.disk.make_directories(f"{folder}/new")
        self.disk.write_new(f"{folder}/new/{self.messages}.x,S={size}", (b"x",))

    def deliver(self, size: int) -> None:
        self.sizes.expect(MAILDIR, size)
        self.stored(size)
        self.sizes.add(MAILDIR, size)

    @property
    def text(self) -> str:
        return self.disk.read(FILE).decode()

    def known(self, quota: Quota = QUOTA, arriving: int = 0) -> Usage | None:
        return self.sizes.known(MAILDIR, quota, arriving)

    def measure(self, quota: Quota = QUOTA, arriving: int = 0) -> Usage:
        return self.sizes.measure(MAILDIR, quota, arriving)


@pytest.mark.parametrize(("text", "content"), [
    (b"10000S\n", Content(QUOTA, Usage(0, 0), 7)),
    (b"10000S\n500 2\n", Content(QUOTA, Usage(500, 2), 13)),
    (b"10000S,5C\n500 2\n-100 -1\n", Content(Quota(10_000, 5), Usage(400, 1), 24)),
    (b"10000S\n   500   2\n", Content(QUOTA, Usage(500, 2), 18)),  # courier pads
    (b"10000S\n500 2\n10", Content(QUOTA, Usage(500, 2), 13)),  # being written
    (b"10000S\n500 2\n77\n\n", Content(QUOTA, Usage(500, 2), 17)),  # no blank in it
    (b"0S\n500 2\n", Content(UNLIMITED, Usage(500, 2), 9)),
    (b"10000S\n-500 -2\n", Content(QUOTA, Usage(-500, -2), 15)),
    (b"", None), (b"\n", None), (b"500 2\n", None), (b"10000S", None), (b"\0\0\0\0", None),
    (b"10000S\n500 2 3\n", None), (b"10000S\na b\n", None), (b"10000S\n\0\0 1\n", None),
    (b"10000S\n" + b"9" * 5000 + b" 1\n", None),
])  # fmt: skip
def test_a_file_is_read(text: bytes, content: Content | None) -> None:
    assert parse_maildirsize(text) == content


NUMBERS = st.tuples(st.integers(-(10**12), 10**12), st.integers(-(10**6), 10**6))


@given(st.lists(NUMBERS, max_size=20))
def test_the_lines_add_up(lines: list[tuple[int, int]]) -> None:
    text = b"10000S\n" + b"".join(b"%d %d\n" % line for line in lines)
    octets, messages = sum(line[0] for line in lines), sum(line[1] for line in lines)
    assert parse_maildirsize(text) == Content(QUOTA, Usage(octets, messages), len(text))


@pytest.mark.fuzz
@given(st.binary() | st.text("0123456789SC,- \n", max_size=60).map(str.encode))
def test_any_file_is_read_or_not_understood(text: bytes) -> None:
    content = parse_maildirsize(text)
    assert content is None or text[: content.length].endswith(b"\n")


@given(st.lists(NUMBERS, max_size=12), st.lists(st.integers(0, 100), max_size=4))
def test_read_in_pieces_it_is_the_same(lines: list[tuple[int, int]], cuts: list[int]) -> None:
    world = World()
    text = b"".join(b"%d %d\n" % line for line in lines)
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    world.has("10000000000000S")
    for start, end in pairwise(places):
        world.disk.append(FILE, (text[start:end],))
        world.known(Quota(10**13))
    whole = parse_maildirsize(b"10000S\n" + text)
    assert whole is not None
    fits = min(whole.usage.octets, whole.usage.messages) >= 0 and whole.usage.octets <= 10**13
    assert world.known(Quota(10**13)) == (whole.usage if fits else None)


@pytest.mark.parametrize(("folder", "of"), [
    (MAILDIR, MAILDIR), (f"{MAILDIR}/", MAILDIR), (f"{MAILDIR}/.Sent", MAILDIR),
    (f"{MAILDIR}/.Sent.2026/", MAILDIR), ("/srv/lost/Maildir", "/srv/lost/Maildir"),
])  # fmt: skip
def test_a_folder_counts_in_its_inbox(folder: str, of: str) -> None:
    assert inbox(folder) == of


def test_what_counts() -> None:
    disk = SimulatedDisk()
    for name, size in (
        ("new/1.x,S=100", 1),  # the name is believed
        ("cur/2.x:2,S", 10),
        ("cur/3.x,S=1000:2,ST", 1),  # marked for removal, but told
        ("cur/4.x:2,ST", 7),
        ("tmp/5.x", 10),
        (".Sent/cur/6.x", 10_000),
        (".Sent.2026/new/7.x,S=100000", 1),
        (".Trash/cur/8.x", 10),
        ("new/.hidden", 10),
        ("dupmd5", 10),
        ("shared-folders/new/9.x", 10),
    ):
        path = f"{MAILDIR}/{name}"
        disk.make_directories(path.rpartition("/")[0])
        disk.write_new(path, (b"x" * size,))
    assert count_maildir(disk, MAILDIR) == Usage(111_110, 5)
    assert count_maildir(disk, MAILDIR, include_trash=True) == Usage(111_117, 6)
    assert count_maildir(disk, f"{MAILDIR}/missing") == Usage(0, 0)


def test_a_missing_file_is_counted_and_written() -> None:
    world = World()
    world.stored(100)
    world.stored(200, f"{MAILDIR}/.Sent")
    assert world.known() is None
    assert world.measure() == Usage(300, 2)
    assert world.text == "10000S\n300 2\n"
    assert world.disk.names(f"{MAILDIR}/tmp") == []
    assert world.known() == Usage(300, 2)


def test_an_empty_maildir_has_the_first_line_alone() -> None:
    world = World()
    assert world.measure(Quota(5000, 10)) == Usage(0, 0)
    assert world.text == "5000S,10C\n"


def test_a_maildir_that_is_not_made_yet_is_empty() -> None:
    world = World()
    assert world.sizes.measure("/home/bob/Maildir", QUOTA) == Usage(0, 0)
    assert not world.disk.exists("/home/bob/Maildir/maildirsize")


@pytest.mark.parametrize(("lines", "later", "quota", "why"), [
    (["10000S", "100 1"], MAX_AGE + 1, QUOTA, "old"),
    (["10000S", *["1 1"] * (MAX_SIZE // 4)], 0, QUOTA, "large"),
    (["10000S", "-100 1"], 0, QUOTA, "negative"),
    (["10000S", "100 -1"], 0, QUOTA, "negative count"),
    (["10000S", "9999 1"], 0, QUOTA, "over"),
    (["10000S", "100 1"], 0, Quota(20_000), "another quota"),
    (["nonsense", "100 1"], 0, QUOTA, "not understood"),
    (["10000S", "x y"], 0, QUOTA, "not understood"),
])  # fmt: skip
def test_when_it_is_counted_anew(lines: list[str], later: float, quota: Quota, why: str) -> None:
    world = World()
    world.stored(500)
    world.has(*lines)
    world.clock.advance(later)
    assert world.known(quota, 2) is None, why
    assert world.measure(quota, 2) == Usage(500, 1)
    assert world.text == f"{quota.definition}\n500 1\n"


def test_when_it_is_not() -> None:
    world = World()
    world.has("10000S", "9998 1")
    world.clock.advance(MAX_AGE - 1)
    assert world.known(arriving=2) == Usage(9998, 1)
    assert world.disk.lists == 0


def test_fast_quota_believes_what_is_there_and_keeps_it_short() -> None:
    world = World(Counting(fast=True))
    world.stored(500)
    assert world.measure() == Usage(500, 1)  # missing: there is nothing to believe
    world.has("10000S", "11000 3")
    world.clock.advance(MAX_AGE * 2)
    assert world.known(arriving=2) == Usage(11_000, 3)
    world.has("10000S", *["1 1"] * MAX_SIZE)
    world.disk.lists = 0
    assert world.known() is None
    assert world.measure() == Usage(MAX_SIZE, MAX_SIZE)
    assert world.text == f"10000S\n{MAX_SIZE} {MAX_SIZE}\n"
    assert world.disk.lists == 0


def test_a_delivery_adds_one_line_and_nothing_is_read_again() -> None:
    world = World()
    world.measure()
    world.disk.reads = world.disk.lists = 0
    for number in range(5):
        assert world.known(arriving=10) == Usage(number * 10, number)
        world.deliver(10)
    assert (world.disk.reads, world.disk.lists) == (0, 0)
    assert world.text == "10000S\n" + "10 1\n" * 5


def test_what_others_append_is_read_and_not_what_was_read_before() -> None:
    world = World()
    world.has("10000S", "500 2")
    assert world.known() == Usage(500, 2)
    world.gets("100 1\n")
    world.sizes.add(MAILDIR, 7)
    world.gets("-500 -2\n")
    assert world.known() == Usage(107, 2)
    world.gets("20 ")
    assert world.known() == Usage(107, 2)
    world.gets("1\n")
    assert world.known() == Usage(127, 3)
    assert world.disk.reads == 4


def test_a_file_that_others_replaced_is_read_anew() -> None:
    world = World()
    world.has("10000S", "500 2")
    world.known()
    world.has("10000S", "400 1")
    assert world.known() == Usage(400, 1)
    world.disk.write_at(world.disk.open_file(FILE), FILE, 7, b"300 9\n")  # in its place
    assert world.known() == Usage(300, 9)
    world.disk.truncate(world.disk.open_file(FILE), FILE, 7)
    assert world.known() == Usage(0, 0)


def test_what_is_on_its_way_counts_until_it_is_there() -> None:
    world = World()
    world.measure()
    world.sizes.expect(MAILDIR, 6000)
    assert world.known(arriving=4000) == Usage(6000, 1)
    assert world.known(arriving=4001) is None
    assert QUOTA.is_over(world.measure(arriving=4001), 4001)
    world.sizes.expect(MAILDIR, 100)
    world.sizes.forget(MAILDIR, 6000)
    assert world.known() == Usage(100, 1)
    world.sizes.add(MAILDIR, 100)
    assert world.known() == Usage(100, 1)
    assert world.text == "10000S\n100 1\n"


def test_nothing_is_added_where_there_is_no_file_or_too_much_of_one() -> None:
    world = World()
    world.deliver(10)
    assert not world.disk.exists(FILE)
    world.has("0S", *["1 1"] * MAX_SIZE)
    before = world.text
    world.deliver(10)
    assert world.text == before


def test_a_quota_that_was_set_is_written_at_once() -> None:
    world = World()
    world.stored(100)
    world.has("10000S", "777 7")
    assert world.sizes.definition(MAILDIR) == QUOTA
    assert world.sizes.recount(MAILDIR, Quota(50, 5)) == Usage(100, 1)
    assert world.text == "50S,5C\n100 1\n"
    assert world.sizes.definition(MAILDIR) == Quota(50, 5)
    assert world.sizes.definition("/home/bob/Maildir") is None


def test_a_delivery_of_another_program_during_a_recount_takes_the_file_away() -> None:
    world = World()
    world.disk.during = lambda: world.stored(300)
    world.stored(100)
    assert world.measure().messages in {1, 2}
    assert not world.disk.exists(FILE)
    assert world.measure() == Usage(400, 2)
    assert world.text == "10000S\n400 2\n"


def test_counting_takes_a_tenth_of_the_time_at_most() -> None:
    world = World()
    world.disk.during = lambda: world.clock.advance(2)  # a slow one
    world.stored(10_001)
    assert world.measure(arriving=1) == Usage(10_001, 1)
    world.disk.lists = 0
    assert world.known(arriving=1) == Usage(10_001, 1)
    world.disk.unlink(FILE)
    world.deliver(5)
    assert world.known(arriving=1) == Usage(10_006, 2)
    assert world.disk.lists == 0
    world.clock.advance(2 * SHARE)
    assert world.known(arriving=1) is None


def test_a_full_disk_counts_without_a_file() -> None:
    world = World()
    world.stored(100)
    world.disk.fail(Kind.WRITE, "maildirsize", errno.ENOSPC)
    assert world.measure() == Usage(100, 1)
    assert not world.disk.exists(FILE)
    world.measure()
    world.disk.fail(Kind.WRITE, "maildirsize", errno.EDQUOT)
    world.deliver(10)  # raises nothing


def test_a_maildir_that_cannot_be_read_is_a_temporary_failure() -> None:
    world = World()
    world.disk.fail(Kind.READ, MAILDIR, errno.EIO, times=9)
    with pytest.raises(MailboxUnwritable, match=r"\(#4\.3\.0\)"):
        world.measure()


def test_who_waits_for_a_count_has_it_when_it_is_done() -> None:
    world = World()
    world.stored(100)
    found: list[Usage] = []
    other = threading.Thread(target=lambda: found.append(world.measure()))
    world.disk.during = other.start
    found.append(world.measure())
    other.join()
    assert found == [Usage(100, 1)] * 2
    assert world.disk.lists == 1 + 3 + 1  # once: the times before, the messages, the times after


@pytest.mark.parametrize("kind", list(Crash))
@pytest.mark.parametrize("fast", [False, True])
def test_a_crash_anywhere_never_leaves_a_mail_counted_twice(kind: Crash, fast: bool) -> None:
    """A delivery is tried, the world ends, and what it had not published is delivered again."""
    for number in range(1, 12):
        world = World(Counting(fast=fast))
        world.stored(100)
        world.measure()
        world.disk.sync_filesystem(FILE)
        base = world.disk.operations
        world.disk.crash_at(base + number, kind)
        copy = "9.Q1R0.0.x,S=50"

        def attempt(world: World = world, copy: str = copy) -> None:
            world.sizes.expect(MAILDIR, 50)
            world.disk.write_new(f"{MAILDIR}/tmp/{copy}", (b"x" * 50,))
            world.disk.sync_file(f"{MAILDIR}/tmp/{copy}")
            world.disk.sync_directory(f"{MAILDIR}/tmp")
            world.disk.rename(f"{MAILDIR}/tmp/{copy}", f"{MAILDIR}/new/{copy}")
            world.sizes.add(MAILDIR, 50)
            world.disk.sync_directory(f"{MAILDIR}/new")

        try:
            attempt()
        except BaseException as ended:
            assert world.disk.crashed, ended
        else:
            break
        world.disk = next_disk = _watched(world.disk.restart())
        sizes = MaildirSizes(next_disk, world.clock, world.counting)
        if next_disk.exists(f"{MAILDIR}/tmp/{copy}"):  # a recovery publishes, and adds nothing
            next_disk.rename(f"{MAILDIR}/tmp/{copy}", f"{MAILDIR}/new/{copy}")
        elif not next_disk.exists(f"{MAILDIR}/new/{copy}"):
            sizes.expect(MAILDIR, 50)
            next_disk.write_new(f"{MAILDIR}/new/{copy}", (b"x" * 50,))
            sizes.add(MAILDIR, 50)
        assert sizes.measure(MAILDIR, QUOTA).octets in {100, 150}
        assert sizes.recount(MAILDIR, QUOTA) == Usage(150, 2)
    else:
        pytest.fail("the delivery has more operations than crashes were tried")


def _watched(disk: SimulatedDisk) -> Watched:
    disk.__class__ = Watched
    assert isinstance(disk, Watched)
    disk.reads = disk.lists = 0
    disk.during = None
    return disk


def test_the_machines_disk_stamps_what_changes(tmp_path) -> None:
    disk, clock = SystemDisk(), FakeClock()
    maildir = str(tmp_path / "Maildir")
    disk.make_directories(f"{maildir}/new")
    disk.make_directories(f"{maildir}/tmp")
    disk.write_new(f"{maildir}/new/1.x,S=70", (b"x",))
    sizes = MaildirSizes(disk, clock)
    assert sizes.measure(maildir, QUOTA) == Usage(70, 1)
    sizes.expect(maildir, 30)
    sizes.add(maildir, 30)
    assert sizes.known(maildir, QUOTA) == Usage(100, 2)
    assert (tmp_path / "Maildir" / "maildirsize").read_text() == "10000S\n70 1\n30 1\n"


def test_what_is_expected_and_never_came_counts_for_an_hour() -> None:
    """Its queue broke down: nobody says any more that it did not come."""
    world = World(Counting(max_age=1e9))
    world.has("10000S", "500 2")
    world.sizes.expect(MAILDIR, 2000)
    assert world.known() == world.sizes.current(MAILDIR) == Usage(2500, 3)
    world.clock.advance(EXPECTED_FOR + 1)
    assert world.known() == Usage(500, 2)
    world.sizes.expect(MAILDIR, 100)
    assert world.known() == Usage(600, 3)
