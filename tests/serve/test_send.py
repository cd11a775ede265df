from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from indimail.delivery.bounce import Discard
from indimail.mail.channel import Channel
from indimail.mail.dsn import Dsn
from indimail.mail.errors import QueueFull, QueueUnwritable
from indimail.mail.ids import QueueId
from indimail.mail.outcome import Deferred, Delivered, Failed
from indimail.mail.verdict import Rule
from indimail.queue.port import Accepted, Finished, QueuedMessage, QueuedRecipient, Staged, Step
from indimail.schedule.retry import GIVING_UP
from indimail.serve.debts import BOUNCE_AGAIN, COALESCE
from indimail.serve.opening import REOPEN
from indimail.serve.send import SETTLED, Send
from indimail.serve.traced import TracedOutcomes
from indimail.testing.clock import START
from indimail.testing.disk import Kind
from serve.desk import Threads
from serve.sending import Away, BrittleQueue, Sending

RULE = Rule("domains/example.com/.qmail-default", 1)
ONE = QueueId(1)


def waiting(store: BrittleQueue, number: int, user: str, due: float = 0.0) -> None:
    """Put a mail into the store, as an earlier process left it."""
    recipient = QueuedRecipient(0, f"{user}@example.com", Channel.LOCAL, f"{user}@example.com",
                                due=due)  # fmt: skip
    message = QueuedMessage(QueueId(number), START, "eve@example.net", 2, b"x\n")
    store.apply([Accepted(message, (recipient,))])


# -- one mail's way --------------------------------------------------------------------------------


def test_a_mail_is_told_accepted_after_its_commit_and_delivered_after_the_next() -> None:
    world = Sending()
    world.accept(1, "alice")
    assert (world.told, world.local.users) == ([], [])
    world.commit()
    assert (world.told, world.local.users) == ([None], ["alice"])
    world.local.end(Delivered("did 0+0+1", RULE))
    assert world.trace.told("outcome") == []
    world.commit()
    outcome = world.trace.told("outcome")[0]
    assert (outcome.id, outcome.verdict, outcome.rule) == (1, "delivered", RULE)
    assert outcome.facts == {"recipient": "alice@example.com", "number": 0}
    assert [line.partition(" queue1")[0] for line in world.log.lines] == [
        "new msg 1",
        "info msg 1: bytes 2 from <eve@example.net> qp 1 uid 0",
        "local: eve@example.net alice@example.com 1 2 bytes",
        "starting delivery 1.1: msg 1 to local alice@example.com",
        "status: local 1/10 remote 0/20",
        "delivery 1.1: success: did_0+0+1",
        "status: local 0/10 remote 0/20",
        "end msg 1 qmail-send:",
    ]


def test_the_end_of_a_mail_is_said_with_its_last_recipient() -> None:
    world = Sending()
    world.accept(1, "alice", "bob")
    world.commit()
    world.local.end()
    world.commit()
    assert not any("end msg" in line for line in world.log.lines)
    world.local.end(Failed("no"))
    world.commit()
    assert world.log.lines[-1] == "end msg 1 qmail-send: queue1"


def test_mail_for_elsewhere_is_given_away_in_groups_for_each_destination() -> None:
    away = Away()
    world = Sending(remote=away)
    recipients = ("a@one.example", "b@one.example", "c@two.example", "d@one.example")
    message = QueuedMessage(ONE, START, "eve@example.net", 2, b"x\n")
    world.send.accept(message, tuple(map(abroad, range(4), recipients)), world.told.append)
    world.commit()
    assert (world.told, world.local.users) == ([None], [])
    assert away.addresses == [[recipients[0], recipients[1], recipients[3]], [recipients[2]]]
    assert world.store.counts().remote == 4


def test_what_was_not_begun_when_the_server_ends_is_due_at_once() -> None:
    away = Away()
    world = Sending(remote=away)
    world.send.accept(QueuedMessage(ONE, START, "", 2, b"x\n"), (abroad(0, "a@b.example"),),
                      world.told.append)  # fmt: skip
    world.commit()
    world.clock.advance(90_000.0)
    world.send.draining = True
    world.send.put_back(away.started.pop()[0])
    world.commit()
    assert (world.send.running, away.started) == (0, [])
    ended = world.trace.told("delivery")[0]
    assert (ended.verdict, ended.facts["next_try"]) == ("deferred", START + 90_000.0)
    assert world.log.lines[-2].startswith("delivery 1.1: deferral: The_server_ended_before_")
    world.send.draining = False  # as the next server is
    world.pass_time(2.0)
    assert away.addresses == [["a@b.example"]]


def abroad(number: int, address: str) -> QueuedRecipient:
    return QueuedRecipient(number, address, Channel.REMOTE, address.partition("@")[2])


# -- deferrals -------------------------------------------------------------------------------------


def test_a_deferred_recipient_comes_back_when_it_is_due_with_one_attempt_more() -> None:
    world = Sending()
    world.accept(1, "alice", "bob")
    world.commit()
    world.local.end(Deferred("not now", RULE))
    world.local.end()
    world.commit()
    delivery = world.trace.told("delivery")[0]
    assert (delivery.verdict, delivery.facts["next_try"]) == ("deferred", START + 100.0)
    world.pass_time(100.0)
    assert world.local.users == []  # what is younger than SETTLED is left for the next second
    world.pass_time(SETTLED)
    assert world.local.users == ["alice"]
    assert world.trace.told("attempt")[-1].facts["attempt"] == 2
    world.pass_time(10.0)
    assert world.local.users == ["alice"]  # it is loaded once


@pytest.mark.parametrize(
    ("sender", "age", "ends"),
    [("eve@example.net", 99.0, False), ("eve@example.net", 101.0, True), ("", 11.0, True)],
)
def test_a_deferral_after_the_lifetime_is_final(sender, age, ends) -> None:
    world = Sending(queuelifetime=100.0, bouncelifetime=10.0)
    message = QueuedMessage(ONE, START, sender, 2, b"x\n")
    recipient = QueuedRecipient(0, "a@example.com", Channel.LOCAL, "a@example.com")
    world.send.accept(message, (recipient,), world.told.append)
    world.commit()
    world.clock.advance(age)
    world.local.end(Deferred("still full", RULE))
    world.commit()
    texts = [record.text for record in world.trace.told("outcome")]
    assert texts == ([f"still full\n{GIVING_UP}"] if ends else [])


@pytest.mark.parametrize("at_once", [1, 100])
def test_a_flush_tries_all_that_waits_once_and_what_is_deferred_then_waits_as_it_says(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indimail.serve.send.LOADED_AT_ONCE", at_once)
    store = BrittleQueue()
    for number, due in enumerate((60.0, 3600.0, 864_000.0), 1):
        waiting(store, number, f"user{number}", START + due)
    world = Sending(store)
    world.pass_time(2)
    assert world.local.users == []
    for _ in range(2):
        world.send.flush()
        tried = []
        for _ in range(6):
            tried += world.local.users
            while world.local.users:
                world.local.end(Deferred("not now", RULE))
            world.commit()
            world.pass_time(2)
        assert sorted(tried) == ["user1", "user2", "user3"]


def test_a_clock_that_steps_back_loses_no_due_mail() -> None:
    world = Sending()
    world.accept(1, "alice")
    world.commit()
    world.local.end(Deferred("later"))
    world.commit()
    world.pass_time(102.0)
    world.local.end(Deferred("later"))  # the cursor stands behind this one's time now
    world.commit()
    world.clock.step(-50.0)
    waiting(world.store, 2, "bob", due=START + 20.0)
    world.pass_time(1.0)
    assert world.local.users == ["bob"]


# -- the window ------------------------------------------------------------------------------------


class Narrow(Sending):
    """The window has room for one."""

    def start(self) -> Send:
        send = super().start()
        send._lanes[Channel.LOCAL]._window._capacity = 1
        return send


def test_what_does_not_fit_waits_in_the_database_and_has_its_turn() -> None:
    world = Narrow(concurrencylocal=1)
    world.accept(1, "alice")
    world.commit()
    world.accept(2, "bob")
    world.commit()
    world.accept(3, "carol")
    world.commit()
    assert (world.local.users, len(world.send._lanes[Channel.LOCAL]._window)) == (["alice"], 1)
    found = world.store.message(QueueId(3))
    assert found is not None
    assert found.recipients[0].recipient.due > 0.0
    world.pass_time(SETTLED + 1.0)
    for user in ("alice", "bob", "carol"):
        assert world.local.users == [user]
        world.local.end()
        world.commit()
    assert world.told == [None] * 3


def test_what_does_not_fit_is_found_however_long_its_body_and_its_commit_took() -> None:
    world = Narrow(concurrencylocal=0)
    world.accept(1, "alice")
    world.commit()
    waiting(world.store, 2, "bob", due=START + 5.0)
    world.pass_time(10.0)  # bob is loaded: the cursor stands at his time
    world.accept(3, "carol", born=START - 3600.0)  # an hour from DATA to its end
    world.pass_time(5.0)
    waiting(world.store, 4, "dora", due=START + 13.0)
    world.pass_time(5.0)  # dora is loaded: the cursor stands at hers
    world.commit()  # a slow disk: carol's row is dated before dora's
    world.settings = Sending().settings
    world.pass_time(5.0)
    assert sorted(world.local.users) == ["alice", "bob", "carol", "dora"]


def test_a_hundred_thousand_due_are_loaded_a_few_at_a_time() -> None:
    store = BrittleQueue()
    for number in range(1, 1_000):
        waiting(store, number, f"u{number}", due=START - 10.0)
    world = Sending(store)
    assert len(world.local.users) == 8  # two slots are kept for new mail
    assert len(world.send._lanes[Channel.LOCAL]._window) < 250
    delivered = 0
    while world.local.jobs:
        while world.local.jobs:
            world.local.end()
            delivered += 1
        world.commit()
    assert delivered == 999


def test_concurrency_bounds_what_runs_and_hold_starts_nothing() -> None:
    world = Sending(concurrencylocal=2)
    world.accept(1, "a", "b", "c", "d")
    world.commit()
    assert world.local.users == ["a", "b"]
    world.settings = Sending(holdlocal=True).settings
    world.local.end()
    world.commit()
    assert world.local.users == ["b"]
    assert any("local 1/10 (held)" in line for line in world.log.lines)
    world.settings = Sending().settings
    world.pass_time(1.0)  # released: within a second
    assert world.local.users == ["b", "c", "d"]


def test_a_draining_queue_ends_what_runs_accepts_and_starts_nothing() -> None:
    world = Sending()
    world.accept(1, "alice")
    world.commit()
    world.send.draining = True
    world.accept(2, "bob")
    world.local.end()
    world.commit()
    assert [(r.id, r.verdict) for r in world.trace.told("outcome")] == [(1, "delivered")]
    assert (world.told, world.local.users) == ([None, None], [])
    world.pass_time(5.0)
    assert (world.send.running, world.local.users) == (0, [])


# -- failure ---------------------------------------------------------------------------------------


def broken(world: Sending) -> None:
    """Let a commit fail."""
    world.store.failure = QueueUnwritable("EIO")
    world.accept(9, "zoe")
    world.commit()
    world.store.failure = None


def test_a_failed_commit_closes_the_queue_and_it_recovers_by_opening_again() -> None:
    world = Sending()
    world.accept(1, "alice")
    world.commit()
    broken(world)
    assert isinstance(world.told[-1], QueueUnwritable)
    assert world.send.failure is not None
    world.accept(2, "bob")
    assert isinstance(world.told[-1], QueueUnwritable)
    assert world.rounds.waiting == 0
    world.pass_time(REOPEN - 0.1)
    assert world.opened == 1
    world.pass_time(0.2)
    assert (world.opened, world.send.failure) == (2, None)
    assert world.local.users == [
        "alice",
        "alice",
    ]  # the old life's, and again: it is what is on disk
    world.accept(3, "carol")
    world.commit()
    assert world.told[-1] is None


def test_what_an_older_life_says_is_not_heard() -> None:
    world = Sending()
    world.accept(1, "alice")
    world.commit()
    old, _ = world.local.jobs[0]
    broken(world)
    step = Step(0, 0, "/m", "name", "boot", START)
    told: list[str] = []
    world.pass_time(REOPEN)
    world.send.stage(old, step, lambda: told.append("staged"))
    world.send.finish(old, Failed("no"))
    assert world.rounds.waiting == 0
    assert told == []
    world.local.jobs.popleft()
    world.local.end()
    world.commit()
    assert [record.verdict for record in world.trace.told("outcome")] == ["delivered"]


def test_a_mark_that_was_committed_for_an_older_life_moves_nothing() -> None:
    world = Sending()
    world.accept(1, "alice", "bob")
    world.commit()
    told: list[str] = []
    job = world.local.jobs[0][0]
    world.store.failure = QueueFull("ENOSPC")
    world.send.stage(job, Step(0, 0, "/m", "n", "b", START), lambda: told.append("staged"))
    world.local.end()
    world.commit()
    assert isinstance(world.send.failure, QueueFull)
    assert (told, world.trace.told("outcome")) == ([], [])
    world.store.failure = None
    world.pass_time(REOPEN)
    assert world.send.running == 2  # both again, and each as if for the first time


def test_a_staged_copy_is_given_to_the_next_attempt() -> None:
    store = BrittleQueue()
    waiting(store, 1, "alice")
    step = Step(0, 0, "/m", "name", "boot", START)
    store.apply([Staged(ONE, step)])
    world = Sending(store)
    assert world.local.jobs[0][0].staged == step
    world.local.end(Deferred("later"))
    world.commit()
    world.pass_time(102.0)
    assert world.local.jobs[0][0].staged == step
    world.local.end()
    world.commit()
    assert world.store.staged() == []


def test_staged_copies_are_settled_first() -> None:
    store = BrittleQueue()
    waiting(store, 1, "alice")
    waiting(store, 2, "bob")
    store.apply([Staged(QueueId(2), Step(0, 0, "/m", "name", "boot", START))])
    assert Sending(store, concurrencylocal=1).local.users == ["bob"]


def test_a_queue_that_opens_half_way_starts_nothing() -> None:
    """What it had loaded would be delivered beside what the next opening loads."""
    world = Sending(concurrencylocal=0)
    world.accept(1, "alice")
    world.accept(2, "bob")
    world.commit()
    for number in (1, 2):
        world.store.apply([Staged(QueueId(number), Step(0, 0, "/m", "name", "boot", START))])
    broken(world)
    world.settings = Sending().settings
    world.store.unreadable = QueueId(2)
    world.pass_time(REOPEN)
    assert world.send.failure is not None
    assert world.local.users == []
    world.store.unreadable = None
    world.pass_time(REOPEN)
    assert (sorted(world.local.users), world.send.running) == (["alice", "bob"], 2)


def test_a_queue_that_does_not_open_is_tried_again() -> None:
    world = Sending()
    broken(world)
    world.open_failure = QueueUnwritable("still EIO")
    world.pass_time(REOPEN)
    assert world.send.failure is not None
    assert "stays closed: still EIO" in world.log.lines[-1]
    world.open_failure = None
    world.pass_time(REOPEN)
    assert world.send.failure is None


def test_a_start_that_fails_leaves_nothing_open() -> None:
    """It is tried again every few seconds, for as long as it takes."""
    store = BrittleQueue()
    waiting(store, 1, "alice")
    world = Sending(store)
    world.local.end()
    world.commit()
    store.unreadable = ONE
    with pytest.raises(QueueUnwritable):
        world.start()
    assert store.closed == 2  # the one that writes, the one that looks
    before = world.rounds
    with pytest.raises(QueueUnwritable):
        world.start()
    assert world.rounds is before  # no thread for commits that nobody ends


def test_a_message_with_many_due_recipients_is_read_once() -> None:
    store = BrittleQueue()
    message = QueuedMessage(ONE, START, "eve@example.net", 2, b"x\n")
    users = [f"user{number}@example.com" for number in range(100)]
    recipients = [QueuedRecipient(n, u, Channel.LOCAL, u) for n, u in enumerate(users)]
    store.apply([Accepted(message, tuple(recipients))])
    world = Sending(store, concurrencylocal=200)
    assert world.send.running == 100
    assert store.looked == 1


def test_a_read_that_fails_closes_the_queue_instead_of_the_worker() -> None:
    world = Sending()
    world.accept(1, "alice")
    world.commit()
    world.store.read_failure = QueueUnwritable("EIO")
    world.pass_time(1.0)
    assert world.send.failure is not None
    world.store.read_failure = None
    world.pass_time(REOPEN)
    assert world.send.failure is None


def test_a_body_that_is_arriving_survives_the_reopening_of_its_queue() -> None:
    world = Sending()
    stray = world.send.spool.path(QueueId(5))
    world.disk.write_new(stray, (b"of a crash",))
    world = restarted(world)
    assert not world.disk.exists(stray)
    arriving = world.send.spool.path(QueueId(7))
    world.disk.write_new(arriving, (b"the first half ",))
    broken(world)
    world.pass_time(REOPEN)
    world.send.spool.add(QueueId(7), (b"and the second",))
    assert world.disk.read(arriving) == b"the first half and the second"


def restarted(world: Sending) -> Sending:
    world.send = world.start()
    return world


def test_what_a_failed_commit_kept_all_the_same_is_taken_back() -> None:
    """The client heard a 4xx, and its body may be gone already."""
    world = Sending()
    world.store.half = True
    broken(world)
    assert world.store.message(QueueId(9)) is not None
    world.pass_time(REOPEN)
    assert world.send.failure is None
    assert world.store.message(QueueId(9)) is None
    assert (world.local.users, world.trace) == ([], [])


# -- bounces ---------------------------------------------------------------------------------------

NO = Failed("no such user (#5.1.1)", RULE)
BOUNCE = Accepted(
    QueuedMessage(QueueId(77), START, "", 5, b"hello"),
    (QueuedRecipient(0, "eve@example.net", Channel.REMOTE, "example.net"),),
)


def owing(*users: str) -> Sending:
    """A mail whose sender is to be told of failures; its deliveries are in work."""
    world = Sending()
    world.bounces.told = {Failed: Dsn.FAILED}
    world.bounces.made = BOUNCE
    world.accept(1, *users)
    world.commit()
    return world


def asked(world: Sending) -> list[list[int]]:
    """Return whom each bounce that was asked for tells of."""
    return [[s.recipient.number for s in f.recipients if s.owed] for f in world.bounces.asked]


def ends(world: Sending) -> list[str]:
    words = ("bounce", "end msg", "double", "triple")
    return [line for line in world.log.lines if line.startswith(words)]


END = "end msg 1 qmail-send: queue1"


def test_the_only_failure_is_told_at_once_and_the_mail_ends_behind_its_bounce() -> None:
    world = owing("alice")
    world.local.end(NO)
    world.commit()
    assert asked(world) == [[0]]
    assert ends(world) == []
    world.commit()
    assert ends(world) == ["bounce msg 1 qp 77 queue1", END]
    lines = [line.partition(" queue1")[0] for line in world.log.lines]
    assert lines[lines.index("bounce msg 1 qp 77") + 1 :][:2] == [
        "new msg 77", "info msg 77: bytes 5 from <> qp 77 uid 0",
    ]  # fmt: skip
    [record] = world.trace.told("bounce")
    assert (record.id, record.verdict, record.text) == (1, "queued", "to <eve@example.net>, qp 77")


def test_failures_gather_for_one_bounce_though_another_recipient_waits() -> None:
    world = owing("alice", "bob", "carol")
    world.local.end(NO)
    world.local.end(NO)
    world.commit()
    world.pass_time(COALESCE - 0.1)
    assert asked(world) == []
    world.pass_time(0.2)
    assert asked(world) == [[0, 1]]
    world.commit()
    assert ends(world) == ["bounce msg 1 qp 77 queue1"]  # carol's is in work
    world.local.end()
    world.commit()
    assert ends(world)[-1] == END


def test_the_last_end_of_a_mail_waits_for_nobody() -> None:
    world = owing("alice", "bob")
    world.local.end(NO)
    world.commit()
    world.local.end()
    world.commit()
    assert asked(world) == [[0]]


@pytest.mark.parametrize("second", [NO, Delivered("did 0+0+1")], ids=["fails too", "is delivered"])
def test_who_ends_while_a_bounce_is_made_is_in_no_bounce_twice(second) -> None:
    world = owing("alice", "bob", "carol")
    world.bounces.slow = []
    world.local.end(NO)
    world.commit()
    world.pass_time(COALESCE)
    assert asked(world) == [[0]]
    world.local.end(second)
    world.commit()
    world.pass_time(COALESCE)
    world.local.end()
    world.commit()
    assert asked(world) == [[0]]  # hers is not queued yet: she would be in both
    world.bounces.slow.pop()(BOUNCE)
    world.commit()
    if second is NO:
        assert asked(world) == [[0], [1]]
        assert END not in world.log.lines
        message = replace(BOUNCE.message, id=QueueId(78))
        world.bounces.slow.pop()(replace(BOUNCE, message=message))
        world.commit()
    assert ends(world)[-1] == END
    assert world.log.lines.count(END) == 1
    assert world.store.owed() == []


def test_a_failure_that_nobody_is_told_of_owes_nothing() -> None:
    world = owing("alice")
    world.bounces.told = {}
    world.local.end(NO)
    world.commit()
    assert asked(world) == []
    assert world.log.lines[-1] == END


def test_a_delivery_owes_nothing() -> None:
    world = owing("alice")
    world.local.end()
    world.commit()
    assert world.store.owed() == []
    assert asked(world) == []


@pytest.mark.parametrize(
    ("why", "said"),
    [
        (Discard.DOUBLE, "double bounce: discarding bounce/1 queue1"),
        (Discard.TRIPLE, "triple bounce: discarding bounce/1 queue1"),
    ],
)
def test_a_debt_to_nobody_ends_with_a_line_in_the_log(why, said) -> None:
    world = owing("alice")
    world.bounces.made = why
    world.local.end(NO)
    world.commit()
    world.commit()
    assert ends(world) == [said, END]
    assert world.store.owed() == []


def test_a_bounce_that_cannot_be_made_is_made_later() -> None:
    world = owing("alice")
    world.bounces.made = QueueFull("no space left")
    world.local.end(NO)
    world.commit()
    assert "alert: bounce for 1 is not made yet: no space left" in world.log.lines
    world.bounces.made = BOUNCE
    world.pass_time(BOUNCE_AGAIN)
    world.commit()
    assert ends(world) == ["bounce msg 1 qp 77 queue1", END]


def test_rows_stay_until_their_bounce_is_queued_also_once_they_are_traced() -> None:
    world = owing("alice", "bob")
    world.local.end(NO)
    world.local.end()
    world.commit()
    world.send.endings.forget(world.send.endings.take())
    assert world.store.message(ONE) is not None
    world.commit()
    world.commit()
    world.send.endings.forget(world.send.endings.take())
    world.commit()
    assert world.store.message(ONE) is None
    assert world.store.message(QueueId(77)) is not None


def test_a_debt_that_is_found_at_the_start_is_paid_once() -> None:
    store = BrittleQueue()
    waiting(store, 1, "alice")
    store.apply([Finished(ONE, 0, NO, START, owed=Dsn.FAILED)])
    world = Sending(store)
    world.bounces.made = BOUNCE
    world.pass_time(1.0)
    world.pass_time(1.0)
    assert asked(world) == [[0]]
    world.commit()
    assert ends(world) == ["bounce msg 1 qp 77 queue1", END]


def test_what_was_made_for_an_older_life_is_not_queued_twice() -> None:
    world = owing("alice")
    world.bounces.slow = []
    world.local.end(NO)
    world.commit()
    broken(world)
    world.pass_time(REOPEN)
    world.pass_time(1.0)
    first, second = world.bounces.slow
    first(BOUNCE)
    assert world.rounds.waiting == 0
    second(BOUNCE)
    world.commit()
    assert ends(world) == ["bounce msg 1 qp 77 queue1", END]


def test_a_bounce_for_somebody_here_is_delivered_and_never_answered() -> None:
    world = owing("alice")
    to = QueuedRecipient(0, "eve@example.com", Channel.LOCAL, "eve@example.com")
    world.bounces.made = replace(BOUNCE, recipients=(to,))
    world.local.end(NO)
    world.commit()
    world.commit()
    assert world.local.users == ["eve"]
    accepted = world.trace.told("message")[-1]
    assert (accepted.id, accepted.text) == (77, "bounce of 1")


# -- outcomes and the trace ------------------------------------------------------------------------


class SlowTrace:
    """A trace whose sync ends when the test says so."""

    def __init__(self, records: Sequence[object]) -> None:
        self._records = records

    @property
    def added(self) -> int:
        return len(self._records)

    def sync(self) -> int:
        return self.added


def test_an_outcome_leaves_the_database_after_the_trace_is_synced() -> None:
    world = Sending()
    world.accept(1, "alice", "bob")
    world.commit()
    world.local.end()
    world.commit()
    aside = []
    traced = TracedOutcomes(SlowTrace(world.trace), lambda work, then: aside.append((work, then)))
    traced.tick([world.send.endings])
    world.local.end()
    world.commit()  # bob's outcome came after that sync began
    traced.tick([world.send.endings])  # one at a time
    assert len(aside) == 1
    work, then = aside.pop()
    then(work())
    world.commit()
    found = world.store.message(ONE)
    assert found is not None
    assert [s.recipient.number for s in found.recipients] == [1]
    traced.tick([world.send.endings])
    work, then = aside.pop()
    then(OSError("the trace's disk is broken"))  # nothing is forgotten
    assert world.rounds.waiting == 0
    traced.tick([world.send.endings])
    work, then = aside.pop()
    then(work())
    world.commit()
    assert world.store.message(ONE) is None


def test_the_file_a_mail_was_adopted_from_goes_durably_before_its_row() -> None:
    """Else it would be adopted again: nothing would know its name any longer."""
    world = Sending()
    recipient = QueuedRecipient(0, "alice@example.com", Channel.LOCAL, "alice@example.com")
    message = QueuedMessage(ONE, START, "eve@example.net", 2, b"x\n", source="1.2.3")
    world.send.accept(message, (recipient,), world.told.append)
    world.commit()
    world.local.end()
    world.commit()
    removed: list[str] = []
    failure: list[OSError] = [OSError("the disk is broken")]

    def remove(names: Sequence[str]) -> None:
        if failure:
            raise failure.pop()
        removed.extend(names)

    traced = TracedOutcomes(SlowTrace(world.trace), aside := Threads(), remove)
    traced.tick([world.send.endings])
    aside.run()
    assert world.rounds.waiting == 0  # it is still there: so is the row
    traced.tick([world.send.endings])
    assert removed == []
    aside.run()
    assert removed == ["1.2.3"]
    world.commit()
    assert world.store.message(ONE) is None


def test_outcomes_that_were_not_forgotten_are_recorded_again_at_the_next_start() -> None:
    store = BrittleQueue()
    waiting(store, 1, "alice")
    store.apply([Finished(ONE, 0, Failed("no such user", RULE), START + 5.0)])
    world = Sending(store)
    [record] = world.trace
    assert (record.id, record.time, record.event) == (1, START + 5.0, "outcome")
    assert (record.verdict, record.text, record.rule) == ("failed", "no such user", RULE)
    assert world.send.endings.take() == [(1, 0)]


def test_a_spooled_body_goes_with_its_last_row() -> None:
    world = Sending()
    world.send.spool.begin(ONE, (b"large",))
    world.accept(1, "alice", "bob", body=None)
    world.commit()
    for left in (["1"], []):
        world.local.end()
        world.commit()
        world.send.endings.forget(world.send.endings.take())
        world.commit()
        assert world.disk.names("/queue/queue1/mess") == left


def test_a_spooled_body_that_cannot_be_removed_stops_nobody() -> None:
    world = Sending()
    world.send.spool.begin(ONE, (b"large",))
    world.accept(1, "alice", body=None)
    world.commit()
    world.local.end()
    world.commit()
    world.send.endings.forget(world.send.endings.take())
    world.disk.fail(Kind.UNLINK)
    world.accept(2, "bob")  # in the same round
    world.commit()
    assert world.told == [None, None]
    assert world.local.users == ["bob"]


def test_an_outcome_that_is_committed_after_its_queue_was_closed_counts_once() -> None:
    world = Sending()
    world.accept(1, "alice")
    world.commit()
    world.local.end()
    world.store.read_failure = QueueUnwritable("EIO")
    world.pass_time(1.0)  # closed before the mark's round
    world.commit()
    assert world.trace.told("outcome") == []
    world.store.read_failure = None
    world.pass_time(REOPEN)
    assert [record.verdict for record in world.trace.told("outcome")] == ["delivered"]
    assert (world.send.running, world.local.users) == (0, [])


def test_a_large_body_that_a_closed_queue_refused_goes_when_it_opens() -> None:
    world = Sending()
    broken(world)
    world.send.spool.begin(ONE, (b"large",))
    world.accept(1, "alice", body=None)
    assert isinstance(world.told[-1], QueueUnwritable)
    world.pass_time(REOPEN)
    assert world.disk.names("/queue/queue1/mess") == []
