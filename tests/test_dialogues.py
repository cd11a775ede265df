"""Every file under dialogues/ is a conversation that has to go as written, however it is read."""

from pathlib import Path

import pytest

from indimail.testing.converse import converse
from indimail.testing.smtp import SmtpConversation
from indimail.testing.smtpclient import SmtpClientConversation

ROOT = Path(__file__).parent / "dialogues"
PROTOCOLS = {"smtp": (SmtpConversation, "C"), "smtpclient": (SmtpClientConversation, "S")}
FILES = [(protocol, path) for protocol in PROTOCOLS for path in sorted((ROOT / protocol).iterdir())]


@pytest.mark.parametrize("read_size", [1, 7, 1 << 20], ids="{}-octet-reads".format)
@pytest.mark.parametrize(("protocol", "path"), FILES, ids=[f"{p}-{f.stem}" for p, f in FILES])
def test_it_goes_as_written(protocol: str, path: Path, read_size: int):
    script = path.read_text()
    conversation, plays = PROTOCOLS[protocol]
    assert converse(conversation, script, read_size, plays) == script


def test_a_conversation_that_goes_otherwise_is_shown():
    script = "S: 220 mx.example.com\nC: NOOP\nS: 250 2.0.0 fine\n"
    went = "S: 220 mx.example.com\nC: NOOP\nS: 250 2.0.0 ok\n"
    assert converse(SmtpConversation, script) == went
