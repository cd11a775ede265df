"""Queues: databases that are not whole, bodies that are missing, files that nobody takes.

    list(check_queues(patient))     -> [Finding("queue", "queue/queue1/queue.db", ...)]

What is on its way looks like what was left for a moment; so a file is told of once it is old.

Source: docs/architecture/queue.md.  Not here: mail that waits, which is no fault.
"""

import os
from collections.abc import Iterator
from typing import Final

from indimail.mail.errors import QueueUnwritable
from indimail.mail.ids import QueueId
from indimail.manage.doctor.finding import Finding
from indimail.manage.doctor.patient import Patient
from indimail.manage.doctor.state import is_running
from indimail.queue.found import found_queues
from indimail.queue.health import SCHEMA_VERSION, QueueFile
from indimail.queue.sqlite import database_of

ANY: Final = float("-inf")
LONG: Final = 86_400.0  # seconds; no conversation takes so long
ABANDONED: Final = 129_600.0  # seconds after which a file in tmp/ is nobody's (36 hours)
TAKEN: Final = 3600.0  # seconds after which a running server has taken what was put into the spool


def check_queues(patient: Patient) -> Iterator[Finding]:
    """Every queue's database, and the bodies beside it."""
    places = patient.site.places
    named = patient.site.variables.get("QUEUEDIR", "")
    for directory in found_queues(
        places.queue_base, os.path.join(places.root, named) if named else ""
    ):
        patient.tell(f"queues: {os.path.basename(directory)}")
        path = database_of(directory)
        try:
            with QueueFile.open(path) as file:
                yield from _queue(patient, directory, file)
        except QueueUnwritable as error:
            yield Finding("queue", patient.shown(path), str(error), "a database that opens")


def _queue(patient: Patient, directory: str, file: QueueFile) -> Iterator[Finding]:
    shown = patient.shown(database_of(directory))
    for fault in file.faults():
        yield Finding("queue", shown, fault, "a whole database (a closed copy of it, or a backup)")
    if file.version > SCHEMA_VERSION:
        expected = f"{SCHEMA_VERSION}, or a newer server"
        yield Finding("schema", shown, f"schema version {file.version}", expected)
    elif 0 < file.version < SCHEMA_VERSION:
        expected = f"{SCHEMA_VERSION}: the next start brings it up to date, after a copy"
        yield Finding("schema", shown, f"schema version {file.version}", expected)
    if file.version:
        yield from _bodies(patient, directory, file)


def _bodies(patient: Patient, directory: str, file: QueueFile) -> Iterator[Finding]:
    folder = os.path.join(directory, "mess")
    spooled = file.spooled()
    for queue_id in spooled:
        path = os.path.join(folder, str(queue_id))
        if not os.path.exists(path) and file.has(queue_id):  # else it was delivered just now
            yield Finding("no-body", patient.shown(path), "no file", f"the body of mail {queue_id}")
    known = set(spooled)
    for name in _old(patient, folder, LONG):
        if not (name.isdigit() and QueueId(int(name)) in known):
            expected = "a row of the queue for it; it goes when the queue is opened again"
            yield Finding("left", patient.shown(os.path.join(folder, name)), "a file", expected)


def check_spool(patient: Patient) -> Iterator[Finding]:
    """What was put aside, and what a running server should have taken."""
    places = patient.site.places
    refused = os.path.join(places.queue_base, "refused")
    for name in _old(patient, refused, ANY):
        path = os.path.join(refused, name)
        expected = "a decision: its mail was not taken, and the log says why"
        yield Finding("refused", patient.shown(path), "a file", expected)
    if not is_running(patient.site):
        return
    for folder in (places.spool, os.path.join(places.queue_base, "adopting")):
        for name in _old(patient, folder, TAKEN):
            if not name.startswith("."):
                path = os.path.join(folder, name)
                yield Finding("left", patient.shown(path), "a mail", "the server to have taken it")


def check_maildirs(patient: Patient) -> Iterator[Finding]:
    """Copies in tmp/ that nobody goes on with."""
    staged = _staged(patient)
    for user in patient.each_user("unfinished copies"):
        if not user.directory:
            continue
        folder = os.path.join(user.directory, "Maildir", "tmp")
        old = [name for name in _old(patient, folder, ABANDONED) if name not in staged]
        if old:
            expected = "none older than 36 hours; look at them, and remove them"
            yield Finding("left", patient.shown(folder), f"{len(old)} files", expected)


def _staged(patient: Patient) -> set[str]:
    """Return the names of copies that a queue will go on with."""
    names: set[str] = set()
    for directory in found_queues(patient.site.places.queue_base):
        try:
            with QueueFile.open(database_of(directory)) as file:
                names.update(file.staged())
        except QueueUnwritable:  # told of already
            continue
    return names


def _old(patient: Patient, folder: str, age: float) -> list[str]:
    """Return the names of a folder's files that were not changed for so long."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                entry.name for entry in entries
                if entry.is_file(follow_symlinks=False)
                and patient.now - entry.stat(follow_symlinks=False).st_mtime >= age
            )  # fmt: skip
    except OSError:  # missing, gone while we looked, or closed: the folder is told of
        return []
