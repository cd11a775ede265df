"""Mail left in the spool directory, into the queue once."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from indimail.durable.disk import Disk, SystemDisk
from indimail.mail.errors import MailError, QueueFull, QueueUnwritable
from indimail.mail.ids import QueueIds
from indimail.queue.submission import Submission, spool_submission
from indimail.serve.adopt import AT_ONCE, RETRY, Adoption, SpoolFile, SpoolFiles, look
from indimail.serve.intake import Intake
from indimail.serve.snapshot import InjectSettings
from indimail.testing.clock import FakeClock
from indimail.testing.disk import Names, SimulatedDisk, until_the_crash
from serve.intake_kit import Config, Queue, Trace, at_once

MAIL = Submission("eve@mx.org", ("alice@example.com",))
BODY = b"Message-ID: <1@x>\n\nhello\n"
EVE = 1000


class Worker:
    """The worker that adopts; its queue outlives it, as a database does."""

    def __init__(
        self, base: Path, queue: Queue, disk: Disk | None = None,
        look: Callable[[str], SpoolFile] = look,
    ) -> None:  # fmt: skip
        self.base = base
        self.spool = base / "spool"
        self.queue = queue
        self.config = Config()
        self.trace = Trace()
        self.clock = FakeClock(1_795_477_000.0)
        self.files = SpoolFiles(disk or SystemDisk(), str(base), look)
        self.failure: MailError | None = None
        self.adoption = Adoption(
            self.files, self.config, QueueIds(1), self.clock, self.trace, at_once,  # type: ignore[arg-type]
            self.choose, queue.store.adopted,
        )  # fmt: skip

    def choose(self) -> Intake | MailError:
        return self.failure or self.queue

    def tick(self) -> None:
        self.adoption.tick(self.clock.steady())

    def leave(self, *body: bytes, mail: Submission = MAIL) -> str:
        before = set(self.spool.iterdir())
        assert spool_submission(SystemDisk(), str(self.spool), mail, body or [BODY]).code == 0
        (path,) = set(self.spool.iterdir()) - before
        return path.name

    def folder(self, name: str) -> list[str]:
        path = self.base / name
        return sorted(file.name for file in path.iterdir()) if path.exists() else []

    @property
    def left(self) -> dict[str, list[str]]:
        names = ("spool", "adopting", "refused")
        return {name: found for name in names if (found := self.folder(name))}


@pytest.fixture
def worker(tmp_path: Path) -> Worker:
    (tmp_path / "spool").mkdir()
    return Worker(tmp_path, Queue(tmp_path / "queue1"))


def test_a_file_becomes_a_mail_of_its_owner(worker: Worker) -> None:
    name = worker.leave()
    worker.tick()
    (message,) = worker.queue.messages
    assert (message.source, message.uid, message.reverse_path) == (name, os.getuid(), "eve@mx.org")
    assert (message.body or b"").startswith(b"Received: indimail-mta queue %d" % message.id)
    assert (message.body or b"").endswith(BODY)
    assert worker.queue.recipients[0][2] == "example.com-alice@example.com"
    assert worker.left == {}
    assert worker.trace.told() == [("connect", "accept"), ("message", "accept"), ("route", "local")]
    assert {r.facts["file"] for r in worker.trace.records} == {name}


def test_a_large_one_goes_to_the_queue_s_spool(worker: Worker) -> None:
    worker.leave(BODY, b"x" * 100_000, b"y" * 100_000)
    worker.tick()
    (message,) = worker.queue.messages
    assert message.body is None
    stored = b"".join(worker.queue.spool.read(message.id, 0))
    assert stored.endswith(BODY + b"x" * 100_000 + b"y" * 100_000)
    assert message.size == len(stored)


def test_what_a_file_says_of_itself_is_not_believed(worker: Worker) -> None:
    worker.leave(mail=Submission(
        "eve@mx.org", ("a@remote.net",), id=7, uid=0, channels=("local",), targets=("x",), rules=("",)
    ))  # fmt: skip
    worker.tick()
    (message,) = worker.queue.messages
    assert message.id != 7
    assert worker.queue.recipients[0][1] == "remote"


def test_several_come_in_the_order_of_their_names_and_later_ones_too(worker: Worker) -> None:
    names = {worker.leave() for _ in range(3)}
    worker.tick()
    assert worker.queue.store.adopted() == names
    worker.tick()
    later = worker.leave()
    worker.tick()
    assert worker.queue.store.adopted() == names | {later}
    assert worker.left == {}


def test_nothing_is_read_while_the_folder_stays_the_same(worker: Worker) -> None:
    worker.tick()
    worker.tick()
    reads: list[str] = []
    worker.files.claim = lambda: reads.append("claim") or []  # type: ignore[method-assign, func-returns-value]
    worker.tick()
    assert reads == []


def test_what_is_being_written_is_left_alone_until_it_is_old(worker: Worker) -> None:
    for name, age in (("new", 1000), ("old", 130_000)):
        path = worker.spool / f".{name}"
        path.write_bytes(b"")
        then = path.stat().st_mtime - age
        os.utime(path, (then, then))
    worker.tick()
    assert worker.left == {"spool": [".new"]}


def _bytes(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


@pytest.mark.parametrize(
    "make",
    [
        _bytes(b""),
        _bytes(b"junk, and more of it"),
        _bytes(b"\0\0\0\2{}\0\0\0\0"),
        lambda path: path.symlink_to("/etc/passwd"),
        os.mkfifo,
        lambda path: path.mkdir(),
    ],
    ids=["empty", "junk", "no envelope", "symlink", "fifo", "folder"],
)
def test_what_is_no_submission_is_kept_aside_and_told(
    worker: Worker, make: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    name = "1.2.0123456789abcdef0123456789abcdef"
    make(worker.spool / name)
    good = worker.leave()
    worker.tick()
    assert worker.left == {"refused": [name]}
    assert worker.queue.store.adopted() == {good}
    assert f"queue/spool/{name} is not taken" in caplog.text
    assert ("message", "refuse") in worker.trace.told()


def test_names_that_we_do_not_give_are_kept_aside_without_harm(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("junk", "a b\nalert: x", b"\xff".decode("utf-8", "surrogateescape")):
        (worker.spool / name).write_bytes(b"x")
    worker.tick()
    assert worker.left == {"refused": ["_", "a_b_alert__x", "junk"]}
    assert "a b" not in caplog.text


def test_a_second_name_of_a_file_is_not_taken(worker: Worker) -> None:
    name = worker.leave()
    os.link(worker.spool / name, worker.base / "elsewhere")
    worker.tick()
    assert worker.left == {"refused": [name]}


def test_the_limits_are_those_of_the_socket(worker: Worker) -> None:
    worker.config.current.queue.inject = InjectSettings(databytes=100_000)
    large, small = worker.leave(b"x" * 140_000, b"x" * 140_000), worker.leave()
    worker.tick()
    assert worker.left == {"refused": [large]}
    assert worker.queue.store.adopted() == {small}
    assert list(worker.queue.mess.iterdir()) == []


@pytest.mark.parametrize("when", ["no queue", "commit"])
def test_a_queue_in_trouble_is_tried_again_later(worker: Worker, when: str) -> None:
    name = worker.leave()
    trouble = QueueUnwritable("EIO")
    if when == "commit":
        worker.queue.failure = trouble
    else:
        worker.failure = trouble
    worker.tick()
    assert worker.left == {"adopting": [name]}
    worker.failure = worker.queue.failure = None
    worker.tick()
    assert worker.queue.messages == []
    worker.clock.advance(RETRY)
    worker.tick()
    assert worker.queue.store.adopted() == {name}
    assert worker.left == {}


def test_a_file_that_has_no_room_does_not_stop_the_others(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = worker.leave(b"x" * 100_000, b"y" * 100_000)
    large = f"1{given[10:]}"  # its turn comes first
    (worker.spool / given).rename(worker.spool / large)
    small = worker.leave()

    def full(*_: object) -> None:
        raise QueueFull("no space left")

    monkeypatch.setattr(worker.queue.spool, "begin", full)
    worker.tick()
    assert worker.queue.store.adopted() == {small}
    assert worker.left == {"adopting": [large]}
    monkeypatch.undo()
    worker.clock.advance(RETRY)
    worker.tick()
    assert worker.queue.store.adopted() == {small, large}
    assert worker.left == {}


def test_what_comes_behind_many_that_are_not_taken_is_found(worker: Worker) -> None:
    (worker.base / "adopting").mkdir()
    for number in range(AT_ONCE):
        (worker.base / "adopting" / f"1.{number}.{'0' * 32}").write_bytes(b"no submission")
    name = worker.leave()
    worker.tick()
    assert worker.queue.store.adopted() == {name}
    assert len(worker.left["refused"]) == AT_ONCE


def test_a_file_that_a_row_names_is_only_removed(worker: Worker) -> None:
    name = worker.leave()
    content = (worker.spool / name).read_bytes()
    worker.tick()
    (worker.base / "adopting" / name).write_bytes(content)  # a crash before the unlink
    (worker.spool / "x").write_bytes(b"")
    worker.tick()
    assert len(worker.queue.messages) == 1
    assert worker.folder("adopting") == []


def test_draining_ends_it_between_two_mails(worker: Worker) -> None:
    worker.leave()
    worker.adoption.draining = True
    worker.tick()
    assert not worker.adoption.running
    assert worker.queue.messages == []


@pytest.mark.parametrize("names", Names)
def test_what_was_removed_does_not_come_back_after_a_power_cut(
    tmp_path: Path, names: Names
) -> None:
    disk = SimulatedDisk(names=names)
    disk.make_directories("/q/spool")
    assert spool_submission(disk, "/q/spool", MAIL, [BODY]).code == 0
    Worker(Path("/q"), Queue(tmp_path), disk, _eves).tick()
    disk.cut_power()
    disk = disk.restart()
    assert disk.names("/q/adopting") + disk.names("/q/spool") == []


def test_once_at_every_crash(tmp_path: Path) -> None:
    """Power fails at each disk operation; the next start ends with each mail in one row."""
    operation = 0
    while True:
        operation += 1
        disk = SimulatedDisk()
        disk.make_directories("/q/spool")
        for number in range(2):
            assert spool_submission(disk, "/q/spool", MAIL, [BODY * number]).code == 0
        names = set(disk.names("/q/spool"))
        queue = Queue(tmp_path / str(operation))
        disk.crash_at(len(disk.history) + operation)
        with until_the_crash(disk):
            Worker(Path("/q"), queue, disk, _eves).tick()
        ended = not disk.crashed
        if ended:
            disk.cut_power()
        disk = disk.restart()
        if ended:  # what was removed stays removed, so the rows may be forgotten
            assert not disk.exists("/q/adopting") or disk.names("/q/adopting") == []
            assert disk.names("/q/spool") == []
        Worker(Path("/q"), queue, disk, _eves).tick()
        sources = [message.source for message in queue.messages]
        assert sorted(sources) == sorted(names)
        if ended:
            assert operation > 5
            return


def _eves(path: str) -> SpoolFile:
    return SpoolFile(EVE)


def test_removing_what_is_gone_is_fine(worker: Worker) -> None:
    worker.files.remove(["missing"])
