"""A worker and a qmail-lspawn of the same user, on one event loop, joined by a real socket."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.app.aside import Aside
from indimail.delivery.dotqmail import Name
from indimail.delivery.plan import Command, Deliver, Fail
from indimail.delivery.program import Ended, Limits
from indimail.delivery.quota import Usage
from indimail.durable.batch import FileSyncs, Unsynced
from indimail.durable.disk import SystemDisk
from indimail.mail.clock import SystemClock
from indimail.mail.errors import (
    CopyGone,
    MailboxFull,
    MailboxUnwritable,
    MailError,
    Misuse,
    Permanent,
    Temporary,
)
from indimail.mail.ids import QueueId
from indimail.mailbox.dupmd5 import Mark
from indimail.mailbox.maildir import Settlement
from indimail.mailbox.maildirsize import MaildirSizes
from indimail.net.local import listen_local
from indimail.queue.spool import Spool
from indimail.serve import spawned as module
from indimail.serve.errand import GREETING, Errand, pack, read_mark
from indimail.serve.hands import Content, OwnHands, Program
from indimail.serve.home import HomeMissing
from indimail.serve.locks import Held
from indimail.serve.lspawn import Lspawn
from indimail.serve.programs import Programs
from indimail.serve.quota import Admission, OwnQuotas
from indimail.serve.quota_errand import read_admitted
from indimail.serve.snapshot import QuotaSettings
from indimail.serve.spawned import Spawned, SpawnedHands, SpawnedQuotas, Who
from indimail.serve.watched import WatchedHomes
from indimail.wire.frames import BrokenFrame
from serve.sending import ByHand

PATIENCE = 10.0
ONE = QueueId(1)
NAME = "1790000000.Q1R0.0.mx.example.com,S=15"
ME = Who(os.getuid(), os.getgid())
BODY = b"Subject: x\n\nhi\n"
CLOCK = SystemClock()


class Disk(SystemDisk):
    """The machine's disk, and a failure that it is told."""

    failure: OSError | None = None

    def write_new(self, path: str, parts: Any, mode: int = 0o600) -> None:
        if self.failure:
            raise self.failure
        super().write_new(path, parts, mode)


class World:
    """A home, the process for it, and a worker's view of that process."""

    def __init__(self, root: Path) -> None:
        self.loop = asyncio.SelectorEventLoop()
        self.home = root / "home"
        self.home.mkdir()
        self.folder = str(self.home / "Maildir")
        self.path = str(root / "lspawn.sock")
        self.disk = Disk()
        self.spool = Spool(self.disk, str(root / "queue1"))
        self.syncs: ByHand[Unsynced] = ByHand(FileSyncs(self.disk, time.monotonic).run)
        self.aside = Aside(self.loop, 4)
        self.programs = Programs(self.loop)
        self.deserted = 0
        self.asked: list[int] = []
        self.refusal = ""
        self.idle = 60.0
        self.watched = WatchedHomes()
        self.spawned = Spawned(ME, self.loop, self._ask, lambda: self.idle, self.watched)
        self.hands = SpawnedHands(self.spawned, Limits)
        self.quota = QuotaSettings()
        self.quotas = SpawnedQuotas(self.spawned, lambda: self.quota)
        self.told: list[Any] = []
        self.accepted: list[socket.socket] = []
        self.start()

    def start(self, greet: Callable[[socket.socket], object] | None = None) -> None:
        """Listen, as a new process."""
        hands = OwnHands(self.disk, self.syncs, self.aside, self._nobody)
        environment = {"PATH": os.environ["PATH"], "INDIMAIL_ROOT": "/root/of/it"}
        self.lspawn = Lspawn(
            self.loop, hands, self.aside, self.programs, self._quotas, os.getuid(), environment,
            self._deserted,
        )  # fmt: skip
        self.listener = listen_local(self.path, 0o600)

        def accept() -> None:
            sock, _ = self.listener.accept()
            self.accepted.append(sock)
            (greet or self.lspawn.accept)(sock)

        self.loop.add_reader(self.listener.fileno(), accept)

    def _quotas(self, settings: Callable[[], QuotaSettings]) -> OwnQuotas:
        return OwnQuotas(MaildirSizes(self.disk, CLOCK), settings, self.disk, CLOCK, self.aside)

    def stop(self) -> None:
        """End the process as a crash does."""
        self.loop.remove_reader(self.listener.fileno())
        self.listener.close()
        for sock in self.accepted:
            if sock.fileno() >= 0:
                sock.shutdown(socket.SHUT_RDWR)

    def _nobody(self, *_: object) -> None:
        raise Misuse

    def _deserted(self) -> None:
        self.deserted += 1

    def _ask(self, who: Who, instead_of: int) -> None:
        assert who == ME
        self.asked.append(instead_of)
        self.loop.call_soon(self.spawned.told, "" if self.refusal else self.path, self.refusal)

    # -- what a test says ------------------------------------------------------------------------

    def until(self, probe: Callable[[], object]) -> None:
        """Let the loop run until it is so."""
        end = time.monotonic() + PATIENCE

        async def wait() -> None:
            while not probe():
                assert time.monotonic() < end
                await asyncio.sleep(0.001)

        self.loop.run_until_complete(wait())

    def content(self, block: bytes = b"", body: bytes | None = BODY, offset: int = 0) -> Content:
        size = len(BODY) if body is not None else 300_000
        return Content(block, body, size, self.spool, ONE, offset)

    def store(self, content: Content | None = None, name: str = NAME) -> None:
        self.hands.store(self.folder, name, content or self.content(), self.told.append)

    def synced(self) -> None:
        """Let it get as far as a sync, and sync."""
        self.until(lambda: self.syncs.waiting)
        self.syncs.step()

    def result(self) -> Any:
        """Return what the next one is told."""
        self.until(lambda: self.told)
        return self.told.pop(0)

    def apart(self, work: Callable[[], object]) -> Any:
        """Return what a thread gets, or its error."""
        found: list[object] = []

        def run() -> None:
            try:
                found.append(work())
            except MailError as error:
                found.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        self.until(lambda: found)
        thread.join()
        return found[0]

    def close(self) -> None:
        self.spawned.close()
        self.until(lambda: not self.programs._running)
        self.aside.close()
        for sock in self.accepted:
            sock.close()
        self.loop.close()
        self.listener.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


# -- copies --------------------------------------------------------------------------------------


def test_a_copy_is_answered_after_its_sync_and_published_after_another(world: World) -> None:
    world.store()
    world.until(lambda: world.syncs.waiting)
    assert (world.home / "Maildir/tmp" / NAME).read_bytes() == BODY
    assert not world.told
    world.syncs.step()
    assert world.result() is None
    world.hands.publish(world.folder, NAME, world.told.append)
    world.until(lambda: world.syncs.waiting)
    assert (world.home / "Maildir/new" / NAME).read_bytes() == BODY
    assert not world.told
    world.syncs.step()
    assert world.result() is None


def test_many_copies_are_in_flight_and_share_a_sync(world: World) -> None:
    for number in range(50):
        world.store(name=f"1790000000.Q{number}R0.0.mx,S=15")
    world.until(lambda: world.syncs.waiting == 50)
    world.syncs.step()
    assert [world.result() for _ in range(50)] == [None] * 50


@pytest.mark.parametrize("offset", [0, 6])
def test_a_large_mail_is_copied_from_its_open_file(world: World, offset: int) -> None:
    large = os.urandom(300_000)
    world.spool.begin(ONE, (b"ahead\n"[:offset], large))
    block = b"ahead\n"
    name = NAME.replace("S=15", "S=300006")
    world.store(world.content(block, None, offset), name)
    world.synced()
    assert world.result() is None
    assert (world.home / "Maildir/tmp" / name).read_bytes() == block + large
    assert (world.home / "Maildir/tmp" / name).stat().st_nlink == 1  # another user's has no link


def test_a_large_mail_that_is_gone_is_a_failure_for_now(world: World) -> None:
    world.store(world.content(b"", None))
    assert isinstance(world.result(), Temporary)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [(OSError(28, "No space left"), MailboxUnwritable), (OSError(122, "Quota"), MailboxFull)],
)
def test_a_failure_is_told_for_what_it_is(
    world: World, failure: OSError, kind: type[MailError]
) -> None:
    world.disk.failure = failure
    world.store()
    found = world.result()
    assert type(found) is kind
    assert isinstance(found, Permanent) == (kind is MailboxFull)


def test_a_copy_that_is_gone_is_told_as_that(world: World) -> None:
    world.hands.publish(world.folder, NAME, world.told.append)
    assert type(world.result()) is CopyGone


def test_what_a_crash_left_is_told_from_a_thread(world: World) -> None:
    world.store()
    world.synced()
    world.result()
    settle = lambda: world.hands.settle(  # noqa: E731
        world.folder, NAME, same_boot=True, staged_age=3
    )
    assert world.apart(settle) is Settlement.PUBLISH
    os.rename(f"{world.folder}/tmp/{NAME}", f"{world.folder}/new/{NAME}")
    assert world.apart(settle) is Settlement.DONE
    os.unlink(f"{world.folder}/new/{NAME}")
    gone = lambda: world.hands.settle(  # noqa: E731
        world.folder, NAME, same_boot=False, staged_age=3
    )
    assert world.apart(gone) is Settlement.AGAIN


def test_an_mbox_is_appended_to(world: World) -> None:
    path = world.home / "mbox"
    world.hands.append(str(path), world.content(b"A: b\n"), "From x\n", world.told.append)
    assert world.result() is None
    assert path.read_bytes() == b"From x\nA: b\n" + BODY + b"\n"


# -- quotas --------------------------------------------------------------------------------------

ALICE = "alice@example.com"


def admit(world: World, size: int = len(BODY), limit: str = "1000") -> Admission:
    """Return what is decided about a copy in alice's Maildir."""
    for part in ("cur", "new", "tmp"):
        os.makedirs(f"{world.folder}/{part}", exist_ok=True)
    deliver = Deliver(world.folder, account=ALICE, limit=limit)
    world.quotas.ask(deliver, size, world.told.append)
    found = world.result()
    assert isinstance(found, Admission), found
    return found


def take(world: World, admission: Admission, name: str = NAME) -> list[Command]:
    """Let an admitted copy come, and be counted; return the warnings."""
    warnings: list[Command] = []
    world.store(name=name)
    world.synced()
    assert world.result() is None
    world.hands.publish(world.folder, name, world.told.append)
    deliver = Deliver(world.folder, account=ALICE, limit="1000")
    world.quotas.add(admission, deliver, warnings.append)
    world.synced()
    assert world.result() is None
    world.apart(lambda: world.spawned.wait({"op": "ping"}, PATIENCE))
    return warnings


def held(world: World) -> list[str]:
    return Path(world.folder, "maildirsize").read_text().splitlines()


def test_a_copy_is_admitted_and_counted_by_the_other_end(world: World) -> None:
    admission = admit(world)
    assert (admission.plan, admission.usage.octets, admission.size) == (None, 0, len(BODY))
    assert take(world, admission) == []
    assert held(world) == ["1000S", "15 1"]


def test_what_is_over_quota_has_the_text_the_lock_and_the_command_of_any_other(
    world: World,
) -> None:
    take(world, admit(world))
    found = admit(world, 1001, "10")
    text = f"{ALICE} has insufficient quota. 1001/15:1/0:10. indimail (#5.1.4)"
    assert isinstance(found.plan, Fail)
    assert (found.plan.text, found.plan.status, found.lock, found.size) == (text, "5.2.2", 15, 0)
    command = (world.folder, "1001", "15", "1", "10", "dummy")
    assert [command.arguments for command in found.commands] == [command]


def test_of_copies_at_once_only_those_fit_that_fit_together(world: World) -> None:
    first = admit(world, 600)
    assert admit(world, 600).plan is None  # a small one comes all the same
    world.quota = QuotaSettings(mailsize=0)
    assert admit(world, 600).plan is not None
    world.quotas.forget(first)
    assert admit(world, 399).plan is None


def test_a_copy_that_was_not_renamed_is_not_counted(world: World) -> None:
    admission = admit(world)
    world.hands.publish(world.folder, NAME, world.told.append)
    world.quotas.add(admission, Deliver(world.folder, account=ALICE), lambda _: None)
    assert isinstance(world.result(), CopyGone)
    world.apart(lambda: world.spawned.wait({"op": "ping"}, PATIENCE))
    assert held(world) == ["1000S"]


def test_a_worker_that_goes_leaves_no_room_taken(world: World) -> None:
    admit(world, 900)
    world.quota = QuotaSettings(mailsize=0)
    assert admit(world, 900).plan is not None
    world.spawned._leave()
    world.until(lambda: world.deserted)
    assert admit(world, 900).plan is None


def test_what_a_locked_mailbox_holds_is_told_to_a_thread(world: World) -> None:
    take(world, admit(world))
    deliver = Deliver(world.folder, account=ALICE, limit="1000")
    held = world.apart(lambda: world.quotas.held(deliver, counted=True))
    assert held == Held(Usage(15, 1), waits=False)
    Path(world.folder, "holdoverquota").touch()
    held = world.apart(lambda: world.quotas.held(deliver, counted=False))
    assert held == Held(Usage(), waits=True)
    Path(world.folder, "maildirsize").unlink()
    os.rename(f"{world.folder}/new", f"{world.folder}/other")
    Path(world.folder, "new").symlink_to("new")
    held = world.apart(lambda: world.quotas.held(deliver, counted=True))
    assert isinstance(held, MailboxUnwritable)


def test_a_warning_comes_with_the_count(world: World) -> None:
    world.quota = QuotaSettings(percents=(1,), command="/x")
    [warning] = take(world, admit(world))
    assert warning.arguments == (ALICE, world.folder, "15", "1", "1000", "0", "1")


def test_a_maildir_that_cannot_be_read_keeps_the_mail(world: World) -> None:
    Path(world.folder).write_text("no folder")
    world.quotas.ask(Deliver(world.folder, limit="10"), 5, world.told.append)
    assert isinstance(world.result(), MailboxUnwritable)


@pytest.mark.parametrize(
    "fields",
    [{"size": "x"}, {"usage": [1, 2], "quota": [1]}, {"usage": [1, 2], "quota": [1, {}]}, {},
     {"usage": [1, 2], "commands": [["/another/Maildir", "1"]]},
     {"usage": [1, 2], "commands": [[1, 2]]}, {"usage": [1 << 80, 1]}],
)  # fmt: skip
def test_an_admission_is_believed_as_far_as_it_can_be_one(fields: dict[str, Any]) -> None:
    with pytest.raises(BrokenFrame):
        read_admitted(Errand(1, fields), Deliver("/home/alice/Maildir", account=ALICE))


# -- duplicates ----------------------------------------------------------------------------------

DIGEST = "a" * 32


def find_mark(world: World) -> Any:
    world.hands.find_mark(world.folder, DIGEST, 1_790_000_060, 900, world.told.append)
    world.until(lambda: world.told)
    return world.told.pop()


def test_a_mail_is_marked_and_found_by_the_other_end(world: World) -> None:
    assert find_mark(world) is None
    os.mkdir(world.folder)
    mark = Mark(DIGEST, 1_790_000_000, "7")
    world.hands.add_mark(world.folder, mark, 900, world.told.append)
    assert world.result() is None
    assert find_mark(world) == mark


def test_marks_that_cannot_be_read_or_written_are_told_as_that(world: World) -> None:
    Path(world.folder, "dupmd5").mkdir(parents=True)
    assert isinstance(find_mark(world), MailboxUnwritable)
    world.hands.add_mark(world.folder, Mark(DIGEST, 1), 900, world.told.append)
    assert isinstance(world.result(), MailboxUnwritable)


@pytest.mark.parametrize("fields", [{"id": "x"}, {"id": "7" * 21}, {"id": 7}, {"at": "x"}])
def test_a_mark_is_believed_as_far_as_it_can_be_one(fields: dict[str, Any]) -> None:
    with pytest.raises(BrokenFrame):
        read_mark(Errand(1, fields))


# -- homes ---------------------------------------------------------------------------------------


def test_a_home_is_looked_at(world: World) -> None:
    world.home.chmod(0o700)
    file = world.home / ".qmail-b:c-default"
    file.write_bytes(b"./Maildir/ \xff\n")
    file.chmod(0o600)
    (world.home / ".qmail-b:c-owner").touch()
    names = (Name(".qmail-b:c-d"), Name(".qmail-b:c-default", "d"))
    home = world.apart(lambda: world.spawned.look(str(world.home), names, ".qmail-b:c-owner"))
    assert (home.mode, home.file_mode, home.name) == (0o700, 0o600, names[1])
    assert home.text == "./Maildir/ \udcff\n"
    assert (home.owned, home.verp, home.local_only, home.watched) == (True, False, False, True)
    (world.home / ".localdomains").touch()
    assert world.apart(lambda: world.spawned.look(str(world.home), names, "")).local_only


def test_an_edit_in_a_home_that_was_looked_at_is_seen_at_once(world: World) -> None:
    world.apart(lambda: world.spawned.look(str(world.home), (), ""))
    world.watched.changed()
    assert world.watched.changed() == frozenset()
    (world.home / ".qmail").touch()
    assert world.watched.changed() == {ME.uid}
    assert world.watched.changed() == frozenset()


def test_without_the_process_nothing_is_sure_any_longer(world: World) -> None:
    world.apart(lambda: world.spawned.look(str(world.home), (), ""))
    world.watched.changed()
    world.stop()
    world.until(lambda: not world.spawned._greeted)
    assert world.watched.changed() == {ME.uid}


def test_a_missing_home_is_told_as_that(world: World) -> None:
    found = world.apart(lambda: world.spawned.look("/nowhere", (), ""))
    assert type(found) is HomeMissing
    assert str(found) == "Unable to switch to /nowhere: No such file or directory. (#4.3.0)"


# -- programs ------------------------------------------------------------------------------------


def program(world: World, command: str, content: Content | None = None) -> Program:
    return Program(command, str(world.home), {"SENDER": "eve"}, (), content or world.content())


def test_a_program_is_run_and_its_end_told(world: World) -> None:
    command = 'cat; echo "$SENDER $INDIMAIL_ROOT"; exit 100'
    world.hands.run(program(world, command), world.told.append)
    assert world.result() == Ended(100, f"{BODY.decode()}eve /root/of/it\n")


def test_a_program_reads_a_large_mail(world: World) -> None:
    world.spool.begin(ONE, (b"ahead\n", b"x" * 300_000))
    content = world.content(b"new lines\n", None, 6)
    world.hands.run(program(world, "cat | wc -c", content), world.told.append)
    assert world.result() == Ended(0, "300010\n")
    content = world.content(b"", None, 0)
    world.hands.run(program(world, "head -c 7", content), world.told.append)
    assert world.result() == Ended(0, "ahead\nx")


def test_while_one_hangs_others_go_on(world: World) -> None:
    world.hands.run(program(world, "sleep 1000"), world.told.append)
    world.hands.run(program(world, "exit 3"), world.told.append)
    assert world.result() == Ended(3)
    world.store()
    world.synced()
    assert world.result() is None


def test_a_worker_that_goes_takes_its_programs_along(world: World) -> None:
    world.hands.run(program(world, "sleep 1000"), world.told.append)
    world.until(lambda: world.programs._running)
    world.spawned.close()
    assert isinstance(world.result(), Temporary)
    world.until(lambda: not world.programs._running)
    assert world.deserted == 1


# -- the life of a process -----------------------------------------------------------------------


def test_it_is_asked_for_once_and_what_came_meanwhile_waits(world: World) -> None:
    for number in range(3):
        world.store(name=f"1790000000.Q{number}R0.0.mx,S=15")
    assert world.asked == [0]
    world.until(lambda: world.syncs.waiting == 3)
    assert world.asked == [0]


def test_a_refusal_fails_what_waits_and_the_next_one_asks_again(world: World) -> None:
    world.refusal = "nothing is delivered as root"
    world.store()
    found = world.result()
    assert isinstance(found, Temporary)
    assert "nothing is delivered as root" in str(found)
    world.refusal = ""
    world.store()
    world.synced()
    assert world.result() is None


def test_a_process_that_ends_fails_what_is_in_flight_and_another_takes_its_place(
    world: World,
) -> None:
    world.store()
    world.until(lambda: world.syncs.waiting)
    world.stop()
    assert isinstance(world.result(), Temporary)
    world.syncs.step()
    world.start()
    world.store()
    world.synced()
    assert world.result() is None
    assert world.asked == [0, 0]


def test_one_that_ends_before_it_greets_loses_nothing(world: World) -> None:
    world.stop()
    turns = iter([socket.socket.close, None])

    def greet(sock: socket.socket) -> None:
        (next(turns) or world.lspawn.accept)(sock)

    world.start(greet)
    world.store()
    world.synced()
    assert world.result() is None
    assert world.asked == [0, 0]


def test_one_that_never_greets_is_not_asked_for_for_ever(world: World) -> None:
    world.stop()
    world.start(socket.socket.close)
    world.store()
    assert isinstance(world.result(), Temporary)
    assert len(world.asked) == 3


def test_another_user_at_the_other_end_gets_nothing(world: World) -> None:
    world.spawned.who = Who(ME.uid + 1, ME.gid)
    world.spawned._asked = 1.0
    world.spawned._open[1] = world.told.append
    world.spawned.told(world.path, "")
    assert f"is of uid {ME.uid}" in str(world.result())


def test_another_user_who_asks_gets_nothing(world: World) -> None:
    world.lspawn._asking = ME.uid + 1
    world.store()
    assert isinstance(world.result(), Temporary)


def test_one_with_nothing_to_do_is_left(world: World) -> None:
    world.store()
    world.synced()
    world.result()
    world.spawned.tick()
    world.idle = -1.0
    world.spawned.tick()
    world.until(lambda: world.deserted)
    world.store()
    world.synced()
    assert world.result() is None


def test_one_that_hangs_is_given_up_and_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.store()
    world.until(lambda: world.syncs.waiting)
    world.spawned.tick()
    assert not world.told
    monkeypatch.setattr(module, "DEAD", -1.0)
    world.spawned.tick()
    assert isinstance(world.result(), Temporary)
    assert world.asked == [0, os.getpid()]  # whose end the supervisor is asked for
    world.store()
    assert "does not answer" in str(world.result())  # at once
    monkeypatch.setattr(world.spawned, "_resting", 0.0)
    world.syncs.step()
    world.store()
    world.synced()
    assert world.result() is None


def test_one_that_is_only_slow_is_asked_whether_it_lives(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.store()
    world.until(lambda: world.syncs.waiting)
    monkeypatch.setattr(module, "SILENCE", -1.0)
    heard = world.spawned._heard
    world.spawned.tick()
    world.until(lambda: world.spawned._heard > heard)
    assert not world.told


def test_a_thread_does_not_wait_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER", 0.05)
    world.stop()
    world.start(lambda _: None)
    found = world.apart(lambda: world.spawned.look(str(world.home), (), ""))
    assert isinstance(found, Temporary)


@pytest.mark.parametrize("fields", [{"failure": 5}, {"code": "x"}, {"limit": []}])
def test_an_answer_that_is_none_fails_what_was_asked(world: World, fields: dict[str, Any]) -> None:
    world.stop()

    def lie(sock: socket.socket) -> None:
        sock.send(pack(GREETING, {}) + pack(1, fields))

    world.start(lie)
    program = Program("true", str(world.home), {}, (), world.content())
    world.hands.run(program, world.told.append)
    assert "answers wrongly" in str(world.result())


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_whatever_it_says_raises_nothing(frames: list[bytes]) -> None:
    loop = asyncio.SelectorEventLoop()
    ours, theirs = socket.socketpair()
    told: list[object] = []
    spawned = Spawned(ME, loop, lambda *_: None, lambda: 60.0, WatchedHomes())
    spawned._link = module.Link(loop, ours, module.LONGEST, spawned._on_frame, spawned._lost)
    spawned._greeted = True
    hands = SpawnedHands(spawned, Limits)
    hands.publish("/x", NAME, told.append)
    for frame in frames:
        theirs.send(len(frame).to_bytes(4, "big") + frame)
    theirs.send(pack(GREETING, {}))
    theirs.close()
    for _ in range(20):
        loop.run_until_complete(asyncio.sleep(0))
    assert len(told) == 1
    loop.close()
