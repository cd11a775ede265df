"""SQLite on a simulated disk: an apsw VFS whose database, WAL and journals live in memory.

    with SimulatedVfs(disk) as vfs:
        store = SqliteQueue.open("/queue1/queue.db", vfs=vfs.name)
        with until_the_crash(disk):
            store.apply(changes)
    disk = disk.restart()                # and a new SimulatedVfs for it

The engine tested is the engine shipped.  Its writes, syncs, truncations, creations and deletions
are operations of the disk: counted, torn, failed and forgotten with those of every other file.
The name of a new WAL or journal is synced with its first sync, a deletion where SQLite asks for it,
as its own unix VFS does; the database's own name is covered by either.

Locks and shared memory (the WAL index) are the system's: each database has an empty file in a
scratch folder, which a crash leaves behind, as a reboot does (after a kill, too, the first to open
a WAL builds its index anew).

A Python exception in a VFS method comes out of the apsw call that led there, as the same type,
after SQLite has seen an error and undone its step (what that raises in turn has the first one as
its context): `PowerCut` reaches the caller of `execute`, and a failed or full disk is
`apsw.IOError` or `apsw.FullError`.  After a PowerCut the connection is to be abandoned: what needs
the disk fails, with PowerCut or an error of SQLite's own; closing it, or forgetting it, is silent
and writes nothing, because a dead disk refuses the exclusive lock that a checkpoint on closing
begins with.  With a rollback journal that holds for a connection outside a transaction; one inside
is to be forgotten after the VFS was closed, when nothing of a crashed disk is reached any more.

Temporary files of SQLite (sorters, statement journals) are the system's.  Source: sqlite.org "The
SQLite OS Interface", os_unix.c of the SQLite shipped with apsw.
"""

import errno
import itertools
import os
import tempfile
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, cast

import apsw

from indimail.testing.disk import SimulatedDisk
from indimail.testing.inode import File

if TYPE_CHECKING:
    from typing_extensions import Buffer

# What unix tells of an ordinary drive: a torn write damages nothing beside it.
CHARACTERISTICS: Final = apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE
SECTOR_SIZE: Final = 4096

# Their names are synced with their first sync (os_unix.c, UNIXFILE_DIRSYNC).
JOURNALS: Final = (
    apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL | apsw.SQLITE_OPEN_WAL
)

# Hints that the unix VFS would follow on the scratch file.
OURS: Final = frozenset(
    {apsw.SQLITE_FCNTL_SIZE_HINT, apsw.SQLITE_FCNTL_CHUNK_SIZE, apsw.SQLITE_FCNTL_MMAP_SIZE}
)

_numbers = itertools.count(1)
_scratch: list[tempfile.TemporaryDirectory[str]] = []


class _Octets:
    """An open file of the disk, as SQLite asks for one."""

    def __init__(
        self, vfs: "SimulatedVfs", file: File, path: str, *, name_unsynced: bool = False
    ) -> None:
        self._vfs = vfs
        self._disk = vfs.disk
        self._file = file
        self._path = path
        self._name_unsynced = name_unsynced

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        if self._vfs.gone:
            return b""
        try:
            return self._disk.read_at(self._file, self._path, offset, amount)
        except OSError as error:
            raise _sqlite_error(error, apsw.SQLITE_IOERR_READ) from error

    def xWrite(self, data: "Buffer", offset: int) -> None:  # noqa: N802
        if self._vfs.gone:
            return
        try:
            self._disk.write_at(self._file, self._path, offset, bytes(data))
        except OSError as error:
            raise _sqlite_error(error, apsw.SQLITE_IOERR_WRITE) from error

    def xSync(self, flags: int) -> None:  # noqa: ARG002, N802
        if self._vfs.gone:
            return
        try:
            self._disk.sync(self._file, self._path)
        except OSError as error:
            raise _sqlite_error(error, apsw.SQLITE_IOERR_FSYNC) from error
        if self._name_unsynced:
            try:
                self._disk.sync_directory(os.path.dirname(self._path))
            except OSError as error:
                raise _sqlite_error(error, apsw.SQLITE_IOERR_DIR_FSYNC) from error
            self._name_unsynced = False

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        if self._vfs.gone:
            return
        try:
            self._disk.truncate(self._file, self._path, newsize)
        except OSError as error:
            raise _sqlite_error(error, apsw.SQLITE_IOERR_TRUNCATE) from error

    def xFileSize(self) -> int:  # noqa: N802
        return len(self._file.cache)

    def xClose(self) -> None:  # noqa: N802
        """Nothing is held."""

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: ARG002, N802
        return False

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return CHARACTERISTICS

    def xSectorSize(self) -> int:  # noqa: N802
        return SECTOR_SIZE


class _Database(_Octets, apsw.VFSFile):
    """A main database: contents from the disk, locks and shared memory from a scratch file."""

    def __init__(
        self, vfs: "SimulatedVfs", file: File, path: str, scratch: str, flags: list[int]
    ) -> None:
        _Octets.__init__(self, vfs, file, path)
        # The scratch file is locked and mapped for writing, whoever reads.
        opened = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_MAIN_DB
        apsw.VFSFile.__init__(self, "unix", scratch, [opened, 0])
        flags[1] = flags[0]

    def xLock(self, level: int) -> None:  # noqa: N802
        if level == apsw.SQLITE_LOCK_EXCLUSIVE and self._disk.crashed:
            raise apsw.BusyError("the disk crashed: close without a checkpoint")
        super().xLock(level)

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: N802
        return op in OURS or apsw.VFSFile.xFileControl(self, op, ptr)

    def xClose(self) -> None:  # noqa: N802
        apsw.VFSFile.xClose(self)


class SimulatedVfs(apsw.VFS):
    """A VFS for one simulated disk; `name` is what a connection is opened with."""

    def __init__(self, disk: SimulatedDisk) -> None:
        """Register under a name of its own."""
        self.disk = disk
        self.name = f"simulated-{next(_numbers)}"
        self.closed = False
        self._bases: dict[str, str] = {}
        super().__init__(self.name, base="unix")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Take the name back and throw the scratch files away; open connections may linger."""
        self.closed = True
        self.unregister()
        for base in self._bases.values():
            for path in (base, f"{base}-shm"):
                if os.path.exists(path):
                    os.unlink(path)
        self._bases.clear()

    @property
    def gone(self) -> bool:
        """Tell whether this world ended and was left: what still closes in it closes on nothing."""
        return self.closed and self.disk.crashed is not None

    def xOpen(  # noqa: N802
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        """Open a file of the disk."""
        if name is None:
            return apsw.VFSFile("unix", None, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        create = bool(flags[0] & apsw.SQLITE_OPEN_CREATE)
        try:
            file = self.disk.open_file(
                path,
                create=create,
                exclusive=bool(flags[0] & apsw.SQLITE_OPEN_EXCLUSIVE),
                mode=0o644,
            )
        except OSError as error:
            raise apsw.CantOpenError(str(error)) from error
        if flags[0] & apsw.SQLITE_OPEN_MAIN_DB:
            return _Database(self, file, path, self._base(path), flags)
        flags[1] = flags[0]
        unsynced = create and bool(flags[0] & JOURNALS)
        octets = _Octets(self, file, path, name_unsynced=unsynced)
        return cast(apsw.VFSFile, octets)  # apsw takes anything with these methods

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        """Delete a file, and sync the folder where SQLite depends on it."""
        try:
            self.disk.unlink(filename)
            if syncdir:
                self.disk.sync_directory(os.path.dirname(filename))
        except FileNotFoundError as error:
            raise apsw.exception_for(apsw.SQLITE_IOERR_DELETE_NOENT) from error
        except OSError as error:
            raise _sqlite_error(error, apsw.SQLITE_IOERR_DELETE) from error

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: ARG002, N802
        """Tell whether a file is there; an empty one counts as none, as on unix."""
        try:
            return self.disk.size(pathname) > 0
        except IsADirectoryError:
            return True
        except OSError:
            return False

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        """Paths of a simulated disk are absolute and without links."""
        return os.path.normpath(name)

    def _base(self, path: str) -> str:
        """Return the scratch file that holds this database's locks."""
        base = self._bases.get(path)
        if base is None:
            if not _scratch:
                _scratch.append(tempfile.TemporaryDirectory(prefix="indimail-simulated-"))
            base = os.path.join(_scratch[0].name, f"{self.name}-{len(self._bases)}")
            self._bases[path] = base
        return base


def _sqlite_error(error: OSError, code: int) -> Exception:
    """Say it in SQLite's words: a full disk, or the I/O error of this operation."""
    return apsw.exception_for(apsw.SQLITE_FULL if error.errno == errno.ENOSPC else code)
