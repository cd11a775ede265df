"""MAIL FROM: TLS first, where it is forced."""

import pytest

from indimail.mail.verdict import Accept, Refuse, Rule
from indimail.policy.sender import SenderFacts, SenderRules, decide_sender

FORCED = Rule("indimail.toml", key="listener.submission.variables.FORCE_TLS")


@pytest.mark.parametrize(
    ("tls", "force_tls", "reply"),
    [
        ("", None, None),
        ("TLSv1.3", None, None),
        ("TLSv1.3", FORCED, None),
        ("", FORCED, "530 5.7.0 must issue STARTTLS first (#5.7.0)"),
    ],
)
def test_forced_tls_refuses_clear_text(tls: str, force_tls: Rule | None, reply: str | None) -> None:
    found = decide_sender(SenderFacts(tls=tls), SenderRules(force_tls))
    if reply is None:
        assert isinstance(found, Accept)
    else:
        assert isinstance(found, Refuse)
        assert (str(found.reply), found.rule) == (reply, FORCED)
