"""The queue's promises, on every adapter."""

from collections.abc import Callable
from pathlib import Path

import pytest

from indimail.mail.channel import Channel
from indimail.mail.dsn import Dsn
from indimail.mail.ids import QueueId
from indimail.mail.outcome import Delivered, Failed, Peer
from indimail.mail.verdict import Rule
from indimail.queue.memory import MemoryQueue
from indimail.queue.port import (
    Accepted,
    Counts,
    Due,
    Finished,
    Postponed,
    QueuedMessage,
    QueuedRecipient,
    QueueStore,
    Reported,
    Staged,
    State,
    Step,
    Stepped,
    Traced,
)
from indimail.queue.sqlite import SqliteQueue, database_of

ONE, TWO, THREE = QueueId(1024), QueueId(2048), QueueId(3072)
START = (-1.0, 0, 0)


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> QueueStore:
    if request.param == "memory":
        return MemoryQueue()
    return SqliteQueue.open(database_of(str(tmp_path)))


def message(id_: QueueId, **more: object) -> QueuedMessage:
    return QueuedMessage(id_, 100.0, "eve@example.net", 5, b"hello", **more)  # type: ignore[arg-type]


def to(number: int, channel: Channel = Channel.LOCAL, due: float = 0.0) -> QueuedRecipient:
    return QueuedRecipient(number, f"u{number}@example.com", channel, f"t{number}", due=due)


def test_an_accepted_message_is_read_back_as_it_was(store: QueueStore) -> None:
    sent = QueuedMessage(
        ONE,
        1.5,
        "eve@example.net",
        9,
        b"a\x00b\xff\n",
        0,
        True,
        True,
        "who",
        "HDRS",
        "e+2B",
        7,
        "s",
    )
    rcpt = QueuedRecipient(0, "Ü@example.com", Channel.REMOTE, "mx", "r:1", "NEVER", "rfc822;x")
    store.apply([Accepted(sent, (rcpt,))])
    found = store.message(ONE)
    assert found is not None
    assert found.message == sent
    assert [(s.recipient, s.state) for s in found.recipients] == [(rcpt, State.WAITING)]
    assert store.message(TWO) is None


def test_due_gives_never_tried_first_then_by_time_and_pages(store: QueueStore) -> None:
    store.apply([Accepted(message(TWO), (to(0), to(1, due=50.0), to(2, due=200.0)))])
    store.apply([Accepted(message(ONE), (to(0, due=40.0), to(1), to(2, Channel.REMOTE)))])
    local = Channel.LOCAL
    whole = [
        Due(ONE, 1, local, 0.0), Due(TWO, 0, local, 0.0), Due(ONE, 0, local, 40.0),
        Due(TWO, 1, local, 50.0),
    ]  # fmt: skip
    assert store.due(local, 100.0, START, 10) == whole
    paged, after = [], START
    while page := store.due(local, 100.0, after, 1):
        paged += page
        after = (page[0].due, page[0].id, page[0].number)
    assert paged == whole
    assert store.due(Channel.REMOTE, 100.0, START, 10) == [Due(ONE, 2, Channel.REMOTE, 0.0)]


def test_a_postponed_recipient_is_due_later_with_its_reason(store: QueueStore) -> None:
    store.apply([Accepted(message(ONE), (to(0),))])
    store.apply([Postponed(ONE, 0, 500.0, "disk full", "x:1")])
    assert store.due(Channel.LOCAL, 499.0, START, 10) == []
    assert store.due(Channel.LOCAL, 500.0, START, 10) == [Due(ONE, 0, Channel.LOCAL, 500.0)]
    found = store.message(ONE)
    assert found is not None
    status = found.recipients[0]
    assert (status.recipient.attempts, status.text, status.rule) == (1, "disk full", "x:1")


def test_a_final_outcome_stays_until_it_is_traced(store: QueueStore) -> None:
    store.apply([Accepted(message(ONE), (to(0), to(1)))])
    store.apply([Finished(ONE, 0, Delivered("ok", Rule("f", 1)), 9.0)])
    assert store.untraced() == [ONE]
    found = store.message(ONE)
    assert found is not None
    first = found.recipients[0]
    assert (first.state, first.text, first.rule, first.at) == (State.DELIVERED, "ok", "f:1", 9.0)
    store.apply([Traced(((ONE, 0),))])
    found = store.message(ONE)
    assert found is not None
    assert [s.recipient.number for s in found.recipients] == [1]
    assert store.counts() == Counts(1, 1, 0)
    store.apply([Finished(ONE, 1, Failed("no"), 10.0)])
    assert store.counts() == Counts(0, 0, 0)
    assert store.message(ONE) is not None
    store.apply([Traced(((ONE, 1),))])
    assert store.message(ONE) is None
    assert store.untraced() == []


def test_an_outcome_that_came_after_the_trace_was_synced_stays(store: QueueStore) -> None:
    store.apply([Accepted(message(ONE), (to(0), to(1)))])
    store.apply([Finished(ONE, 0, Delivered("ok"), 9.0)])
    store.apply([Traced(((ONE, 0),)), Finished(ONE, 1, Failed("no"), 9.5)])
    found = store.message(ONE)
    assert found is not None
    assert [s.recipient.number for s in found.recipients] == [1]
    assert store.untraced() == [ONE]


def test_who_still_waits_is_never_forgotten(store: QueueStore) -> None:
    store.apply([Accepted(message(ONE), (to(0),))])
    store.apply([Traced(((ONE, 0), (TWO, 0)))])
    assert store.counts() == Counts(1, 1, 0)


@pytest.mark.parametrize("final", [False, True])
def test_an_undecodable_octet_in_a_reason_stops_no_batch(store: QueueStore, final: bool) -> None:
    store.apply([Accepted(message(ONE), (to(0),))])
    text, rule = "found \udcff, expected ü", "a\udcfe:1"
    change = Finished(ONE, 0, Failed(text, Rule(rule)), 1.0) if final else None
    store.apply([change or Postponed(ONE, 0, 500.0, text, rule)])
    found = store.message(ONE)
    assert found is not None
    assert found.recipients[0].text.endswith(", expected ü")


def test_an_outcome_is_recorded_once(store: QueueStore) -> None:
    store.apply([Accepted(message(ONE), (to(0),))])
    store.apply([Finished(ONE, 0, Delivered("first"), 1.0)])
    store.apply([Finished(ONE, 0, Failed("second"), 2.0), Postponed(ONE, 0, 5.0, "third", "")])
    found = store.message(ONE)
    assert found is not None
    assert (found.recipients[0].state, found.recipients[0].text) == (State.DELIVERED, "first")


def test_a_staged_step_is_known_until_its_recipient_is_finished(store: QueueStore) -> None:
    store.apply([Accepted(message(ONE), (to(0), to(1)))])
    step = Step(0, 0, "/home/Maildir", "1.Q1R0.0.mx,S=5", "boot", 3.0)
    other = Step(1, 2, "/home/Maildir", "1.Q1R1.2.mx,S=5", "boot", 3.0)
    store.apply([Staged(ONE, step), Staged(ONE, other)])
    assert store.staged() == [(ONE, step), (ONE, other)]
    store.apply([Finished(ONE, 0, Delivered("ok"), 4.0), Postponed(ONE, 1, 9.0, "later", "")])
    assert store.staged() == [(ONE, other)]


def test_a_step_that_is_done_is_known_for_the_next_attempt(store: QueueStore) -> None:
    store.apply([Accepted(message(ONE), (to(0),))])
    staged = Step(0, 0, "/home/Maildir", "1.Q1R0.0.mx,S=5", "boot", 3.0)
    done = Step(0, 0, "/home/Maildir", "1.Q1R0.0.mx,S=5", "boot", 4.0, done=True)
    program = Step(0, 1, "|exit 0", "", "", 5.0, done=True)
    store.apply([Staged(ONE, staged)])
    assert store.steps(ONE) == [staged]
    store.apply([Stepped(ONE, done), Stepped(ONE, program)])
    assert store.staged() == []
    assert store.steps(ONE) == [done, program]
    store.apply([Postponed(ONE, 0, 9.0, "later", "")])
    assert store.steps(ONE) == [done, program]
    assert store.steps(QueueId(ONE + 1)) == []
    store.apply([Finished(ONE, 0, Delivered("ok"), 6.0)])
    assert store.steps(ONE) == []


def test_forwards_are_queued_with_the_end_of_the_delivery_that_made_them(
    store: QueueStore,
) -> None:
    store.apply([Accepted(message(ONE), (to(0),))])
    forward = Accepted(message(TWO), (to(0), to(1)))
    store.apply([Finished(ONE, 0, Delivered("ok"), 6.0, (forward,))])
    found = store.message(TWO)
    assert found is not None
    assert [s.recipient for s in found.recipients] == [to(0), to(1)]
    again = Accepted(message(THREE), (to(0),))
    store.apply([Finished(ONE, 0, Delivered("twice"), 7.0, (again,))])
    assert store.message(THREE) is None


def test_a_delay_that_is_owed_is_one_debt_and_its_report_ends_no_other(store: QueueStore) -> None:
    peer = Peer("mx.example.net", "192.0.2.1", "450 später\n")
    late = Postponed(ONE, 0, 50.0, "later", "r:1", 7.0, Dsn.DELAYED, peer)
    store.apply([Accepted(message(ONE), (to(0), to(1)))])
    store.apply([late, Postponed(ONE, 1, 50.0, "later", "r:1", 7.0)])
    store.apply([Postponed(ONE, 0, 60.0, "again", "r:1", 8.0)])  # as another attempt does
    found = store.message(ONE)
    assert found is not None
    first, second = found.recipients
    assert (first.owed, first.recipient.delayed, first.at) == (Dsn.DELAYED, True, 8.0)
    assert (second.owed, second.recipient.delayed, second.peer) == (None, False, None)
    store.apply([Finished(ONE, 0, Failed("no", peer=peer), 9.0, owed=Dsn.FAILED)])
    store.apply([Reported(ONE, ((0, Dsn.DELAYED),), Accepted(message(TWO), (to(0),)))])
    found = store.message(ONE)
    assert found is not None
    assert (found.recipients[0].owed, found.recipients[0].peer) == (Dsn.FAILED, peer)
    assert store.owed() == [ONE]
    store.apply([Finished(ONE, 1, Delivered("ok"), 9.0, owed=Dsn.DELIVERED)])
    store.apply([Reported(ONE, ((0, Dsn.FAILED), (1, Dsn.DELIVERED)), None)])
    assert store.owed() == []


def test_a_recipient_that_was_told_of_a_delay_is_read_back_so(store: QueueStore) -> None:
    rcpt = QueuedRecipient(0, "u@example.com", Channel.REMOTE, "mx", delayed=True)
    store.apply([Accepted(message(ONE), (rcpt,))])
    found = store.message(ONE)
    assert found is not None
    assert found.recipients[0].recipient == rcpt


def test_who_is_owed_a_bounce_is_kept_until_it_is_queued(store: QueueStore) -> None:
    store.apply([Accepted(message(ONE), (to(0), to(1), to(2)))])
    store.apply([Finished(ONE, 0, Failed("no"), 6.0, owed=Dsn.FAILED)])
    store.apply([Finished(ONE, 1, Failed("no"), 6.0, owed=Dsn.FAILED)])
    store.apply([Finished(ONE, 2, Failed("no"), 6.0), Traced(((ONE, 0), (ONE, 1), (ONE, 2)))])
    assert store.owed() == [ONE]
    found = store.message(ONE)
    assert found is not None
    assert [(s.recipient.number, s.owed) for s in found.recipients] == [
        (0, Dsn.FAILED),
        (1, Dsn.FAILED),
    ]
    store.apply([Reported(ONE, ((0, Dsn.FAILED),), Accepted(message(TWO), (to(0),)))])
    assert store.owed() == [ONE]
    store.apply([Reported(ONE, ((1, Dsn.FAILED),), None)])
    assert store.owed() == []
    assert store.message(TWO) is not None
    store.apply([Traced(((ONE, 0), (ONE, 1)))])
    assert store.message(ONE) is None


def test_status_walks_without_bodies_and_counts_by_channel(store: QueueStore) -> None:
    store.apply([Accepted(message(TWO), (to(0, Channel.REMOTE),))])
    store.apply([Accepted(message(ONE, source="spool/x"), (to(0), to(1)))])
    assert [(m.message.id, m.message.body) for m in store.status()] == [(ONE, None), (TWO, None)]
    assert store.counts() == Counts(2, 2, 1)
    assert store.adopted() == {"spool/x"}
    assert store.largest_id() == TWO


@pytest.fixture
def reopened(tmp_path: Path) -> Callable[[], SqliteQueue]:
    return lambda: SqliteQueue.open(database_of(str(tmp_path)))


def test_everything_applied_is_there_after_closing(reopened: Callable[[], SqliteQueue]) -> None:
    first = reopened()
    first.apply([Accepted(message(ONE), (to(0),))])
    first.close()
    again = reopened()
    assert again.counts() == Counts(1, 1, 0)
