"""Daily limits: spec/delivery.md 5.6 and the command's arguments in 5.7."""

import pytest

from indimail.delivery.daily import DailyLimits, Day, decide_day, parse_limits
from indimail.delivery.overquota import Command
from indimail.delivery.plan import Fail
from indimail.mail.foreseen import Foreseen
from indimail.mail.verdict import NO_RULE

LIMITS = DailyLimits(10, 5000)
MAILDIR = "/home/alice/Maildir"


@pytest.mark.parametrize(("mailcount", "mailsize", "limits"), [
    ("", "", None), ("10", "", DailyLimits(10, 10_485_760)), ("", "5000", DailyLimits(1500, 5000)),
    ("10", "5000", LIMITS), ("many", "", DailyLimits()), ("0", "", DailyLimits(0)),
])  # fmt: skip
def test_limits_hold_where_one_is_set(
    mailcount: str, mailsize: str, limits: DailyLimits | None
) -> None:
    assert parse_limits(mailcount, mailsize) == limits


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
