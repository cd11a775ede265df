import pytest

from indimail.smtp.hops import HopCounter


@pytest.mark.parametrize(
    ("stored", "hops"),
    [
        (b"", 0),
        (b"Received: a\n", 1),
        (b"Received", 1),
        (b"Receive", 0),
        (b"RECEIVED-SPF: a\ndelivered-to: b\n\nReceived: c\n", 2),
        (b" Received: a\nX-Received: b\nDelivere\nd: c\n", 0),
        (b"\nReceived: a\n", 0),
        (b"a\n\nDelivered-To: b", 0),
        (b"Received: a\n Received: b\nReceived: c", 2),
        (b"Received\nReceived\nDelivered\n\n", 3),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 7, 9, 10, 1000])
def test_hops_are_line_beginnings_of_the_header(stored, hops, size):
    counter = HopCounter()
    for at in range(0, len(stored), size):
        counter.feed(stored[at : at + size])
    assert counter.count == hops
