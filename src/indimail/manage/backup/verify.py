"""Is a backup what was written?  Every octet of it is compared before anything is made of it.

    manifest, entries = verified("/backup/monday", tell)

Raises `BackupRefused`, which names the file.  Not here: what is in the files.
"""

import os
from collections.abc import Callable

from indimail.manage.backup.manifest import (
    FILES,
    LIST,
    BackupRefused,
    Entry,
    Manifest,
    digest_of,
    read_entries,
    read_manifest,
)

OFTEN = 500  # files between two words about the progress


def verified(folder: str, tell: Callable[[str], None]) -> tuple[Manifest, list[Entry]]:
    """Read the manifest and the list, and compare every file."""
    manifest = read_manifest(folder)
    path = os.path.join(folder, LIST)
    try:
        is_whole = digest_of(path)[1] == manifest.list_sha256
    except OSError as error:
        raise BackupRefused(f"{path}: {error.strerror}") from None
    if not is_whole:
        raise BackupRefused(f"{path}: damaged: it is not what was written")
    entries = list(read_entries(folder))
    for number, entry in enumerate(entries):
        if number % OFTEN == 0:
            tell(f"comparing files: {number} of {len(entries)}")
        _check_path(entry)
        if entry.sha256:
            _compare(os.path.join(folder, FILES, entry.path), entry)
    return manifest, entries


def _check_path(entry: Entry) -> None:
    """Refuse what would be put elsewhere than below the new root."""
    for path in filter(None, (entry.path, entry.same)):
        if os.path.isabs(path) or os.path.normpath(path) != path or path.startswith(".."):
            raise BackupRefused(f"{path}: expected a path below the instance")


def _compare(path: str, entry: Entry) -> None:
    try:
        size, sha256 = digest_of(path)
    except OSError as error:
        raise BackupRefused(f"{path}: {error.strerror}") from None
    if size != entry.size:
        raise BackupRefused(f"{path}: damaged: {size} octets, expected {entry.size}")
    if sha256 != entry.sha256:
        raise BackupRefused(f"{path}: damaged: it is not what was written")
