"""Shell patterns."""

import re
from fnmatch import translate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.mail.glob import literal, matches


@pytest.mark.parametrize(
    ("glob", "text", "fits"),
    [
        ("a?c", "abc", True), ("a?c", "ac", False), ("[a-c]x", "bx", True), ("[!a-c]x", "bx", False),
        ("[!a-c]x", "dx", True), ("[]]", "]", True), ("[x", "[x", True), (r"\*", "*", True),
        (r"\*", "x", False), ("**", "", True), ("*a*b*", "xxaxxbxx", True), ("*a*b", "ab-a", False),
        ("[a-]", "-", True),
    ],
)  # fmt: skip
def test_a_pattern(glob: str, text: str, fits: bool) -> None:
    assert matches(glob, text) is fits


@given(st.text("ab*?.@", max_size=12), st.text("ab.@\n", max_size=12))
def test_a_pattern_is_what_the_shell_has(glob: str, text: str) -> None:
    assert matches(glob, text) is bool(re.fullmatch(translate(glob), text))


@pytest.mark.parametrize(
    ("glob", "text"),
    [("*@spam.example", "@spam.example"), ("*%*", "%"), ("a?bc*d", "bc"), ("*", ""), ("[ab]c", "c"),
     (r"a\*b*", "a*b"), ("[x", "[x")],
)  # fmt: skip
def test_the_longest_literal_of_a_pattern(glob: str, text: str) -> None:
    assert literal(glob) == text


@given(st.text("ab*?[]!\\.@", max_size=12), st.text("ab.@[]*", max_size=12))
def test_whatever_a_pattern_fits_has_its_literal(glob: str, text: str) -> None:
    assert literal(glob) in text or not matches(glob, text)


def test_no_pattern_takes_long() -> None:
    assert not matches("*a" * 200 + "b", "a" * 20_000)
