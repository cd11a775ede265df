"""The owner's side of the local sockets."""

import struct
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from indimail.mail.errors import MailError, QueueFull, QueueUnwritable
from indimail.mail.ids import QueueId, QueueIds
from indimail.mail.verdict import Rule
from indimail.queue.submission import LONGEST_ENVELOPE, LONGEST_PIECE, Receipt, Submission
from indimail.serve.inject import SILENCE, InjectConnection, Injection
from indimail.serve.intake import Intake
from indimail.serve.snapshot import InjectSettings
from indimail.testing.clock import FakeClock
from indimail.wire.frames import END, FrameReader, write_frame
from serve.intake_kit import Aside, Config, Queue, Trace, at_once

SERVER, EVE = 5555, 1000
MAIL = Submission("eve@mx.org", ("alice@example.com", "bob@remote.net"))
BODY = b"Message-ID: <1@x>\n\nhello\n"


class Peer:
    """A program at the other end: what it sends goes to the connection at once."""

    def __init__(self, injection: Injection, uid: int) -> None:
        self.uid = uid
        self.closed = self.aborted = self.paused = False
        self.heard = FrameReader(1 << 20)
        self.connection = InjectConnection(injection)
        self.connection.connection_made(self)  # type: ignore[arg-type]

    def get_extra_info(self, name: str) -> "Peer":
        return self

    def getsockopt(self, *_: int) -> bytes:
        return struct.pack("3i", 77, self.uid, 0)

    def write(self, data: bytes) -> None:
        self.heard.feed(data)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def send(self, *parts: bytes) -> Receipt | None:
        self.connection.data_received(b"".join(parts))
        return self.answer

    @property
    def answer(self) -> Receipt | None:
        frame = self.heard.next()
        return None if frame is None else Receipt.from_bytes(frame)


class Owner:
    """A worker that owns a queue."""

    def __init__(self, folder: Path, inject: InjectSettings | None = None) -> None:
        self.queue = Queue(folder)
        self.trace = Trace()
        self.clock = FakeClock(1_795_477_000.0)
        self.config = Config(inject)
        self.chosen: list[tuple[str, bool]] = []
        self.failure: MailError | None = None
        self.injection = Injection(
            self.config,
            QueueIds(1),
            self.clock,
            self.trace,
            at_once,
            self.choose,
            SERVER,  # type: ignore[arg-type]
        )

    def choose(self, queue: str, own: bool) -> Intake | MailError:
        self.chosen.append((queue, own))
        return self.failure or self.queue

    def peer(self, uid: int = EVE) -> Peer:
        return Peer(self.injection, uid)


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    return Owner(tmp_path)


def envelope(submission: Submission = MAIL) -> bytes:
    return write_frame(submission.to_bytes())


def refusal(owner: Owner, *parts: bytes) -> tuple[int, str]:
    receipt = owner.peer().send(*parts)
    assert receipt is not None
    assert owner.queue.messages == []
    return receipt.code, receipt.text


def test_a_local_program_s_mail_is_queued_routed_and_told(owner: Owner) -> None:
    receipt = owner.peer().send(envelope(), write_frame(BODY), END)
    assert receipt is not None
    assert receipt.code == 0
    (message,) = owner.queue.messages
    assert (message.id, message.reverse_path, message.uid) == (receipt.id, "eve@mx.org", EVE)
    received, _, rest = (message.body or b"").partition(b"\nMessage-ID")
    assert received.startswith(b"Received: indimail-mta queue %d by host mx.org\n" % message.id)
    assert b"\n (invoked by uid 1000); " in received
    assert b"Message-ID" + rest == BODY
    assert message.size == len(message.body or b"")
    assert owner.queue.recipients == [
        ("alice@example.com", "local", "example.com-alice@example.com", "control/virtualdomains:1"),
        ("bob@remote.net", "remote", "remote.net", "control/virtualdomains"),
    ]
    records = owner.trace.records
    assert owner.trace.told() == [
        ("connect", "accept"), ("message", "accept"), ("route", "local"), ("route", "remote"),
    ]  # fmt: skip
    assert {r.id for r in records} == {receipt.id}
    assert all(r.facts["uid"] == EVE and r.facts["pid"] == 77 for r in records)
    assert records[1].facts["message_id"] == "<1@x>"
    assert records[2].rule == Rule("control/virtualdomains", 1)


def test_zero_is_said_only_after_the_commit(owner: Owner) -> None:
    owner.queue.hold = True
    peer = owner.peer()
    assert peer.send(envelope(), write_frame(BODY), END) is None
    owner.queue.commit()
    answer = peer.answer
    assert answer is not None
    assert answer.code == 0
    assert peer.closed


def test_octets_that_come_one_by_one_are_the_same_mail(owner: Owner) -> None:
    peer = owner.peer()
    for octet in envelope() + write_frame(BODY) + END:
        peer.connection.data_received(bytes([octet]))
    assert peer.closed
    assert len(owner.queue.messages) == 1


def test_a_large_body_goes_to_the_spool(owner: Owner) -> None:
    piece = b"x" * 65_535 + b"\n"
    peer = owner.peer()
    receipt = peer.send(envelope(), write_frame(BODY), write_frame(piece), write_frame(piece), END)
    assert receipt is not None
    assert receipt.code == 0
    (message,) = owner.queue.messages
    assert message.body is None
    assert message.size == (owner.queue.mess / str(message.id)).stat().st_size
    assert b"".join(owner.queue.spool.read(message.id, 0)).endswith(BODY + piece + piece)
    assert owner.trace.records[1].facts["message_id"] == "<1@x>"


def test_a_program_that_is_ahead_of_the_disk_waits(owner: Owner) -> None:
    aside = owner.injection.aside = Aside()
    peer = owner.peer()
    peer.send(envelope(), write_frame(b"x" * 140_000))
    peer.send(write_frame(b"y" * 300_000))
    assert peer.paused
    aside.run()
    assert not peer.paused
    peer.send(END)
    aside.run()
    assert owner.queue.messages[0].size > 370_000


@pytest.mark.parametrize(
    ("submission", "code", "text"),
    [
        (replace(MAIL, recipients=("a" * 991 + "@example.com",)), 11, "address too long"),
        (replace(MAIL, reverse_path="é" * 502), 11, "address too long"),
        (replace(MAIL, recipients=()), 91, "without a recipient"),
        (replace(MAIL, recipients=("",)), 91, "without a recipient"),
        (replace(MAIL, recipients=("a@b",) * 4), 88, "Dsorry, too many recipients (#5.7.1)"),
    ],
)
def test_an_envelope_is_refused(
    tmp_path: Path, submission: Submission, code: int, text: str
) -> None:
    owner = Owner(tmp_path, InjectSettings(max_recipients=3))
    found, why = refusal(owner, envelope(submission))
    assert found == code
    assert text in why
    assert owner.trace.told() == [
        ("connect", "accept"), ("message", "later" if code == 91 else "refuse"),
    ]  # fmt: skip


def test_an_address_of_1002_octets_passes(owner: Owner) -> None:
    long = replace(MAIL, recipients=("a" * 990 + "@example.com",))
    receipt = owner.peer().send(envelope(long), END)
    assert receipt is not None
    assert receipt.code == 0


@pytest.mark.parametrize(
    "frame",
    [b"{", b"[]", b"\xff", b'"x"', b"{}", b'{"reverse_path":"","recipients":"a"}',
     b'{"reverse_path":"a\\nb","recipients":["c"]}', b'{"reverse_path":"\\ud800","recipients":["c"]}',
     b'{"reverse_path":"","recipients":["c"],"id":-1}', b'{"reverse_path":"","recipients":["c"],"x":1}',
     b'{"reverse_path":"","recipients":["c"],"id":99999999999999999999}', b"[" * 100_000],
)  # fmt: skip
def test_what_is_no_envelope_is_code_91(owner: Owner, frame: bytes) -> None:
    code, text = refusal(owner, write_frame(frame))
    assert code == 91
    assert text.startswith("envelope")


def test_frames_are_limited(owner: Owner) -> None:
    assert refusal(owner, struct.pack("!I", LONGEST_ENVELOPE + 1))[0] == 91
    assert refusal(owner, envelope(), struct.pack("!I", LONGEST_PIECE + 1))[0] == 91


@pytest.mark.parametrize(("size", "code"), [(100, 0), (101, 88)])
def test_databytes_counts_the_body_without_our_line(tmp_path: Path, size: int, code: int) -> None:
    rule = Rule("control/databytes", 1)
    owner = Owner(tmp_path, InjectSettings(databytes=100, databytes_rule=rule))
    receipt = owner.peer().send(envelope(), write_frame(b"x" * size), END)
    assert receipt is not None
    assert receipt.code == code
    if code:
        assert receipt.is_permanent
        assert receipt.reason.endswith("(#5.3.4)")
        assert owner.trace.records[-1].rule == rule


@pytest.mark.parametrize(
    ("failure", "code"),
    [(QueueFull("x"), 53), (QueueUnwritable("secret path"), 53)],
)
def test_a_queue_that_is_not_there_is_temporary(
    owner: Owner, failure: MailError, code: int
) -> None:
    owner.failure = failure
    assert refusal(owner, envelope()) == (code, failure.reply_text)
    owner.failure, owner.queue.failure = None, failure
    assert refusal(owner, envelope(), write_frame(BODY), END) == (code, failure.reply_text)


def test_a_large_body_that_cannot_be_sealed_is_not_taken(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    def seal(_: QueueId) -> None:
        raise QueueUnwritable("EIO")

    monkeypatch.setattr(owner.queue.spool, "seal", seal)
    large = write_frame(b"x" * 200_000)
    assert refusal(owner, envelope(), large, END) == (53, QueueUnwritable.reply_text)
    assert list(owner.queue.mess.iterdir()) == []


def test_what_a_stranger_claims_is_not_believed(owner: Owner) -> None:
    claims = replace(
        MAIL, id=7, uid=0, channels=("local", "local"), targets=("a", "b"), rules=("", "")
    )
    receipt = owner.peer(EVE).send(envelope(claims), write_frame(BODY), END)
    assert receipt is not None
    assert receipt.id not in {0, 7}
    (message,) = owner.queue.messages
    assert message.uid == EVE
    assert (message.body or b"").startswith(b"Received: indimail-mta queue")
    assert owner.queue.recipients[1][1] == "remote"
    assert owner.chosen == [("", False)]


@pytest.mark.parametrize("uid", [0, SERVER])
def test_a_worker_hands_over_its_id_its_line_and_its_routes(owner: Owner, uid: int) -> None:
    handed = replace(
        MAIL, id=7, uid=12, queue="/q/queue1", channels=("local", "local"),
        targets=("a", "b"), rules=("control/locals:1", ""), notify=("NEVER", ""),
    )  # fmt: skip
    receipt = owner.peer(uid).send(envelope(handed), write_frame(BODY), END)
    assert receipt == Receipt(0, 7)
    (message,) = owner.queue.messages
    assert (message.id, message.uid, message.body) == (7, 12, BODY)
    assert [r[2:] for r in owner.queue.recipients] == [("a", "control/locals:1"), ("b", "")]
    assert owner.chosen == [("/q/queue1", True)]
    assert owner.trace.records == []  # the other worker told it


def test_a_worker_is_told_71_before_anything_is_taken(owner: Owner) -> None:
    owner.failure = QueueFull("x")
    receipt = owner.peer(SERVER).send(envelope(replace(MAIL, id=7)))
    assert receipt == Receipt(71, 0, QueueFull.reply_text)


@pytest.mark.parametrize("size", [10, 200_000])
def test_a_program_that_goes_away_leaves_nothing(owner: Owner, size: int) -> None:
    gone: list[Callable[[Peer], object]] = [
        lambda peer: peer.connection.eof_received(),
        lambda peer: peer.connection.connection_lost(None),
    ]
    for leave in gone:
        peer = owner.peer()
        peer.send(envelope(), write_frame(b"x" * size))
        leave(peer)
    assert owner.queue.messages == []
    assert list(owner.queue.mess.iterdir()) == []
    assert owner.trace.told()[-1] == ("disconnect", "end")


def test_a_half_closed_program_still_gets_its_answer(owner: Owner) -> None:
    owner.queue.hold = True
    peer = owner.peer()
    peer.send(envelope(), END)
    assert peer.connection.eof_received()
    owner.queue.commit()
    answer = peer.answer
    assert answer is not None
    assert answer.code == 0


def test_silence_ends_a_conversation(owner: Owner) -> None:
    peer = owner.peer()
    peer.send(envelope())
    peer.connection.tick(owner.clock.steady() + SILENCE)
    assert peer.answer is None
    peer.connection.tick(owner.clock.steady() + SILENCE + 1)
    answer = peer.answer
    assert answer is not None
    assert answer.code == 52


def test_one_uid_has_a_hundred_conversations_and_the_server_more(owner: Owner) -> None:
    peers = [owner.peer() for _ in range(100)]
    assert all(peer.answer is None for peer in peers)
    answer = owner.peer().answer
    assert answer is not None
    assert answer.code == 71
    assert owner.peer(SERVER).answer is None
    assert owner.peer(EVE + 1).answer is None


def test_who_has_not_begun_is_sent_away_when_the_server_stops(owner: Owner) -> None:
    idle, busy = owner.peer(), owner.peer()
    busy.send(envelope())
    for peer in (idle, busy):
        peer.connection.drain()
    answer = idle.answer
    assert answer is not None
    assert answer.code == 71
    assert busy.answer is None
    receipt = busy.send(END)
    assert receipt is not None
    assert receipt.code == 0


def test_the_newest_configuration_decides(owner: Owner) -> None:
    owner.config.fresh = False
    peer = owner.peer()
    assert peer.send(envelope(), write_frame(b"x" * 20), END) is None
    owner.config.current.queue.inject = InjectSettings(databytes=10)
    owner.config.waiting.pop()()
    answer = peer.answer
    assert answer is not None
    assert answer.code == 88


def test_eight_bit_and_utf8_are_seen_where_a_program_does_not_say_so(owner: Owner) -> None:
    utf8 = Submission("", ("ü@example.com",))
    owner.peer().send(envelope(utf8), write_frame("\n\nü".encode()), END)
    owner.peer().send(envelope(), write_frame(b"\n\nu"), END)
    assert [(m.eight_bit, m.smtputf8) for m in owner.queue.messages] == [
        (True, True),
        (False, False),
    ]


def test_every_field_of_an_envelope_survives_its_way() -> None:
    full = Submission(
        "a@b", ("c@d",), True, True, "who", "HDRS", "e+2B", ("NEVER",), ("rfc822;x",), 7, "queue2",
        5, ("local",), ("t",), ("r:1",), True,
    )  # fmt: skip
    assert all(asdict(full).values())
    assert Submission.from_bytes(full.to_bytes()) == full
