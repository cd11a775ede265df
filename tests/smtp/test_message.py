import pytest

from indimail.smtp import SessionRules
from indimail.smtp.message import IncomingMessage
from indimail.smtp.replies import LOOPING, TOO_BIG
from indimail.wire.dots import CountedText


@pytest.mark.parametrize(
    ("wire", "stored", "size", "refusal"),
    [
        (b"12345678\r\n", b"12345678\n", 9, None),
        (b"123456789\r\n", b"", 10, TOO_BIG),
        (b"123456789\r", b"", 10, TOO_BIG),
        (b"12345678\r", b"12345678\r", 9, None),
        (b"Received\r\n", b"Received\n", 9, LOOPING),
        (b"Received: x\r\n", b"", 12, LOOPING),
    ],
)
@pytest.mark.parametrize("size_of_reads", [1, 4, 100])
def test_a_message_is_judged_as_it_is_stored(wire, stored, size, refusal, size_of_reads):
    rules = SessionRules(greeting=("mx",), databytes=9, max_hops=1)
    message = IncomingMessage(rules, CountedText())
    got = b""
    for at in range(0, len(wire), size_of_reads):
        got += message.feed(wire[at : at + size_of_reads])
    got += message.end()
    assert (message.size, message.refusal()) == (size, refusal)
    if refusal is None:
        assert got == stored


def test_a_too_big_message_is_handed_over_no_further():
    message = IncomingMessage(SessionRules(greeting=("mx",), databytes=2), CountedText())
    assert [message.feed(b"ab"), message.feed(b"c"), message.feed(b"d")] == [b"ab", b"", b""]
