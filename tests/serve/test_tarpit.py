"""Ten thousand mails for a host that never ends delay no other destination."""

from collections.abc import Iterator

import pytest

from indimail.mail.channel import Channel
from indimail.mail.ids import QueueId
from indimail.queue.port import Accepted, QueuedMessage, QueuedRecipient
from indimail.testing.clock import START
from serve.sending import Away, BrittleQueue, Sending

MANY = 10_000
SIZES = pytest.mark.parametrize("size", [100, 100_000])


def mails(destination: str, numbers: range, size: int, due: float = 0.0) -> Iterator[Accepted]:
    body = b"x" * size
    for number in numbers:
        message = QueuedMessage(QueueId(number), START, "eve@example.net", size, body)
        to = QueuedRecipient(0, f"a@{destination}", Channel.REMOTE, destination, due=due)
        yield Accepted(message, (to,))


def started(away: Away, destination: str) -> int:
    return sum(jobs[0].recipient.target == destination for jobs in away.started)


@SIZES
def test_mail_that_comes_behind_the_tarpits_goes_at_once(size: int) -> None:
    away = Away()
    world = Sending(remote=away)
    for mail in mails("tarpit.example", range(1, MANY), size):
        world.send.accept(mail.message, mail.recipients, world.told.append)
        if mail.message.id % 50 == 0:
            world.commit()
    for mail in mails("quick.example", range(MANY, MANY + 5), size):
        world.send.accept(mail.message, mail.recipients, world.told.append)
    world.commit()
    world.pass_time(1.0)
    assert (started(away, "tarpit.example"), started(away, "quick.example")) == (4, 4)


@SIZES
@pytest.mark.parametrize("due", [0.0, START - 10_000])
def test_mail_that_waits_behind_the_tarpits_in_the_queue_goes_within_a_second(
    size: int, due: float
) -> None:
    """Never tried, or deferred before; as a server finds it when it starts."""
    store = BrittleQueue()
    store.apply([*mails("tarpit.example", range(1, MANY), size, due),
                 *mails("quick.example", range(MANY, MANY + 5), size, due)])  # fmt: skip
    away = Away()
    world = Sending(store, away)
    world.pass_time(1.0)
    assert (started(away, "tarpit.example"), started(away, "quick.example")) == (4, 4)
