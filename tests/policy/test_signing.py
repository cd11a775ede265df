"""What comes back for a sender of ours: who is meant, and what is refused."""

from dataclasses import replace

import pytest

from indimail.mail.address import NULL, Address
from indimail.mail.batv import Batv
from indimail.mail.line import Line
from indimail.mail.match import parse_domains
from indimail.mail.secret import Secret
from indimail.mail.srs import DAY, Srs
from indimail.mail.verdict import NO_RULE, Refuse, Rule, TryLater
from indimail.policy.signing import (
    Returned,
    ReturnFacts,
    Signing,
    judge_returned,
    own_signature,
    signed,
)

NOW = 20_783 * DAY + 3600.0
SRS_DOMAIN = Rule("control/srs_domain", 1)
SRS = Srs("srs.example.com", (Secret("x"),), SRS_DOMAIN)
OURS = parse_domains([Line("control/rcpthosts", 1, "example.com")])[0]
BATV = Batv(Secret("key"), Rule("control/batvkey", 1), ours=(OURS,))
EVE, ANA = Address("eve", "example.net"), Address("ana", "example.com")
BOTH = Signing(SRS, BATV)

REWRITTEN = str(SRS.rewritten(EVE, NOW))
OLD = str(SRS.rewritten(EVE, NOW - 8 * DAY))
SIGNED = str(BATV.signed(ANA, NOW))
STALE = str(BATV.signed(ANA, NOW - 8 * DAY))
WRONG = "prvs=0783000000=ana@example.com"
MISSING = "553 5.7.1 Not our message (#5.7.1)"
BAD = "553 5.7.1 message format wrong (#5.7.1)"
EXPIRED = "553 5.7.1 message expired (#5.7.1)"
NOT_DECODED = "451 4.3.0 failed to decode srs address (#4.3.0)"


def judged(recipient: str, sender: str = "", signing: Signing = BOTH, **more: bool) -> str:
    facts = ReturnFacts(Address.parse(sender), Address.parse(recipient), **more)
    match judge_returned(facts, signing, NOW):
        case Returned(address, rule):
            return f"{address} by {rule}" if rule != NO_RULE else str(address)
        case Refuse(reply) | TryLater(reply):
            return str(reply)
        case None:
            return "as it is"


@pytest.mark.parametrize("sender", ["", "bob@elsewhere.example"])
@pytest.mark.parametrize(
    ("recipient", "meant"),
    [
        (REWRITTEN, "eve@example.net by control/srs_domain:1"),
        (REWRITTEN.lower(), "eve@example.net by control/srs_domain:1"),
        (f"prvs=0783000000={REWRITTEN}", "as it is"),  # not a domain that BATV signs
        (OLD, NOT_DECODED),
        ("SRS0=FAKE=2W=example.net=eve@srs.example.com", NOT_DECODED),
        ("SRS1=FAKE=example.org==x=y=z@srs.example.com", NOT_DECODED),
        ("SRS0=FAKE=2W=example.net=eve@example.com", "as it is"),
        ("postmaster@srs.example.com", "as it is"),
        ("ana@elsewhere.example", "as it is"),
    ],
)
def test_a_rewritten_sender_stands_for_the_one_before_it(
    recipient: str, meant: str, sender: str
) -> None:
    assert judged(recipient, sender, Signing(SRS)) == meant


@pytest.mark.parametrize(
    ("recipient", "bounce", "other"),
    [
        (SIGNED, "ana@example.com", "ana@example.com"),
        (STALE, EXPIRED, "ana@example.com"),
        (WRONG, BAD, "ana@example.com"),
        ("prvs=ana@example.com", BAD, "as it is"),
        ("ana@example.com", MISSING, "as it is"),
        ("prvs=0783abcdef=bob@elsewhere.example", "as it is", "as it is"),
        ("bob@elsewhere.example", "as it is", "as it is"),
    ],
)
@pytest.mark.parametrize("sender", ["", "MAILER-DAEMON@elsewhere.example"])
def test_a_bounce_for_us_brings_the_signature_and_other_mail_need_not(
    recipient: str, bounce: str, other: str, sender: str
) -> None:
    assert judged(recipient, sender) == bounce
    assert judged(recipient, "bob@elsewhere.example") == other
    assert judged(recipient, sender, may_relay=True) == other
    assert judged(recipient, sender, Signing(SRS)) == "as it is"


def test_where_rewritten_senders_are_in_a_domain_of_ours_their_hash_is_signature_enough() -> None:
    here = replace(SRS, domain="example.com")
    path = str(here.rewritten(EVE, NOW))
    expected = "eve@example.net by control/srs_domain:1"
    assert judged(path, "", Signing(here, BATV)) == expected
    assert judged(str(BATV.signed(Address.parse(path), NOW)), "", Signing(here, BATV)) == expected
    assert signed(Address.parse(path), EVE, Signing(here, BATV), NOW) == Address.parse(path)


@pytest.mark.parametrize(
    ("sender", "sent"), [(str(ANA), SIGNED), (str(EVE), str(EVE)), (SIGNED, SIGNED), ("", "")]
)
def test_senders_of_ours_are_signed_on_their_way_out(sender: str, sent: str) -> None:
    assert str(signed(Address.parse(sender), EVE, BOTH, NOW)) == sent
    assert str(signed(Address.parse(sender), EVE, Signing(SRS), NOW)) == sender


@pytest.mark.parametrize(
    ("sender", "seen"),
    [(SIGNED, ANA), (STALE, ANA), (WRONG, Address.parse(WRONG)), (str(EVE), EVE), ("", NULL)],
)
def test_our_own_signature_is_taken_off_a_sender_that_comes_back(
    sender: str, seen: Address
) -> None:
    assert own_signature(Address.parse(sender), BOTH, NOW) == seen
    assert own_signature(Address.parse(sender), Signing(SRS), NOW) == Address.parse(sender)
