"""Addresses have one spelling."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.mail.ip import ip_of, literal, plain_ip


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:DB8:0::7", "2001:db8::7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:c000:207", "192.0.2.7"),
        ("fe80::1%eth0", None),
        ("192.0.2.07", None),
        ("192.0.2", None),
        ("mx.example.com", None),
        ("", None),
    ],
)
def test_what_an_address_is(text: str, address: str | None) -> None:
    assert ip_of(text) == address


@pytest.mark.parametrize(
    ("domain", "address"),
    [
        ("[192.0.2.7]", "192.0.2.7"),
        ("[IPv6:2001:DB8::7]", "2001:db8::7"),
        ("[ipv6:2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[IPv6:192.0.2.7]", None),
        ("[192.0.2.300]", None),
        ("[x400:foo]", None),
        ("192.0.2.7", None),
        ("[192.0.2.7", None),
        ("", None),
    ],
)
def test_what_a_literal_names(domain: str, address: str | None) -> None:
    assert literal(domain) == address


@given(st.ip_addresses() | st.text(max_size=40))
def test_a_spelling_stays(text: object) -> None:
    address = ip_of(str(text))
    assert address is None or plain_ip(address) == address == ip_of(address)
