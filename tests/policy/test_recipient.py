"""RCPT TO besides relaying: probes, bounces, guessers, and mailboxes that are not there."""

import pytest

from indimail.mail.address import NULL, Address
from indimail.mail.foreseen import Foreseen
from indimail.mail.verdict import Accept, Refuse, Rule, TryLater
from indimail.policy.recipient import (
    RecipientFacts,
    RecipientLimits,
    at_our_host,
    judge_mailbox,
    judge_recipient,
)

EVE, ANA = Address("eve", "example.net"), Address("Ana", "example.com")
PROBE = "550 5.7.1 we don't relay (#5.7.1)"
BOUNCE = "553 5.7.1 sorry, bounce messages should have a single envelope recipient (#5.7.1)"
GUESSER = "421 4.7.1 too many invalid addresses, goodbye (#4.7.1)"
RULE = Rule("domains/example.com/.qmail-default", 1)


@pytest.mark.parametrize(
    ("sender", "recipient", "accepted", "invalid", "limit", "reply"),
    [
        (EVE, "ana@example.com", 0, 0, 0, None),
        (EVE, "ana@example.com", 99, 99, 0, None),
        (EVE, "a.b+c-d=e@example.com", 0, 0, 0, None),
        (EVE, "bob%elsewhere.example@example.com", 0, 0, 0, PROBE),
        (EVE, "bob@elsewhere.example@example.com", 0, 0, 0, PROBE),
        (EVE, "elsewhere.example!bob@example.com", 0, 0, 0, PROBE),
        (EVE, "elsewhere.example!bob", 0, 0, 0, PROBE),
        (NULL, "ana@example.com", 0, 0, 0, None),
        (NULL, "ana@example.com", 1, 0, 0, BOUNCE),
        (EVE, "ana@example.com", 0, 4, 5, None),
        (EVE, "ana@example.com", 0, 5, 5, GUESSER),
        (EVE, "bob%x@example.com", 0, 6, 5, GUESSER),
    ],
)
def test_what_speaks_against_a_recipient_whoever_asks(
    sender: Address, recipient: str, accepted: int, invalid: int, limit: int, reply: str | None
) -> None:
    facts = RecipientFacts(sender, Address.parse(recipient), accepted, invalid)
    found = judge_recipient(facts, RecipientLimits(limit))
    assert (None if found is None else str(found.reply)) == reply
    assert isinstance(found, TryLater) == (reply == GUESSER)


@pytest.mark.parametrize(
    ("foreseen", "kind", "reply"),
    [
        (Foreseen.DELIVERABLE, Accept, None),
        (Foreseen.ABSENT, Refuse,
         "550 5.1.1 sorry, eve@example.net mailbox Ana@example.com is absent on this domain (#5.1.1)"),
        (Foreseen.INACTIVE, Refuse,
         "550 5.2.1 sorry, eve@example.net mailbox Ana@example.com is inactive on this domain (#5.2.1)"),
        (Foreseen.LOCKED, Refuse,
         "550 5.2.2 sorry, eve@example.net mailbox Ana@example.com is overquota on this domain (#5.2.2)"),
        (Foreseen.UNKNOWN, TryLater,
         "451 4.3.2 Sorry, I got a temporary database error (#4.3.2)"),
    ],
)  # fmt: skip
def test_only_what_the_delivery_would_bounce_is_refused(
    foreseen: Foreseen, kind: type, reply: str | None
) -> None:
    found = judge_mailbox(foreseen, RULE, EVE, ANA)
    assert isinstance(found, kind)
    assert found.rule == RULE
    assert (None if isinstance(found, Accept) else str(found.reply)) == reply


def test_a_reply_fits_its_512_octets_and_shows_the_null_sender() -> None:
    found = judge_mailbox(Foreseen.ABSENT, RULE, NULL, Address("x" * 800, "example.com"))
    assert isinstance(found, Refuse)
    assert found.reply.text.startswith("sorry, <> mailbox xxx")
    assert len(found.reply.wire()) < 512


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("box@[192.0.2.7]", "box@mx.example.com"),
        ("box@[IPv6:2001:db8:0::1]", "box@mx.example.com"),
        ("box@[192.0.2.8]", "box@[192.0.2.8]"),
        ("box@192.0.2.7", "box@192.0.2.7"),
        ("box@example.com", "box@example.com"),
        ("box", "box"),
    ],
)
def test_an_address_literal_of_ours_means_localiphost(written: str, meant: str) -> None:
    ours = {"192.0.2.7", "2001:db8::1"}
    assert str(at_our_host(Address.parse(written), ours, "mx.example.com")) == meant
