import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.mail.verdict import NO_RULE, Rule


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Rule("control/rcpthosts", 3), "control/rcpthosts:3"),
        (Rule("control/rcpthosts"), "control/rcpthosts"),
        (Rule("tcp/tcp.smtp.cdb", key="=.example.com"), "tcp/tcp.smtp.cdb[=.example.com]"),
        (Rule("built-in", key="MAXPERIP"), "built-in[MAXPERIP]"),
        (Rule("tcp.cdb", key="2001:db8::1"), "tcp.cdb[2001:db8::1]"),
        (NO_RULE, ""),
    ],
)
def test_a_rule_is_written_as_an_operator_finds_it_and_read_back(rule, text) -> None:
    assert str(rule) == text
    assert Rule.parse(text) == rule


@given(st.text())
def test_any_text_is_read_as_some_rule_that_is_written_so_again(text) -> None:
    assert Rule.parse(str(Rule.parse(text))) == Rule.parse(text)
