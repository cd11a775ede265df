"""No end of data but CRLF.CRLF: what other servers or clients read otherwise splits no mail here."""

import pytest

from indimail.testing.smtp import SmtpConversation

ENVELOPE = b"MAIL FROM:<>\r\nRCPT TO:<a@example.com>\r\nDATA\r\n"
SMUGGLED = b"MAIL FROM:<admin@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nevil\r\n.\r\n"
FALSE_ENDS = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\r\n.\r\r\n",
    b"\n.\r",
    b"\r.\n",
    b"\r\n\0.\r\n",
    b"\r\n.\0\r\n",
    b"\r\n. \r\n",
    b"\n\r.\r\n",
    b"\r\r\n\n.\r\n",
]


@pytest.mark.parametrize("size", [1, 3, 10_000], ids="{}-octet-reads".format)
@pytest.mark.parametrize("setup", [[], ["rules allow_barelf"]], ids=["strict", "allow-barelf"])
@pytest.mark.parametrize("false_end", FALSE_ENDS, ids=repr)
def test_a_false_end_never_makes_two_mails(false_end, setup, size):
    conversation = SmtpConversation(setup)
    went = conversation.start()
    wire = ENVELOPE + b"good" + false_end + SMUGGLED
    for at in range(0, len(wire), size):
        went += conversation.send(wire[at : at + size])
    accepted = [line for line in went if line.startswith("M:")]
    strict_and_bare = not setup and b"\n" in false_end.replace(b"\r\n", b"")
    if strict_and_bare:
        assert accepted == []
        assert went[-2:] == ["S: 451 4.6.0 Sorry, I received Bare LF. (#4.6.0)", "X:"]
    else:
        assert len(accepted) == 1
        assert "MAIL FROM:<admin@example.com>" in accepted[0]
