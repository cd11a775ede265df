"""Writes of files: a line, a file, a link, a directory, a mail.

    AddLine("/var/indimail/control/rcpthosts", "example.com").do(stores)

Not here: what a write is (`manage.writes`), rows (`manage.row_writes`).
"""

import os
from contextlib import suppress
from dataclasses import dataclass

from indimail.control.cdb import write_cdb
from indimail.control.files import add_line, parse_lines, remove_line, write_atomic
from indimail.mail.errors import ConfigErrors
from indimail.manage.assign import add_entry, compile_assign, remove_entries
from indimail.manage.layout import make_home, make_homes
from indimail.manage.quota_change import recount
from indimail.manage.trees import move_tree, remove_tree, settle_tree
from indimail.manage.writes import Stores
from indimail.policy.tcprules import compile_rules, parse_tcp_rules


@dataclass(frozen=True, slots=True)
class AddLine:
    """A control file gets a line."""

    path: str
    line: str

    def __str__(self) -> str:
        return f"file {self.path}: add {self.line}"

    def do(self, stores: Stores) -> None:
        """Add it where it is missing."""
        add_line(stores.disk, self.path, self.line)


@dataclass(frozen=True, slots=True)
class RemoveLine:
    """A control file loses a line."""

    path: str
    line: str

    def __str__(self) -> str:
        return f"file {self.path}: remove {self.line}"

    def do(self, stores: Stores) -> None:
        """Remove it wherever it stands; the file may have gone with its directory."""
        if stores.disk.exists(self.path):
            remove_line(stores.disk, self.path, self.line)


@dataclass(frozen=True, slots=True)
class CompileHosts:
    """`morercpthosts.cdb` is made of its text."""

    path: str

    def __str__(self) -> str:
        return f"file {self.path}.cdb: compile"

    def do(self, stores: Stores) -> None:
        """Compile the file without ``.cdb``."""
        lines, _ = parse_lines(stores.disk.read(self.path), "control/morercpthosts")
        keys = dict.fromkeys(line.text.lower().encode() for line in lines)
        write_cdb(stores.disk, f"{self.path}.cdb", [(key, b"") for key in keys])


@dataclass(frozen=True, slots=True)
class CompileRules:
    """`tcp.smtp.cdb` is made of its text."""

    path: str

    def __str__(self) -> str:
        return f"file {self.path}.cdb: compile"

    def do(self, stores: Stores) -> None:
        """Compile the file without ``.cdb``; a line that is wrong leaves the old one."""
        lines, mistakes = parse_lines(stores.disk.read(self.path), "tcp/tcp.smtp")
        rules, more = parse_tcp_rules(lines)
        if mistakes or more:
            raise ConfigErrors([*mistakes, *more])
        write_cdb(stores.disk, f"{self.path}.cdb", compile_rules(rules))


@dataclass(frozen=True, slots=True)
class AddEntry:
    """`users/assign` gets a line; its data base stays until `CompileAssign`."""

    users_dir: str
    entry: str

    def __str__(self) -> str:
        return f"file {self.users_dir}/assign: add {self.entry}"

    def do(self, stores: Stores) -> None:
        """Add it where it is missing."""
        add_entry(stores.disk, self.users_dir, self.entry)


@dataclass(frozen=True, slots=True)
class RemoveEntries:
    """`users/assign` loses a domain."""

    users_dir: str
    domain: str

    def __str__(self) -> str:
        return f"file {self.users_dir}/assign: remove +{self.domain}-"

    def do(self, stores: Stores) -> None:
        """Remove the domain's lines."""
        remove_entries(stores.disk, self.users_dir, self.domain)


@dataclass(frozen=True, slots=True)
class CompileAssign:
    """`users/cdb` is made of `users/assign`."""

    users_dir: str

    def __str__(self) -> str:
        return f"file {self.users_dir}/cdb: compile"

    def do(self, stores: Stores) -> None:
        """Compile it."""
        compile_assign(stores.disk, self.users_dir)


@dataclass(frozen=True, slots=True)
class WriteFile:
    """A file has these contents; one that is there keeps its mode."""

    path: str
    text: str
    mode: int = 0o600

    def __str__(self) -> str:
        return f"file {self.path}: write {len(self.octets)} octets"

    @property
    def octets(self) -> bytes:
        """The contents as they are on disk."""
        return self.text.encode("utf-8", "surrogateescape")

    def do(self, stores: Stores) -> None:
        """Replace it."""
        write_atomic(stores.disk, self.path, [self.octets], self.mode)


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """A file, or a link, goes."""

    path: str

    def __str__(self) -> str:
        return f"file {self.path}: remove"

    def do(self, stores: Stores) -> None:
        """Unlink it where it is there."""
        if stores.disk.exists(self.path):
            stores.disk.unlink(self.path)
            stores.disk.sync_directory(os.path.dirname(self.path))


@dataclass(frozen=True, slots=True)
class SetMode:
    """A file or a directory has these permission bits."""

    path: str
    mode: int

    def __str__(self) -> str:
        return f"mode {self.path}: {self.mode:04o}"

    def do(self, stores: Stores) -> None:
        """Set them; what is gone needs none."""
        with suppress(FileNotFoundError):
            os.chmod(self.path, self.mode)
            stores.disk.sync_file(self.path)


@dataclass(frozen=True, slots=True)
class MakeLink:
    """A symbolic link leads to a name."""

    path: str
    target: str

    def __str__(self) -> str:
        return f"link {self.path}: to {self.target}"

    def do(self, stores: Stores) -> None:
        """Make it, over one that leads elsewhere."""
        new = f"{self.path}.tmp"
        if stores.disk.exists(new):
            stores.disk.unlink(new)
        os.symlink(self.target, new)
        stores.disk.rename(new, self.path)
        stores.disk.sync_directory(os.path.dirname(self.path))


@dataclass(frozen=True, slots=True)
class MakeDirectory:
    """A directory is there, and those above it."""

    path: str
    mode: int

    def __str__(self) -> str:
        return f"directory {self.path}: make"

    def do(self, stores: Stores) -> None:
        """Make what is missing."""
        stores.disk.make_directories(self.path, self.mode)


@dataclass(frozen=True, slots=True)
class MakeHome:
    """A home is there with its Maildir."""

    path: str

    def __str__(self) -> str:
        return f"directory {self.path}/Maildir: make"

    def do(self, stores: Stores) -> None:
        """Make what is missing."""
        make_home(stores.disk, self.path)


@dataclass(frozen=True, slots=True)
class MakeHomes:
    """Some hundred homes are there with their Maildirs."""

    paths: tuple[str, ...]

    def __str__(self) -> str:
        return "\n".join(f"directory {path}/Maildir: make" for path in self.paths)

    def do(self, stores: Stores) -> None:
        """Make what is missing."""
        make_homes(stores.disk, self.paths)


@dataclass(frozen=True, slots=True)
class MoveTree:
    """A directory gets another name; on another file system it is copied, and stays."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"directory {self.source}: move to {self.target}"

    def do(self, stores: Stores) -> None:
        """Move it where it has not been moved."""
        move_tree(stores.disk, self.source, self.target)


@dataclass(frozen=True, slots=True)
class SettleTree:
    """What came to the old name of a moved directory meanwhile follows; the old name goes."""

    source: str
    target: str

    def __str__(self) -> str:
        return f"directory {self.source}: what came meanwhile goes to {self.target}"

    def do(self, stores: Stores) -> None:
        """Move it, file by file."""
        settle_tree(stores.disk, self.source, self.target)


@dataclass(frozen=True, slots=True)
class RemoveTree:
    """A directory goes with all that is in it."""

    path: str

    def __str__(self) -> str:
        return f"directory {self.path}: remove"

    def do(self, stores: Stores) -> None:
        """Remove what is there of it."""
        remove_tree(stores.disk, self.path)


@dataclass(frozen=True, slots=True)
class PostMail:
    """A mail of a file is in a Maildir: as a "copy", a "link" to it or a "symlink"."""

    source: str
    maildir: str
    name: str
    how: str = "copy"

    def __str__(self) -> str:
        return f"mail {self.maildir}/new/{self.name}: {self.how} of {self.source}"

    def do(self, stores: Stores) -> None:
        """Put it into `new`, where a reader has not got it yet."""
        disk, staged = stores.disk, os.path.join(self.maildir, "tmp", self.name)
        for part in ("new", "cur", "tmp"):
            disk.make_directories(os.path.join(self.maildir, part))
        names = [
            *disk.names(os.path.join(self.maildir, "new")),
            *disk.names(os.path.join(self.maildir, "cur")),
        ]
        if any(name.partition(":")[0] == self.name for name in names):
            return
        if os.path.lexists(staged):
            disk.unlink(staged)
        match self.how:
            case "link":
                disk.link(self.source, staged)
            case "symlink":
                os.symlink(self.source, staged)
            case _:
                disk.write_new(staged, [disk.read(self.source)])
                disk.sync_file(staged)
        disk.rename(staged, os.path.join(self.maildir, "new", self.name))
        disk.sync_directory(os.path.join(self.maildir, "new"))


@dataclass(frozen=True, slots=True)
class PurgeMails:
    """The mails of a folder that are older than a time go: "all", or the "unread" or "deleted".

    Deleted is what its reader marked so, and has not expunged.
    """

    folder: str
    before: int
    which: str = "all"

    def __str__(self) -> str:
        what = "mails" if self.which == "all" else f"{self.which} mails"
        return f"directory {self.folder}: remove {what} from before {self.before}"

    def do(self, stores: Stores) -> None:
        """Remove what is there of them."""
        for part in ("new", "cur"):
            folder = os.path.join(self.folder, part)
            for name in stores.disk.names(folder) if os.path.isdir(folder) else ():
                if not self._is_meant(name):
                    continue
                path = os.path.join(folder, name)
                with suppress(FileNotFoundError, PermissionError):  # moved, or not ours
                    if os.lstat(path).st_mtime < self.before:
                        stores.disk.unlink(path)

    def _is_meant(self, name: str) -> bool:
        flags = name.partition(":2,")[2]
        match self.which:
            case "all":
                return True
            case "unread":
                return "S" not in flags
            case _:
                return "T" in flags


@dataclass(frozen=True, slots=True)
class Recount:
    """The maildirsize of a Maildir says what is in it."""

    maildir: str
    quota: str

    def __str__(self) -> str:
        return f"file {self.maildir}/maildirsize: count anew, quota {self.quota}"

    def do(self, stores: Stores) -> None:
        """Count it."""
        if os.path.isdir(self.maildir):
            recount(stores.disk, self.maildir, self.quota)
