"""Mailboxes of another system, copied: every mail with its name, flags and time.

    copy = CopyMaildir("/home/vpopmail/domains/example.com/alice/Maildir", target, 89,
                       "alice", "example.com")
    copy.do(stores)             # again, after a crash or a full disk: what is missing

A mail keeps its name, and with it flags and size; its time is what IMAP calls INTERNALDATE.  It is
written into tmp/, some hundred are synced at once, and renamed into place.  When all are there, the
file `imported` of the Maildir lists them: a mail of that list is not copied again, also when its
reader moved or removed it since, so a second import brings what came meanwhile and nothing else.

Root reads here what a user of the old system could write: links are not followed, and files of
another owner than the home's are left (`others`, `wanted`).  With `link` a mail gets a second name
where its owner is ours and the file system is the same.

Sources: spec/delivery.md 8.1, 8.2; maildir(5).  Not here: indexes of IMAP servers, which are made anew.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from indimail.control.files import write_atomic
from indimail.durable.disk import Disk
from indimail.manage.layout import PRIVATE
from indimail.manage.quota_change import recount
from indimail.manage.site import reading_as_root
from indimail.manage.writes import Stores

IMPORTED: Final = "imported"
RESERVE: Final = 52_428_800  # octets that stay free, as for the queue (MIN_FREE)
_AT_ONCE: Final = 500  # mails
_OCTETS: Final = 64 << 20
_PIECE: Final = 1 << 20
_PARTS: Final = ("cur", "new")  # cur first: of a mail that is just being read both names are there
_NOT_COPIED: Final = frozenset({"maildirsize", IMPORTED})


@dataclass(frozen=True, slots=True)
class FoundMail:
    """A file of `cur` or `new`; `folder` is below the Maildir, empty for itself."""

    folder: str
    part: str
    name: str
    size: int
    owner: int

    @property
    def key(self) -> str:
        """What stays when its flags change."""
        return f"{self.folder}/{self.name.partition(':')[0]}"


@dataclass(frozen=True, slots=True)
class CopyMaildir:
    """A Maildir of the source, whose files are `owner`'s, has its mails here too."""

    source: str
    maildir: str
    owner: int
    name: str
    domain: str
    link: bool = False

    def __str__(self) -> str:
        return f"mail {self.source}: {'link' if self.link else 'copy'} to {self.maildir}"

    def do(self, stores: Stores) -> None:
        """Copy what is missing."""
        for _ in self.batches(stores):
            pass

    def batches(self, stores: Stores) -> Iterator[int]:
        """Copy what is missing, and yield how many mails came each time."""
        disk, account = stores.disk, stores.accounts.find(self.name, self.domain)
        if account is None:  # removed meanwhile
            return
        mails = [mail for mail in _mails(self.source) if mail.owner == self.owner]
        for folder in folders(self.source):
            _make_folder(disk, self, folder)
        gone: set[str] = set()
        for batch in _batches(_missing(mails, self.maildir)):
            came = self._copy_batch(disk, batch)
            gone |= {mail.key for mail in batch} - {mail.key for mail in came}
            yield len(came)
        listed = _listed(self.maildir) | {mail.key for mail in mails} - gone
        text = "".join(f"{key}\n" for key in sorted(listed)).encode("utf-8", "surrogateescape")
        path = os.path.join(self.maildir, IMPORTED)
        if text != _read(path):
            disk.sync_filesystem(self.maildir)
            recount(disk, self.maildir, account.quota)
            write_atomic(disk, path, [text], 0o600)

    def _copy_batch(self, disk: Disk, batch: list[FoundMail]) -> list[FoundMail]:
        """Copy some mails; return them without those that were moved meanwhile."""
        if disk.free(self.maildir) < RESERVE + (0 if self.link else sum(m.size for m in batch)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.maildir)
        staged = []
        for mail in batch:
            path = os.path.join(self.maildir, mail.folder, "tmp", mail.name.partition(":")[0])
            if disk.exists(path):  # of a copy that was interrupted
                disk.unlink(path)
            source = os.path.join(self.source, mail.folder, mail.part, mail.name)
            if (self.link and _link(disk, source, path)) or _copy(source, path):
                staged.append((path, mail))
        disk.sync_filesystem(self.maildir)
        for path, mail in staged:
            disk.rename(path, os.path.join(self.maildir, mail.folder, mail.part, mail.name))
        return [mail for _, mail in staged]


def wanted(copy: CopyMaildir) -> tuple[list[FoundMail], int]:
    """Return the mails that have to be copied, and how many are of another owner."""
    mails = _mails(copy.source)
    own = [mail for mail in mails if mail.owner == copy.owner]
    return _missing(own, copy.maildir), len(mails) - len(own)


def _missing(mails: list[FoundMail], maildir: str) -> list[FoundMail]:
    known = _listed(maildir) | {mail.key for mail in _mails(maildir)}
    found = []
    for mail in mails:
        if mail.key not in known:
            known.add(mail.key)
            found.append(mail)
    return found


def folders(maildir: str) -> list[str]:
    """Return a Maildir's folders, itself as the empty name first."""
    return [name for name, is_folder in _directories(maildir) if is_folder]


def others(maildir: str) -> list[str]:
    """Return the directories and links in a Maildir that are no mail folders."""
    return [name for name, is_folder in _directories(maildir) if not is_folder]


def _directories(maildir: str) -> list[tuple[str, bool]]:
    with reading_as_root():
        try:
            entries = sorted(os.scandir(maildir), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = [("", True)]
        for entry in entries:
            if entry.is_symlink():
                found.append((entry.name, False))
            elif entry.is_dir() and entry.name not in (*_PARTS, "tmp"):
                has_mail = os.path.isdir(os.path.join(entry.path, "cur"))
                found.append((entry.name, has_mail and entry.name.startswith(".")))
        return found


def _mails(maildir: str) -> list[FoundMail]:
    return [
        mail
        for folder in folders(maildir)
        for part in _PARTS
        for mail in _in_part(maildir, folder, part)
    ]


def _in_part(maildir: str, folder: str, part: str) -> list[FoundMail]:
    path = os.path.join(maildir, folder, part)
    with reading_as_root():
        if os.path.islink(path):
            return []
        try:
            entries = sorted(os.scandir(path), key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = []
        for entry in entries:
            with suppress(FileNotFoundError):  # a reader was faster
                if entry.name[0] != "." and "\n" not in entry.name:
                    kept = entry.stat(follow_symlinks=False)
                    if stat.S_ISREG(kept.st_mode):
                        found.append(FoundMail(folder, part, entry.name, kept.st_size, kept.st_uid))
        return found


def _batches(mails: list[FoundMail]) -> Iterator[list[FoundMail]]:
    batch: list[FoundMail] = []
    octets = 0
    for mail in mails:
        if batch and (len(batch) >= _AT_ONCE or octets + mail.size > _OCTETS):
            yield batch
            batch, octets = [], 0
        batch.append(mail)
        octets += mail.size
    if batch:
        yield batch


def _make_folder(disk: Disk, copy: CopyMaildir, folder: str) -> None:
    """Make a folder with its small files (maildirfolder, subscriptions, ...)."""
    target = os.path.join(copy.maildir, folder)
    for part in ("cur", "new", "tmp"):
        disk.make_directories(os.path.join(target, part), PRIVATE)
    with reading_as_root():
        entries = [
            entry.name
            for entry in os.scandir(os.path.join(copy.source, folder))
            if entry.is_file(follow_symlinks=False)
            and entry.stat(follow_symlinks=False).st_uid == copy.owner
        ]
    for name in sorted(entries):
        path = os.path.join(target, name)
        if name in _NOT_COPIED or name.startswith("dovecot.index") or disk.exists(path):
            continue
        staged = os.path.join(target, "tmp", name)
        if disk.exists(staged):
            disk.unlink(staged)
        if _copy(os.path.join(copy.source, folder, name), staged):
            disk.sync_file(staged)
            disk.rename(staged, path)


def _copy(source: str, target: str) -> bool:
    """Copy a plain file with its time; False where it is gone, or something else by now."""
    try:
        with reading_as_root():
            fd = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    with open(fd, "rb", buffering=0) as file:
        kept = os.fstat(fd)
        if not stat.S_ISREG(kept.st_mode):
            return False
        made = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with open(made, "wb") as copy:
                while piece := file.read(_PIECE):
                    copy.write(piece)
        except OSError as error:
            os.unlink(target)
            raise OSError(error.errno, error.strerror, target) from None
        os.utime(target, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    return True


def _link(disk: Disk, source: str, target: str) -> bool:
    """Give a mail a second name; False where it is another owner's, or elsewhere."""
    try:
        if os.stat(source, follow_symlinks=False).st_uid != os.geteuid():
            return False
        disk.link(source, target)
    except OSError:
        return False
    return True


def _listed(maildir: str) -> set[str]:
    """Return the keys of all mails that were copied at some time."""
    text = _read(os.path.join(maildir, IMPORTED)).decode("utf-8", "surrogateescape")
    return set(text.split("\n")) - {""}


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""
