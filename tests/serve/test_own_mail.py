"""Mail of a queue's own, forwards and bounces: queued once, whatever fails, and their files with them."""

from collections.abc import Callable

import pytest

from indimail.mail.channel import Channel
from indimail.mail.dsn import Dsn
from indimail.mail.errors import QueueUnwritable
from indimail.mail.ids import QueueId
from indimail.mail.outcome import Deferred, Delivered, Failed
from indimail.queue.port import (
    Accepted,
    Finished,
    MessageStatus,
    Postponed,
    QueuedMessage,
    QueuedRecipient,
    Reported,
    Staged,
    Step,
    Stepped,
)
from indimail.queue.spool import Spool
from indimail.serve.debts import BOUNCES_AT_ONCE, COALESCE
from indimail.serve.opening import REOPEN
from indimail.testing.clock import START
from serve.sending import BrittleQueue, Owing, Sending

ONE = QueueId(1)
OWN = QueueId(70)
MESS = "/queue/queue1/mess"
GONE = Delivered("did 0+1+0\nqp 70")


class Held(Owing):
    """Everybody is told; a bounce is made when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.told = {Failed: Dsn.FAILED}
        self.waiting: list[Callable[[object], None]] = []

    def make(self, told: MessageStatus, spool: Spool, made: Callable[[object], None]) -> None:
        self.asked.append(told)
        self.waiting.append(made)


class Owning(Sending):
    """A queue whose bounces wait."""

    def start(self):
        self.bounces = self.held = Held()
        return super().start()

    @property
    def mess(self) -> list[str]:
        return self.disk.names(MESS)

    def fail_commits(self) -> None:
        self.store.failure = QueueUnwritable("EIO")

    def reopen(self) -> None:
        self.store.failure = None
        self.pass_time(REOPEN)
        assert self.send.failure is None
        self.pass_time(1.0)


def own(world: Sending, number: int = OWN) -> Accepted:
    """Return a large mail that was made here, its file with it."""
    world.send.spool.begin(QueueId(number), (b"large",))
    to = QueuedRecipient(0, "eve@example.net", Channel.REMOTE, "example.net")
    return Accepted(QueuedMessage(QueueId(number), START, "", 5, None), (to,))


def forwarding() -> Owning:
    world = Owning()
    world.accept(1, "alice")
    world.commit()
    return world


# -- forwards --------------------------------------------------------------------------------------


def test_the_file_of_a_forward_goes_with_a_commit_that_failed() -> None:
    world = forwarding()
    world.fail_commits()
    world.send.finish(world.local.jobs.popleft()[0], GONE, (own(world),))
    world.commit()
    assert world.mess == ["70"]  # perhaps the commit is on disk all the same
    world.reopen()
    assert (world.mess, world.local.users) == ([], ["alice"])


def test_the_file_of_a_forward_stays_where_its_row_is_there_all_the_same() -> None:
    world = forwarding()
    world.fail_commits()
    world.store.half = True
    world.send.finish(world.local.jobs.popleft()[0], GONE, (own(world),))
    world.commit()
    world.reopen()
    assert (world.mess, world.local.users) == (["70"], [])
    assert world.store.message(OWN) is not None


def test_a_forward_that_is_made_for_a_queue_that_was_closed_leaves_no_file() -> None:
    world = forwarding()
    job, _ = world.local.jobs.popleft()
    forward = own(world)
    world.fail_commits()
    world.accept(2, "bob")
    world.commit()
    world.reopen()
    world.send.finish(job, GONE, (forward,))
    assert (world.mess, world.rounds.waiting) == ([], 0)
    assert world.local.users == ["alice"]


# -- bounces ---------------------------------------------------------------------------------------


def failing(*users: str) -> Owning:
    """Return a queue with a mail whose first recipient failed."""
    world = Owning()
    world.accept(1, *users)
    world.commit()
    world.local.end(Failed("no"))
    world.commit()
    return world


def test_who_fails_while_a_bounce_is_made_is_in_the_next_and_nobody_in_two() -> None:
    world = failing("alice", "bob")
    world.pass_time(COALESCE)
    world.local.end(Failed("no"))
    world.commit()
    world.pass_time(COALESCE)
    world.pass_time(COALESCE)
    assert len(world.held.asked) == 1
    world.held.waiting.pop()(own(world))
    world.commit()
    world.held.waiting.pop()(own(world, 71))
    world.commit()
    told = [[s.recipient.address for s in m.recipients if s.owed] for m in world.held.asked]
    assert told == [["alice@example.com"], ["bob@example.com"]]
    assert world.store.owed() == []
    assert world.mess == ["70", "71"]


@pytest.mark.parametrize(("half", "left"), [(False, []), (True, ["70"])])
def test_a_bounce_whose_commit_failed_is_made_anew_if_it_is_not_there(half, left) -> None:
    world = failing("alice")
    world.fail_commits()
    world.store.half = half
    world.held.waiting.pop()(own(world))
    world.commit()
    world.reopen()
    assert world.mess == left
    assert len(world.held.waiting) == (0 if half else 1)


def test_a_bounce_that_is_made_for_a_queue_that_was_closed_leaves_no_file() -> None:
    world = failing("alice")
    world.fail_commits()
    world.accept(2, "bob")
    world.commit()
    world.reopen()
    old, new = world.held.waiting
    old(own(world))
    assert (world.mess, world.rounds.waiting) == ([], 0)
    new(own(world, 71))
    world.commit()
    assert (world.mess, world.store.owed()) == (["71"], [])


def test_an_outcome_is_not_forgotten_while_its_bounce_is_owed() -> None:
    world = failing("alice")
    assert world.send.endings.take() == []
    world.held.waiting.pop()(own(world))
    world.commit()
    assert world.send.endings.take() == [(1, 0)]


def test_a_restart_owes_what_was_owed_and_no_more() -> None:
    store = BrittleQueue()
    for number in (1, 2):
        recipient = QueuedRecipient(0, "a@example.com", Channel.LOCAL, "a@example.com")
        message = QueuedMessage(QueueId(number), START, "eve@example.net", 2, b"x\n")
        ended = Finished(message.id, 0, Failed("no"), START, owed=Dsn.FAILED)
        store.apply([Accepted(message, (recipient,)), ended])
    store.apply([Reported(QueueId(2), ((0, Dsn.FAILED),), None)])
    world = Owning(store)
    assert world.send.endings.take() == [(2, 0)]
    world.pass_time(1.0)
    assert [found.message.id for found in world.held.asked] == [1]


def test_a_read_that_fails_while_bounces_are_due_closes_the_queue_and_no_more() -> None:
    world = Owning()
    for number in (1, 2):
        world.accept(number, "alice", "bob")
        world.commit()
        world.local.end(Failed("no"))
        world.local.jobs.popleft()
    world.commit()
    world.store.unreadable = ONE
    world.pass_time(COALESCE)
    assert world.send.failure is not None
    world.store.unreadable = None
    world.reopen()
    assert [found.message.id for found in world.held.asked] == [1, 2]


def test_no_more_than_some_bounces_are_in_the_making() -> None:
    """Each holds a body; a start may owe any number."""
    store = BrittleQueue()
    for number in range(1, BOUNCES_AT_ONCE + 3):
        recipient = QueuedRecipient(0, "a@example.com", Channel.LOCAL, "a@example.com")
        message = QueuedMessage(QueueId(number), START, "eve@example.net", 2, b"x\n")
        ended = Finished(message.id, 0, Failed("no"), START, owed=Dsn.FAILED)
        store.apply([Accepted(message, (recipient,)), ended])
    world = Owning(store)
    world.pass_time(1.0)
    assert len(world.held.waiting) == BOUNCES_AT_ONCE
    waiting, world.held.waiting = world.held.waiting, []
    for number, made in enumerate(waiting, 1000):
        made(own(world, number))
    world.commit()
    assert len(world.held.waiting) == 2  # at once: they wait for no tick


# -- steps -----------------------------------------------------------------------------------------


def test_who_waits_for_a_later_attempt_waits_on_behind_a_restart() -> None:
    """A step that is done is no reason to begin at once; a copy that is staged is."""
    store = BrittleQueue()
    step = Step(0, 0, "/m", "name", "boot", START)
    for number, mark in ((1, Stepped), (2, Staged)):
        id_ = QueueId(number)
        recipient = QueuedRecipient(0, f"u{number}@example.com", Channel.LOCAL, f"u{number}@x")
        message = QueuedMessage(id_, START, "eve@example.net", 2, b"x\n")
        later = Postponed(id_, 0, START + 100.0, "later", "")
        done = Step(0, 0, "/m", "name", "boot", START, last=False, done=True)
        change = mark(id_, done if mark is Stepped else step)
        store.apply([Accepted(message, (recipient,)), change, later])
    world = Owning(store)
    assert world.local.users == ["u2"]
    world.local.end(Deferred("later"))
    world.commit()
    world.pass_time(102.0)
    assert sorted(world.local.users) == ["u1", "u2"]
    assert [len(job.steps) for job, _ in world.local.jobs] == [1, 1]
