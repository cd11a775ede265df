"""Records as lines: what is written is what is read."""

import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.mail.events import Event, Record
from indimail.mail.verdict import NO_RULE, Rule
from indimail.testing.disk import SimulatedDisk
from indimail.trace.segment import decode, encode, segment_path, segments

ANY_TEXT = st.text(st.characters(codec="utf-8"))
FACTS = st.dictionaries(
    ANY_TEXT, ANY_TEXT | st.integers(-(2**53), 2**53) | st.booleans() | st.floats(-1e9, 1e9)
)
RULES = (
    st.just(NO_RULE)
    | st.builds(Rule, ANY_TEXT.filter(bool), st.integers(1, 10**6))
    | st.builds(Rule, ANY_TEXT.filter(bool), st.none(), ANY_TEXT)
)
RECORDS = st.builds(
    Record,
    id=st.integers(0, 2**63 - 1),
    time=st.floats(0, 4e9),
    event=st.sampled_from(Event),
    verdict=ANY_TEXT,
    text=ANY_TEXT,
    rule=RULES,
    reply=ANY_TEXT,
    facts=FACTS,
)


@given(RECORDS)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    lines, lost = encode([record])
    assert lines.count(b"\n") == 1
    assert (decode(lines), lost) == (record, 0)


def test_a_line_has_the_promised_keys_and_leaves_out_the_empty_ones() -> None:
    records = [
        Record(
            1838568448000000001,
            1795477000.5,
            Event.RECIPIENT,
            "refuse",
            "not ours",
            Rule("control/rcpthosts", 3),
            "553 5.7.1 sorry",
            {"recipient": "eve@elsewhere.example", "size": 10},
        ),
        Record(7, 1.0, Event.DISCONNECT, "end", ""),
    ]
    assert encode(records)[0] == (
        b'{"id":"1838568448000000001","time":1795477000.5,"event":"recipient","verdict":"refuse",'
        b'"rule":"control/rcpthosts:3","file":"control/rcpthosts","line":3,'
        b'"reply":"553 5.7.1 sorry","text":"not ours",'
        b'"facts":{"recipient":"eve@elsewhere.example","size":10}}\n'
        b'{"id":"7","time":1.0,"event":"disconnect","verdict":"end"}\n'
    )


def test_facts_may_be_a_mapping_that_records_share() -> None:
    shared = MappingProxyType({"ip": "192.0.2.1"})
    lines, _ = encode([Record(n, 1.0, Event.CONNECT, "accept", "", facts=shared) for n in (1, 2)])
    assert [json.loads(line)["facts"] for line in lines.splitlines()] == [dict(shared)] * 2


@given(st.text(), st.text())
def test_octets_that_are_no_utf_8_cost_a_character_not_the_record(text: str, fact: str) -> None:
    lines, lost = encode([Record(1, 1.0, Event.SENDER, "refuse", text, facts={"sender": fact})])
    record = decode(lines)
    assert lost == 0
    assert record is not None
    assert record.text == text.encode("utf-8", "replace").decode()


def test_a_record_that_is_no_json_is_counted_and_harms_no_other() -> None:
    bad = Record(1, 1.0, Event.CONNECT, "accept", "", facts={"address": object()})  # type: ignore[dict-item]
    good = Record(2, 1.0, Event.CONNECT, "accept", "")
    lines, lost = encode([bad, good])
    assert (decode(lines), lost) == (good, 1)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b'{"id":"7","time":1.0,"event":"connect","verdi',
        b"\0\0\0\0",
        b'{"id":"seven","time":1.0,"event":"connect","verdict":"accept"}',
        b'{"id":"7","time":1.0,"event":"of a later version","verdict":"accept"}',
        b'{"id":"7","time":1.0,"event":"connect","verdict":"\xff"}',
        b"[1]",
    ],
)
def test_a_torn_or_foreign_line_is_no_record(line: bytes) -> None:
    assert decode(line) is None


def test_segments_are_listed_by_time_and_other_names_are_left_alone() -> None:
    disk = SimulatedDisk()
    disk.make_directories("/trace")
    for path in (segment_path("/trace", 20.5, 1), segment_path("/trace", 3.0, 12), "/trace/README"):
        disk.append(path, (b"x",))
    assert [(s.first, s.giver) for s in segments("/trace", disk)] == [(3.0, 12), (20.5, 1)]
    assert segments("/nowhere", disk) == []
