"""Make an instance of a backup, below a root that is empty or not there.

    check_places("/backup/monday", "/srv/new")
    manifest, entries = verified("/backup/monday", tell)
    restore(Order("/backup/monday", site, "sqlite:////srv/new/db/indimail.db"), manifest, entries, ...)

Files, queues, rows and homes are put back, with every path of the old instance changed to the new one,
and looked at: the queues are whole, and hold what the manifest counts, as do the tables.  At last
`control/me` is written: without it no server starts, so what a killed restore leaves is no instance;
remove it, and restore again.

Raises `BackupRefused`, MailError, OSError.
Not here: comparing the backup's files (`verify`); which mail may come twice (docs/administration.md).
"""

import os
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from indimail.accounts.port import ALIAS_LINE_LENGTH, DIRECTORY_LENGTH
from indimail.accounts.rows import COUNTERS, Row, count, load
from indimail.accounts.sql import SqlAccounts
from indimail.control.files import read_control, write_atomic
from indimail.delivery.assign import parse_assign
from indimail.durable.disk import Disk
from indimail.mail.errors import ConfigErrors
from indimail.manage.assign import compile_assign
from indimail.manage.backup.manifest import FILES, ROWS, BackupRefused, Entry, Manifest
from indimail.manage.backup.moved import Moved
from indimail.manage.backup.putback import Putback
from indimail.manage.backup.setup import with_database, without_locations
from indimail.manage.doctor.patient import Patient
from indimail.manage.doctor.users import check_counters
from indimail.manage.instance import make_tree
from indimail.manage.layout import mount_point
from indimail.manage.site import Site, acting_as
from indimail.manage.writes import Stores
from indimail.queue.copy import check, settle

Tell = Callable[[str], None]
LAST: Final = "control/me"  # it says that the rest is there
OFTEN: Final = 500
PARTS: Final = ("cur", "new", "tmp")
_ACCOUNTS: Final = ("indimail", "indibak")


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted: where to, whose, and the URL of an empty database.

    `is_named`: the URL goes into indimail.toml; else it is that of the file in db/.
    """

    folder: str
    site: Site
    url: str
    is_named: bool = False


@dataclass(slots=True)
class _Homes:
    """The homes of the rows, and their domains."""

    moved: Moved
    found: list[tuple[str, str]] = field(default_factory=list)

    def row(self, table: str, row: Row) -> Row:
        """Return a row with the paths of the new place."""
        if table in _ACCOUNTS:
            home = self.moved.path(str(row["pw_dir"]))
            _check_length(home, DIRECTORY_LENGTH)
            if home:
                self.found.append((home, str(row["pw_domain"])))
            return {**row, "pw_dir": home}
        if table == "valias":
            line = self.moved.text(str(row["valias_line"]))
            _check_length(line, ALIAS_LINE_LENGTH)
            return {**row, "valias_line": line}
        return row


def _check_length(text: str, longest: int) -> None:
    if len(text) > longest:
        raise BackupRefused(f"{text}: longer than {longest} characters; take a shorter root")


def check_places(folder: str, root: str) -> None:
    """Refuse a root that is not empty, or lies where the backup does."""
    here, there = os.path.realpath(folder), os.path.realpath(root)
    if f"{there}/".startswith(f"{here}/") or f"{here}/".startswith(f"{there}/"):
        raise BackupRefused(f"{root}: lies in the backup, or the backup in it")
    if os.path.lexists(root):
        if not os.path.isdir(root):
            raise BackupRefused(f"{root}: not a directory")
        if set(os.listdir(root)) - {"lost+found"}:
            raise BackupRefused(f"{root}: not empty")


def restore(
    order: Order, manifest: Manifest, entries: Sequence[Entry], disk: Disk, tell: Tell
) -> list[str]:
    """Make the instance; return what could not be made as it was."""
    site = order.site
    owner, root = (site.uid, site.gid), site.places.root
    moved = Moved((old, os.path.join(root, new) if new else root) for old, new in manifest.moved)
    putback = Putback(order.folder, root, owner, (manifest.uid, manifest.gid), moved)
    with acting_as(*owner):
        make_tree(site, disk)
    for number, entry in enumerate(entries):
        if number % OFTEN == 0:
            tell(f"files: {number} of {len(entries)}")
        if entry.path not in (LAST, ROWS):
            putback.put(entry)
    tell("users")
    homes = _Homes(moved)
    with open(os.path.join(order.folder, FILES, ROWS), "rb") as rows, acting_as(*owner):
        try:
            filesystem = mount_point(site.places.mail)
            loaded = load(order.url, lambda: _lines(rows, homes), homes.row, filesystem)
        except ValueError as error:
            raise BackupRefused(f"{order.folder}/{FILES}/{ROWS}: {error}") from None
    _make_homes(putback, site, homes)
    tell("queues")
    with acting_as(*owner):
        notes = _settle(order, manifest, moved, disk)
        _count_homes(order, disk)
    notes += putback.give_away()
    tell("looking at what was made")
    with acting_as(*owner):
        _check(order, manifest, dict(loaded))
    disk.sync_filesystem(root)
    last = next((entry for entry in entries if entry.path == LAST), None)
    if last is None:
        raise BackupRefused(f"{order.folder}: {LAST} is not in it")
    with open(os.path.join(order.folder, FILES, LAST), "rb") as me:
        name = me.read()
    with acting_as(*owner):
        # Commit point: from here on it is an instance.
        write_atomic(disk, site.control("me"), [name], last.mode)
    return notes


def _lines(rows: BinaryIO, homes: _Homes) -> BinaryIO:
    """Return the lines from the first on, also where they are asked for again."""
    homes.found.clear()
    rows.seek(0)
    return rows


def _make_homes(putback: Putback, site: Site, homes: _Homes) -> None:
    """Make what is missing of every user's Maildir, which a reader expects to be there."""
    with acting_as(site.uid, site.gid):
        lines, _ = read_control(site.places.assign, "users/assign")
    entries = {entry.user: entry for entry in parse_assign(lines.lines)[0].prefixes.values()}
    for home, domain in homes.found:
        if not home.startswith(f"{site.places.root}/"):
            continue
        is_new = not os.path.isdir(home)
        for part in PARTS:
            putback.make_directories(os.path.join(home, "Maildir", part))
        entry = entries.get(domain)
        if is_new and entry is not None and entry.uid not in (0, site.uid):
            putback.give(home, (entry.uid, entry.gid))


def _settle(order: Order, manifest: Manifest, moved: Moved, disk: Disk) -> list[str]:
    """Let queues, indimail.toml and users/cdb be those of the new place."""
    site = order.site
    for name in manifest.queues:
        settle(os.path.join(site.places.queue_base, name, "queue.db"), moved.text)
    text = disk.read(site.places.toml).decode() if disk.exists(site.places.toml) else ""
    text = with_database(without_locations(text), order.url if order.is_named else "")
    write_atomic(disk, site.places.toml, [text.encode()], 0o600)
    try:
        compile_assign(disk, site.places.users_dir)
    except ConfigErrors as errors:
        disk.unlink(os.path.join(site.places.users_dir, "cdb"))
        return [f"users/cdb was not made: {errors.mistakes[0]}"]
    return []


def _count_homes(order: Order, disk: Disk) -> None:
    """Let the counters of homes say what there is on this file system."""
    with closing(SqlAccounts(order.url)) as accounts:
        stores = Stores(order.site, accounts, disk, lambda _: None)
        for finding in check_counters(Patient(order.site, accounts, disk, 0.0)):
            for write in finding.writes:
                write.do(stores)


def _check(order: Order, manifest: Manifest, loaded: dict[str, int]) -> None:
    """Compare what was made with what the manifest counts."""
    wanted = {name: number for name, number in manifest.rows.items() if number}
    if loaded != wanted:
        raise BackupRefused(f"rows: {loaded}, expected {wanted}")
    there = {name: number for name, number in count(order.url).items() if number}
    if there != {name: number for name, number in wanted.items() if name != COUNTERS}:
        raise BackupRefused(f"rows in the database: {there}, expected {wanted}")
    for name, queue in manifest.queues.items():
        path = os.path.join(order.site.places.queue_base, name, "queue.db")
        found = check(path)
        told = {"messages": found.messages, "waiting": found.waiting}
        if told != queue:
            raise BackupRefused(f"{path}: {told}, expected {queue}")
