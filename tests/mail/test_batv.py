"""BATV: what a signed sender looks like, and what a tag is worth when it comes back."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.mail.address import Address
from indimail.mail.batv import Batv, Mark, Signature
from indimail.mail.line import Line
from indimail.mail.match import DomainTable, parse_domains
from indimail.mail.secret import Secret
from indimail.mail.srs import DAY
from indimail.mail.verdict import Rule

NOW = 20_783 * DAY + 3600.0
ANA = Address("Ana", "example.com")


def table(*domains: str) -> DomainTable:
    return parse_domains([Line("control/x", 1, domain) for domain in domains])[0]


BATV = Batv(
    Secret("key"), Rule("control/batvkey", 1), ours=(table("example.com", ".example.org"),),
    no_sign_locals=table("quiet.example.org"), no_sign_remote=table("list.example"),
)  # fmt: skip


def test_the_tag_is_a_day_and_a_hash_of_it_the_address_and_the_key() -> None:
    """spec/smtp.md 8.6: ``prvs=0DDDhhhhhh=``, three octets of MD5."""
    digest = hashlib.md5(b"0783ana@example.comkey").hexdigest()[:6]
    assert str(BATV.signed(ANA, NOW)) == f"prvs=0783{digest}=Ana@example.com"


@pytest.mark.parametrize(
    ("days", "mark"),
    [(0, Mark.SIGNED), (7, Mark.SIGNED), (8, Mark.STALE), (-1, Mark.STALE), (1000, Mark.SIGNED)],
)
def test_a_signature_counts_for_a_week(days: int, mark: Mark) -> None:
    signed = BATV.signed(ANA, NOW)
    assert BATV.examined(signed, NOW + days * DAY) == Signature(ANA, mark)


@pytest.mark.parametrize(
    ("local", "bare", "mark"),
    [
        ("ana", "ana", Mark.NONE),
        ("prvs=0783000000=ana", "ana", Mark.WRONG),
        ("prvs=0783abc=ana", "prvs=0783abc=ana", Mark.WRONG),
        ("PRVS=ana", "PRVS=ana", Mark.WRONG),
        ("prvs", "prvs", Mark.NONE),
    ],
)
def test_what_is_no_signature_of_ours_is_told(local: str, bare: str, mark: Mark) -> None:
    found = BATV.examined(Address(local, "example.com"), NOW)
    assert found == Signature(Address(bare, "example.com"), mark)


@pytest.mark.parametrize(
    ("sender", "recipient", "signs"),
    [
        ("ana@example.com", "bob@elsewhere.example", True),
        ("ana@a.example.org", "bob@elsewhere.example", True),
        ("ana@quiet.example.org", "bob@elsewhere.example", False),
        ("ana@example.com", "bob@list.example", False),
        ("prvs=0783abcdef=ana@example.com", "bob@elsewhere.example", False),
        ("eve@example.net", "bob@elsewhere.example", False),
        ("", "bob@elsewhere.example", False),
    ],
)
def test_only_senders_of_ours_are_signed(sender: str, recipient: str, signs: bool) -> None:
    assert BATV.signs(Address.parse(sender), Address.parse(recipient)) is signs


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1), st.integers(0, 7))
def test_a_signed_sender_comes_back_whatever_became_of_its_case(local: str, days: int) -> None:
    sender = Address(local, "example.com")
    signed = BATV.signed(sender, NOW)
    assert BATV.examined(signed, NOW + days * DAY) == Signature(sender, Mark.SIGNED)
    lower = Address(signed.local.encode().lower().decode(), signed.domain)
    assert BATV.examined(lower, NOW).mark is Mark.SIGNED
