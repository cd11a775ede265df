import pytest

from indimail.delivery.notify import is_late, owed
from indimail.mail.dsn import Dsn, orcpt, without_success
from indimail.mail.outcome import Delivered, Failed
from indimail.smtp.extension import RCPT_PARAMETERS

SENDER = "bob@example.org"
FAILED, HERE = Failed("no"), Delivered("did 0+0+1")
RELAYED, HANDED_ON = Delivered("ok", dsn=Dsn.RELAYED), Delivered("ok", dsn=None)


@pytest.mark.parametrize(
    ("sender", "notify", "outcome", "told"),
    [
        (SENDER, "", FAILED, Dsn.FAILED),
        (SENDER, "NEVER", FAILED, None),
        (SENDER, "FAILURE", FAILED, Dsn.FAILED),
        (SENDER, "SUCCESS,FAILURE,DELAY", FAILED, Dsn.FAILED),
        (SENDER, "failure", FAILED, Dsn.FAILED),
        (SENDER, "SUCCESS,DELAY", FAILED, None),
        ("", "", FAILED, Dsn.FAILED),  # to the postmaster
        ("", "NEVER", FAILED, Dsn.FAILED),
        ("#@[]", "", FAILED, Dsn.FAILED),  # a line in the log
        (SENDER, "", HERE, None),
        (SENDER, "NEVER", HERE, None),
        (SENDER, "FAILURE,DELAY", HERE, None),
        (SENDER, "SUCCESS", HERE, Dsn.DELIVERED),
        ("list-@example.org-@[]", "SUCCESS", HERE, Dsn.DELIVERED),
        ("", "SUCCESS", HERE, None),
        ("#@[]", "SUCCESS", HERE, None),
        (SENDER, "SUCCESS", RELAYED, Dsn.RELAYED),
        (SENDER, "SUCCESS", HANDED_ON, None),
    ],
)
def test_what_the_sender_is_told(
    sender: str, notify: str, outcome: Delivered | Failed, told: Dsn | None
) -> None:
    assert owed(sender, notify, outcome) is told


@pytest.mark.parametrize(
    ("sender", "notify", "age", "after", "late"),
    [
        (SENDER, "DELAY", 100, 100, True),
        (SENDER, "success,delay", 101, 100, True),
        (SENDER, "DELAY", 99, 100, False),
        (SENDER, "DELAY", 1000, 0, False),
        (SENDER, "", 1000, 100, False),
        (SENDER, "SUCCESS,FAILURE", 1000, 100, False),
        (SENDER, "NEVER", 1000, 100, False),
        ("", "DELAY", 1000, 100, False),
        ("#@[]", "DELAY", 1000, 100, False),
    ],
)
def test_whose_delay_is_told(
    sender: str, notify: str, age: float, after: float, late: bool
) -> None:
    assert is_late(sender, notify, 50.0, 50.0 + age, after) is late


@pytest.mark.parametrize(
    ("notify", "left"),
    [
        ("", ""),
        ("NEVER", "NEVER"),
        ("SUCCESS", "NEVER"),
        ("SUCCESS,FAILURE", "FAILURE"),
        ("FAILURE,success,DELAY", "FAILURE,DELAY"),
        ("FAILURE", "FAILURE"),
    ],
)
def test_what_is_asked_further_on_once_success_is_told(notify: str, left: str) -> None:
    assert without_success(notify) == left


@pytest.mark.parametrize(
    ("address", "parameter"),
    [
        ("bob@example.org", "rfc822;bob@example.org"),
        ("a+b=c d@example.org", "rfc822;a+2Bb+3Dc+20d@example.org"),
        ("é b@example.org", r"utf-8;\x{E9}\x{20}b@example.org"),
    ],
)
def test_an_address_as_orcpt(address: str, parameter: str) -> None:
    assert orcpt(address) == parameter
    assert RCPT_PARAMETERS["ORCPT"][1](f"={parameter}") == parameter
