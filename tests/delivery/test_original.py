import pytest

from indimail.delivery.original import Copy, examine

MARK = b"=_bounce_7_"
MAIL = b"Received: x\nSubject: y\n\nHello\nEve\n"
HEADER = MAIL.index(b"\n\n") + 1


def cut_up(message: bytes) -> list[list[bytes]]:
    """Whole, octet by octet, and with empty pieces."""
    octets = [message[at : at + 1] for at in range(len(message))]
    return [[message], octets, [b"", *octets, b""]]


@pytest.mark.parametrize(
    ("message", "limit", "headers_only", "copy"),
    [
        (MAIL, 0, False, Copy(len(MAIL))),
        (MAIL, len(MAIL), False, Copy(len(MAIL))),
        (MAIL, len(MAIL) + 1, False, Copy(len(MAIL))),
        (MAIL, len(MAIL) - 1, False, Copy(len(MAIL) - 4, cut=True)),
        (MAIL, 13, False, Copy(12, cut=True)),
        (MAIL, 12, False, Copy(12, cut=True)),
        (MAIL, 5, False, Copy(5, cut=True, ends_line=False)),
        (b"a: b\n\nno end", 0, False, Copy(12, ends_line=False)),
        (b"a: b\n\n\xff\n", 0, False, Copy(8, eight_bit=True)),
        (b"", 0, False, Copy(0)),
        (MAIL, 0, True, Copy(HEADER, True)),
        (MAIL, HEADER, True, Copy(HEADER, True)),
        (MAIL, HEADER - 1, True, Copy(12, True, cut=True)),
        (b"\nbody", 0, True, Copy(0, True)),
        (b"a: b\n", 0, True, Copy(5, True)),
        (b"a: \xff\n\n", 0, True, Copy(5, True, eight_bit=True)),
        (b"a: b\n\n\xff\n", 0, True, Copy(5, True)),
        (b"x =_bounce_7_0_ =_bounce_7_12_\n", 0, False, Copy(31, taken=frozenset({0, 12}))),
        (b"=_bounce_8_0_ =_bounce_7_3 =_bounce_7__\n", 0, False, Copy(40)),
        (b"=_bounce_7_" + b"9" * 5000 + b"_\n", 0, False, Copy(5013)),
    ],
)
def test_what_is_enclosed(message: bytes, limit: int, headers_only: bool, copy: Copy) -> None:
    for pieces in cut_up(message):
        assert examine(pieces, limit, headers_only=headers_only, mark=MARK) == copy


def test_no_more_is_read_than_is_enclosed() -> None:
    pieces = iter([b"a: b\n", b"\n", b"c\n", b"d\n", b"e\n"])
    assert examine(pieces, 7, headers_only=False, mark=MARK).size == 6
    assert list(pieces) == [b"d\n", b"e\n"]
