import pytest

from indimail.delivery.headers import delivered_to, prepended, quoted

DATE = "Tue, 11 Nov 2025 10:00:00 +0000"


def test_the_block_in_front_of_a_copy() -> None:
    block = prepended("bob@example.org", "example.com-al@example.com", 7, "mx.a", 555, DATE)
    assert block.decode().splitlines() == [
        "Return-Path: <bob@example.org>",
        "Delivered-To: example.com-al@example.com",
        "X-Filter: None",
        "Received: indimail-virtual 7 by host mx.a (invoked by uid 555); " + DATE,
    ]
    assert delivered_to("example.com-al@example.com") in block


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("", ""),
        ("a.b+c@x", "a.b+c@x"),
        ("postmaster", "postmaster"),
        ("a b@x", '"a b"@x'),
        ('a"\\@x', r'"a\"\\"@x'),
        (".a@x", '".a"@x'),
        ("a..b@x", '"a..b"@x'),
        ("a.@x", '"a."@x'),
        ("a@b@x", '"a@b"@x'),
        ("dörte@exämple.de", "dörte@exämple.de"),
        ("a>\r\nX: y@x", '"a>__X: y"@x'),
    ],
)
def test_the_return_path_is_quoted_where_it_must(address: str, text: str) -> None:
    assert quoted(address) == text


@pytest.mark.parametrize("evil", ["\r\n", "\n", "\r", "\0", "\x0b", "\x7f"])
def test_no_address_adds_a_line(evil: str) -> None:
    bad = f"a{evil}X-Evil: 1@x"
    block = prepended(bad, bad, 7, "mx.a", 555, DATE)
    assert block.count(b"\n") == 4
    assert evil.encode() not in block.replace(b"\n", b"")
    assert delivered_to(bad).count(b"\n") == 1


def test_octets_that_are_no_text_come_out_as_they_went_in() -> None:
    assert delivered_to(b"\xe9@x".decode("utf-8", "surrogateescape")) == b"Delivered-To: \xe9@x\n"
