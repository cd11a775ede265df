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
