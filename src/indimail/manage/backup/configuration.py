"""What an instance is, apart from mail and rows: its configuration, domains, certificates.

    copy_configuration(source, archive, site, domains)
    left_out(source, site, homes)       -> ['not copied: old-stuff, which is no part of an instance']

Left out: `run/`, `log/`, what a crash left of a file that was being written, and sockets.
`control/queue_base` stays behind too, for a restored instance lies wholly below its root.
"""

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from indimail.delivery.assign import AssignEntry
from indimail.manage.backup.archive import Archive
from indimail.manage.backup.source import Owner, Source
from indimail.manage.filesystems import LAST
from indimail.manage.site import Site

LIBEXEC: Final = "libexec"
_NOT_COPIED: Final = frozenset({"control/queue_base"})
_MAIL: Final = ("alias/Maildir/new", "alias/Maildir/cur", "alias/Maildir/tmp")


def parts(site: Site) -> list[tuple[str, str]]:
    """Return the directories, and what they are called below a root."""
    places = site.places
    return [
        (places.control_dir, "control"),
        (places.tcp_dir, "tcp"),
        (places.users_dir, "users"),
        (places.certs, "certs"),
        (places.alias, "alias"),
        (places.domains_dir, "domains"),
        (os.path.join(places.root, LIBEXEC), LIBEXEC),
    ]


def copy_configuration(
    source: Source, archive: Archive, site: Site, domains: Mapping[str, AssignEntry]
) -> None:
    """Copy it."""
    toml = site.places.toml
    with source.opened(toml) as found:
        if found is not None:
            archive.file("indimail.toml", *found)
    owners = {os.path.basename(entry.home): (entry.uid, entry.gid) for entry in domains.values()}
    for folder, name in parts(site):

        def owner_of(path: str) -> Owner:
            first, _, rest = path.partition("/")
            domain = rest.partition("/")[0] if first == "domains" else ""
            uid, gid = owners.get(domain, source.owner)
            return (uid, gid) if uid else source.owner

        copy_tree(source, archive, source.real(folder), name, owner_of, _is_wanted)


def _is_wanted(path: str) -> bool:
    name = os.path.basename(path)
    is_unfinished = name.startswith(".") and name.endswith(".tmp")
    return not is_unfinished and path not in _NOT_COPIED and os.path.dirname(path) not in _MAIL


def copy_tree(
    source: Source,
    archive: Archive,
    folder: str,
    path: str,
    owner_of: Callable[[str], Owner],
    is_wanted: Callable[[str], bool],
) -> None:
    """Copy a directory with all that is wanted in it; `path` is its place below the root."""
    state = source.directory(folder, owner_of(path))
    if state is None:
        return
    archive.directory(path, state)
    for child, state in source.names(folder, owner_of(path)):
        there, here = os.path.join(folder, child), os.path.join(path, child)
        if not is_wanted(here):
            continue
        if stat.S_ISDIR(state.st_mode):
            archive.directory(here, state)
            copy_tree(source, archive, there, here, owner_of, is_wanted)
        elif stat.S_ISLNK(state.st_mode):
            archive.link(here, source.target(there, owner_of(path)))
        elif stat.S_ISREG(state.st_mode):
            with source.opened(there, owner_of(here)) as found:
                if found is not None:
                    archive.file(here, *found)


def left_out(source: Source, site: Site, homes: Iterable[str]) -> list[str]:
    """Tell of what lies in the root, is no part of an instance, and holds no homes."""
    places = site.places
    known = {"indimail.toml", LIBEXEC, "lost+found", LAST}  # LAST is a hint of where homes go
    known |= {os.path.basename(folder) for folder, _ in parts(site)}
    known |= {
        os.path.basename(path)
        for path in (
            places.mail,
            places.queue_base,
            places.db,
            places.trace,
            places.log,
            places.run,
        )
    }
    inside = f"{places.root}/"
    known |= {h.removeprefix(inside).partition("/")[0] for h in homes if h.startswith(inside)}
    names = [name for name, _ in source.names(places.root)]
    strange = [name for name in names if name not in known]
    return [f"not copied: {name}, which is no part of an instance" for name in strange]
