import pytest

from indimail.wire.lines import Inbox


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"a\nb\r\n", [b"a", b"b"]),
        (b"\r\n\n", [b"", b""]),
        (b"a\r\r\n", [b"a\r"]),
        (b"\r", []),
        (b"a\0\xff\r\n", [b"a\0\xff"]),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_line_ends_with_lf_and_an_optional_cr(data, lines, size):
    inbox, found = Inbox(), []
    for at in range(0, len(data), size):
        inbox.add(data[at : at + size])
        while (line := inbox.line(80)) is not None:
            found.append(line)
    assert found == lines


@pytest.mark.parametrize(("data", "too_long"), [(b"abcd\r\n", False), (b"abcde\r\n", True)])
@pytest.mark.parametrize("size", [1, 100])
def test_the_limit_counts_the_line_end(data, too_long, size):
    inbox = Inbox()
    line = None
    for at in range(0, len(data), size):
        inbox.add(data[at : at + size])
        line = line or inbox.line(6)
    assert (line is None, inbox.unread >= 6) == (too_long, too_long)


def test_octets_are_taken_by_count_and_given_back():
    inbox = Inbox()
    inbox.add(b"abcdef")
    assert (inbox.take(2), inbox.take_all(), inbox.unread) == (b"ab", b"cdef", 0)
    inbox.put_back(3)
    inbox.add(b"g\n")
    assert inbox.line(80) == b"defg"
    inbox.reread_line()
    assert inbox.line(80) == b"defg"


def test_an_idle_conversation_keeps_nothing_that_was_read():
    inbox = Inbox()
    inbox.add(b"x" * 1000 + b"\nNO")
    inbox.line(2000)
    assert inbox.line(2000) is None
    assert inbox._data == b"NO"
