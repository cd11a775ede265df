"""Reports of delays and successes: owed by the commit that says so, and told once; bounces: test_send."""

from dataclasses import replace
from itertools import count

import pytest

from indimail.mail.channel import Channel
from indimail.mail.dsn import Dsn
from indimail.mail.ids import QueueId
from indimail.mail.outcome import Deferred, Delivered, Failed, Outcome
from indimail.queue.port import Accepted, Postponed, QueuedMessage, QueuedRecipient
from indimail.serve.debts import BOUNCE_AGAIN, COALESCE, SHOWN
from indimail.testing.clock import START
from serve.sending import BrittleQueue, Sending

ONE = QueueId(1)
LATER, NO, DONE = Deferred("later (#4.2.1)"), Failed("no (#5.1.1)"), Delivered("did 0+0+1")
END = "end msg 1 qmail-send:"


class Telling(Sending):
    """A queue whose senders are told everything; each report is made when the test says so."""

    def __init__(self, store: BrittleQueue | None = None) -> None:
        super().__init__(store)
        self.bounces.told = {Deferred: Dsn.DELAYED, Failed: Dsn.FAILED, Delivered: Dsn.DELIVERED}
        self.bounces.slow = []
        self._numbers = count(77)

    def end(self, outcome: Outcome) -> None:
        self.local.end(outcome)
        self.commit()

    def report(self) -> None:
        """The oldest report is made, and queued."""
        to = QueuedRecipient(0, "eve@example.net", Channel.REMOTE, "example.net")
        message = QueuedMessage(QueueId(next(self._numbers)), START, "", 5, b"hello")
        assert self.bounces.slow is not None
        self.bounces.slow.pop(0)(Accepted(message, (to,)))
        self.commit()

    @property
    def asked(self) -> list[list[tuple[str, str | None]]]:
        """Who is told what, in each report that was asked for."""
        return [
            [(s.recipient.address.partition("@")[0], s.owed) for s in told.recipients]
            for told in self.bounces.asked
        ]

    @property
    def said(self) -> list[str]:
        words = ("bounce", "dsn", "end msg")
        return [line.removesuffix(" queue1") for line in self.log.lines if line.startswith(words)]


def telling(*users: str) -> Telling:
    world = Telling()
    world.accept(1, *users)
    world.commit()
    return world


def test_a_delay_is_told_once_and_its_recipient_waits_on() -> None:
    world = telling("alice")
    world.end(LATER)
    found = world.store.message(ONE)
    assert found is not None
    assert (found.recipients[0].owed, found.recipients[0].recipient.delayed) == ("delayed", True)
    world.pass_time(COALESCE)
    assert world.asked == [[("alice", "delayed")]]
    world.report()
    assert world.said == ["dsn msg 1 qp 77"]
    assert world.store.owed() == []
    assert world.send.endings.take() == []
    world.pass_time(2000.0)
    world.end(LATER)
    world.pass_time(COALESCE)
    assert len(world.asked) == 1


def test_a_delay_is_told_once_also_behind_a_restart() -> None:
    store = BrittleQueue()
    to = QueuedRecipient(0, "alice@example.com", Channel.LOCAL, "alice@example.com")
    message = QueuedMessage(ONE, START, "eve@example.net", 2, b"x\n")
    owed = Postponed(ONE, 0, START + 9e9, "later", "", START, Dsn.DELAYED)
    store.apply([Accepted(message, (to,)), owed])
    world = Telling(store)
    world.pass_time(1.0)
    world.report()
    assert world.asked == [[("alice", "delayed")]]
    world = Telling(store)
    world.pass_time(1.0)
    assert world.asked == []


@pytest.mark.parametrize(
    ("outcome", "told"), [(NO, [("alice", "failed")]), (DONE, [("alice", "delivered")])]
)
def test_who_ends_before_a_delay_is_told_is_told_of_the_end_alone(outcome, told) -> None:
    world = telling("alice", "bob")
    world.end(LATER)
    world.clock.advance(2000.0)
    world.send._load()  # the tick that loads it would tell of the delay too
    world.local.jobs.rotate(1)
    world.end(outcome)
    world.pass_time(COALESCE)
    assert world.asked == [told]


def test_a_delay_that_is_over_is_told_to_nobody_and_the_mail_ends_once() -> None:
    world = telling("alice")
    del world.bounces.told[Delivered]
    world.end(LATER)
    world.clock.advance(2000.0)
    world.send._load()
    world.end(DONE)
    assert (world.asked, world.said) == ([], [END])
    world.pass_time(COALESCE)
    assert (world.asked, world.said) == ([], [END])


@pytest.mark.parametrize("outcome", [NO, DONE])
def test_who_ends_while_the_report_of_a_delay_is_made_is_told_of_both(outcome) -> None:
    world = telling("alice")
    world.end(LATER)
    world.pass_time(COALESCE)
    world.pass_time(2000.0)
    world.end(outcome)
    world.report()
    assert world.store.owed() == [ONE]
    assert world.send.endings.take() == []  # the row stays, for its own report
    world.report()
    assert [report[0][1] for report in world.asked] == [
        "delayed", "failed" if outcome is NO else "delivered",
    ]  # fmt: skip
    assert world.said[-1] == END
    assert world.said.count(END) == 1
    assert world.send.endings.take() == [(1, 0)]


def test_failures_and_successes_are_told_apart_the_failures_first() -> None:
    world = telling("alice", "bob", "carol", "dave")
    for outcome in (DONE, NO, replace(DONE, dsn=Dsn.EXPANDED), NO):
        world.end(outcome)
    assert world.asked == [[("bob", "failed"), ("dave", "failed")]]
    world.report()
    assert world.asked[1:] == [[("alice", "delivered"), ("carol", "delivered")]]
    assert END not in world.said
    world.report()
    assert world.said == ["bounce msg 1 qp 77", "dsn msg 1 qp 78", END]
    assert world.store.owed() == []
    assert sorted(world.send.endings.take()) == [(1, number) for number in range(4)]


def test_a_mail_that_is_gone_when_the_report_of_its_delay_is_made_again_ends_once() -> None:
    """A report that could not be made holds nobody up, who is delivered meanwhile."""
    world = telling("alice")
    del world.bounces.told[Delivered]
    world.end(LATER)
    world.pass_time(COALESCE)
    world.pass_time(2000.0)
    world.end(DONE)
    world.send.endings.forget(world.send.endings.take())
    world.commit()
    assert world.store.message(ONE) is None
    assert world.bounces.slow is not None
    world.bounces.slow.pop()(OSError("its file is gone"))
    world.pass_time(BOUNCE_AGAIN)
    assert (world.said, world.bounces.slow) == ([END], [])


def test_the_trace_tells_who_was_told_what() -> None:
    world = telling("alice", "bob")
    world.end(DONE)
    world.end(NO)
    world.report()
    world.report()
    assert [record.facts.get("owed") for record in world.trace.told("outcome")] == [
        "delivered", "failed",
    ]  # fmt: skip
    told = [(r.verdict, r.facts["report"], r.facts["told"]) for r in world.trace.told("bounce")]
    assert told == [
        ("queued", "failed", "bob@example.com"), ("queued", "delivered", "alice@example.com"),
    ]  # fmt: skip
    texts = [record.text for record in world.trace.told("message")]
    assert texts[-2:] == ["bounce of 1", "report of 1"]


def test_a_record_names_the_first_of_many() -> None:
    names = [f"u{number}" for number in range(SHOWN + 2)]
    world = telling(*names)
    for _ in names:
        world.end(NO)
    world.report()
    [record] = world.trace.told("bounce")
    first = " ".join(f"{name}@example.com" for name in names[:SHOWN])
    assert record.facts["told"] == f"{first} and 2 more"
