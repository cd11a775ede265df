import pytest

from indimail.delivery.localdomains import REMOTE, refuse_remote
from indimail.mail.line import Line
from indimail.mail.match import parse_domain_rules
from indimail.mail.outcome import Failed
from indimail.mail.verdict import Rule

RULE = Rule("alias/.localdomains")
LINES = ("example.com", ".example.org")
RULES, _ = parse_domain_rules(
    [Line("control/localdomains", n, text) for n, text in enumerate(LINES, 1)], suffixes=True
)


@pytest.mark.parametrize(
    ("sender", "taken"),
    [
        ("bob@example.com", True),
        ("bob@EXAMPLE.com", True),
        ("bob@a.example.org", True),
        ("", True),  # a report
        ("#@[]", True),
        ("eve@example.net", False),
        ("eve@sub.example.com", False),
        ("example.com", False),
        ("@", False),
        ('"bob@example.com"@example.net', False),
    ],
)
def test_who_may_write_to_a_home_that_is_closed_to_others(sender: str, taken: bool) -> None:
    assert refuse_remote(sender, RULE, RULES) == (None if taken else Failed(REMOTE, RULE))


def test_nothing_is_refused_where_nothing_closes_the_home() -> None:
    assert refuse_remote("eve@example.net", None, RULES) is None


def test_no_domain_is_local_where_none_is_listed() -> None:
    assert refuse_remote("bob@example.com", RULE, {}) == Failed(REMOTE, RULE)
