import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.wire.dots import CountedText, DottedText, stuffed

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


@given(st.lists(st.sampled_from([b"a", b".", b"\n", b"\r", b"..", b"\n."]), max_size=20))
def test_what_is_stuffed_comes_back(parts):
    # A CR before a line's end would be a CRLF that was not there; see the next test.
    stored = b"".join(parts).replace(b"\r\n", b"\n") + b"x\n"
    text = DottedText()
    assert text.feed(stuffed(stored) + b".\r\n") == stored
    assert (text.ended, text.bare_lf) == (True, False)


def test_a_cr_at_the_end_of_a_stored_line_stays():
    text = DottedText()
    assert text.feed(stuffed(b"a\r\n") + b".\r\n") == b"a\r\n"


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
