r"""The file maildirsize: the quota of a Maildir++ and what it holds, cheap enough to ask at each mail.

    sizes = MaildirSizes(disk, clock)
    usage = sizes.known(maildir, quota, 2048)       # None: ask `measure`, on a thread
    if not quota.is_over(usage, 2048):
        sizes.expect(maildir, 2048)                 # until it is there, it counts as if it were
        ...                                         # stage, mark, publish
        sizes.add(maildir, 2048)                    # it is in new/: the line "2048 1"; or `forget`

The file begins with the quota (``52428800S,1000C``); usage is the sum of the lines below
(``<octets> <messages>``), which every program that delivers or removes adds to, by one write each.
It belongs to the INBOX, also for a sub-folder: `inbox`.  Nothing here is synced: it is a count, and
the Maildir is the truth.  It is counted anew, tree and all, when the file is missing, not
understood, of another quota, negative, too old, too large, or says that a mail does not fit.

What a crash does: `add` comes after the copy is in new/, and a copy that a recovery settles is not
added again.  So a crash may leave a mail uncounted; none is counted twice by it, also where
FAST_QUOTA forbids counting anew.  A recount that meets a delivery between its rename and its line
may count it twice: the folder's time betrays that, and the file is removed.

A recount reads whole folders; so no Maildir is counted anew for more than a tenth of the time,
whoever sends to it.  In between the last figures hold, with what we added ourselves.

Who has no quota is not asked for: `add` counts there too, where the file is.

Units: octets, seconds.  Raises `MailboxUnwritable` where the Maildir cannot be read.  Calls may come
from several threads; `measure` and `recount` may take long, the others look at one small file.

Sources: spec/delivery.md 8.3, 5.5; the Maildir++ quota document (courier-mta.org, README.maildirquota).
Not here: what is over (`delivery.quota`), what follows from it (`delivery.overquota`).
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from threading import Lock
from typing import Final, NamedTuple

from indimail.delivery.quota import Quota, Usage, parse_definition
from indimail.durable.disk import Disk, Stamp
from indimail.mail.clock import Clock
from indimail.mail.errors import MailboxUnwritable

MAX_AGE: Final = 43_200
MAX_SIZE: Final = 8_192
LONGEST: Final = 1 << 20  # no sane writer lets it grow so; above, it is not read
EXPECTED_FOR: Final = 3600.0  # a mail whose queue broke down does not count for ever
KEPT: Final = 20_000  # Maildirs that are remembered, some 500 octets each
SHARE: Final = 10  # a recount takes one part in so many of the time

TRASH: Final = ".Trash"

_TMP: Final = "tmp"

_SIZE: Final = re.compile(r",S=([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Counting:
    """How and when it is counted: MAILDIRSIZE_MAX_AGE, _MAX_SIZE, FAST_QUOTA, INCLUDE_TRASH."""

    max_age: float = MAX_AGE
    max_size: int = MAX_SIZE
    fast: bool = False  # never where there is a file
    include_trash: bool = False  # mails that are marked for removal count


class Content(NamedTuple):
    """What a maildirsize says; `length` is where its last whole line ends."""

    quota: Quota
    usage: Usage
    length: int


@dataclass(slots=True)
class _Known:
    """One Maildir as far as it was read."""

    quota: Quota
    octets: int
    messages: int
    inode: int
    length: int  # of the file as far as it is summed up
    modified: int = 0
    ahead: int = 0  # octets of file that we appended since
    ahead_octets: int = 0
    ahead_messages: int = 0
    rests_until: float = 0.0  # the file is not counted anew before, steady time


def inbox(folder: str) -> str:
    """Return the Maildir whose maildirsize a folder counts in: ``.../Maildir/.Sent`` -> Maildir."""
    folder = folder.rstrip("/")
    above, _, name = folder.rpartition("/")
    return above if name.startswith(".") else folder


def parse_maildirsize(text: bytes) -> Content | None:
    """Read a file; None: not understood, count anew.

    Lines without a blank in them do not count; one that was not written to its end waits.
    """
    whole = text[: text.rfind(b"\n") + 1]
    first, *lines = whole.decode("latin-1").split("\n")
    quota = parse_definition(first)
    usage = _sum(lines)
    if quota is None or usage is None:
        return None
    return Content(quota, usage, len(whole))


def count_maildir(disk: Disk, maildir: str, *, include_trash: bool = False) -> Usage:
    """Add up the messages of a Maildir and its folders; a missing one is empty."""
    octets = messages = 0
    for part in _parts(disk, maildir):
        for name in _names(disk, part):
            size = _size(disk, part, name, include_trash)
            if size is not None:
                octets += size
                messages += 1
    return Usage(octets, messages)


class MaildirSizes:
    """The maildirsize files of all mailboxes that a process delivers to."""

    def __init__(self, disk: Disk, clock: Clock, counting: Counting = Counting()) -> None:
        self.counting = counting
        self._disk = disk
        self._clock = clock
        self._known: dict[str, _Known] = {}  # oldest use first
        self._expected: dict[str, tuple[int, int, float]] = {}  # and since when, steady time
        self._lock = Lock()
        self._counting = [Lock() for _ in range(64)]  # who waits for the same count has it then
        self._numbers = count()

    def known(self, maildir: str, quota: Quota, arriving: int = 0) -> Usage | None:
        """Return what the Maildir holds and expects; None where it has to be counted first."""
        with self._lock, _translated(maildir):
            known = self._read(maildir)
            if known is None:
                return None
            if self._doubts(known, quota, arriving, self._usage(maildir, known)):
                return None
            return self._usage(maildir, known)

    def measure(self, maildir: str, quota: Quota, arriving: int = 0) -> Usage:
        """Return the same, counting where that is needed."""
        with self._one_by_one(maildir):
            usage = self.known(maildir, quota, arriving)  # another one may just have counted
            return self._renew(maildir, quota) if usage is None else usage

    def current(self, maildir: str) -> Usage | None:
        """Return what is known, doubtful or not, without a look: for who has just measured."""
        with self._lock:
            known = self._known.get(maildir)
            return None if known is None else self._usage(maildir, known)

    def recount(self, maildir: str, quota: Quota) -> Usage:
        """Count anew in any case, also with FAST_QUOTA: a quota was set, a report is made."""
        with self._one_by_one(maildir):
            return self._count(maildir, quota)

    def definition(self, maildir: str) -> Quota | None:
        """Return the quota that the file itself tells; None where it tells none."""
        with self._lock, _translated(maildir):
            known = self._read(maildir)
            return None if known is None else known.quota

    def expect(self, maildir: str, size: int) -> None:
        """Count a mail that is on its way: of many at once only those fit that fit together."""
        with self._lock:
            self._expect(maildir, size, 1)

    def forget(self, maildir: str, size: int) -> None:
        """Take back what was expected: the mail did not come."""
        with self._lock:
            self._expect(maildir, -size, -1)

    def add(self, maildir: str, size: int) -> None:
        """Count a mail that was expected and is in new/ now; never raises, a recount heals."""
        line = b"%d 1\n" % size
        path = _path(maildir)
        with self._lock:
            self._expect(maildir, -size, -1)
            known = self._known.get(maildir)
            try:
                # Whoever reads a file that is too large counts anew, so that it need not grow.
                if self._disk.size(path) <= self.counting.max_size or self.counting.fast:
                    self._disk.append(path, (line,))
            except OSError:
                pass
            if known is not None:
                known.ahead += len(line)
                known.ahead_octets += size
                known.ahead_messages += 1

    def _one_by_one(self, maildir: str) -> Lock:
        return self._counting[hash(maildir) % len(self._counting)]

    def _expect(self, maildir: str, octets: int, messages: int) -> None:
        before = self._expected.pop(maildir, None)
        now = self._clock.steady()
        if before is None or now - before[2] > EXPECTED_FOR:
            before = (0, 0, now)
        if before[1] + messages > 0:
            self._expected[maildir] = (before[0] + octets, before[1] + messages, before[2])

    def _usage(self, maildir: str, known: _Known) -> Usage:
        octets = messages = 0
        expected = self._expected.get(maildir)
        if expected is not None and self._clock.steady() - expected[2] <= EXPECTED_FOR:
            octets, messages, _ = expected
        return Usage(
            known.octets + known.ahead_octets + octets,
            known.messages + known.ahead_messages + messages,
        )

    def _doubts(self, known: _Known, quota: Quota, arriving: int, usage: Usage) -> bool:
        """Tell whether the figures may be wrong (8.3)."""
        if self._rests(known):
            return False
        if self.counting.fast:
            return known.quota != quota or known.length > self.counting.max_size
        age = self._clock.now() - known.modified / 1e9
        return (
            known.quota != quota
            or age > self.counting.max_age
            or known.length > self.counting.max_size
            or min(usage.octets, usage.messages) < 0
            or quota.is_over(usage, arriving)
        )

    def _rests(self, known: _Known) -> bool:
        return self._clock.steady() < known.rests_until

    def _read(self, maildir: str) -> _Known | None:
        """Look at the file, and read what is new in it; None: missing, or not understood."""
        path = _path(maildir)
        known = self._known.pop(maildir, None)
        try:
            stamp = self._disk.stamp(path)
            known = self._follow(path, stamp, known) or self._read_whole(path, stamp, known)
        except FileNotFoundError:
            if known is not None and not self._rests(known):
                known = None
        if known is not None:
            self._keep(maildir, known)
        return known

    def _follow(self, path: str, stamp: Stamp, known: _Known | None) -> _Known | None:
        """Go on from what is known; None where that is not how the file grew."""
        if known is None or stamp.inode != known.inode or stamp.size < known.length:
            return None
        if stamp.size == known.length:
            return known if stamp.modified == known.modified else None
        if stamp.size != known.length + known.ahead:  # else it is what we appended, read by nobody
            text = self._disk.read(path, known.length, min(stamp.size - known.length, LONGEST))
            whole = text[: text.rfind(b"\n") + 1]
            usage = _sum(whole.decode("latin-1").split("\n"))
            if usage is None:
                return None
            known.octets += usage.octets
            known.messages += usage.messages
            known.length += len(whole)
        else:
            known.octets += known.ahead_octets
            known.messages += known.ahead_messages
            known.length = stamp.size
        known.ahead = known.ahead_octets = known.ahead_messages = 0
        known.modified = stamp.modified
        return known

    def _read_whole(self, path: str, stamp: Stamp, before: _Known | None) -> _Known | None:
        content = None
        if stamp.size <= LONGEST:
            content = parse_maildirsize(self._disk.read(path, 0, LONGEST))
        if content is None:
            return before if before is not None and self._rests(before) else None
        return _Known(
            content.quota, content.usage.octets, content.usage.messages,
            stamp.inode, content.length, stamp.modified,
            rests_until=before.rests_until if before else 0.0,
        )  # fmt: skip

    def _keep(self, maildir: str, known: _Known) -> None:
        self._known.pop(maildir, None)
        if len(self._known) >= KEPT:
            del self._known[next(iter(self._known))]
        self._known[maildir] = known

    def _renew(self, maildir: str, quota: Quota) -> Usage:
        """Count, or with FAST_QUOTA write the sum that is known as one line."""
        with self._lock:
            known = self._known.get(maildir) if self.counting.fast else None
            if known is not None:
                held = Usage(
                    known.octets + known.ahead_octets, known.messages + known.ahead_messages
                )
        if known is None:
            return self._count(maildir, quota)
        return self._write(maildir, quota, held, rests_until=0.0)

    def _count(self, maildir: str, quota: Quota) -> Usage:
        began = self._clock.steady()
        with _translated(maildir):
            before = _times(self._disk, maildir)
            held = count_maildir(self._disk, maildir, include_trash=self.counting.include_trash)
        took = self._clock.steady() - began
        rests_until = began + took * SHARE
        usage = self._write(maildir, quota, held, rests_until)
        with suppress(OSError):
            if _times(self._disk, maildir) != before:
                # Somebody delivered or removed meanwhile, and may be in both figures or in none.
                self._disk.unlink(_path(maildir))
        return usage

    def _write(self, maildir: str, quota: Quota, held: Usage, rests_until: float) -> Usage:
        """Put a new file in the place of the old one, at once; a full disk does without."""
        lines = f"{quota.definition}\n"
        if held.octets or held.messages:
            lines += f"{held.octets} {held.messages}\n"
        text = lines.encode()
        with self._lock:
            known = _Known(quota, held.octets, held.messages, 0, 0, rests_until=rests_until)
            with suppress(OSError):
                stamp = self._replace(maildir, text)
                known.inode, known.length, known.modified = stamp.inode, len(text), stamp.modified
            self._keep(maildir, known)
            return self._usage(maildir, known)

    def _replace(self, maildir: str, text: bytes) -> Stamp:
        now = self._clock.now()
        name = f"{int(now)}.P{os.getpid()}Q{next(self._numbers)}.maildirsize"
        written = f"{maildir}/{_TMP}/{name}"
        self._disk.write_new(written, (text,))
        try:
            self._disk.rename(written, _path(maildir))
        except OSError:
            self._disk.unlink(written)
            raise
        return self._disk.stamp(_path(maildir))


def _path(maildir: str) -> str:
    return f"{maildir}/maildirsize"


def _sum(lines: list[str]) -> Usage | None:
    """Add up lines of two numbers; None where one is something else."""
    octets = messages = 0
    for line in lines:
        fields = line.split()
        if " " not in line or not fields:
            continue
        try:
            size, number = map(int, fields)
        except ValueError:
            return None
        octets += size
        messages += number
    return Usage(octets, messages)


def _parts(disk: Disk, maildir: str) -> Iterator[str]:
    """Yield where messages are: new and cur of the INBOX and of its folders but Trash."""
    names = _names(disk, maildir)
    folders = [name for name in names if name[0] == "." and name not in (".", "..", TRASH)]
    for folder in (maildir, *(f"{maildir}/{name}" for name in folders)):
        yield f"{folder}/new"
        yield f"{folder}/cur"


def _names(disk: Disk, path: str) -> list[str]:
    try:
        return disk.names(path)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _times(disk: Disk, maildir: str) -> Mapping[str, int]:
    times = {}
    for part in _parts(disk, maildir):
        with suppress(FileNotFoundError, NotADirectoryError):
            times[part] = disk.stamp(part).modified
    return times


def _size(disk: Disk, part: str, name: str, include_trash: bool) -> int | None:
    """Return what a file counts; None where it does not.

    One that is marked for removal (its flags end in T) counts where its name tells the size: so
    the original has it.
    """
    if name[0] == ".":
        return None
    told = _SIZE.search(name)
    if told:
        return int(told[1])
    if name[-1] == "T" and not include_trash:
        return None
    try:
        return disk.size(f"{part}/{name}")
    except FileNotFoundError:  # a reader was faster
        return None


@contextmanager
def _translated(maildir: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise MailboxUnwritable(f"Unable to read quota. (#4.3.0) {maildir}: {reason}") from error
