"""Daily limits: spec/delivery.md 5.6 and the command's arguments in 5.7."""

import pytest

from indimail.delivery.daily import DailyLimits, Day, decide_day
from indimail.delivery.plan import Command, Fail
from indimail.mail.foreseen import Foreseen
from indimail.mail.verdict import NO_RULE

LIMITS = DailyLimits(10, 5000)
MAILDIR = "/home/alice/Maildir"


@pytest.mark.parametrize(("today", "size", "said"), [
    (Day(9, 4000), 1000, ""),
    (Day(10, 100), 10, "Mail count exceeded. 11/10."),
    (Day(3, 4000), 1001, "Mail size exceeded. 5001/5000."),
    (Day(10, 4000), 1001, "Mail count and size exceeded. 11/10 5001/5000."),
])  # fmt: skip
def test_a_mail_too_many_or_too_much(today: Day, size: int, said: str) -> None:
    verdict = decide_day(LIMITS, today, size, MAILDIR)
    if not said:
        assert (verdict.plan, verdict.after) == (None, Day(10, 5000))
        return
    text = f"Dir has insufficient quota. {said} indimail (#5.1.4)"
    assert verdict.plan == Fail(text, "5.2.2", Foreseen.DELIVERABLE, NO_RULE)
    assert verdict.after == today  # not counted
    arguments = (MAILDIR, str(size), str(today.octets), str(today.messages), "5000,10")
    assert verdict.command == Command(arguments)
