"""A channel of a queue: its memory is bounded, and who goes together ends together."""

from msgspec.structs import replace

from indimail.mail.channel import Channel
from indimail.mail.ids import QueueId
from indimail.queue.port import QueuedMessage, QueuedRecipient
from indimail.schedule.window import Window
from indimail.serve import lane as lanes
from indimail.serve.job import Job, Mail
from indimail.serve.lane import Lane


def mail(number: int, size: int = 1, sender: str = "eve@example.net") -> Mail:
    return Mail(QueuedMessage(QueueId(number), 0.0, sender, size, b"x" * size), 0)


def jobs(of: Mail, *targets: str) -> list[Job]:
    return [
        Job(of, QueuedRecipient(n, f"u{n}@{target}", Channel.REMOTE, target), 1)
        for n, target in enumerate(targets)
    ]


def remote(**window: int) -> Lane:
    return Lane(Channel.REMOTE, Window(**window))


def end(lane: Lane, job: Job) -> None:
    lane.over(job)
    lane.ended(job)


def test_the_next_starts_before_an_outcome_is_recorded_but_only_so_many(monkeypatch) -> None:
    monkeypatch.setattr(lanes, "UNRECORDED", 2)
    lane = remote(per_destination=1)
    for number in range(4):
        lane.add(jobs(mail(number), "a.example")[0], fresh=True)
    started = []
    for _ in range(2):
        (group,) = lane.take(9)
        lane.over(group[0])
        started.append(group[0])
    assert (lane.running, lane.unrecorded, lane.take(9)) == (0, 2, [])
    lane.ended(started[0])
    assert len(lane.take(9)) == 1


def test_recipients_of_a_mail_at_one_host_go_together_and_take_one_slot() -> None:
    lane = remote(per_destination=10)
    first, second = mail(1), mail(2)
    of_first = jobs(first, "a.example", "b.example", "a.example", "a.example")
    of_second = jobs(second, "a.example")
    for job in of_first + of_second:
        lane.add(job, fresh=True)
    groups = lane.take(2)
    assert [[job.key for job in group] for group in groups] == [[(1, 0), (1, 2), (1, 3)], [(1, 1)]]
    assert (lane.running, lane.take(2)) == (2, [])
    for job in groups[0][::-1]:
        assert lane.running == 2
        lane.over(job)
    assert lane.running == 1
    assert [list(group) for group in lane.take(2)] == [of_second]


def test_no_more_go_together_than_a_transaction_may_have() -> None:
    lane = remote(per_destination=10)
    for job in jobs(mail(1), *["a.example"] * 150):
        lane.add(job, fresh=True)
    assert [len(group) for group in lane.take(5)] == [100, 50]


def test_a_sender_that_names_the_recipient_has_one_in_each_transaction() -> None:
    lane = remote(per_destination=10)
    for job in jobs(mail(1, sender="list-@example.com-@[]"), "a.example", "a.example"):
        lane.add(job, fresh=True)
    assert [len(group) for group in lane.take(5)] == [1, 1]


def test_bodies_have_a_bound_and_each_is_counted_once(monkeypatch) -> None:
    monkeypatch.setattr(lanes, "MEMORY", 100)
    lane = remote(per_destination=10)
    one = jobs(mail(1, 60), "a.example", "b.example")
    for job in one:
        lane.add(job, fresh=True)
    assert lane.fits(one[0].recipient)
    two = jobs(mail(2, 60), "a.example")
    lane.add(two[0], fresh=True)
    assert not lane.fits(one[0].recipient)
    assert not lane.wants_more()
    lane.take(9)
    end(lane, one[0])
    assert not lane.wants_more()  # the other recipient still needs it
    end(lane, one[1])
    assert lane.wants_more()
    assert lane.fits(one[0].recipient)


def test_a_destination_has_a_share_of_the_memory(monkeypatch) -> None:
    monkeypatch.setattr(lanes, "SHARE", 100)
    lane = remote(per_destination=10, line=10)
    one, two = jobs(mail(1, 60), "a.example", "a.example")
    elsewhere = replace(one.recipient, target="b.example")
    lane.add(one, fresh=True)
    assert (lane.fits(two.recipient), lane.left_out()) == (True, set())
    lane.add(two, fresh=True)
    assert (lane.fits(two.recipient), lane.fits(elsewhere)) == (False, True)
    assert lane.left_out() == {"a.example"}
    for job in lane.take(9)[0]:
        lane.ended(job)
    assert (lane.fits(two.recipient), lane.left_out()) == (True, set())


def test_a_crowded_destination_leaves_room_for_others() -> None:
    lane = remote(per_destination=1, line=1)
    (job,) = jobs(mail(1), "a.example")
    lane.add(job, fresh=True)
    assert not lane.fits(job.recipient)
    assert lane.fits(replace(job.recipient, target="b.example"))
