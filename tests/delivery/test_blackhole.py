"""Senders whose mail is discarded: spec/delivery.md 5.2 (4), 10 (16)."""

import pytest

from indimail.delivery.blackhole import EMPTY, BlackHole, parse_black_hole
from indimail.mail.line import Line
from indimail.mail.verdict import Rule

SENDERS, PATTERNS = "control/blackholedsender", "control/blackholedpatterns"


def hole(senders: str = "", patterns: str = "") -> BlackHole:
    def lines(file: str, text: str) -> list[Line]:
        return [Line(file, number, line) for number, line in enumerate(text.split(), 1)]

    return parse_black_hole(lines(SENDERS, senders), lines(PATTERNS, patterns))


@pytest.mark.parametrize(
    ("sender", "rule"),
    [
        ("eve@noise.example", Rule(SENDERS, 1)),
        ("Eve@Noise.Example", Rule(SENDERS, 1)),
        ("eve@noise.example.org", None),  # no prefix
        ("x@spam.example", Rule(SENDERS, 2)),
        ("x@sub.spam.example", None),
        ("list-17@news.example", Rule(PATTERNS, 1)),
        ("list-owner@news.example", None),  # taken back
        ("list-owner@spam.example", Rule(SENDERS, 2)),  # the lists have their own say
        ("", None),
        ("nobody", None),
    ],
)
def test_who_is_in_the_hole(sender: str, rule: Rule | None) -> None:
    files = hole("eve@noise.example @spam.example", "list-*@*.example !list-owner@*")
    assert files.find(sender) == rule
    assert EMPTY.find(sender) is None


def test_the_last_pattern_that_matches_decides() -> None:
    files = hole(patterns="* !*@example.org eve@*")
    assert files.find("eve@example.org") == Rule(PATTERNS, 3)
    assert files.find("bob@example.org") is None
    assert files.find("bob@example.net") == Rule(PATTERNS, 1)
    assert files.find("") == Rule(PATTERNS, 1)
