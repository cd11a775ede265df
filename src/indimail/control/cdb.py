r"""D. J. Bernstein's constant data base: read, and written whole.

    base = Cdb(octets, "control/morercpthosts.cdb")
    base.get(b"example.com")          -> b"", or None
    list(base.items())                -> [(b"example.com", b"")]
    write_cdb(disk, path, [(b"example.com", b"")])

A file is 256 pointers (position, slots: 2048 octets), the records (key length, data length, key,
data) in the order they were added, and 256 hash tables of slots (hash, position of the record).
All numbers are 32-bit, little-endian.  The table is ``hash % 256``, the first slot
``hash // 256 % slots``; an empty slot has position 0 and ends the search.  Of records with the
same key `get` returns the first.

What is broken raises `ConfigErrors` and nothing else, whatever the octets are.

Source: https://cr.yp.to/cdb/cdb.txt.  Not here: what keys mean.
"""

import struct
from collections.abc import Iterable, Iterator
from typing import Final, NoReturn

from indimail.control.files import write_atomic
from indimail.durable.disk import Disk
from indimail.mail.errors import ConfigErrors, Mistake, Permanent

_PAIR: Final = struct.Struct("<II")
_TABLES: Final = 256
_HEADER: Final = _TABLES * _PAIR.size
_LARGEST: Final = 0xFFFF_FFFF


def cdb_hash(key: bytes) -> int:
    """Return ``h = (h << 5) + h ^ c`` over the key, from 5381, in 32 bits."""
    value = 5381
    for octet in key:
        value = (value * 33 & _LARGEST) ^ octet
    return value


class Cdb:
    """A data base in memory (bytes or an mmap)."""

    def __init__(self, octets: bytes, name: str) -> None:
        self._octets = octets
        self._name = name
        if len(octets) < _HEADER:
            self._broken(f"{len(octets)} octets")

    def get(self, key: bytes) -> bytes | None:
        """Return the data of the first record with this key."""
        return next(self.get_all(key), None)

    def get_all(self, key: bytes) -> Iterator[bytes]:
        """Yield the data of all records with this key, in the order they were added."""
        wanted = cdb_hash(key)
        table, slots = self._pair(wanted % _TABLES * _PAIR.size)
        if not slots:
            return
        first = wanted // _TABLES % slots
        for step in range(slots):
            found, position = self._pair(table + (first + step) % slots * _PAIR.size)
            if position == 0:
                return
            if found == wanted:
                record_key, data, _ = self._record(position)
                if record_key == key:
                    yield data

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield all records in the order they were added."""
        pointers = [self._pair(number * _PAIR.size) for number in range(_TABLES)]
        position, end = _HEADER, min(table for table, _ in pointers)
        if end < _HEADER:
            self._broken(f"a table at octet {end}")
        while position < end:
            key, data, position = self._record(position)
            yield key, data
        if position != end:
            self._broken(f"a record that ends at octet {position}, where tables begin at {end}")

    def _pair(self, position: int) -> tuple[int, int]:
        if position + _PAIR.size > len(self._octets):
            self._broken(f"a pointer to octet {position} of {len(self._octets)}")
        first, second = _PAIR.unpack_from(self._octets, position)
        return first, second

    def _record(self, position: int) -> tuple[bytes, bytes, int]:
        key_size, data_size = self._pair(position)
        start = position + _PAIR.size
        middle, end = start + key_size, start + key_size + data_size
        if end > len(self._octets):
            self._broken(f"a record up to octet {end} of {len(self._octets)}")
        return self._octets[start:middle], self._octets[middle:end], end

    def _broken(self, found: str) -> NoReturn:
        expected = "a whole constant data base (make it again from its text)"
        raise ConfigErrors([Mistake(self._name, None, found, expected)])


def read_cdb(path: str, name: str) -> Cdb:
    """Read a file whole; `name` is what operators are told.  Raises `ConfigErrors`, `OSError`."""
    with open(path, "rb") as file:
        return Cdb(file.read(), name)


def build_cdb(records: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the octets of a data base.  Raises `Permanent` where they do not fit into 4 GiB."""
    parts, position = [], _HEADER
    tables: list[list[tuple[int, int]]] = [[] for _ in range(_TABLES)]
    for key, data in records:
        hashed = cdb_hash(key)
        tables[hashed % _TABLES].append((hashed, position))
        parts += [_PAIR.pack(len(key), len(data)), key, data]
        position += _PAIR.size + len(key) + len(data)
    pointers = []
    for entries in tables:
        slots = _table(entries)
        pointers.append((position, len(slots)))
        parts += [_PAIR.pack(*slot) for slot in slots]
        position += len(slots) * _PAIR.size
        if position > _LARGEST:
            raise Permanent("a constant data base holds at most 4 GiB")
    return b"".join([_PAIR.pack(*pointer) for pointer in pointers] + parts)


def _table(entries: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Place the entries of one table; twice as many slots as entries, so searches end soon."""
    size = 2 * len(entries)
    slots = [(0, 0)] * size
    for hashed, position in entries:
        at = hashed // _TABLES % size
        while slots[at][1]:
            at = (at + 1) % size
        slots[at] = (hashed, position)
    return slots


def write_cdb(
    disk: Disk, path: str, records: Iterable[tuple[bytes, bytes]], mode: int = 0o644
) -> None:
    """Replace a data base; readers see the old one or the new one, whole."""
    write_atomic(disk, path, [build_cdb(records)], mode)
