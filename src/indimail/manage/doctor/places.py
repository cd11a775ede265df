"""Owners and modes of an instance's directories and files.

    list(check_places(patient))     -> [Finding("mode", "db", "mode 0755", "0700", ...)]

Everything belongs to the service account; files of control/, tcp/, users/ and certs/ may be root's
where the service account can read them.

Source: docs/architecture/trust.md ("Files of an instance").  Not here: homes (`users`), `.qmail`
files (`dotqmail`).
"""

import os
import stat
from collections.abc import Iterator
from typing import Final, NamedTuple

from indimail.manage.doctor.finding import Finding, Give
from indimail.manage.doctor.patient import Patient
from indimail.manage.file_writes import MakeDirectory, SetMode
from indimail.queue.found import found_queues

KEY: Final = b"PRIVATE KEY-----"
LONGEST: Final = 1 << 20  # octets of a file in certs/ that are looked at


class Place(NamedTuple):
    """A directory: the permission bits that it may have, and those that it needs."""

    path: str
    most: int
    least: int


def _places(patient: Patient) -> list[Place]:
    places = patient.site.places
    maildir = os.path.join(places.alias, "Maildir")
    return [
        Place(places.root, 0o755, 0o711),
        *(Place(path, 0o755, 0o755) for path in (places.control_dir, places.tcp_dir)),
        Place(places.users_dir, 0o755, 0o755),
        Place(places.certs, 0o700, 0o700),
        Place(places.domains_dir, 0o755, 0o711),
        Place(places.alias, 0o755, 0o711),
        *(Place(os.path.join(maildir, part), 0o700, 0o700) for part in ("", "cur", "new", "tmp")),
        Place(places.mail, 0o755, 0o711),
        Place(places.queue_base, 0o755, 0o711),
        Place(places.spool, 0o1733, 0o1733),
        *(Place(path, 0o700, 0o700) for path in (places.db, places.trace, places.log)),
        Place(places.run, 0o755, 0o711),
    ]


def check_places(patient: Patient) -> Iterator[Finding]:
    """The directories that `indimail init` makes, and the private ones of the queues."""
    for path, most, least in _places(patient):
        if os.path.isdir(path):
            yield from patient.judge(path, most & 0o777, least)
        else:
            made = MakeDirectory(path, least)
            mends = (made, SetMode(path, least)) if not os.path.lexists(path) else ()
            yield Finding("missing", patient.shown(path), "no directory", "one", mends)
    base = patient.site.places.queue_base
    parts = (os.path.join(base, name) for name in ("adopting", "refused", "handover"))
    queues = found_queues(base)
    messages = (os.path.join(queue, "mess") for queue in queues)
    for path in (*parts, *queues, *messages):
        if os.path.isdir(path):
            yield from patient.judge(path, 0o700, 0o700)


def check_files(patient: Patient) -> Iterator[Finding]:
    """Files that others might change or read, and what the server could not read or write."""
    places = patient.site.places
    for folder in (places.control_dir, places.tcp_dir, places.users_dir):
        for path in _files(folder):
            yield from patient.judge(path, 0o644, 0o400, also_root=True)
            yield from _unreadable(patient, path)
    if os.path.exists(places.toml):
        yield from patient.judge(places.toml, 0o600, 0o400, also_root=True)
    for path in _files(places.db):
        yield from patient.judge(path, 0o600, 0o600)
    queues = found_queues(places.queue_base)
    messages = (os.path.join(queue, "mess") for queue in queues)
    for folder in (places.trace, places.log, *queues, *messages):
        for path in _files(folder):
            yield from patient.judge(path, 0o666, 0o600)


def check_keys(patient: Patient) -> Iterator[Finding]:
    """Private keys are their owner's alone."""
    for path in _files(patient.site.places.certs):
        yield from _unreadable(patient, path)
        if os.access(path, os.R_OK, effective_ids=True) and _holds_key(path):
            yield from patient.judge(path, 0o700, 0o400, also_root=True)


def _holds_key(path: str) -> bool:
    with open(path, "rb") as file:
        return KEY in file.read(LONGEST)


def _unreadable(patient: Patient, path: str) -> Iterator[Finding]:
    """What root made for itself alone; what is the account's is told by its mode."""
    state = os.stat(path)
    if state.st_uid == 0 and not os.access(path, os.R_OK, effective_ids=True):
        yield Finding(
            "unreadable", patient.shown(path), f"root's alone, mode {state.st_mode & 0o777:04o}",
            "a file that the owner of the instance can read",
            give=Give(path, patient.site.uid, patient.site.gid),
        )  # fmt: skip


def _files(folder: str) -> list[str]:
    """Return the regular files of a folder, links to some too; none where it cannot be listed."""
    try:
        names = sorted(os.listdir(folder))
    except OSError:  # missing, or closed: the folder itself is told of
        return []
    paths = (os.path.join(folder, name) for name in names)
    return [path for path in paths if _is_file(path)]


def _is_file(path: str) -> bool:
    try:
        return stat.S_ISREG(os.stat(path).st_mode)
    except OSError:  # gone meanwhile, or a link to nowhere
        return False
