"""Writes of files that come from elsewhere: where they are missing, or may be replaced.

    files = FileWrites(disk, ways, rewriting, report)
    files.file(path, text, 0o644, "control/databytes")        -> [WriteFile(...)], or []
    files.dotqmail(path, found, home, ".qmail files")

Not here: which files (`manage.importing.domain`, `.controls`).
"""

import os
from collections.abc import Collection
from dataclasses import dataclass

from indimail.durable.disk import Disk
from indimail.manage.file_writes import WriteFile
from indimail.manage.importing.dotqmail import Rewriting
from indimail.manage.importing.report import Report, State
from indimail.manage.importing.source import FoundFile
from indimail.manage.importing.ways import Ways
from indimail.manage.writes import Write


@dataclass(frozen=True, slots=True)
class FileWrites:
    """Plans files one by one, and tells of those that stay as they are here."""

    disk: Disk
    ways: Ways
    rewriting: Rewriting
    report: Report

    def file(
        self, path: str, text: str, mode: int, where: str, pristine: Collection[bytes] = ()
    ) -> list[Write]:
        """Return the write of a file; one that says what is `pristine` may be replaced."""
        write = WriteFile(path, text, mode)
        if os.path.isfile(path):
            found = self.disk.read(path)
            if found == write.octets:
                self.report.here["files"] += 1
                return []
            if not (self.ways.force or found in pristine):
                why = f"{path} says something else, and stays (--force replaces it)"
                self.report.note(State.KEPT, where, "", why)
                return []
        return [write]

    def dotqmail(
        self, path: str, file: FoundFile, home: str, what: str, pristine: Collection[bytes] = ()
    ) -> list[Write]:
        """Return the write of a .qmail file; `home` is what its relative paths mean."""
        text = self.rewriting.text(file, home, self.report)
        writes = self.file(path, text, 0o600 | file.mode & 0o100, file.where, pristine)
        self.report.count(what, len(writes))
        return writes

    def tell_again(self, path: str, file: FoundFile, home: str) -> None:
        """Note what `dotqmail` did, where the file here still is what that made, or its model."""
        noted = Report()
        text = self.rewriting.text(file, home, noted).encode("utf-8", "surrogateescape")
        if os.path.isfile(path) and self.disk.read(path) in (text, file.octets):
            self.report.take_notes(noted)
