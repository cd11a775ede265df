"""Finding: the right mails, all of their records, newest first, and fast."""

import random
import time
from pathlib import Path

import pytest

from indimail.mail.events import Event, Record
from indimail.mail.verdict import Rule
from indimail.testing.disk import SimulatedDisk
from indimail.trace import find as find_module
from indimail.trace.find import Query, find
from indimail.trace.segment import encode, segment_path

FIRST = 1_795_477_000


def queue_id(second: float) -> int:
    return int((FIRST + second) * 1e6) * 1024 + 1


def mail(
    second: float, sender: str, recipient: str, message_id: str = "", connection: int = 0
) -> list[Record]:
    """A delivered mail's records, a hundredth of a second apart."""
    number = queue_id(second)
    shared = {"connection": str(connection)} if connection else {}
    envelope = {"sender": sender, "recipient": recipient} | shared
    steps = [
        (Event.RECIPIENT, "accept", envelope),
        (Event.MESSAGE, "accept", {"sender": sender, "message_id": message_id} | shared),
        (Event.DELIVERY, "delivered", {"recipient": recipient}),
    ]
    if not connection:
        steps.insert(0, (Event.CONNECT, "accept", {"ip": "192.0.2.1"}))
    return [
        Record(number, FIRST + second + n / 100, event, verdict, "", facts=facts)
        for n, (event, verdict, facts) in enumerate(steps)
    ]


def write(disk: SimulatedDisk, records: list[Record], giver: int = 1) -> None:
    disk.make_directories("/trace")
    disk.append(segment_path("/trace", records[0].time, giver), (encode(records)[0],))


@pytest.fixture
def disk() -> SimulatedDisk:
    """Four mails of two processes; the third came over the first's connection."""
    disk = SimulatedDisk()
    first = mail(0, "bob@example.net", "Alice@example.com", "<a@example.net>")
    third = mail(200, "", "alice@example.com", connection=queue_id(0))
    write(disk, first + mail(100, "eve@example.net", "carol@example.com") + third)
    write(disk, mail(300, "bob@example.net", "dave@example.org", "<d@example.net>"), giver=2)
    return disk


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        (Query(), [300, 200, 100, 0]),
        (Query(limit=2), [300, 200]),
        (Query(id=queue_id(100)), [100]),
        (Query(id=12), []),
        (Query(message_id="<d@example.net>"), [300]),
        (Query(message_id="d@example.net"), [300]),
        (Query(message_id="D@example.net"), []),
        (Query(recipient="alice@example.com"), [200, 0]),
        (Query(recipient="ALICE@Example.com", limit=1), [200]),
        (Query(recipient="ice@example.com"), []),
        (Query(recipient="@example.com"), [200, 100, 0]),
        (Query(sender="bob@example.net"), [300, 0]),
        (Query(sender=""), [200]),
        (Query(sender="bob@example.net", recipient="@example.com"), [0]),
        (Query(since=FIRST + 150), [300, 200]),
        (Query(since=FIRST + 50, until=FIRST + 150), [100]),
        (Query(sender="bob@example.net", since=FIRST + 1), [300]),
        (Query(since=FIRST + 400), []),
    ],
    ids=str,
)
def test_a_query_finds_the_newest_mails_that_match(
    disk: SimulatedDisk, query: Query, seconds: list[float]
) -> None:
    found = find("/trace", query, disk)
    assert [story.id for story in found] == [queue_id(second) for second in seconds]


def test_a_later_mail_of_a_connection_has_its_connect_record(disk: SimulatedDisk) -> None:
    (story,) = find("/trace", Query(id=queue_id(200)), disk)
    told = [(record.event, record.id == story.id) for record in story.records]
    assert told == [
        (Event.CONNECT, False),
        (Event.RECIPIENT, True),
        (Event.MESSAGE, True),
        (Event.DELIVERY, True),
    ]


def test_records_of_a_mail_are_gathered_over_segments_and_writers(disk: SimulatedDisk) -> None:
    late = Record(queue_id(0), FIRST + 500.0, Event.OUTCOME, "delivered", "")
    write(disk, [late], giver=2)
    (story,) = find("/trace", Query(id=queue_id(0)), disk)
    assert [record.event for record in story.records][-2:] == [Event.DELIVERY, Event.OUTCOME]


def test_a_line_that_was_written_twice_is_told_once(disk: SimulatedDisk) -> None:
    write(disk, mail(100, "eve@example.net", "carol@example.com"), giver=3)
    (story,) = find("/trace", Query(id=queue_id(100)), disk)
    assert len(story.records) == 4


def test_an_outcome_that_a_restart_recorded_again_is_told_once_and_another_is_not_hidden(
    disk: SimulatedDisk,
) -> None:
    def outcome(second: float, verdict: str, rule: str) -> Record:
        to: dict[str, str | int] = {"recipient": "carol@example.com", "number": 0}
        return Record(
            queue_id(100), FIRST + second, Event.OUTCOME, verdict, "", Rule(rule), facts=to
        )

    told = [outcome(101, "delivered", "a"), outcome(101, "delivered", "b")]
    write(disk, [*told, outcome(101, "failed", "a"), outcome(102, "delivered", "a")], giver=3)
    (story,) = find("/trace", Query(id=queue_id(100)), disk)
    outcomes = [(r.verdict, r.time - FIRST) for r in story.records if r.event is Event.OUTCOME]
    assert outcomes == [("delivered", 101.0), ("failed", 101.0), ("delivered", 102.0)]


def test_a_torn_line_hides_nothing_else(disk: SimulatedDisk) -> None:
    path = segment_path("/trace", FIRST, 1)
    disk.append(path, (b'{"id":"%d","time":1795477' % queue_id(0),))
    disk.append(path, (b"\n" + encode(mail(250, "x@example.net", "y@example.com"))[0],))
    assert [s.id for s in find("/trace", Query(limit=2), disk)] == [queue_id(300), queue_id(250)]
    assert len(find("/trace", Query(id=queue_id(0)), disk)[0].records) == 4


def test_no_trace_is_no_story() -> None:
    assert find("/nowhere", Query(since=1.0), SimulatedDisk()) == []


class Late:
    """Outcomes that are still in the queue's rows alone."""

    def records_of(self, queue_id: int) -> list[Record]:
        return [
            Record(queue_id, FIRST + 9.0, Event.DELIVERY, "delivered", "", facts={"recipient": to})
            for to in ("carol@example.com", "zoe@example.com")
        ]


def test_outcomes_that_only_the_queue_has_are_told_and_none_twice(disk: SimulatedDisk) -> None:
    (story,) = find("/trace", Query(id=queue_id(100)), disk, Late())
    told = [record.facts["recipient"] for record in story.records if record.verdict == "delivered"]
    assert sorted(map(str, told)) == ["carol@example.com", "zoe@example.com"]
    (unknown,) = find("/trace", Query(id=5), disk, Late())
    assert len(unknown.records) == 2


@pytest.mark.parametrize("block", [64, 1000, 4096])
@pytest.mark.parametrize("tail", [300, 6000])
def test_any_block_size_finds_the_same(
    monkeypatch: pytest.MonkeyPatch, block: int, tail: int
) -> None:
    monkeypatch.setattr(find_module, "BLOCK", block)
    monkeypatch.setattr(find_module, "_TAIL", tail)
    monkeypatch.setattr(find_module, "SLACK", 2.1)
    disk = SimulatedDisk()
    draw = random.Random(5)
    seconds = [n + draw.uniform(-1, 1) for n in range(100)]
    write(disk, [r for s in seconds for r in mail(s, "bob@example.net", f"u{s}@example.com")])
    for since, until in ((0, 100), (20, 30), (50.5, 51.5), (95, 200), (-5, 3)):
        found = find("/trace", Query(since=FIRST + since, until=FIRST + until, limit=0), disk)
        expected = {
            queue_id(s) for s in seconds if any(since <= s + n / 100 <= until for n in range(4))
        }
        assert {story.id for story in found} == expected
        assert all(len(story.records) == 4 for story in found)
    for second in seconds[::9]:
        (story,) = find("/trace", Query(recipient=f"U{second}@example.com"), disk)
        assert story.id == queue_id(second)


@pytest.mark.slow
def test_an_old_outcome_at_the_end_of_a_segment_hides_nothing_newer() -> None:
    disk = SimulatedDisk()
    old, new = (mail(second, "bob@example.net", "alice@example.com") for second in (0, 1000))
    again = Record(old[0].id, FIRST, Event.OUTCOME, "delivered", "")
    write(disk, [*old, *new, again])
    stories = find("/trace", Query(recipient="alice@example.com", since=FIRST + 500), disk)
    assert [story.id for story in stories] == [new[0].id]


@pytest.mark.slow
def test_a_million_records_are_searched_in_a_second(
    tmp_path: Path,
) -> None:
    directory = str(tmp_path)
    facts = {"ip": "192.0.2.1", "name": "mx.example.net", "helo": "mx.example.net"}
    envelope = facts | {"sender": "bob@example.net", "recipient": "alice@example.com"}
    rule = Rule("control/rcpthosts", 3)
    template = encode(
        [
            Record(0, 0.5, Event.CONNECT, "accept", "no rule forbids it", facts=facts),
            Record(0, 0.5, Event.RECIPIENT, "accept", "ours", rule, "250 2.1.5 ok", envelope),
            Record(0, 0.5, Event.MESSAGE, "accept", "", facts=envelope | {"message_id": "<M>"}),
            Record(0, 0.5, Event.ROUTE, "local", "", Rule("control/virtualdomains", 1)),
            Record(0, 0.5, Event.OUTCOME, "delivered", "did 1+0+0/", facts=envelope),
        ]
    )[0]
    for part in range(10):
        mails = []
        for n in range(part * 20_000, part * 20_000 + 20_000):
            second = n / 100
            number = b'"id":"%d"' % queue_id(second)
            mails.append(
                template.replace(b'"id":"0"', number)
                .replace(b":0.5,", b":%.2f," % (FIRST + second))
                .replace(b"<M>", b"<%d@example.net>" % n)
            )
        with open(segment_path(directory, FIRST + part * 200, 1), "wb") as file:
            file.write(b"".join(mails))
    queries = {
        "oldest id": Query(id=queue_id(0)),
        "middle id": Query(id=queue_id(1000)),
        "oldest message-id": Query(message_id="<0@example.net>"),
        "no such message-id": Query(message_id="<none@example.net>"),
        "no such recipient": Query(recipient="nobody@example.com"),
        "newest of an address": Query(recipient="alice@example.com"),
        "since": Query(since=FIRST + 1990),
        "until": Query(until=FIRST + 10),
    }
    seconds = {}
    for name, query in queries.items():
        began = time.process_time()  # of ours: other work on the machine is not counted
        found = find(directory, query)
        seconds[name] = round(time.process_time() - began, 3)
        assert bool(found) is not name.startswith("no such")
        assert all(len(story.records) == 5 for story in found)
    assert max(seconds.values()) < 1.0, seconds
