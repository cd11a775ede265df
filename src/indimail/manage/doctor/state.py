"""The instance as a whole: a change half made, a server that was killed, disks that fill up.

    list(check_state(patient))      -> [Finding("interrupted", "db/change.json", ...)]
    is_running(site)                -> whether a server has the instance

Not here: completing a change (`manage.change`).
"""

import os
import socket
from collections.abc import Iterator
from typing import Final

from indimail.durable.lock import lock_file
from indimail.manage.change import pending
from indimail.manage.doctor.finding import Finding
from indimail.manage.doctor.patient import Patient
from indimail.manage.site import Site

MIN_FREE: Final = 52_428_800  # octets; app.settings has the same default
FULL: Final = 0.02  # of a disk


def is_running(site: Site) -> bool:
    """Tell whether a server listens to commands."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(1.0)
            peer.connect(os.path.join(site.places.run, "control.sock"))
    except TimeoutError:
        return True
    except OSError:
        return False
    return True


def check_state(patient: Patient) -> Iterator[Finding]:
    """A change that nobody is making any more, and what a killed server left."""
    site = patient.site
    if pending(site) and not _is_at_work(site) and (title := pending(site)):
        expected = "nothing; any command that changes something completes it"
        yield Finding("interrupted", "db/change.json", f"a change: {title}", expected)
    path = os.path.join(site.places.run, "serve.pid")
    if os.path.exists(path) and not is_running(site):
        expected = "a server that runs, or no file; the next start replaces it"
        yield Finding(
            "killed", patient.shown(path), "a server that did not end by itself", expected
        )


def _is_at_work(site: Site) -> bool:
    """Tell whether a command has the lock."""
    try:
        fd = os.open(os.path.join(site.places.db, "change.lock"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not lock_file(fd, patience=0)
    finally:
        os.close(fd)


def check_space(patient: Patient) -> Iterator[Finding]:
    """The disks that the instance lies on."""
    places, seen = patient.site.places, set[int]()
    text = patient.site.variables.get("MIN_FREE", "")
    reserve = int(text) if text.isdecimal() else MIN_FREE
    for path in (places.queue_base, places.mail, places.db, places.trace, places.log):
        if not os.path.isdir(path) or (device := os.stat(path).st_dev) in seen:
            continue
        seen.add(device)
        disk = os.statvfs(path)
        free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
        wanted = max(2 * reserve, int(size * FULL))
        if free < wanted:
            expected = f"{wanted} (below {reserve} new mail is put off)"
            yield Finding("disk", patient.shown(path), f"{free} octets free", expected)
        if disk.f_files and disk.f_favail < disk.f_files * FULL:
            expected = f"{int(disk.f_files * FULL)}"
            yield Finding("disk", patient.shown(path), f"{disk.f_favail} inodes free", expected)
