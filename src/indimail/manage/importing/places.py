"""Where a source's parts lie, from the directory that was named.

    places = find_places("vpopmail", "/home/vpopmail", "", [])
    places.config          -> '/var/qmail'
    places.read(tables, report)

vpopmail has domains/ in its directory, and control/ and users/ in qmail's.  IndiMail had all three
in /var/indimail, and has control/ and users/ in /etc/indimail now.  A directory that holds a whole
old system (``/mnt/old``, with var/indimail or etc/indimail in it) is taken for its root.

A copy in another place is read there: what users/assign calls /var/indimail is the named directory,
where that has the domain.

Sources: spec/delivery.md 0 (layouts), 1.1.
"""

import os
from dataclasses import dataclass
from typing import Final

from indimail.manage.importing.indimail import read_indimail
from indimail.manage.importing.qmail import read_assign
from indimail.manage.importing.report import Report
from indimail.manage.importing.rows import Tables
from indimail.manage.importing.source import Source
from indimail.manage.importing.tree import Tree
from indimail.manage.importing.vpopmail import read_vpopmail

# Below the root of a system: the program's own directory, and where its control/ may be.
_OWN: Final = {"vpopmail": "home/vpopmail", "indimail": "var/indimail"}
_CONFIG: Final = {"vpopmail": "var/qmail", "indimail": "etc/indimail"}
_OWN_DATABASE: Final = "db/indimail.db"


@dataclass(frozen=True, slots=True)
class Places:
    """A source that was found; `domains` holds their directories, `config` control/ and users/.

    `database` is the URL of the one that lies in the source, empty: none does.
    """

    kind: str
    tree: Tree
    domains: str
    config: str
    database: str

    def read(self, tables: Tables | None, report: Report) -> Source:
        """Read all of it; an IndiMail without `tables` has no users."""
        if self.kind == "vpopmail":
            return read_vpopmail(self.tree, self.domains, self.config, tables, report)
        assert tables is not None
        return read_indimail(self.tree, self.domains, self.config, tables, report)


def find_places(kind: str, root: str, config: str, moved: list[tuple[str, str]]) -> Places | str:
    """Return where the parts lie, or what was expected."""
    own, of_system = root, "/"
    if not os.path.isdir(os.path.join(root, "domains")):
        own, of_system = os.path.join(root, _OWN[kind]), root
        moved = [*moved, ("/", root)]
    domains = os.path.join(own, "domains")
    if not os.path.isdir(domains):
        return f"{root}: no directory domains in it"
    candidates = (own, os.path.join(of_system, _CONFIG[kind]))
    config = config or next(filter(_is_config, candidates), own)
    inferred = _inferred(Tree(own, moved), config)
    database = os.path.join(own, _OWN_DATABASE)
    url = f"sqlite:///{database}" if kind == "indimail" and os.path.isfile(database) else ""
    return Places(kind, Tree(own, [*moved, *inferred]), domains, os.path.abspath(config), url)


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
