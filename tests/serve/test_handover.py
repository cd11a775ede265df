"""A queue of another worker."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from indimail.durable.disk import SystemDisk
from indimail.mail.channel import Channel
from indimail.mail.errors import QueueFull, QueueUnwritable
from indimail.mail.ids import QueueId
from indimail.queue.port import QueuedMessage, QueuedRecipient
from indimail.queue.submission import NobodyListens, Receipt, Submission
from indimail.serve.handover import HandOver, Transit
from serve.intake_kit import at_once

ONE = QueueId(1024)
OWNERS = [("/q/queue1", "/run/queue1.sock"), ("/q/queue2", "/run/queue2.sock")]
TO = (
    QueuedRecipient(0, "a@b", Channel.LOCAL, "b-a@b", "control/virtualdomains:1", "NEVER", "o"),
    QueuedRecipient(1, "c@d", Channel.REMOTE, "d"),
)


class Workers:
    """The other workers: what each answers, and what it was asked."""

    def __init__(self, **answers: Receipt | None) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.submission: Submission | None = None
        self.body = b""

    def submit(self, path: str, submission: Submission, body: Iterable[bytes], _: float) -> Receipt:
        name = Path(path).stem
        self.asked.append(name)
        answer = self.answers[name]
        if answer is None:
            raise NobodyListens(path)
        self.submission, self.body = submission, b"".join(body)
        return answer


@pytest.fixture
def transit(tmp_path: Path) -> Transit:
    return Transit(SystemDisk(), str(tmp_path))


def message(body: bytes | None, offset: int = 0) -> QueuedMessage:
    return QueuedMessage(ONE, 1.5, "eve@x", 5, body, offset, True, True, "who", "HDRS", "env", 12)


Give = Callable[[Workers, QueuedMessage], tuple[HandOver, Exception | None]]


@pytest.fixture
def give(transit: Transit) -> Give:
    def given(workers: Workers, what: QueuedMessage) -> tuple[HandOver, Exception | None]:
        queue = HandOver(OWNERS, transit, at_once, workers.submit)
        done: list[Exception | None] = []
        queue.accept(what, TO, done.append)
        return queue, done[0]

    return given


def test_everything_that_was_decided_goes_along(give: Give) -> None:
    workers = Workers(queue1=Receipt(0, ONE))
    queue, failure = give(workers, message(b"hello"))
    assert failure is None
    assert queue.name == "queue1"
    assert workers.body == b"hello"
    assert workers.submission == Submission(
        "eve@x", ("a@b", "c@d"), True, True, "who", "HDRS", "env", ("NEVER", ""), ("o", ""), ONE,
        "/q/queue1", 12, ("local", "remote"), ("b-a@b", "d"), ("control/virtualdomains:1", ""),
    )  # fmt: skip


@pytest.mark.parametrize("receipt", [None, Receipt(71, text="(#4.3.1)")])
def test_the_next_owner_is_asked_where_one_took_nothing(
    give: Give, receipt: Receipt | None
) -> None:
    workers = Workers(queue1=receipt, queue2=Receipt(0, ONE))
    queue, failure = give(workers, message(b"hello"))
    assert failure is None
    assert (queue.name, workers.asked) == ("queue2", ["queue1", "queue2"])


@pytest.mark.parametrize("code", [52, 53, 74, 91])
def test_nobody_else_is_asked_after_one_that_may_have_queued_it(give: Give, code: int) -> None:
    workers = Workers(queue1=Receipt(code, text="x"), queue2=Receipt(0, ONE))
    _, failure = give(workers, message(b"hello"))
    assert isinstance(failure, QueueUnwritable)
    assert workers.asked == ["queue1"]


def test_no_owner_is_a_temporary_failure(give: Give) -> None:
    assert isinstance(give(Workers(queue1=None, queue2=None), message(b"x"))[1], QueueUnwritable)
    full = Receipt(71, text=QueueFull.reply_text)
    assert isinstance(give(Workers(queue1=full, queue2=full), message(b"x"))[1], QueueFull)


@pytest.mark.parametrize("code", [0, 74])
def test_a_large_body_waits_in_transit_and_goes_with_its_end(
    give: Give, transit: Transit, tmp_path: Path, code: int
) -> None:
    transit.begin(ONE, [b"lines", b"hel"])
    transit.add(ONE, [b"lo"])
    transit.seal(ONE)
    workers = Workers(queue1=Receipt(code, ONE))
    give(workers, message(None, offset=5))
    assert workers.body == b"hello"
    assert list((tmp_path / "mess").iterdir()) == []


def test_what_an_earlier_process_left_in_transit_is_removed(tmp_path: Path) -> None:
    Transit(SystemDisk(), str(tmp_path)).clear()
    left = Transit(SystemDisk(), str(tmp_path))
    left.begin(ONE, [b"x"])
    Transit(SystemDisk(), str(tmp_path)).clear()
    assert list((tmp_path / "mess").iterdir()) == []
