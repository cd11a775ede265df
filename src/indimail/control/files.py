"""Control files: read into numbered lines, changed by a rename that survives a power cut.

    controls = ControlFolder("/var/indimail/control", "control")
    controls["rcpthosts"].lines       -> (Line('control/rcpthosts', 2, 'example.com'),)
    add_line(disk, "/var/indimail/control/rcpthosts", "example.com")    -> True where it was missing

A line that begins with ``#`` and an empty line are counted and skipped; white space at a line's
end is dropped.  A missing file has no lines and `exists` is False (for `rcpthosts` both mean that
nothing is ours, for `locals` a missing file means `me`).

`write_atomic` returns when contents and name are on disk; before, the old file is there, whole.
Raises `OSError` (the adapters of this package's users are commands, which print it).

Sources: spec/smtp.md 7 (list syntax), 14.  Not here: what a line means (`policy`, `schedule`,
`delivery`, `app.settings`).
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from indimail.durable.disk import Disk
from indimail.durable.lock import DirectoryLock
from indimail.mail.errors import Mistake
from indimail.mail.line import Line

_BLANKS: Final = " \t\r\v\f"


@dataclass(frozen=True, slots=True)
class ControlFile:
    """What a file says; `changed` is its time of change in ns, 0 where it is missing."""

    name: str
    lines: tuple[Line, ...] = ()
    exists: bool = False
    changed: int = 0

    @property
    def first(self) -> Line | None:
        """The line that counts where a file holds one value."""
        return self.lines[0] if self.lines else None


def read_control(path: str, name: str) -> tuple[ControlFile, list[Mistake]]:
    """Read one file; `name` is what operators are told (``control/rcpthosts``)."""
    try:
        with open(path, "rb") as file:
            changed = os.fstat(file.fileno()).st_mtime_ns
            content = file.read()
    except FileNotFoundError:
        return ControlFile(name), []
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        return ControlFile(name), [Mistake(name, None, reason, "a readable file")]
    lines, mistakes = parse_lines(content, name)
    return ControlFile(name, lines, exists=True, changed=changed), mistakes


def parse_lines(content: bytes, name: str) -> tuple[tuple[Line, ...], list[Mistake]]:
    """Split a file's octets into its lines; one that is not UTF-8 is a mistake."""
    lines, mistakes = [], []
    for number, octets in enumerate(content.split(b"\n"), 1):
        try:
            text = octets.decode().rstrip(_BLANKS)
        except UnicodeDecodeError:
            mistakes.append(Mistake(name, number, _shown(octets), "UTF-8 text"))
            continue
        if "\0" in text:
            mistakes.append(Mistake(name, number, "a NUL octet", "text"))
        elif text and not text.startswith("#"):
            lines.append(Line(name, number, text))
    return tuple(lines), mistakes


def _shown(octets: bytes) -> str:
    shown = octets[:40].decode("ascii", "backslashreplace")
    return f"'{shown}'" if len(octets) <= 40 else f"'{shown}...'"


class ControlFolder:
    """The control directory; reads each file once and gathers the mistakes."""

    def __init__(self, path: str, display: str) -> None:
        self.path = path
        self.mistakes: list[Mistake] = []
        self._display = display
        self._read: dict[str, ControlFile] = {}

    def __getitem__(self, name: str) -> ControlFile:
        """Return a file by its name; one that begins with ``/`` or ``.`` is a path as it stands."""
        if name not in self._read:
            found, mistakes = read_control(self.locate(name), self.display(name))
            self._read[name] = found
            self.mistakes += mistakes
        return self._read[name]

    def contents(self) -> list[tuple[str, bool, tuple[Line, ...]]]:
        """Return what was read so far, apart from the times of change."""
        return sorted((name, file.exists, file.lines) for name, file in self._read.items())

    def locate(self, name: str) -> str:
        """Return the path of a file."""
        return os.path.abspath(name) if name[:1] in ("/", ".") else os.path.join(self.path, name)

    def display(self, name: str) -> str:
        """Return the name that operators are told."""
        return name if name[:1] in ("/", ".") else f"{self._display}/{name}"


def write_atomic(disk: Disk, path: str, parts: Sequence[bytes], mode: int = 0o644) -> None:
    """Replace a file; an existing one keeps its owner and mode, a new one is its folder's owner's.

    What a crash leaves beside it begins with a dot, so nothing reads it as a control file.
    """
    folder = os.path.dirname(path)
    new = os.path.join(folder, f".{os.path.basename(path)}.{os.getpid()}.tmp")
    if disk.exists(new):  # an earlier process of this number died here
        disk.unlink(new)
    disk.write_new(new, parts)
    try:
        _give_away(new, path, mode)
        disk.sync_file(new)
        disk.rename(new, path)
    except OSError:
        disk.unlink(new)
        raise
    # Commit point: after this the new contents are what the next boot finds.
    disk.sync_directory(folder)


def _give_away(new: str, old: str, mode: int) -> None:
    """Set the owner and the mode of a new file before anybody can see it under its name."""
    try:
        model = os.stat(old)
        mode = model.st_mode & 0o7777
    except FileNotFoundError:
        model = os.stat(os.path.dirname(new))
    if os.geteuid() == 0:  # others cannot give a file away, nor need to
        os.chown(new, model.st_uid, model.st_gid)
    os.chmod(new, mode)


def add_line(disk: Disk, path: str, text: str, mode: int = 0o644) -> bool:
    """Add a line at the end where no line says the same; tell whether the file changed.

    Comments, order and spacing of the others stay.
    """
    wanted = text.encode()

    def added(lines: list[bytes]) -> list[bytes]:
        return lines if wanted in map(bytes.rstrip, lines) else [*lines, wanted]

    return _edit(disk, path, mode, added)


def remove_line(disk: Disk, path: str, text: str) -> bool:
    """Remove every line that says this; tell whether the file changed."""
    unwanted = text.encode()
    return _edit(disk, path, 0o644, lambda lines: [x for x in lines if x.rstrip() != unwanted])


def _edit(disk: Disk, path: str, mode: int, change: Callable[[list[bytes]], list[bytes]]) -> bool:
    with _alone(os.path.dirname(path)):
        try:
            lines = disk.read(path).split(b"\n")
        except FileNotFoundError:
            lines = [b""]
        if lines[-1] == b"":
            lines.pop()
        changed = change(list(lines))
        if changed == lines:
            return False
        write_atomic(disk, path, [b"".join(line + b"\n" for line in changed)], mode)
        return True


@contextmanager
def _alone(folder: str) -> Iterator[None]:
    """Keep other commands from changing the folder's files between our reading and our writing."""
    lock = DirectoryLock.wait(folder)
    try:
        yield
    finally:
        lock.release()
