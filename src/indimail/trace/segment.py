"""A trace segment: a file of JSON lines, one record each, written by one process.

    encode([record])    -> b'{"id":"1838568448000000001","time":1795477000.5,"event":"connect",...}\n'
    decode(line)        -> Record(...), or None for a line that is torn or not ours
    segments(directory, disk)    -> every segment, oldest first

A segment is called ``<first-time>-<giver>.jsonl``: the time of its first record in microseconds
and the number of the process that gives ids.  A line has the keys ``id time event verdict rule
file line reply text facts``, in this order, ``id`` first (a string: 63 bits are more than readers
of JSON keep).  A key whose value is empty is left out.  Times are seconds since the epoch (UTC).

Source: DESIGN 6 (Trace).  Not here: when a segment ends (`trace.write`), searching (`trace.find`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from indimail.durable.disk import Disk
from indimail.mail.events import Event, Record
from indimail.mail.verdict import NO_RULE, Rule

_UNENCODABLE: Final = (TypeError, ValueError, OverflowError)
_NAME: Final = re.compile(r"(\d{1,19})-(\d{1,4})\.jsonl\Z")

Fact = str | int | float | bool


class _Line(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    id: str
    time: float
    event: Event
    verdict: str
    rule: str = ""
    file: str = ""
    line: int | None = None
    reply: str = ""
    text: str = ""
    facts: dict[str, Fact] = {}


_encoder: Final = msgspec.json.Encoder(enc_hook=dict)  # facts may be any Mapping
_decoder: Final = msgspec.json.Decoder(_Line)


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment's path, the time of its first record, and its writer's number."""

    path: str
    first: float
    giver: int


def segment_path(directory: str, first: float, giver: int) -> str:
    """Return where the segment that begins at a time belongs."""
    return f"{directory}/{int(first * 1e6):016d}-{giver}.jsonl"


def segments(directory: str, disk: Disk) -> list[Segment]:
    """Return the segments of all writers, oldest first; none where there is no directory."""
    try:
        names = disk.names(directory)
    except FileNotFoundError:
        return []
    matches = filter(None, map(_NAME.match, names))
    found = [Segment(f"{directory}/{m[0]}", int(m[1]) / 1e6, int(m[2])) for m in matches]
    return sorted(found, key=lambda segment: (segment.first, segment.giver))


def encode(records: Sequence[Record]) -> tuple[bytes, int]:
    """Return the records as lines, and how many could not be written as JSON at all."""
    try:
        return _encoder.encode_lines([_as_line(record) for record in records]), 0
    except _UNENCODABLE:  # rare: a peer's undecodable octets; find the one record and clean it
        return _encode_one_by_one(records)


def decode(line: bytes) -> Record | None:
    """Return the record of a line; None where it is torn or none of ours."""
    try:
        found = _decoder.decode(line)
        number = int(found.id)
    except (msgspec.MsgspecError, ValueError):
        return None
    rule = NO_RULE
    if found.file:
        key = found.rule[len(found.file) + 1 : -1] if found.line is None else ""
        rule = Rule(found.file, found.line, key)
    return Record(
        number,
        found.time,
        found.event,
        found.verdict,
        found.text,
        rule,
        found.reply,
        found.facts,
    )


def _as_line(record: Record) -> _Line:
    rule = record.rule
    if rule is NO_RULE:
        return _Line(
            id=str(record.id),
            time=record.time,
            event=record.event,
            verdict=record.verdict,
            reply=record.reply,
            text=record.text,
            facts=record.facts,  # type: ignore[arg-type]  # any Mapping: see enc_hook
        )
    return _Line(
        id=str(record.id),
        time=record.time,
        event=record.event,
        verdict=record.verdict,
        rule=str(rule),
        file=rule.file,
        line=rule.line,
        reply=record.reply,
        text=record.text,
        facts=record.facts,  # type: ignore[arg-type]
    )


def _encode_one_by_one(records: Sequence[Record]) -> tuple[bytes, int]:
    lines = []
    for record in records:
        try:
            lines.append(_encoder.encode(_cleaned(_as_line(record))) + b"\n")
        except _UNENCODABLE:
            continue
    return b"".join(lines), len(records) - len(lines)


def _cleaned(line: _Line) -> _Line:
    """Replace what UTF-8 cannot carry (octets that were decoded with surrogateescape)."""
    line.verdict, line.reply, line.text = map(_carried, (line.verdict, line.reply, line.text))
    line.rule, line.file = _carried(line.rule), _carried(line.file)
    line.facts = {
        _carried(name): _carried(fact) if isinstance(fact, str) else fact
        for name, fact in line.facts.items()
    }
    return line


def _carried(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
