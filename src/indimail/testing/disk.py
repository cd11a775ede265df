"""A disk in memory that forgets, tears, fills up, fails and crashes on demand.

    disk = SimulatedDisk()
    disk.crash_at(7)                     # the 7th change or sync raises PowerCut
    with until_the_crash(disk):
        deliver(disk)
    recover(disk.restart())              # the disk as the next boot finds it

It satisfies `durable.disk.Disk`.  Contents are kept by `sync_file`, names by `sync_directory`, and
neither by the other.  Without a seed a power cut forgets everything that was not synced; with one
each un-synced file draws its `Fate` and each un-synced name is kept or lost, the same way again for
the same seed and the same operations.  Run it with no seed and with some: the first finds a missing
sync at once, the others find a wrong order of syncs.

A `kill` ends the process only: what the kernel has (the page cache) is still there.

Only operations that change or sync are numbered, from 1 (`history` tells them): a crash before a
read leaves what a crash after the last change left.  From the crash on every operation, reads too,
raises `PowerCut`, and so `restart` returns another disk: what still runs of the old world cannot
write into the new one.  `survivor` tells what a crash here would leave, and lets this world go on.

A failed sync loses what it should have written, as Linux does: the next one succeeds and proves
nothing.  Of a file whose octets another's `sync_filesystem` lost its own next sync tells, once; a
second `sync_filesystem` does not.

Units: octets.  Paths are absolute.  Raises OSError as a real disk would.  Not here: SQLite on this
disk (`testing.vfs`).  Source: DESIGN 8; fsync(2), rename(2); "Can Applications Recover from fsync
Failures?" (USENIX ATC 2020).
"""

import errno
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import TYPE_CHECKING, Final, NamedTuple

from indimail.durable.disk import Disk, Stamp
from indimail.testing.inode import File, Folder, NameChange, Node, set_name, torn_length

UNLIMITED: Final = 1 << 40


class Crash(StrEnum):
    """How a world ends."""

    POWER = "power"  # what was not synced may be lost
    KILL = "kill"  # kill -9: the kernel lives on and forgets nothing


class Names(StrEnum):
    """How a file system keeps names that were not synced."""

    JOURNALLED = "journalled"  # a rename is one change, and no change outlives one it builds on
    INDEPENDENT = "independent"  # both halves of a rename for themselves: both names, or none


class Kind(StrEnum):
    """What an operation does; all but READ are numbered."""

    CREATE = "create"
    WRITE = "write"
    TRUNCATE = "truncate"
    LINK = "link"
    RENAME = "rename"
    UNLINK = "unlink"
    MKDIR = "mkdir"
    SYNC_FILE = "sync_file"
    SYNC_DIRECTORY = "sync_directory"
    SYNC_FILESYSTEM = "sync_filesystem"
    READ = "read"


class Operation(NamedTuple):
    """One change or sync, by its number; a link's or a rename's path is ``SOURCE -> TARGET``."""

    number: int
    kind: Kind
    path: str


class PowerCut(BaseException):
    """The machine or the process ended; the text says where.

    Not an Exception: no handler of the program may go on as if this were an error of its own.
    """


@contextmanager
def until_the_crash(disk: "SimulatedDisk") -> Iterator[None]:
    """Run a world to its end, planned or not.

    Swallows PowerCut, and once the disk crashed every other error too: what cleans up in a dead
    world fails in ways of its own (SQLite that cannot roll back).  Before that nothing.
    """
    try:
        yield
    except (PowerCut, Exception):
        if disk.crashed is None:
            raise


@dataclass(slots=True)
class _Failure:
    kind: Kind
    part: str
    error: int
    times: int


class SimulatedDisk:
    """The Disk of a world that a test can end anywhere."""

    def __init__(
        self,
        seed: int | None = None,
        *,
        capacity: int = UNLIMITED,
        names: Names = Names.JOURNALLED,
    ) -> None:
        """An empty disk: its one folder is ``/``.

        `capacity` is how many octets all files together may hold; it may be set later.
        """
        self.seed = seed
        self.capacity = capacity
        self.boots = 1
        self.history: list[Operation] = []
        self.watch: Callable[[Operation], None] | None = None
        self.now: Callable[[], float] = lambda: 0.0  # what changes is stamped with
        self._naming = names
        self._root = Folder()
        self._folders: dict[str, Folder] = {"": self._root}
        self._journal: list[NameChange] = []
        self._dirty: dict[File, None] = {}
        self._untold: set[File] = set()  # octets were lost, and no sync of the file has failed yet
        self._used = 0
        self._crashed: Crash | None = None
        self._last_words = ""
        self._crash_point: tuple[int, Crash, bool] | None = None
        self._failures_at: dict[int, int] = {}
        self._failures: list[_Failure] = []
        self._lock = threading.RLock()

    # -- what a test plans -------------------------------------------------------------------

    def crash_at(self, number: int, kind: Crash = Crash.POWER, *, torn: bool = False) -> None:
        """Crash before operation `number`; `torn`: in its middle, if it is a write."""
        self._crash_point = (number, kind, torn)

    def fail_at(self, number: int, error: int = errno.EIO) -> None:
        """Let operation `number` fail."""
        self._failures_at[number] = error

    def fail(self, kind: Kind, part: str = "", error: int = errno.EIO, times: int = 1) -> None:
        """Let the next operations of this kind fail whose path contains `part`."""
        self._failures.append(_Failure(kind, part, error, times))

    # -- crashes -----------------------------------------------------------------------------

    def crash(self, kind: Crash = Crash.POWER) -> None:
        """End this world now; whoever still runs in it gets PowerCut."""
        with self._lock:
            if self._crashed is None:
                self._crashed = kind
                self._last_words = f"after {self.history[-1] if self.history else 'nothing'}"

    def cut_power(self) -> None:
        """End this world, and forget."""
        self.crash(Crash.POWER)

    def kill(self) -> None:
        """End this world's processes; the kernel forgets nothing."""
        self.crash(Crash.KILL)

    @property
    def crashed(self) -> Crash | None:
        """How this world ended, if it did."""
        return self._crashed

    def restart(self) -> "SimulatedDisk":
        """Return the disk that the next start finds, its operations counted from 1 again.

        Raises RuntimeError where nothing crashed.
        """
        if self._crashed is None:
            raise RuntimeError("nothing crashed: crash(), cut_power() or kill() comes first")
        return self.survivor(self._crashed)

    def survivor(self, kind: Crash = Crash.POWER, seed: int | None = None) -> "SimulatedDisk":
        """Return the disk that a crash at this moment leaves; this world is not changed.

        `seed` draws other fates than the disk's own would.
        """
        with self._lock:
            chosen = self.seed if seed is None else seed
            next_disk = SimulatedDisk(self.seed, capacity=self.capacity, names=self._naming)
            if kind is Crash.KILL:
                next_disk.boots = self.boots
                self._copy_into(next_disk)
            else:
                next_disk.boots = self.boots + 1
                drawn = f"{chosen}/{self.boots}/{self.operations}"
                self._forget_into(next_disk, None if chosen is None else Random(drawn))  # noqa: S311
            next_disk._count_links()
            next_disk.now = self.now
            return next_disk

    # -- what a test looks at ----------------------------------------------------------------

    @property
    def operations(self) -> int:
        """How many changes and syncs were begun."""
        return len(self.history)

    @property
    def boot(self) -> str:
        """The boot id: another one after a power cut, the same after a kill."""
        return f"simulated-boot-{self.boots}"

    @property
    def used(self) -> int:
        """Octets that all files together hold."""
        return self._used

    def links(self, path: str) -> int:
        """Return how many names a file has."""
        return self._file(path).links

    def contents(self, below: str = "") -> dict[str, bytes]:
        """Return every file with its content, also of a disk that crashed; for assertions."""
        start = self._folder(below.rstrip("/"))
        return {path: bytes(file.cache) for path, file in _walk(start, below.rstrip("/"))}

    # -- the port ----------------------------------------------------------------------------

    def write_new(self, path: str, parts: Sequence[bytes], mode: int = 0o600) -> None:
        """Create a file that must not exist (one operation), and write the parts (another)."""
        with self._lock:
            file = self.open_file(path, create=True, exclusive=True, mode=mode)
            if data := b"".join(parts):
                self.write_at(file, path, 0, data)

    def append(self, path: str, parts: Sequence[bytes], mode: int = 0o600) -> None:
        """Write the parts at the end of a file, which is created where it is missing."""
        with self._lock:
            file = self.open_file(path, create=True, mode=mode)
            if data := b"".join(parts):
                self.write_at(file, path, len(file.cache), data)

    def read(self, path: str, offset: int = 0, size: int = -1) -> bytes:
        """Return `size` octets (all, where negative) from `offset` on."""
        with self._lock:
            return self.read_at(self._look(path), path, offset, size)

    def size(self, path: str) -> int:
        """Return a file's size in octets; raises FileNotFoundError."""
        with self._lock:
            return len(self._look(path).cache)

    def mode(self, path: str) -> int:
        """Return the permission bits, sticky bit included; raises FileNotFoundError."""
        with self._lock:
            self._begin_read(path)
            return self._node(path).mode

    def stamp(self, path: str) -> Stamp:
        """Return what changes when a file or folder does: no two changes have one time."""
        with self._lock:
            self._begin_read(path)
            folder, name = self._place(path)
            node = _entry(folder, name, path) if name else folder
            size = len(node.cache) if isinstance(node, File) else 0
            return Stamp(node.inode, node.modified, size)

    def device(self, path: str) -> int:
        """Return the number of the file system that holds a file or folder: there is one."""
        self.mode(path)
        return 1

    def exists(self, path: str) -> bool:
        """Tell whether a name is there."""
        with self._lock:
            self._begin_read(path)
            try:
                folder, name = self._place(path)
            except OSError:
                return False
            return not name or name in folder.entries

    def link(self, source: str, target: str) -> None:
        """Give a file a second name that must not exist."""
        with self._lock:
            self._begin(Kind.LINK, f"{source} -> {target}")
            file = self._file(source)
            folder, name = self._place(target)
            if name in folder.entries:
                raise _error(errno.EEXIST, target)
            self._change(((folder, name, file),))
            file.links += 1

    def rename(self, source: str, target: str) -> None:
        """Move a name, atomically, over whatever has the target's."""
        with self._lock:
            self._begin(Kind.RENAME, f"{source} -> {target}")
            from_folder, from_name = self._place(source)
            to_folder, to_name = self._place(target)
            node = _entry(from_folder, from_name, source)
            replaced = to_folder.entries.get(to_name)
            if replaced is node:
                return  # rename(2): two names of one file both stay
            if isinstance(replaced, Folder):
                raise _error(errno.EISDIR, target)
            gone, come = (from_folder, from_name, None), (to_folder, to_name, node)
            if self._naming is Names.JOURNALLED:
                self._change((gone, come))
            else:
                self._change((come,))
                self._change((gone,))
            self._drop(replaced)
            if isinstance(node, Folder):
                self._folders = {"": self._root}

    def unlink(self, path: str) -> None:
        """Remove a name."""
        with self._lock:
            self._begin(Kind.UNLINK, path)
            folder, name = self._place(path)
            file = self._file(path)
            self._change(((folder, name, None),))
            self._drop(file)

    def make_directories(self, path: str, mode: int = 0o700) -> None:
        """Create a folder and the missing ones above it, and sync their names."""
        with self._lock:
            missing = []
            while not self._is_folder(path):
                missing.append(path)
                path = os.path.dirname(path)
            for missed in reversed(missing):
                self.make_directory(missed, mode)
                self.sync_directory(os.path.dirname(missed))

    def make_directory(self, path: str, mode: int = 0o700) -> None:
        """Create a folder that must not exist, in one that does; its name waits for a sync."""
        with self._lock:
            self._begin(Kind.MKDIR, path)
            folder, name = self._place(path)
            if name in folder.entries:
                raise _error(errno.EEXIST, path)
            self._change(((folder, name, Folder(mode)),))

    def names(self, path: str) -> list[str]:
        """Return the names in a folder."""
        with self._lock:
            self._begin_read(path)
            return list(self._folder(path.rstrip("/")).entries)

    def sync_file(self, path: str) -> None:
        """Make a file's contents survive a power cut."""
        with self._lock:
            self.sync(self._file(path), path)

    def sync_directory(self, path: str) -> None:
        """Make the names in a folder survive a power cut."""
        with self._lock:
            self._begin(Kind.SYNC_DIRECTORY, path)
            folder = self._folder(path.rstrip("/"))
            kept, self._journal = self._divide(lambda place, _: place is folder)
            for change in kept:
                for place, name, node in change:
                    set_name(place.stable, name, node)

    def sync_filesystem(self, path: str) -> None:
        """Make everything on the file system that holds `path` survive a power cut."""
        with self._lock:
            try:
                self._begin(Kind.SYNC_FILESYSTEM, path)
                self._node(path)
            except FileNotFoundError:
                raise
            except OSError:
                for file in self._dirty:
                    file.lose()
                self._untold |= set(self._dirty)
                self._dirty.clear()
                raise
            for file in self._dirty:
                file.sync()
            self._dirty.clear()
            for change in self._journal:
                for place, name, node in change:
                    set_name(place.stable, name, node)
            self._journal.clear()

    def free(self, path: str) -> int:
        """Return the octets that an unprivileged writer can still use."""
        with self._lock:
            self._begin_read(path)
            return max(0, self.capacity - self._used)

    # -- open files, for who holds one longer than a call (testing.vfs) ------------------------

    def open_file(
        self, path: str, *, create: bool = False, exclusive: bool = False, mode: int = 0o600
    ) -> File:
        """Return the file under a name; one that is missing is created if `create` says so."""
        with self._lock:
            self._begin_read(path)
            folder, name = self._place(path)
            node = folder.entries.get(name)
            if node is None and create:
                self._begin(Kind.CREATE, path)
                node = File(mode)
                node.modified = self._time()
                node.links = 1
                self._change(((folder, name, node),))
            elif node is not None and exclusive:
                raise _error(errno.EEXIST, path)
            return _as_file(node, path)

    def read_at(self, file: File, path: str, offset: int, size: int = -1) -> bytes:
        """Read from an open file; `path` is for errors."""
        with self._lock:
            self._begin_read(path)
            return bytes(file.cache[offset:] if size < 0 else file.cache[offset : offset + size])

    def write_at(self, file: File, path: str, offset: int, data: bytes) -> None:
        """Write into an open file: all, what is left of the disk, or up to where it is torn."""
        with self._lock:
            torn = self._begin(Kind.WRITE, path, len(data), offset)
            if torn is not None:
                data = data[:torn]
            grown = max(0, offset + len(data) - len(file.cache))
            room = max(0, self.capacity - self._used)
            if grown > room:
                data = data[: max(0, len(data) - (grown - room))]
            if data:
                self._used += max(0, offset + len(data) - len(file.cache))
                file.write(offset, data)
                file.modified = self._time()
                self._dirty[file] = None
            if torn is not None:
                raise PowerCut(self._last_words)
            if grown > room:
                raise _error(errno.ENOSPC, path)

    def truncate(self, file: File, path: str, length: int) -> None:
        """Set the length of an open file."""
        with self._lock:
            self._begin(Kind.TRUNCATE, path)
            self._used += length - len(file.cache)
            file.truncate(length)
            file.modified = self._time()
            self._dirty[file] = None

    def sync(self, file: File, path: str) -> None:
        """Make the contents of an open file survive a power cut."""
        with self._lock:
            try:
                self._begin(Kind.SYNC_FILE, path)
            except OSError:
                file.lose()
                raise
            file.sync()
            self._dirty.pop(file, None)
            if file in self._untold:
                self._untold.discard(file)
                raise _error(errno.EIO, path)

    # -- the beginning of every operation ------------------------------------------------------

    def _begin(self, kind: Kind, path: str, length: int = 0, offset: int = 0) -> int | None:
        """Count an operation, and crash or fail where that was planned.

        Returns None to go on, or how much of a write gets through before the crash in its middle.
        """
        if self._crashed is not None:
            raise PowerCut(self._last_words)
        operation = Operation(len(self.history) + 1, kind, path)
        self.history.append(operation)
        if self.watch is not None:
            self.watch(operation)
        if self._crash_point is not None and self._crash_point[0] == operation.number:
            _, self._crashed, torn = self._crash_point
            torn = torn and kind is Kind.WRITE
            self._last_words = f"{'in the middle of' if torn else 'before'} {operation}"
            if not torn:
                raise PowerCut(self._last_words)
            drawn = f"torn/{self.seed}/{self.boots}/{operation.number}"
            return torn_length(offset, length, Random(drawn))  # noqa: S311
        if self._failures_at or self._failures:
            self._fail_as_planned(operation)
        return None

    def _begin_read(self, path: str) -> None:
        if self._crashed is not None:
            raise PowerCut(self._last_words)
        if self._failures:
            self._fail_as_planned(Operation(0, Kind.READ, path))

    def _fail_as_planned(self, operation: Operation) -> None:
        error = self._failures_at.pop(operation.number, 0)
        if not error:
            for planned in self._failures:
                if planned.times and planned.kind is operation.kind:
                    if planned.part not in operation.path:
                        continue
                    planned.times -= 1
                    error = planned.error
                    break
        if error:
            raise _error(error, operation.path)

    # -- names -------------------------------------------------------------------------------

    def _time(self) -> int:
        """Return the time of a change, in nanoseconds; the operation's number sets it apart."""
        return round(self.now() * 1e9) + len(self.history)

    def _change(self, change: NameChange) -> None:
        """Make a change of names seen; a sync of its folder makes it kept."""
        for folder, name, node in change:
            set_name(folder.entries, name, node)
            folder.modified = self._time()
        self._journal.append(change)

    def _divide(
        self, wanted: Callable[[Folder, str], bool]
    ) -> tuple[list[NameChange], list[NameChange]]:
        """Divide the journal into the changes that are kept, and the others, both in order.

        On a journalled file system a change that is kept brings those along that were made
        before it to the same names.
        """
        kept: list[NameChange] = []
        others: list[NameChange] = []
        needed: set[tuple[Folder, str]] = set()
        for change in reversed(self._journal):
            if any(wanted(folder, name) or (folder, name) in needed for folder, name, _ in change):
                kept.append(change)
                if self._naming is Names.JOURNALLED:
                    needed.update((folder, name) for folder, name, _ in change)
            else:
                others.append(change)
        return kept[::-1], others[::-1]

    def _drop(self, node: Node | None) -> None:
        """Take one name from a file; the last one gives its octets back."""
        if isinstance(node, File):
            node.links -= 1
            if node.links == 0:
                self._used -= len(node.cache)

    def _place(self, path: str) -> tuple[Folder, str]:
        head, slash, name = path.rstrip("/").rpartition("/")
        if path[:1] != "/":
            raise _error(errno.EINVAL, path)
        return (self._folder(head), name) if slash else (self._root, "")

    def _folder(self, path: str) -> Folder:
        """Return a folder by its path without a slash at the end."""
        found = self._folders.get(path)
        if found is None:
            head, _, name = path.rpartition("/")
            node = _entry(self._folder(head), name, path)
            if not isinstance(node, Folder):
                raise _error(errno.ENOTDIR, path)
            found = self._folders[path] = node
        return found

    def _is_folder(self, path: str) -> bool:
        try:
            return bool(self._folder(path.rstrip("/")))
        except OSError:
            return False

    def _node(self, path: str) -> Node:
        folder, name = self._place(path)
        return _entry(folder, name, path) if name else folder

    def _file(self, path: str) -> File:
        folder, name = self._place(path)
        return _as_file(folder.entries.get(name) if name else folder, path)

    def _look(self, path: str) -> File:
        self._begin_read(path)
        return self._file(path)

    # -- the next world ------------------------------------------------------------------------

    def _copy_into(self, next_disk: "SimulatedDisk") -> None:
        """Copy both sides of everything: after a kill -9."""
        twins: dict[Node, Node] = {self._root: next_disk._root}

        def twin(node: Node) -> Node:
            if node not in twins:
                twins[node] = node.copy() if isinstance(node, File) else Folder(node.mode)
                if isinstance(node, Folder):
                    fill(node)
            return twins[node]

        def fill(folder: Folder) -> None:
            other = twins[folder]
            assert isinstance(other, Folder)
            other.entries = {name: twin(node) for name, node in folder.entries.items()}
            other.stable = {name: twin(node) for name, node in folder.stable.items()}

        fill(self._root)
        for change in self._journal:
            copied = []
            for folder, name, node in change:
                place = twin(folder)
                assert isinstance(place, Folder)
                copied.append((place, name, None if node is None else twin(node)))
            next_disk._journal.append(tuple(copied))
        for file in self._dirty:
            same = twins.get(file)
            if isinstance(same, File):  # else nothing leads to it any more
                next_disk._dirty[same] = None
        for file in self._untold:
            same = twins.get(file)
            if isinstance(same, File):
                next_disk._untold.add(same)

    def _forget_into(self, next_disk: "SimulatedDisk", random: Random | None) -> None:
        """Copy what a power cut leaves: what was synced, and what `random` chooses."""
        kept: list[NameChange] = []
        if random is not None:
            kept, _ = self._divide(lambda *_: random.random() < 0.5)
        left: dict[Folder, dict[str, Node]] = {}
        for change in kept:
            for folder, name, node in change:
                set_name(left.setdefault(folder, dict(folder.stable)), name, node)
        twins: dict[Node, Node] = {}

        def twin(node: Node) -> Node:
            if node not in twins:
                twins[node] = (
                    node.after_power_cut(random)
                    if isinstance(node, File)
                    else fill(Folder(node.mode), node)
                )
            return twins[node]

        def fill(folder: Folder, old: Folder) -> Folder:
            folder.entries = {n: twin(node) for n, node in left.get(old, old.stable).items()}
            folder.stable = dict(folder.entries)
            return folder

        fill(next_disk._root, self._root)

    def _count_links(self) -> None:
        for _, file in _walk(self._root, ""):
            file.links += 1
            if file.links == 1:
                self._used += len(file.cache)


def _walk(folder: Folder, path: str) -> Iterator[tuple[str, File]]:
    for name, node in folder.entries.items():
        if isinstance(node, File):
            yield f"{path}/{name}", node
        else:
            yield from _walk(node, f"{path}/{name}")


def _entry(folder: Folder, name: str, path: str) -> Node:
    node = folder.entries.get(name)
    if node is None:
        raise _error(errno.ENOENT, path)
    return node


def _as_file(node: Node | None, path: str) -> File:
    if node is None:
        raise _error(errno.ENOENT, path)
    if isinstance(node, Folder):
        raise _error(errno.EISDIR, path)
    return node


def _error(number: int, path: str) -> OSError:
    return OSError(number, os.strerror(number), path)


if TYPE_CHECKING:
    _IS_A_DISK: type[Disk] = SimulatedDisk
