"""Where a source's parts lie, from the directory that was named.

    places = find_places("vpopmail", "/home/vpopmail", "", [])
    places.config          -> '/var/qmail'
    places.read(tables, report)

vpopmail has domains/ in its directory, and control/ and users/ in qmail's.  IndiMail had all three
in /var/indimail, and has /etc/indimail now; a whole old root (``--from /mnt/old``) is known by that.

A copy in another place is read there: what users/assign calls /var/indimail is the named directory,
where that has the domain.

Sources: spec/delivery.md 0 (layouts), 1.1.
"""

import os
from dataclasses import dataclass
from typing import Final

from indimail.manage.importing.qmail import read_assign
from indimail.manage.importing.report import Report
from indimail.manage.importing.rows import Tables
from indimail.manage.importing.source import Source
from indimail.manage.importing.tree import Tree
from indimail.manage.importing.vpopmail import read_vpopmail

_CONFIGS: Final = {"vpopmail": "/var/qmail", "indimail": "/etc/indimail"}


@dataclass(frozen=True, slots=True)
class Places:
    """A source that was found; `config` holds control/ and users/."""

    kind: str
    tree: Tree
    config: str

    def read(self, tables: Tables | None, report: Report) -> Source:
        """Read all of it."""
        return read_vpopmail(self.tree, self.config, tables, report)


def find_places(kind: str, root: str, config: str, moved: list[tuple[str, str]]) -> Places | str:
    """Return where the parts lie, or what was expected."""
    if not os.path.isdir(os.path.join(root, "domains")):
        return f"{root}: no directory domains in it"
    config = config or next(filter(_is_config, (root, _CONFIGS[kind])), root)
    tree = Tree(root, moved)
    return Places(kind, Tree(root, [*moved, *_inferred(tree, config)]), os.path.abspath(config))


def _is_config(folder: str) -> bool:
    return os.path.isdir(os.path.join(folder, "control"))


def _inferred(tree: Tree, config: str) -> list[tuple[str, str]]:
    """Return what users/assign calls the source's directory, if that is not its name."""
    found = {}
    for domain in read_assign(tree, config, Report()).domains:
        old, _, rest = domain.directory.partition("/domains/")
        if old != tree.root and os.path.isdir(os.path.join(tree.root, "domains", rest)):
            found[old] = tree.root
    return list(found.items())
