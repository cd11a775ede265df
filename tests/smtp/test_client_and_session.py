"""Our client and our server, back to back: what one sends is what the other stores."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.mail.outcome import Deferred, Delivered, Failed
from indimail.mail.reply import Reply
from indimail.smtp import (
    HelloOffered,
    MessageChunk,
    MessageEnded,
    MessageOffered,
    RecipientOffered,
    SenderOffered,
    SessionRules,
    SmtpSession,
    TlsOffered,
)
from indimail.smtp.client import SmtpClient
from indimail.smtp.client_event import Downgrade, Ready, SendBody, Settled, StartTls
from indimail.smtp.hop import Hop, Tls
from indimail.testing.smtpclient import parse_mail

MAILS = [
    parse_mail("ana@example.net bo@example.com refused@example.com"),
    parse_mail("<> c\u00e4@example.com,NOTIFY=NEVER,ORCPT=rfc822;cy utf8 8bit envid=QQ"),
    parse_mail("ana@example.net refused@example.com"),
]


class Pair:
    """A client that gives its mails, each in pieces, to a session that keeps them."""

    def __init__(self, hop, bodies, size, **rules):
        self.client = SmtpClient(hop)
        self.session = SmtpSession(
            SessionRules(greeting=("mx.example.com",), smtputf8=True, **rules)
        )
        self.bodies = [list(body) for body in bodies]
        self.size = size
        self.begun = 0
        self.settled = []
        self.stored = [b""]
        self.asked = []

    def play(self):
        """Carry octets to and fro until both have ended."""
        for _ in range(1000):
            self.drive_session()
            down = self.session.data_to_send()
            for at in range(0, len(down), self.size):
                self.client.receive(down[at : at + self.size])
                self.drive_client()
            up = self.client.data_to_send()
            for at in range(0, len(up), self.size):
                self.session.receive(up[at : at + self.size])
                self.drive_session()
            if self.client.closed and not up:
                assert self.session.closed
                return self.settled
        raise AssertionError("it does not end")

    def drive_client(self):
        while (event := self.client.next_event()) is not None:
            match event:
                case Ready() if self.begun < len(self.bodies):
                    self.client.begin(MAILS[self.begun % len(MAILS)])
                    self.begun += 1
                case Ready():
                    self.client.quit()
                case StartTls():
                    assert self.session.awaits_tls
                    self.session.tls_started()
                    self.client.tls_started(verified=True)
                case SendBody():
                    pieces = self.bodies[self.begun - 1]
                    piece = pieces.pop(0) if pieces else b""
                    self.client.send_body(piece, last=not pieces)
                case Downgrade():
                    raise AssertionError("the server takes 8 bits")
                case Settled(outcomes):
                    letters = {Delivered: "K", Deferred: "Z", Failed: "D"}
                    self.settled.append("".join(letters[type(o)] for o in outcomes))

    def drive_session(self):
        while (event := self.session.next_event()) is not None:
            reply = None
            match event:
                case RecipientOffered(path):
                    self.asked.append(path)
                    if path.address.local == "refused":
                        reply = Reply(550, "5.1.1", "no")
                case SenderOffered(path):
                    self.asked.append(path)
                case MessageOffered():
                    self.stored[-1] = b""
                case MessageChunk(data):
                    self.stored[-1] += data
                case MessageEnded():
                    self.stored.append(b"")
                    reply = Reply(250, "2.0.0", "taken")
                case HelloOffered() | TlsOffered():
                    pass
            self.session.answer(reply)


WHOLE = 1 << 20
PIECES = st.lists(
    st.lists(st.sampled_from([b".", b"\n", b"\r", b"a", b"\r\n", b"\n.\n", b"x" * 99])).map(b"".join),
    min_size=1, max_size=4,
)  # fmt: skip


@given(st.lists(PIECES, min_size=1, max_size=3), st.booleans(), st.sampled_from([1, 3, 50, WHOLE]))
def test_what_is_sent_is_what_is_stored(bodies, chunking, size):
    bodies = [[*body, b"end\n"] for body in bodies]
    pair = Pair(Hop("192.0.2.1", "c", chunking=chunking), bodies, size)
    assert pair.play() == ["KD", "K", "D"][: len(bodies)]
    sent = [b"".join(body).replace(b"\r\n", b"\n").replace(b"\r", b" ") for body in bodies]
    assert pair.stored[:-1] == sent[:2]


@pytest.mark.parametrize("size", [1, 7, WHOLE])
def test_envelopes_arrive_as_they_were_and_tls_goes_before_them(size):
    pair = Pair(Hop("192.0.2.1", "c", Tls.REQUIRED), [[b"a\n"], [b"b\n"]], size, starttls=True)
    assert pair.play() == ["KD", "K"]
    assert pair.session.tls
    assert pair.client.tls
    sender, *recipients = pair.asked[3:]
    assert (str(sender.address), sender.body, sender.smtputf8) == ("", "8BITMIME", True)
    assert [str(path.address) for path in recipients] == ["cä@example.com"]


@pytest.mark.parametrize("chunking", [False, True])
def test_a_mail_that_the_server_ends_leaves_the_next_one_whole(chunking):
    bodies = [[b"x" * 300 + b"\n"] * 3, [b"small\n"]]
    pair = Pair(Hop("192.0.2.1", "c", chunking=chunking), bodies, WHOLE, databytes=500)
    assert pair.play() == ["DD", "K"]
    assert pair.stored == [b"small\n", b""]
