import pytest

from indimail.smtp import SessionRules
from indimail.smtp.extension import hello_lines

ALWAYS = ("PIPELINING", "8BITMIME", "SIZE", "ENHANCEDSTATUSCODES", "CHUNKING", "DSN", "HELP")


@pytest.mark.parametrize(
    ("rules", "tls", "lines"),
    [
        ({}, False, ALWAYS),
        ({"starttls": True}, False, (*ALWAYS[:3], "STARTTLS", *ALWAYS[3:])),
        ({"starttls": True}, True, ALWAYS),
        ({"smtputf8": True}, True, (*ALWAYS[:3], "SMTPUTF8", *ALWAYS[3:])),
        ({"databytes": 7, "help": False}, False, (*ALWAYS[:2], "SIZE 7", *ALWAYS[3:6])),
    ],
)
def test_what_is_offered_and_in_which_order(rules, tls, lines):
    assert hello_lines(SessionRules(greeting=("mx",), **rules), (), tls=tls) == lines


def test_auth_comes_first_and_for_old_clients_twice():
    rules = SessionRules(greeting=("mx",))
    assert hello_lines(rules, ("LOGIN", "PLAIN"), tls=True) == ("AUTH LOGIN PLAIN", *ALWAYS)
    rules = SessionRules(greeting=("mx",), old_client=True)
    assert hello_lines(rules, ("PLAIN",), tls=True) == ("AUTH PLAIN", "AUTH=PLAIN", *ALWAYS)
    assert hello_lines(rules, (), tls=True) == ALWAYS
