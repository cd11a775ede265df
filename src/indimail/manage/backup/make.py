"""Make a backup of an instance that may be running.

    make_backup(site, url, disk, "/backup/monday", with_mail=True, tell)      -> Manifest(...)

What mail comes from is copied before what it goes to: the spool, the queues, then configuration, users
and mailboxes, at last the trace.  So a mail that was accepted before the backup began is in the copy of
a queue, or it had ended by then.  Configuration and users are read while no command may change them,
and together say what one moment said.

Raises `BackupRefused`, MailError, OSError; then there is no manifest, and nobody takes what is there for
a backup.
Source: docs/adr/0032.
"""

import json
import os
import pwd
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from indimail import __version__
from indimail.accounts.port import above
from indimail.accounts.rows import snapshot
from indimail.control.files import read_control
from indimail.delivery.assign import AssignEntry, parse_assign
from indimail.durable.disk import Disk
from indimail.manage.backup.archive import Archive
from indimail.manage.backup.configuration import copy_configuration, left_out
from indimail.manage.backup.mailboxes import Mailboxes
from indimail.manage.backup.manifest import ROWS, BackupRefused, Manifest, write_manifest
from indimail.manage.backup.placing import Placing, bases_of
from indimail.manage.backup.queues import copy_queues, copy_trace
from indimail.manage.backup.source import Owner, Source
from indimail.manage.site import Site, acting_as, alone
from indimail.queue.copy import Copied

Tell = Callable[[str], None]


@dataclass(slots=True)
class _Rows:
    """What the rows said, as far as files depend on it: homes, by path, and their domains."""

    counts: Mapping[str, int] = field(default_factory=dict)
    homes: dict[str, tuple[str, str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def make_backup(
    site: Site, url: str, disk: Disk, folder: str, tell: Tell, *, with_mail: bool
) -> Manifest:
    """Make it; when this returns it is on disk, whole."""
    _check_place(site, folder)
    with Archive.make(disk, folder, site.uid) as archive:
        manifest = _copy_all(site, url, archive, tell, with_mail=with_mail)
    tell("writing everything to the disk")
    write_manifest(disk, folder, manifest)
    return manifest


def _copy_all(site: Site, url: str, archive: Archive, tell: Tell, *, with_mail: bool) -> Manifest:
    """Copy in the order that keeps the promise; nothing of it counts before the manifest."""
    source, began = Source(site), datetime.now(UTC)
    copied, notes = copy_queues(source, archive, site, tell)
    tell("configuration and users")
    with _undisturbed(site):
        domains = _domains(source, site)
        copy_configuration(source, archive, site, domains)
        rows = _copy_rows(source, archive, site, url)
        notes += left_out(source, site, rows.homes)
        places = Placing(site, bases_of(source, domains), rows.homes)
    mails = 0
    if with_mail:
        mails = _copy_mail(source, archive, site, domains, rows, places, tell)
    tell("trace")
    copy_trace(source, archive, site)
    return Manifest(
        time=began.isoformat(timespec="seconds"),
        program=__version__,
        root=site.places.root,
        me=_me(site),
        uid=site.uid,
        gid=site.gid,
        owner=_name_of(site.uid),
        with_mail=with_mail,
        moved=places.pairs,
        rows=dict(rows.counts),
        queues={name: _counted(queue) for name, queue in copied.items()},
        homes=len(rows.homes),
        mails=mails,
        files=archive.count,
        octets=archive.octets,
        list_sha256=archive.end(),
        notes=(*notes, *rows.notes),
    )


def _check_place(site: Site, folder: str) -> None:
    """Refuse a directory that is part of the instance: the next backup would copy it."""
    inside = os.path.realpath(folder) + "/"
    for path in (site.places.root, site.places.queue_base, site.places.mail):
        if inside.startswith(f"{os.path.realpath(path)}/"):
            raise BackupRefused(f"{folder}: lies in {path}, which is to be copied")


@contextmanager
def _undisturbed(site: Site) -> Iterator[None]:
    """Keep commands that change the instance away; the lock is the owner's, what is done is not."""
    with ExitStack() as stack:
        with acting_as(site.uid, site.gid):
            stack.enter_context(alone(site, "indimail backup"))
        yield


def _domains(source: Source, site: Site) -> dict[str, AssignEntry]:
    with acting_as(*source.owner):
        lines, _ = read_control(site.places.assign, "users/assign")
    prefixes = parse_assign(lines.lines)[0].prefixes.items()
    return {key[:-1]: entry for key, entry in prefixes if key == f"{entry.user.lower()}-"}


def _copy_rows(source: Source, archive: Archive, site: Site, url: str) -> _Rows:
    """Write the rows, and take from them where the homes are."""
    rows = _Rows()
    with (
        open(archive.place(ROWS), "xb") as file,
        acting_as(*source.owner),
        snapshot(url, site.places.db) as found,
    ):
        for line in found.lines():
            file.write(line + b"\n")
            _note_home(rows, line)
        rows.counts = dict(found.counts)
        rows.notes = [f"not copied: table {name}, which is none of ours" for name in found.left_out]
    archive.produced(ROWS)
    return rows


def _note_home(rows: _Rows, line: bytes) -> None:
    if line.startswith((b'{"table": "indimail"', b'{"table": "indibak"')):
        row = json.loads(line)["row"]
        if os.path.isabs(row["pw_dir"]):
            rows.homes[row["pw_dir"].rstrip("/")] = (row["pw_name"], row["pw_domain"])


def _copy_mail(
    source: Source,
    archive: Archive,
    site: Site,
    domains: Mapping[str, AssignEntry],
    rows: _Rows,
    places: Placing,
    tell: Tell,
) -> int:
    """Copy every home, each as its owner; return how many mails were in them."""
    boxes = Mailboxes(source, archive)
    for number, (path, (_, domain)) in enumerate(rows.homes.items()):
        tell(f"mailboxes: {number} of {len(rows.homes)}")
        if any(outer in rows.homes for outer in above(os.path.dirname(path))):
            continue  # it is copied with the one that it lies in
        entry = domains.get(domain)
        owner: Owner = (entry.uid, entry.gid) if entry is not None and entry.uid else source.owner
        if not boxes.copy(path, places.below(path), owner):
            rows.notes.append(f"not copied: {path}, which is not there")
    boxes.copy(os.path.join(site.places.alias, "Maildir"), "alias/Maildir", source.owner)
    return boxes.mails


def _counted(queue: Copied) -> dict[str, int]:
    return {"messages": queue.messages, "waiting": queue.waiting}


def _me(site: Site) -> str:
    with acting_as(site.uid, site.gid):
        first = read_control(site.control("me"), "control/me")[0].first
    return first.text if first else ""


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return ""
