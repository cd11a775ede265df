import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.smtp.peer_reply import LONGEST_LINE, LONGEST_REPLY, SHOWN, ReplyReader


def read(octets, size=1 << 20):
    """Return (code, malformed, said) of each reply, and whether something is left."""
    replies, found = ReplyReader(), []
    for at in range(0, len(octets), size):
        replies.add(octets[at : at + size])
        while (code := replies.next()) is not None:
            found.append((code, replies.malformed, replies.said))
    return found, replies.has_unread


GOOD = [
    (b"250 ok\r\n", [(250, b"250 ok")]),
    (b"250\r\n", [(250, b"250")]),
    (b"250 ok\n", [(250, b"250 ok")]),
    (b"250ok\r\n", [(250, b"250ok")]),
    (b"250-a\r\n250-b\r\n250 c\r\n", [(250, b"250-a\n250-b\n250 c")]),
    (b"250-a\r\n250\r\n", [(250, b"250-a\n250")]),
    (b"250 a\r\n550 b\r\n354 c\r\n", [(250, b"250 a"), (550, b"550 b"), (354, b"354 c")]),
    (b"250-a\r\n250 b\r\n550-c\r\n550 d\r\n", [(250, b"250-a\n250 b"), (550, b"550-c\n550 d")]),
    (b"250 \xff\0\r\n", [(250, b"250 \xff\0")]),
]


@pytest.mark.parametrize(("octets", "replies"), GOOD)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_reply_is_its_code_and_all_its_lines(octets, replies, size):
    assert read(octets, size) == ([(code, False, said) for code, said in replies], False)


BAD = [
    b"\r\n",
    b"hello\r\n",
    b"25\r\n",
    b"2 0 ok\r\n",
    b"ab-c\r\n",
    b"abc-d\r\n",
    b"199 low\r\n",
    b"100-low\r\n100 low\r\n",
    b"600 high\r\n",
    b"-50 ok\r\n",
    "\u0662\u0665\u0660 ok\r\n".encode(),
    b"250-a\r\n550 b\r\n",
    b"250-a\r\n\r\n",
]


@pytest.mark.parametrize("octets", BAD)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_what_is_no_reply_counts_as_400(octets, size):
    said = octets.replace(b"\r\n", b"\n").removesuffix(b"\n")
    assert read(octets, size) == ([(400, True, said)], False)


@pytest.mark.parametrize("octets", [b"2", b"250", b"250 ok", b"250 ok\r", b"250-ok\r\n", b""])
def test_half_a_reply_is_none_yet(octets):
    assert read(octets) == ([], octets != b"")


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_a_line_has_its_limit(size):
    longest = b"250 " + b"x" * (LONGEST_LINE - 6)
    assert read(longest + b"\r\n", size)[0] == [(250, False, longest)]
    assert read(longest + b"x\r\n", size)[0][0] == (400, True, longest + b"x\r")
    assert read(b"250-a\r\n" + longest + b"xx", size)[0][0][:2] == (400, True)


@pytest.mark.parametrize("size", [7, 1 << 20])
def test_a_reply_has_its_limit(size):
    lines = b"250-" + b"x" * 96 + b"\r\n"
    fits = LONGEST_REPLY // 100 - 1
    assert read(lines * fits + b"250 x\r\n", size)[0][0][:2] == (250, False)
    flood = read(lines * (fits + 2), size)[0]
    assert flood[0][:2] == (400, True)
    assert len(flood[0][2]) < LONGEST_REPLY + 2 * fits


def test_what_is_repeated_prints_and_is_short():
    replies = ReplyReader()
    replies.add(b"550-no\x1b[2J\xff " + "é".encode() + b"\r\n550 x" + b"y" * 3000 + b"\0\r\n")
    replies.next()
    assert replies.text.startswith("550-no?[2J\ufffd é\n550 xyy")
    assert replies.text.endswith("y?")
    replies.add(b"550-" + b"x" * 4000 + b"\r\n550 " + b"y" * 4000 + b"\r\n")
    replies.next()
    assert len(replies.text) == SHOWN


def test_what_came_can_be_forgotten():
    replies = ReplyReader()
    replies.add(b"250-a\r\n250 b\r\n250-c\r\n25")
    assert replies.next() == 250
    assert replies.next() is None
    replies.clear()
    assert not replies.has_unread
    replies.add(b"354 go\r\n")
    assert (replies.next(), replies.said) == (354, b"354 go")


PIECES = [
    b"250",
    b"550",
    b"-",
    b" ",
    b"\r\n",
    b"\n",
    b"\r",
    b"x",
    b"250 ok\r\n",
    b"250-a\r\n",
    b"9",
]


@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=3), max_size=20), st.integers(1, 9))
def test_the_cuts_do_not_matter(pieces, size):
    octets = b"".join(pieces)
    assert read(octets, size) == read(octets)
