"""Lists of addresses: spec/smtp.md 7."""

import pytest

from indimail.mail.addresslist import NO_ADDRESSES, AddressList, parse_address_list
from indimail.mail.line import Line
from indimail.mail.verdict import Rule

FILE = "control/authdomains"


def listed(text: str) -> AddressList:
    return parse_address_list([Line(FILE, n, line) for n, line in enumerate(text.split(), 1)])


@pytest.mark.parametrize(
    ("address", "line"),
    [
        ("ana@example.com", 1),
        ("Ana@EXAMPLE.com", 1),
        ("bob@example.com", None),
        ("x@example.org", 2),
        ("x@a.example.org", None),
        ("x@news.example", 3),
        ("list@news.example", None),  # taken back
        ("", None),
        ("ana", None),
    ],
)
def test_a_line_is_an_address_a_host_or_a_pattern(address: str, line: int | None) -> None:
    found = listed("ana@example.com @example.org *@news.example !list@*").find(address)
    assert found == (None if line is None else Rule(FILE, line))


def test_only_a_lone_star_lists_the_null_sender() -> None:
    assert listed("*").find("") == Rule(FILE, 1)
    assert listed("*@*").find("") is None


def test_an_empty_list_lists_nobody() -> None:
    assert not NO_ADDRESSES
    assert NO_ADDRESSES.find("ana@example.com") is None
