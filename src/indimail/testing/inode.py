"""What the simulated disk is made of: files and folders, each as it is and as it is kept.

    file.write(0, b"...")        # seen at once by every reader
    file.sync()                  # kept through a power cut

A file has a *cache* (what programs see) and a *stable* side (what the platter holds), and between
them the writes that no sync has covered, in their order.  A folder has the same two sides for its
names; the changes between them stand in the disk's journal.

What a power cut leaves of un-synced contents is drawn from `Fate`: a kernel writes pages back when
and in what order it likes, a drive writes whole sectors, and a file system may record a new length
before the octets.  What was synced is never damaged by a neighbour (sqlite.org "Powersafe
Overwrite").

Units: offsets and sizes are octets; a sector is 512.  Not here: which names survive, which
operation crashes (`testing.disk`).
"""

from collections.abc import Iterator
from enum import StrEnum
from itertools import count
from random import Random
from typing import Final

SECTOR: Final = 512

_INODES: Final = count(1)


class Fate(StrEnum):
    """What becomes of a file's un-synced writes when the power goes."""

    NOTHING = "nothing was written back"
    PREFIX = "the first writes were, the last of them torn at a sector"
    SCATTERED = "any of the sectors were, in no order"
    ZEROS = "the new length was, the octets were not"
    ALL = "everything was"


FATES: Final = tuple(Fate)


class File:
    """Octets under any number of names.

    `unsynced` holds (offset, octets) of each write, and (length, None) of each truncation.
    """

    __slots__ = ("cache", "inode", "links", "mode", "modified", "stable", "unsynced")

    def __init__(self, mode: int = 0o600, content: bytes | bytearray = b"") -> None:
        """A file whose content, if any, is on disk already."""
        self.mode = mode
        self.inode = next(_INODES)
        self.modified = 0
        self.links = 0
        self.cache = bytearray(content)
        self.stable = bytearray(content)
        self.unsynced: list[tuple[int, bytes | None]] = []

    def write(self, offset: int, data: bytes) -> None:
        """Put octets where readers see them; a gap before them reads as zeros."""
        _put(self.cache, offset, data)
        self.unsynced.append((offset, data))

    def truncate(self, length: int) -> None:
        """Set the length, shorter or longer."""
        _put(self.cache, length, None)
        self.unsynced.append((length, None))

    def sync(self) -> None:
        """Make what readers see what is kept."""
        for offset, data in self.unsynced:
            _put(self.stable, offset, data)
        self.unsynced.clear()

    def lose(self) -> None:
        """Fail to write back: Linux then counts the pages as clean, and a later sync skips them."""
        self.unsynced.clear()

    def copy(self) -> "File":
        """Return the same file for another world, both sides."""
        twin = File(self.mode, self.stable)
        twin.inode, twin.modified = self.inode, self.modified
        twin.cache = bytearray(self.cache)
        twin.unsynced = list(self.unsynced)
        return twin

    def after_power_cut(self, random: Random | None) -> "File":
        """Return what the next boot finds; without `random`, nothing that was not synced."""
        content = self.stable
        if random is not None and self.unsynced:
            content = self._with_fate(random.choice(FATES), random)
        found = File(self.mode, content)
        found.inode, found.modified = self.inode, self.modified
        return found

    def _with_fate(self, fate: Fate, random: Random) -> bytearray:
        found = bytearray(self.stable)
        writes: list[tuple[int, bytes | None]] = []
        if fate is Fate.ALL:
            writes = self.unsynced
        elif fate is Fate.PREFIX:
            whole = random.randrange(len(self.unsynced))
            offset, data = self.unsynced[whole]
            writes = self.unsynced[:whole]
            if data is not None:
                writes.append((offset, data[: torn_length(offset, len(data), random)]))
        elif fate is Fate.SCATTERED:
            writes = [piece for piece in self._sectors() if random.random() < 0.5]
        elif fate is Fate.ZEROS:
            found.extend(bytes(max(0, len(self.cache) - len(found))))
        for offset, data in writes:
            _put(found, offset, data)
        return found

    def _sectors(self) -> Iterator[tuple[int, bytes | None]]:
        for offset, data in self.unsynced:
            if data is None:
                yield offset, None
                continue
            start = 0
            for cut in (*sector_cuts(offset, len(data)), len(data)):
                yield offset + start, data[start:cut]
                start = cut


class Folder:
    """Names of files and of other folders: `entries` as programs see them, `stable` as kept."""

    __slots__ = ("entries", "inode", "mode", "modified", "stable")

    def __init__(self, mode: int = 0o700) -> None:
        """An empty folder."""
        self.mode = mode
        self.inode = next(_INODES)
        self.modified = 0
        self.entries: dict[str, Node] = {}
        self.stable: dict[str, Node] = {}


Node = File | Folder

# One change of names: in each folder, the name and what it leads to from now on (None: nothing).
# More than one entry means that they become true together (a rename on a journalled file system).
NameChange = tuple[tuple[Folder, str, Node | None], ...]


def set_name(names: dict[str, Node], name: str, node: Node | None) -> None:
    """Make a change true on one side of a folder."""
    if node is None:
        names.pop(name, None)
    else:
        names[name] = node


def sector_cuts(offset: int, length: int) -> range:
    """Return where a write can be torn: the distances from its start to each sector inside it."""
    return range((-offset) % SECTOR or SECTOR, length, SECTOR)


def torn_length(offset: int, length: int, random: Random) -> int:
    """Draw how much of a write got through before it was torn: 0, or up to a sector."""
    cuts = sector_cuts(offset, length)
    chosen = random.randint(0, len(cuts))
    return cuts[chosen - 1] if chosen else 0


def _put(side: bytearray, offset: int, data: bytes | None) -> None:
    """Write, or with None cut (or lengthen) to `offset`."""
    if len(side) < offset:
        side.extend(bytes(offset - len(side)))
    if data is None:
        del side[offset:]
    else:
        side[offset : offset + len(data)] = data
