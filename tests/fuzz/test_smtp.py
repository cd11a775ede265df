"""The SMTP session fed by a stranger.

Invariant: it never raises; every command is accepted, or refused with a documented reply; each
message that was begun ends exactly once; the conversation is the same whole, byte by byte, or cut
anywhere.
"""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.testing.smtp import SmtpConversation

pytestmark = pytest.mark.fuzz

SETUPS = [
    [],
    ["rules allow_barelf", "id 7"],
    ["rules databytes=20 max_hops=2 max_recipients=2 smtputf8 starttls"],
    ["rules max_line=40 max_commands=9 max_errors=4"],
    ["answer RCPT a@b: 550 5.1.1 no", "answer chunk: 452 4.3.1 full"],
    ["answer DATA: 450 4.3.0 later", "answer HELO a: 553 5.7.1 no"],
    ["answer Greeting: 554 5.7.1 no", "gate 554 5.7.1 no"],
    ["answer end: 451 4.3.0 no", "answer MAIL x@y: 421 4.7.0 bye"],
    ["rules auth=PLAIN/LOGIN/XOAUTH2/CRAM-MD5/SCRAM-SHA-256 secure_auth=no", "user ana wonder"],
]
WORDS = [
    *[b"EHLO a\r\n", b"HELO c\r\n", b"RSET\r\n", b"NOOP\r\n", b"QUIT\r\n", b"VRFY\r\n", b"HELP\n"],
    *[b"MAIL FROM:<>\r\n", b"MAIL FROM:<x@y> SIZE=21\r\n", b"MAIL FROM:<x@y> BODY=8BITMIME\r\n"],
    *[b"RCPT TO:<a@b>\r\n", b"RCPT TO:<c@d> NOTIFY=NEVER\r\n", b'RCPT TO:<"\\a b"@[::1]>\r\n'],
    *["MAIL FROM:<é@é> SMTPUTF8\r\n".encode(), b"STARTTLS\r\n", b"AUTH PLAIN x\r\n", b"DATA\r\n"],
    *[
        b"AUTH PLAIN AGFuYQB3b25kZXI=\r\n",
        b"AUTH LOGIN\r\n",
        b"YW5h\r\n",
        b"d29uZGVy\r\n",
        b"*\r\n",
    ],
    *[b"AUTH SCRAM-SHA-256 biwsbj1hbmEscj1meWtv\r\n", b"AUTH CRAM-MD5\r\n", b"=\r\n"],
    *[b"AUTH XOAUTH2 dXNlcj1hbmEBYXV0aD1CZWFyZXIgb3RoZXIBAQ==\r\n", b"AUTH\r\n"],
    *[b"BDAT 3\r\n", b"BDAT 3 LAST\r\n", b"BDAT 0 LAST\r\n", b"BDAT x\r\n", b"BDAT 10\r\n"],
    *[b"\r\n.\r\n", b".\r\n", b"\r\n", b"\r", b"\n", b".", b"..", b" ", b"\0", b"\xff", b"abc\r\n"],
    *[b"Received: x\r\n", b"Delivered", b"MAIL FROM:<", b"DATA", b"x" * 50],
]
MAIL = [b"MAIL FROM:<>\r\n", b"RCPT TO:<c@d>\r\n"]
OCTETS = st.lists(st.one_of(st.sampled_from(WORDS), st.binary(max_size=6)), max_size=25)
STREAMS = st.builds(
    lambda begin, octets: b"".join(begin + octets),
    st.sampled_from([[], MAIL, [*MAIL, b"DATA\r\n"], [*MAIL, b"BDAT 4\r\n"]]),
    OCTETS,
)
REPLY = re.compile(r"S: ([2-5])\d\d[ -](?:(?:([245])\.\d+\.\d+ )?[\x20-\x7e]*)")


def play(setup: list[str], stream: bytes, cuts: list[int]) -> list[str]:
    conversation = SmtpConversation(setup)
    went = conversation.start()
    begin = 0
    for end in [*cuts, len(stream)]:
        went += conversation.send(stream[begin:end])
        begin = end
    return went + conversation.happen("eof")


@given(st.sampled_from(SETUPS), STREAMS, st.data())
def test_a_conversation_is_the_same_however_it_is_cut(setup, stream, data):
    whole = play(setup, stream, [])
    assert play(setup, stream, list(range(1, len(stream)))) == whole
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=5)))
    assert play(setup, stream, cuts) == whole

    assert whole[-1] == "X:"
    for line in whole:
        if line.startswith("S:"):
            reply = REPLY.fullmatch(line)
            assert reply, line
            assert reply[2] in (None, reply[1]), line


@given(st.sampled_from(SETUPS), STREAMS)
def test_every_message_that_is_begun_ends_once(setup, stream):
    conversation = SmtpConversation(setup)
    begun = ended = 0

    class Counting(SmtpConversation):
        def _decide(self, event):
            nonlocal begun, ended
            answer = super()._decide(event)
            match type(event).__name__:
                case "MessageOffered":
                    begun += answer is None
                case "MessageEnded" | "MessageRefused" | "MessageAborted":
                    ended += 1
                case "MessageChunk":
                    assert begun == ended + 1
            assert 0 <= begun - ended <= 1
            return answer

    conversation = Counting(setup)
    conversation.start()
    conversation.send(stream)
    conversation.happen("eof")
    assert begun == ended
