"""Queues and what waits in front of them, copied so that no accepted mail is missing.

    copied = copy_queues(source, archive, site, tell)     -> {"queue1": Copied(...)}

The order: files of the spool (mail that was accepted while nobody ran), those that are being adopted,
then all queues at one moment (`queue.copy`), then the bodies of that moment that are files.  So a mail
that goes from the spool into a queue meanwhile is in one of the two, or in both; a restored server
takes it once, for its row names its file.  A body that is gone belongs to a mail that has ended.

Source: docs/adr/0032; docs/architecture/queue.md.
"""

import os
from collections.abc import Callable
from typing import Final

from indimail.mail.ids import QueueId
from indimail.manage.backup.archive import Archive
from indimail.manage.backup.source import Source
from indimail.manage.site import Site, acting_as
from indimail.queue.copy import Copied, Moment, drop
from indimail.queue.found import found_queues
from indimail.queue.health import QueueFile
from indimail.queue.sqlite import database_of

SPOOL: Final = ("spool", "adopting", "refused")


def copy_queues(
    source: Source, archive: Archive, site: Site, tell: Callable[[str], None]
) -> tuple[dict[str, Copied], list[str]]:
    """Copy all; return what is in each queue, and what is missing in the instance itself."""
    for name in SPOOL:
        tell(f"queues: {name}")
        _copy_folder(source, archive, os.path.join(site.places.queue_base, name), f"queue/{name}")
    tell("queues: this moment")
    named = site.variables.get("QUEUEDIR", "")
    with acting_as(*source.owner):
        extra = os.path.join(site.places.root, named) if named else ""
        directories = found_queues(site.places.queue_base, extra)
        moment = Moment.of([database_of(directory) for directory in directories])
    copied: dict[str, Copied] = {}
    notes: list[str] = []
    names: dict[str, str] = {}
    with moment:  # no longer than needed: a queue that is opened anew waits for its end
        for directory in directories:
            name = names[directory] = _free_name(os.path.basename(directory), copied)
            tell(f"queues: {name}")
            target = archive.place(f"queue/{name}/queue.db")
            copied[name] = moment.copy(database_of(directory), target)
    for directory, name in names.items():
        tell(f"queues: {name}, large mails")
        copied[name] = _bodies(source, archive, directory, name, copied[name], notes)
        archive.produced(f"queue/{name}/queue.db")
    return copied, notes


def _free_name(name: str, taken: dict[str, Copied]) -> str:
    """Return a name below the new base, for a queue of another place too."""
    number = 0
    while name in taken or not name.startswith("queue"):
        number += 1
        name = f"queue{number}"
    return name


def _bodies(
    source: Source, archive: Archive, directory: str, name: str, copied: Copied, notes: list[str]
) -> Copied:
    """Copy the bodies that are files; drop the mails that ended meanwhile."""
    missing: list[QueueId] = []
    for queue_id in copied.spooled:
        path = os.path.join("mess", str(queue_id))
        with source.opened(os.path.join(directory, path)) as found:
            if found is None:
                missing.append(queue_id)
            else:
                archive.file(f"queue/{name}/{path}", *found)
    if not missing:
        return copied
    with acting_as(*source.owner), QueueFile.open(database_of(directory)) as file:
        lost = [queue_id for queue_id in missing if file.has(queue_id)]
    notes += [f"{name}: mail {queue_id} has no body: not copied" for queue_id in lost]
    return drop(archive.place(f"queue/{name}/queue.db"), missing)


def _copy_folder(source: Source, archive: Archive, folder: str, path: str) -> None:
    """Copy the files of a directory; those that begin with a dot are being written."""
    for name, _ in source.names(folder):
        if not name.startswith("."):
            with source.opened(os.path.join(folder, name)) as found:
                if found is not None:
                    archive.file(f"{path}/{name}", *found)


def copy_trace(source: Source, archive: Archive, site: Site) -> None:
    """Copy the records of what was decided, which tell the end of mails that no queue has."""
    _copy_folder(source, archive, site.places.trace, "trace")
