"""The SMTP client fed by a server that says anything, at any cut.

Invariant: it never raises; each mail that was begun ends once, with one outcome for each recipient;
none is delivered unless the message's end was said before; what is unknown is deferred; the end is
said once and nothing comes after it; no line of ours holds what a server or an address brought in.
"""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.mail.outcome import Deferred, Delivered
from indimail.mail.secret import Secret
from indimail.smtp.client import SmtpClient
from indimail.smtp.client_event import Closed, Derive, Downgrade, Ready, SendBody, Settled, StartTls
from indimail.smtp.hop import Credentials, Hop, Tls
from indimail.testing.smtpclient import parse_mail

pytestmark = pytest.mark.fuzz

ANA = Credentials("ana", Secret("wonder"), in_clear=True)
HOPS = [
    Hop("192.0.2.1", "c"),
    Hop("192.0.2.1", "c", Tls.REQUIRED, credentials=ANA),
    Hop("192.0.2.1", "c", Tls.NEVER, credentials=ANA, chunking=False),
    Hop("192.0.2.1", "c", Tls.VERIFIED, smtps=True, next_after_hello=True),
]
MAILS = [
    parse_mail("ana@example.net bo@example.com"),
    parse_mail("<> bo@example.com c\u00e4@example.com,NOTIFY=NEVER >\r\nQUIT@x size=9 envid=1"),
    parse_mail("ana@example.net bo@example.com cy@example.com utf8 8bit size=100 auth=a"),
]
REPLIES = [
    *[b"220 mx\r\n", b"250 ok\r\n", b"354 go\r\n", b"550 no\r\n", b"451 later\r\n", b"421 bye\r\n"],
    *[b"235 ok\r\n", b"334 \r\n", b"334 Ym8=\r\n", b"504 no\r\n", b"oops\r\n"],
    *[b"250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"],
    *[b"250-mx\r\n250-PIPELINING\r\n250 DSN\r\n", b"250-mx\r\n250-AUTH PLAIN LOGIN\r\n250 SIZE 50\r\n"],
    *[b"250-mx\r\n250 STARTTLS\r\n", b"250-mx\r\n250 AUTH SCRAM-SHA-1 CRAM-MD5\r\n"],
    b"334 cj1meWtvK2QybGJiRmdPTlJ2OXFreGRhd0x4LHM9UVNYQ1IrUTZzZWs4YmY5MixpPTQwOTY=\r\n",
]  # fmt: skip
HAPPENS = st.sampled_from(["timeout", "eof", "give-up", "quit", "tls", "verified", "failed"])
COMMAND = re.compile(
    rb"(?:EHLO c|HELO c|STARTTLS|AUTH [ -~]+|[A-Za-z0-9+/=]*|\*|RSET|QUIT|DATA|BDAT \d+(?: LAST)?"
    rb"|MAIL FROM:<[!-~]*>[ -~]*|RCPT TO:<[^\x00-\x20\x7f>]+>[ -~]*)"
)
TRANSACTION = [b"250 ok\r\n250 ok\r\n354 go\r\n", b"250 ok\r\n250 ok\r\n", b"250 ok\r\n"]
BEGIN = [[], *([b"220 mx\r\n", hello] for hello in [*REPLIES[11:16], b"250 mx\r\n"])]
SERVER = st.builds(
    lambda begin, transaction, rest: begin + transaction + rest,
    st.sampled_from(BEGIN),
    st.lists(st.sampled_from(TRANSACTION), max_size=4),
    st.lists(st.sampled_from(REPLIES + TRANSACTION) | st.binary(max_size=6) | HAPPENS, max_size=20),
)


class Driver:
    """Obeys the client, and checks what it says."""

    def __init__(self, hop, pieces):
        self.client = SmtpClient(hop, "fyko+d2lbbFgONRv9qkxdawL")
        self.pieces = pieces
        self.waiting = []  # pieces of the mail under way
        self.begun = self.settled = self.closed = 0
        self.said_end = self.asks_tls = False

    def drive(self):
        while (event := self.client.next_event()) is not None:
            assert not self.closed
            self.check(event)
            match event:
                case Ready() if self.begun < 4:
                    self.mail = MAILS[self.begun % len(MAILS)]
                    self.begun += 1
                    self.said_end = False
                    self.waiting = [b"a line\n"] * self.pieces
                    self.client.begin(self.mail)
                case Derive(work):
                    self.client.derived(work())
                case Downgrade():
                    if self.begun == 3:
                        self.client.downgraded(11)
                    else:
                        self.client.not_downgraded("it is as it is")
                case SendBody():
                    piece = self.waiting.pop()
                    self.client.send_body(piece, last=not self.waiting)
                    out = self.client.data_to_send()
                    assert b"\r\n" not in out or out.endswith(b"\r\n")
                    self.said_end = not self.waiting and bool(out)
            if not isinstance(event, SendBody):
                self.take_commands()

    def check(self, event):
        self.asks_tls = isinstance(event, StartTls)
        match event:
            case Settled(outcomes, unknown, _):
                self.settled += 1
                assert self.settled == self.begun
                assert len(outcomes) == len(self.mail.forward_paths)
                assert self.said_end or not any(isinstance(o, Delivered) for o in outcomes)
                assert unknown <= sum(isinstance(o, Deferred) for o in outcomes)
                assert unknown == 0 or self.said_end
            case Closed():
                self.closed += 1

    def take_commands(self):
        out = self.client.data_to_send()
        assert out == b"" or out.endswith(b"\r\n")
        for line in out.split(b"\r\n")[:-1]:
            assert COMMAND.fullmatch(line) or line == b".", line

    def happen(self, word):
        client = self.client
        match word:
            case "timeout":
                client.timed_out()
            case "eof":
                client.receive_eof()
            case "give-up":
                client.give_up("enough. (#4.3.0)")
            case "quit" if self.begun == self.settled and client.timeout == 0:
                client.quit()
            case "tls" | "verified" if self.asks_tls:
                self.asks_tls = False
                client.tls_started(verified=word == "verified")
            case "failed" if self.asks_tls:
                self.asks_tls = False
                client.tls_failed("no\r\nQUIT")


@given(st.sampled_from(HOPS), SERVER, st.integers(1, 3), st.integers(1, 9))
def test_each_mail_ends_once_whatever_a_server_says(hop, server, pieces, size):
    driver = Driver(hop, pieces)
    driver.drive()
    for said in server:
        if isinstance(said, str):
            driver.happen(said)
            driver.drive()
        else:
            for at in range(0, len(said), size):
                driver.client.receive(said[at : at + size])
                driver.drive()
    driver.client.receive_eof()
    driver.drive()
    assert driver.settled == driver.begun
    assert driver.closed == 1
    assert driver.client.closed
