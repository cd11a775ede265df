"""Finding mails in the trace: by id, Message-ID, envelope address or time.

    find("/var/indimail/trace", Query(recipient="alice@example.com", limit=5)) -> [Story(id, records)]

The newest mails come first, at most `limit`; each with all its records in time order and the
`connect` record of its connection.  Addresses are compared without regard to case; one without a
local part (``@example.com``) stands for all of its domain.

How it is fast: lines are searched as octets, newest first, and only those that match are parsed;
then the records of the ids found are gathered from the time of the oldest on.  Segments and parts
of segments outside the times asked for are not read (the lines of a segment are nearly in time
order; `SLACK` seconds cover the rest).

The facts that are searched: ``sender``, ``recipient`` (envelope), ``message_id`` (with its angle
brackets), ``connection`` (the id of the connection, where it is not the record's own).

Source: DESIGN promise 1.  Not here: the plain words (`trace.story`), arguments (`cli.explain`).
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from indimail.durable.disk import Disk, SystemDisk
from indimail.mail.events import Event, Record
from indimail.mail.ids import time_of
from indimail.trace.segment import Segment, decode, segments

BLOCK: Final = 1 << 18  # octets: what the processor's cache holds, twice as fast as a MiB
SLACK: Final = 60.0  # how far a record's time may be from the order in its file, in seconds
FEW: Final = 4  # so many ids are sought one by one; more by looking at every line
_TAIL: Final = 1 << 16
_TIME: Final = re.compile(rb'\n\{"id":"\d+","time":([-+.0-9eE]+),')
_FOREVER: Final = float("inf")


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for; every field that is not None must hold.  Times are UTC seconds.

    `sender` may be empty, the null reverse-path.  `limit` 0 means all.
    """

    id: int | None = None
    message_id: str | None = None
    sender: str | None = None
    recipient: str | None = None
    since: float = 0.0
    until: float = _FOREVER
    limit: int = 20


@dataclass(frozen=True, slots=True)
class Story:
    """The records of one mail (or of a connection that brought none), in time order."""

    id: int
    records: tuple[Record, ...]


class LateOutcomes(Protocol):
    """What the queues still hold because no synced trace has it yet."""

    def records_of(self, queue_id: int) -> list[Record]:
        """Return the records that the rows of a mail stand for; none where it is unknown."""


def find(
    directory: str, query: Query, disk: Disk | None = None, late: LateOutcomes | None = None
) -> list[Story]:
    """Return the mails that match, newest first.  Raises OSError for an unreadable trace."""
    trace = _Trace(directory, disk or SystemDisk())
    ids = [query.id] if query.id is not None else trace.ids_for(query)
    found = trace.records_of(ids)
    stories = []
    for queue_id in ids:
        records = found.get(queue_id, [])
        if late is not None:
            records = _with_late(records, late.records_of(queue_id))
        if records:
            stories.append(Story(queue_id, _in_order(records)))
    return stories


def _in_order(records: list[Record]) -> tuple[Record, ...]:
    """Sort by time, and tell an outcome once that a restart recorded again from its row."""
    outcomes = set()
    ordered = []
    for record in sorted(records, key=lambda record: record.time):
        if record.event is Event.OUTCOME:
            told = (record.verdict, record.facts.get("recipient"), record.facts.get("number"))
            key = (round(record.time, 3), *told)
            if key in outcomes:
                continue
            outcomes.add(key)
        ordered.append(record)
    return tuple(ordered)


def _with_late(records: list[Record], late: list[Record]) -> list[Record]:
    """Add what the trace does not tell yet: one record of a kind for each recipient."""
    told = {(record.event, record.facts.get("recipient")) for record in records}
    return records + [r for r in late if (r.event, r.facts.get("recipient")) not in told]


@dataclass(frozen=True, slots=True)
class _Needle:
    """Octets that a matching line has, and the check that makes sure."""

    octets: bytes
    ignores_case: bool
    holds: Callable[[Record], bool]


@dataclass(frozen=True, slots=True)
class _Part:
    """A segment with its size and the time of its newest record."""

    segment: Segment
    size: int
    last: float


class _Trace:
    def __init__(self, directory: str, disk: Disk) -> None:
        self._disk = disk
        self._parts = list(self._measured(segments(directory, disk)))

    def _measured(self, found: Iterable[Segment]) -> Iterator[_Part]:
        for segment in found:
            try:
                size = self._disk.size(segment.path)
                tail = self._read(segment.path, max(0, size - _TAIL), _TAIL)
            except FileNotFoundError:  # it was too old, and its writer removed it just now
                continue
            times = map(float, _TIME.findall(b"\n" + tail))
            # Not the last one's: an outcome that a restart recorded again has its old time.
            yield _Part(segment, size, max(times, default=_FOREVER))

    def ids_for(self, query: Query) -> list[int]:
        """Return the ids that match, newest first."""
        needles = _needles(query)
        limit = query.limit if len(needles) == 1 else 0
        found = [self._newest(needle, query.since, query.until, limit) for needle in needles]
        common = set(found[0]).intersection(*found[1:])
        newest = sorted(common, key=lambda queue_id: found[0][queue_id], reverse=True)
        return newest[: query.limit] if query.limit else newest

    def _newest(self, needle: _Needle, since: float, until: float, limit: int) -> dict[int, float]:
        """Return the newest ids with a matching record, and its time; `limit` 0 means all."""
        newest: dict[int, float] = {}
        for part in sorted(self._parts, key=lambda part: part.last, reverse=True):
            enough = 0 < limit <= len(newest)
            if enough and part.last < sorted(newest.values(), reverse=True)[limit - 1]:
                break
            if part.last < since or part.segment.first - SLACK > until:
                continue
            here: dict[int, float] = {}
            for record in self._matching(part, needle, since, until):
                here.setdefault(record.id, record.time)
                if 0 < limit <= len(here):
                    break
            for queue_id, at in here.items():
                newest[queue_id] = max(at, newest.get(queue_id, at))
        return newest

    def _matching(
        self, part: _Part, needle: _Needle, since: float, until: float
    ) -> Iterator[Record]:
        """Walk the matching records of a segment from its end."""
        start, _ = self._around(part, since - SLACK)
        _, end = self._around(part, until + SLACK)
        for block in self._backwards(part.segment.path, start, end):
            searched = block.lower() if needle.ignores_case else block
            for line in reversed(list(_lines_with(block, searched, needle.octets))):
                record = decode(line)
                if record and since <= record.time <= until and needle.holds(record):
                    yield record

    def records_of(self, ids: list[int]) -> dict[int, list[Record]]:
        """Return all the records of some mails, with the connect record of each."""
        found = self._gather(set(ids))
        of_mail = {
            queue_id: {_connection(record) for record in records} - {0, queue_id}
            for queue_id, records in found.items()
        }
        connections = self._gather(set().union(*of_mail.values()))
        for queue_id, records in found.items():
            for connection in of_mail[queue_id]:
                connects = (r for r in connections[connection] if r.event is Event.CONNECT)
                records.extend(connects)
        return found

    def _gather(self, ids: set[int]) -> dict[int, list[Record]]:
        found: dict[int, dict[bytes, None]] = {queue_id: {} for queue_id in ids}
        if not ids:
            return {}
        since = time_of(min(ids)) - SLACK
        needles = {b'{"id":"%d"' % queue_id: queue_id for queue_id in ids}
        for part in self._parts:
            if part.last < since:
                continue
            start, _ = self._around(part, since)
            for block in self._forwards(part.segment.path, start, part.size):
                for head, line in _lines_of(block, needles):
                    found[needles[head]][line] = None  # equal lines are one (see TraceWriter)
        return {
            queue_id: [record for record in map(decode, lines) if record]
            for queue_id, lines in found.items()
        }

    def _around(self, part: _Part, at: float) -> tuple[int, int]:
        """Return offsets before and behind the place where the lines of a time begin.

        Both may be inside a line: one that is too old, and one that is too new.
        """
        low, high = 0, part.size
        if at <= part.segment.first:
            return 0, min(high, _TAIL)
        if at > part.last:
            return max(low, high - _TAIL), high
        while high - low > _TAIL:
            middle = (low + high) // 2
            first = _TIME.search(self._read(part.segment.path, middle, _TAIL))
            if first is None or float(first[1]) >= at:
                high = middle
            else:
                low = middle
        return low, min(part.size, high + _TAIL)

    def _forwards(self, path: str, start: int, end: int) -> Iterator[bytes]:
        """Walk whole lines in blocks; the part of a line at `start` comes along and is no line."""
        rest = b""
        for at in range(start, end, BLOCK):
            block = rest + self._read(path, at, min(BLOCK, end - at))
            cut = block.rfind(b"\n") + 1
            rest = block[cut:]
            yield block[:cut]
        yield rest

    def _backwards(self, path: str, start: int, end: int) -> Iterator[bytes]:
        """Walk whole lines in blocks from the end."""
        rest = b""
        while end > start:
            at = max(start, end - BLOCK)
            block = self._read(path, at, end - at) + rest
            cut = block.find(b"\n") + 1 if at > start else 0
            rest = block[:cut] if cut or at == start else block
            yield block[cut:] if cut or at == start else b""
            end = at

    def _read(self, path: str, offset: int, size: int) -> bytes:
        try:
            return self._disk.read(path, offset, size)
        except FileNotFoundError:
            return b""


def _connection(record: Record) -> int:
    """Return the id of the connection that a record names; 0 for none."""
    text = str(record.facts.get("connection", ""))
    return int(text) if text.isdecimal() else 0


def _lines_with(block: bytes, searched: bytes, needle: bytes) -> Iterator[bytes]:
    """Walk the lines of a block that have the needle in `searched`, its twin in one case."""
    at = searched.find(needle)
    while at >= 0:
        end = block.find(b"\n", at)
        end = len(block) if end < 0 else end
        yield block[block.rfind(b"\n", 0, at) + 1 : end]
        at = searched.find(needle, end)


def _lines_of(block: bytes, needles: dict[bytes, int]) -> Iterator[tuple[bytes, bytes]]:
    """Walk the lines that begin with one of the needles."""
    if len(needles) <= FEW:
        for needle in needles:
            for line in _lines_with(block, block, needle):
                yield needle, line
        return
    for line in block.split(b"\n"):
        head = line[: line.find(b'"', 7) + 1]
        if head in needles:
            yield head, line


def _needles(query: Query) -> list[_Needle]:
    needles = []
    if query.message_id is not None:
        text = f"<{query.message_id.strip().strip('<>')}>"
        octets = b'"message_id":' + msgspec.json.encode(text)
        needles.append(_Needle(octets, False, lambda r: r.facts.get("message_id") == text))
    if query.sender is not None:
        needles.append(_address_needle("sender", query.sender))
    if query.recipient is not None:
        needles.append(_address_needle("recipient", query.recipient))
    return needles or [_Needle(b'{"id":"', False, lambda _: True)]


def _address_needle(fact: str, text: str) -> _Needle:
    wanted = text.casefold()
    ending = msgspec.json.encode(text).lower()[1:]
    if text.startswith("@"):
        return _Needle(ending, True, lambda r: _fact(r, fact).endswith(wanted))
    octets = b'"%b":"%b' % (fact.encode(), ending)
    return _Needle(octets, True, lambda r: fact in r.facts and _fact(r, fact) == wanted)


def _fact(record: Record, name: str) -> str:
    return str(record.facts.get(name, "")).casefold()
