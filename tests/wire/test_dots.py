import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.wire.dots import CountedText, DottedText, StuffedText

# wire form, stored form, whether there is a bare LF, what is left behind the end (None: no end)
DOTTED = [
    (b".\r\n", b"", False, 0),
    (b"a\r\n.\r\n", b"a\n", False, 0),
    (b"a\r\n.\r\nQUIT\r\n", b"a\n", False, 6),
    (b"..\r\n.a\r\n...\r\n.\r\n", b".\na\n..\n", False, 0),
    (b"a.\r\n.\r\n", b"a.\n", False, 0),
    (b"a\rb\r\r\n.\r\n", b"a\rb\r\n", False, 0),
    (b"\0\xff\r\n.\r\n", b"\0\xff\n", False, 0),
    (b"a\r\n.\r\r\n.\r\n", b"a\n\r\n", False, 0),
    (b"a\n.\r\n.\r\n", b"a\n.\n", True, 0),
    (b"a\n.\nb\r\n.\r\n", b"a\n.\nb\n", True, 0),
    (b"a\r\n.\nb\r\n.\r\n", b"a\n\nb\n", True, 0),
    (b"a\r.\r\r\n.\r\n", b"a\r.\r\n", False, 0),
    (b"a\r.\r\n\r\n.\r\n", b"a\r.\n\n", False, 0),
    (b".\n.\r\n", b"\n.\n", True, None),
    (b"a\r\n.\r", b"a", False, None),
]


@pytest.mark.parametrize(("wire", "stored", "bare_lf", "left"), DOTTED)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
def test_dotted_text_ends_with_crlf_dot_crlf_alone(wire, stored, bare_lf, left, size):
    text, got = DottedText(), b""
    for at in range(0, len(wire), size):
        got += text.feed(wire[at : at + size])
        if text.ended:
            rest = text.left + len(wire[at + size :])
            break
    assert (got if left is not None else stored, text.bare_lf) == (stored, bare_lf)
    assert (rest if text.ended else None) == left


@given(st.lists(st.sampled_from([b"\r", b"\n", b".", b"\r\n", b"a", b"\r\n.\r\n"]), max_size=20))
def test_the_cuts_do_not_matter(parts):
    wire = b"".join(parts) + b"\r\n.\r\n"
    whole = DottedText()
    stored = whole.feed(wire)
    cut, got = DottedText(), b""
    for octet in wire:
        if not cut.ended:
            got += cut.feed(bytes([octet]))
    assert (got, cut.bare_lf, cut.ended) == (stored, whole.bare_lf, True)


def sent(stored, *, dots, size=1 << 20):
    text = StuffedText(dots=dots)
    pieces = [text.feed(stored[at : at + size]) for at in range(0, len(stored), size)]
    return b"".join(pieces) + text.end(), text.in_line


# stored form, after DATA, in a chunk, whether its last line has no end
SENT = [
    (b"", b"", b"", False),
    (b"a\nb\n", b"a\r\nb\r\n", b"a\r\nb\r\n", False),
    (b".\n..a\nb.\n", b"..\r\n...a\r\nb.\r\n", b".\r\n..a\r\nb.\r\n", False),
    (b"a\r\nb\n", b"a\r\nb\r\n", b"a\r\nb\r\n", False),
    (b"a\r.\r\n.\r\n", b"a .\r\n..\r\n", b"a .\r\n.\r\n", False),
    (b"a\r\r\n", b"a \r\n", b"a \r\n", False),
    (b"\n.", b"\r\n..", b"\r\n.", True),
    (b"a\n\r", b"a\r\n ", b"a\r\n ", True),
    (b"\0\xff\n", b"\0\xff\r\n", b"\0\xff\r\n", False),
]


@pytest.mark.parametrize(("stored", "dotted", "counted", "in_line"), SENT)
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_text_goes_out_in_lines_without_a_bare_cr(stored, dotted, counted, in_line, size):
    assert sent(stored, dots=True, size=size) == (dotted, in_line)
    assert sent(stored, dots=False, size=size) == (counted, in_line)


@given(
    st.lists(st.sampled_from([b"a", b".", b"\n", b"..", b"\n."]), max_size=20), st.integers(1, 9)
)
def test_what_is_stuffed_comes_back(parts, size):
    stored = b"".join(parts) + b"x\n"
    text = DottedText()
    assert text.feed(sent(stored, dots=True, size=size)[0] + b".\r\n") == stored
    assert (text.ended, text.bare_lf) == (True, False)


@given(st.binary(max_size=20), st.integers(1, 9))
def test_nothing_of_a_mail_ends_it_or_is_a_bare_cr_or_lf(stored, size):
    wire, in_line = sent(stored, dots=True, size=size)
    assert b"\r\n.\r\n" not in b"\r\n" + wire
    assert wire.count(b"\r") == wire.count(b"\n") == wire.count(b"\r\n")
    assert in_line is (wire != b"" and not wire.endswith(b"\r\n"))


@pytest.mark.parametrize(
    ("wire", "stored", "bare_lf"),
    [
        (b"a\r\nb", b"a\nb", False),
        (b"a\r", b"a\r", False),
        (b"a\r\r\n.\r\n", b"a\r\n.\n", False),
        (b"a\n", b"a\n", True),
        (b"", b"", False),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 1000])
def test_counted_text_changes_line_ends_only(wire, stored, bare_lf, size):
    text, got = CountedText(), b""
    for at in range(0, len(wire), size):
        got += text.feed(wire[at : at + size])
    assert (got + text.end(), text.bare_lf) == (stored, bare_lf)
