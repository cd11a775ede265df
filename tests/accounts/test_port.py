"""The words of the accounts' port that stand in the database."""

import pytest

from indimail.accounts.port import Flag


@pytest.mark.parametrize(
    ("name", "bit"),
    [
        ("NO_PASSWD_CHNG", 0x01),
        ("NO_POP", 0x02),
        ("NO_WEBMAIL", 0x04),
        ("NO_IMAP", 0x08),
        ("BOUNCE_MAIL", 0x10),
        ("NO_RELAY", 0x20),
        ("NO_DIALUP", 0x40),
        ("QA_ADMIN", 0x80),
        ("NO_SMTP", 0x100),
        ("V_USER0", 0x200),
        ("V_USER1", 0x400),
        ("V_USER2", 0x800),
        ("V_USER3", 0x1000),
        ("V_OVERRIDE", 0x2000),
    ],
)
def test_a_flag_has_the_bit_that_databases_hold(name: str, bit: int):
    assert Flag[name] == bit
