import pytest

from indimail.smtp import SessionRules
from indimail.smtp.extension import hello_lines

ALWAYS = ("PIPELINING", "8BITMIME", "SIZE", "ENHANCEDSTATUSCODES", "CHUNKING", "HELP")


@pytest.mark.parametrize(
    ("rules", "tls", "lines"),
    [
        ({}, False, ALWAYS),
        ({"starttls": True}, False, (*ALWAYS[:3], "STARTTLS", *ALWAYS[3:])),
        ({"starttls": True}, True, ALWAYS),
        ({"smtputf8": True}, True, (*ALWAYS[:3], "SMTPUTF8", *ALWAYS[3:])),
        ({"databytes": 7, "help": False}, False, (*ALWAYS[:2], "SIZE 7", *ALWAYS[3:5])),
    ],
)
def test_what_is_offered_and_in_which_order(rules, tls, lines):
    assert hello_lines(SessionRules(greeting=("mx",), **rules), tls=tls) == lines
