"""MAIL FROM: TLS first, where it is forced, then AUTH; CHECKSENDER is in tests/serve/test_smtpauth.py."""

import pytest

from indimail.mail.address import Address
from indimail.mail.verdict import Accept, Refuse, Rule
from indimail.policy.sender import (
    SenderFacts,
    SenderRules,
    SenderState,
    decide_sender,
    judge_sender,
)

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


@pytest.mark.parametrize("user", ["", "ana@example.com"])
@pytest.mark.parametrize("required", [None, FORCED])
def test_a_login_is_required_where_it_is_said(user: str, required: Rule | None) -> None:
    found = decide_sender(SenderFacts(auth_user=user), SenderRules(requireauth=required))
    if user or required is None:
        assert isinstance(found, Accept)
    else:
        assert isinstance(found, Refuse)
        assert str(found.reply) == "530 5.7.1 authentication required (#5.7.1)"


def test_tls_comes_before_auth() -> None:
    found = decide_sender(SenderFacts(), SenderRules(force_tls=FORCED, requireauth=Rule("x")))
    assert isinstance(found, Refuse)
    assert found.rule == FORCED


@pytest.mark.parametrize(
    ("user", "sender", "is_mine"),
    [("ana@example.com", "Ana@example.com", True), ("Ana@example.com", "ana@example.com", True),
     ("ana@example.com", "ana-list@example.com", False), ("ana", "ana@example.com", False)],
)  # fmt: skip
def test_who_is_logged_in_is_compared_without_case(user: str, sender: str, is_mine: bool) -> None:
    address = Address.parse(sender)
    facts = SenderFacts(address, auth_user=user, mailbox=address.mailbox_key)
    rules = SenderRules(checksender=FORCED)
    found = judge_sender(facts, rules, SenderState.THERE, lambda _: True)
    assert isinstance(found, Accept if is_mine else Refuse)
