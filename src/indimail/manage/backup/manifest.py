"""What a backup says of itself: the manifest, and the list of its files.

    write_manifest(disk, folder, Manifest(...))      # the commit point of a backup
    read_manifest(folder)                            -> Manifest(...), or raises BackupRefused
    for entry in read_entries(folder, manifest): ...

An entry's path is the one below the root of the instance to be.  Text that is no UTF-8 (a file's
name may be any octets) is kept as Python keeps it, by surrogates.

Units: octets; times are nanoseconds since the epoch in entries, ISO 8601 in UTC in the manifest.
Not here: copying (`archive`), putting back (`restore`).
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from indimail.durable.disk import Disk
from indimail.mail.errors import MailError

FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
LIST: Final = "files.jsonl"
FILES: Final = "files"
ROWS: Final = "rows.jsonl"
READ: Final = 1 << 20


class BackupRefused(MailError):
    """What was given is no whole backup, or cannot be made, or not put there."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file (with `sha256`), a directory, a link (with `target`), a second name (`same`) of a file.

    `uid`, `gid`: whose it is, where it is not the instance's owner's; else -1.
    """

    path: str
    mode: int = 0
    size: int = 0
    changed: int = 0
    sha256: str = ""
    target: str = ""
    same: str = ""
    uid: int = -1
    gid: int = -1

    def line(self) -> bytes:
        """Return it as a line of the list."""
        given = ((name, getattr(self, name)) for name in _FIELDS)
        values = {name: value for name, value in given if value not in ("", -1)}
        return json.dumps(values, separators=(",", ":")).encode() + b"\n"


_FIELDS: Final = tuple(value.name for value in fields(Entry))


@dataclass(frozen=True, slots=True)
class Manifest:
    """`moved` are old absolute paths and where they are below the new root, the longest first.

    `uid`, `gid`, `owner` are the instance's owner, by number and name (empty: it has none).
    """

    time: str
    program: str
    root: str
    me: str
    uid: int
    gid: int
    owner: str
    with_mail: bool
    moved: tuple[tuple[str, str], ...]
    rows: Mapping[str, int]
    queues: Mapping[str, Mapping[str, int]]
    homes: int
    mails: int
    files: int
    octets: int
    list_sha256: str
    notes: tuple[str, ...] = ()
    format: int = FORMAT


def digest(octets: bytes) -> str:
    """Return the SHA-256 in hexadecimal digits."""
    return hashlib.sha256(octets).hexdigest()


def digest_of(path: str) -> tuple[int, str]:
    """Return a file's size and SHA-256."""
    size, summed = 0, hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while piece := file.read(READ):
            size += len(piece)
            summed.update(piece)
    return size, summed.hexdigest()


def write_manifest(disk: Disk, folder: str, manifest: Manifest) -> None:
    """Make a backup one: from the return of this on it is whole, also after a power cut."""
    values = asdict(manifest)
    text = json.dumps({"sha256": _own_digest(values), **values}, indent=1).encode()
    disk.sync_filesystem(folder)
    new = os.path.join(folder, f".{MANIFEST}.tmp")
    disk.write_new(new, [text, b"\n"])
    disk.sync_file(new)
    disk.rename(new, os.path.join(folder, MANIFEST))
    # Commit point: before, what is there is refused as no whole backup.
    disk.sync_directory(folder)


def _own_digest(values: Mapping[str, object]) -> str:
    return digest(json.dumps(values, sort_keys=True, separators=(",", ":")).encode())


def read_manifest(folder: str) -> Manifest:
    """Read what a backup is."""
    path = os.path.join(folder, MANIFEST)
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read())
    except FileNotFoundError:
        what = "no backup: it was not ended" if os.path.isdir(folder) else "no such directory"
        raise BackupRefused(f"{folder}: {what}") from None
    except ValueError as error:
        raise BackupRefused(f"{path}: damaged: {error}") from error
    if not isinstance(found, dict) or found.pop("sha256", "") != _own_digest(found):
        raise BackupRefused(f"{path}: damaged: it is not what was written")
    if found.get("format") != FORMAT:
        raise BackupRefused(f"{path}: format {found.get('format')}, expected {FORMAT}")
    known = {value.name for value in fields(Manifest)}
    found["moved"] = tuple(tuple(pair) for pair in found["moved"])
    found["notes"] = tuple(found["notes"])
    return Manifest(**{name: value for name, value in found.items() if name in known})


def read_entries(folder: str) -> Iterator[Entry]:
    """Yield the list; whoever reads it has compared its digest (`verify`)."""
    with open(os.path.join(folder, LIST), "rb") as file:
        for line in file:
            values: dict[str, Any] = json.loads(line)
            yield Entry(**values)
