import pytest

from indimail.delivery.headers import delivered_to
from indimail.delivery.loop import is_looping

MINE = delivered_to("example.com-alice@example.com")


@pytest.mark.parametrize(
    ("message", "looping"),
    [
        (b"Received: x\n" + MINE + b"Subject: y\n\nbody\n", True),
        (MINE + b"Subject: y\n\nbody\n", True),
        (b"Received: x\n" + MINE + b"\nbody\n", True),
        (b"Received: x\n" + MINE, True),
        (b"Received: x\n\n" + MINE + b"\n", False),
        (b"Received: x\n\n\n" + MINE, False),
        (b"X-Delivered-To: x\nX-" + MINE + b"\n", False),
        (b"Subject: x\n" + MINE[:-1] + b"x\n\n", False),
        (b"Subject: x\nDelivered-To: example.com-Alice@example.com\n\n", False),
        (b"", False),
    ],
)
def test_only_an_equal_line_in_the_header_is_a_loop(message: bytes, looping: bool) -> None:
    assert is_looping(message, MINE) is looping


@pytest.mark.parametrize(
    ("lines", "allowed", "looping"),
    [(1, 0, True), (1, 1, False), (2, 1, True), (2, 2, False), (3, 2, True), (9, -1, False)],
)
def test_so_many_lines_are_allowed(lines: int, allowed: int, looping: bool) -> None:
    message = MINE * lines + b"Subject: y\n\n" + MINE * 9
    assert is_looping(message, MINE, allowed) is looping
    assert is_looping(b"Received: x\n" + message, MINE, allowed) is looping
