"""Where the paths of an instance are below the root of a restored one.

    placing = Placing(site, ["/home/mail"], {"/srv/large/alice": ("alice", "example.com")})
    placing.pairs       -> (('/srv/large/alice', 'mail/A2E/example.com/alice'), ...)
    placing.below("/home/mail/A2E/example.com/bob")     -> 'mail/A2E/example.com/bob'

A restored instance lies wholly below its root, in the usual places: so it cannot touch the one it was
copied from, wherever that had its parts.
"""

import os
from collections.abc import Iterable, Mapping

from indimail.accounts.layout import home
from indimail.delivery.assign import AssignEntry
from indimail.durable.disk import SystemDisk
from indimail.manage.backup.configuration import parts
from indimail.manage.backup.moved import Moved
from indimail.manage.backup.source import Source
from indimail.manage.homes import first_line
from indimail.manage.site import Site, acting_as


class Placing:
    """`bases` are where domains have their homes, `homes` whose each home is."""

    def __init__(
        self, site: Site, bases: Iterable[str], homes: Mapping[str, tuple[str, str]]
    ) -> None:
        places = site.places
        pairs = {places.root: ""}
        named = [*parts(site), (places.mail, "mail"), (places.queue_base, "queue"),
                 (places.trace, "trace")]  # fmt: skip
        pairs |= {
            folder: name for folder, name in named if folder != os.path.join(places.root, name)
        }
        for base in bases:
            if not base.startswith(f"{places.root}/"):
                pairs.setdefault(base, "mail")
        known = _moved(pairs)
        taken = {known.path(path) for path in homes if known.path(path) != path}
        for path, (user, domain) in homes.items():
            if known.path(path) == path:
                place = home("/mail", user, domain, "")
                while place in taken:
                    place += "_"
                taken.add(place)
                pairs[path] = place.removeprefix("/")
        self.pairs = tuple(sorted(pairs.items(), key=lambda pair: (-len(pair[0]), pair)))
        self._moved = _moved(pairs)

    def below(self, path: str) -> str:
        """Return where a path is below the new root."""
        return self._moved.path(path).removeprefix("/")


def _moved(pairs: Mapping[str, str]) -> Moved:
    return Moved((old, f"/{new}" if new else "") for old, new in pairs.items())


def bases_of(source: Source, domains: Mapping[str, AssignEntry]) -> list[str]:
    """Return where domains have their homes, if not where all have."""
    found = []
    for entry in domains.values():
        with acting_as(*((entry.uid, entry.gid) if entry.uid else source.owner)):
            base = first_line(SystemDisk(), os.path.join(entry.home, ".base_path"))
        if os.path.isabs(base):
            found.append(base.rstrip("/"))
    return found
