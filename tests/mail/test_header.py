"""Fields of a header."""

import pytest

from indimail.mail.header import field_name, split_header


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


def test_a_field_has_a_name() -> None:
    assert field_name(b"Reply-To : x\n") == "reply-to"
