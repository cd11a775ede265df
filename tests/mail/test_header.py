"""Fields of a header, and the addresses in them."""

import pytest

from indimail.mail.header import addresses, field_name, field_value, split_header

LISTS = [
    ("", []),
    ("joe", ["joe"]),
    ("joe, ann@b", ["joe", "ann@b"]),
    ("a@b,,c@d,", ["a@b", "c@d"]),
    ("Joe Blow <j@x>", ["j@x"]),
    ("John. Q. Public <j@x>", ["j@x"]),
    ('"Ann, A." <ann@example.com>, bob@example.net (Bob)', ["ann@example.com", "bob@example.net"]),
    ("a@b (c (d) \\) e), f@g", ["a@b", "f@g"]),
    ("a @ b . c", ["a@b.c"]),
    ("A Group: x@y, <z@w>;, last@d", ["x@y", "z@w", "last@d"]),
    ("undisclosed-recipients:;", []),
    ("<@a,@b:c@d>", ["c@d"]),
    ('"a\\"b c"@d', ['a"b c@d']),
    ("x@[127.0.0.1]", ["x@[127.0.0.1]"]),
    ("<>", []),
    ("Joe Blow", []),
    ("<a@b", ["a@b"]),
    ("ü@ö.example", ["ü@ö.example"]),
    (")", []),
]


@pytest.mark.parametrize(("text", "found"), LISTS)
def test_addresses_are_found_in_every_form(text: str, found: list[str]) -> None:
    assert addresses(text) == found


@pytest.mark.parametrize(
    ("message", "fields", "rest"),
    [
        (b"A: b\n\nbody\n", [b"A: b\n"], b"body\n"),
        (b"To: a@b,\n c\nX:y\n\n", [b"To: a@b,\n c\n", b"X:y\n"], b""),
        (b"A: b\nno field\n", [b"A: b\n"], b"no field\n"),
        (b"\nbody", [], b"body"),
        (b" folded\n", [], b" folded\n"),
        (b"A : b", [b"A : b"], b""),
        (b"", [], b""),
    ],
)
def test_a_header_ends_at_its_empty_line_or_at_what_is_no_field(
    message: bytes, fields: list[bytes], rest: bytes
) -> None:
    assert split_header(message) == (fields, rest)


def test_a_field_has_a_name_and_an_unfolded_value() -> None:
    assert field_name(b"Reply-To : x\n") == "reply-to"
    assert field_value(b"To: a@b,\n\tc@d\n") == "a@b,\tc@d"
