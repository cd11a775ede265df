"""What follows from a quota: spec/delivery.md 5.3a, 5.5 (4), 5.7, 8.4."""

from dataclasses import replace

import pytest

from indimail.delivery.overquota import (
    WARNED_FOR,
    LockVerdict,
    QuotaFacts,
    QuotaVerdict,
    QuotaWarning,
    decide_lock,
    decide_quota,
    decide_warning,
    may_lift,
)
from indimail.delivery.plan import Command, Defer, Fail, Plan, foresee
from indimail.delivery.quota import UNLIMITED, Quota, Usage
from indimail.mail.foreseen import Foreseen
from indimail.mail.verdict import Rule

MAILDIR = "/srv/mail/A2E/example.com/alice/Maildir"
RULE = Rule("indimail", key="alice@example.com")
FACTS = QuotaFacts(
    "alice@example.com", MAILDIR, 2000, Usage(9000, 3), "10000,20", Quota(10_000, 20), rule=RULE
)
TEXT = "alice@example.com has insufficient quota. 2000/9000:3/20:10000. indimail (#5.1.4)"
COMMAND = Command((MAILDIR, "2000", "9000", "3", "10000,20", "dummy"))
OVER = QuotaVerdict(
    Fail(TEXT, "5.2.2", Foreseen.DELIVERABLE, RULE), "2000/9000:3/20:10000",
    is_over=True, command=COMMAND,
)  # fmt: skip


def test_what_fits_is_delivered() -> None:
    fits = replace(FACTS, size=1000)
    assert decide_quota(fits) == QuotaVerdict(None, "1000/9000:3/20:10000")
    unlimited = replace(FACTS, size=10**12, quota=UNLIMITED, limit="NOQUOTA")
    assert decide_quota(unlimited).plan is None


def test_what_does_not_fit_is_bounced_with_its_figures_and_the_command_is_run() -> None:
    assert decide_quota(FACTS) == OVER


def test_a_mailbox_over_its_count_says_so() -> None:
    verdict = decide_quota(replace(FACTS, size=1001, usage=Usage(10, 20)))
    assert isinstance(verdict.plan, Fail)
    assert verdict.plan.text == (
        "alice@example.com has insufficient quota. 1001/10:20/20:10000. indimail (#5.1.4)"
    )


def test_over_quota_is_not_told_at_rcpt_since_a_smaller_mail_may_fit() -> None:
    assert isinstance(OVER.plan, Fail)
    assert foresee(Plan((OVER.plan,))) is Foreseen.DELIVERABLE


@pytest.mark.parametrize(("size", "mailsize", "bounced"), [
    (1000, 1000, False), (1001, 1000, True), (1001, 2000, False), (1, 0, True),
])  # fmt: skip
def test_small_mails_are_delivered_all_the_same(size: int, mailsize: int, bounced: bool) -> None:
    verdict = decide_quota(replace(FACTS, size=size, mailsize=mailsize, usage=Usage(10_000, 3)))
    assert isinstance(verdict.plan, Fail) is bounced
    assert verdict.is_over
    assert verdict.command is not None


def test_the_hold_file_defers_and_neither_locks_nor_warns() -> None:
    verdict = decide_quota(replace(FACTS, holds=True, usage=Usage(20_000, 3)))
    assert isinstance(verdict.plan, Defer)
    assert (verdict.lock, verdict.warn, verdict.is_over) == (None, False, True)
    assert verdict.command is not None
    assert decide_quota(replace(FACTS, holds=True)).plan == Defer(TEXT, RULE)


@pytest.mark.parametrize(("usage", "lock"), [
    (Usage(10_000, 3), None), (Usage(10_001, 3), 10_001), (Usage(5, 20), None), (Usage(5, 21), 5),
    (Usage(0, 21), 1),
])  # fmt: skip
def test_the_quota_locks_when_the_mailbox_holds_too_much_already(
    usage: Usage, lock: int | None
) -> None:
    for size in (2000, 10_000):
        verdict = decide_quota(replace(FACTS, size=size, usage=usage))
        assert verdict.lock == lock


LARGE = replace(FACTS, limit="2000000", quota=Quota(2_000_000), usage=Usage(975_999, 3))


@pytest.mark.parametrize(("row", "quota", "usage", "lifted"), [
    (1, Quota(2_000_000), Usage(975_999, 3), True),
    (1, Quota(2_000_000), Usage(976_000, 3), False),
    (0, Quota(2_000_000), Usage(0, 0), False),
    (0, UNLIMITED, Usage(0, 0), False),
    (1, UNLIMITED, Usage(10**9, 3), True),
    (1, Quota(2_000_000, 4), Usage(0, 3), True),
    (1, Quota(2_000_000, 4), Usage(0, 4), False),
    (1, Quota(0, 4), Usage(10**9, 3), True),
    (1, Quota(10_000), Usage(4999, 3), True),
    (1, Quota(10_000), Usage(5000, 3), False),
])  # fmt: skip
def test_only_the_quotas_own_lock_is_lifted_and_only_with_room(
    row: int, quota: Quota, usage: Usage, lifted: bool
) -> None:
    assert may_lift(row, quota, usage) is lifted
    verdict = decide_lock(replace(LARGE, quota=quota, usage=usage), row)
    assert verdict.lift is lifted
    assert (verdict.plan is None) is lifted
    assert (verdict.command is None) is lifted


@pytest.mark.parametrize(("row", "status"), [(3_000_000, "5.2.2"), (0, "5.2.1")])
def test_a_lock_that_stays_bounces_and_is_told_at_rcpt(row: int, status: str) -> None:
    facts = replace(LARGE, usage=Usage(1_999_999, 3))
    text = "account alice@example.com locked/overquota 1999999/2000000. indimail (#5.1.1)"
    assert decide_lock(facts, row) == LockVerdict(
        lift=False,
        plan=Fail(text, status, Foreseen.LOCKED, RULE),
        figures="1999999/2000000",
        command=Command((MAILDIR, "2000", "1999999", "3", "2000000")),
    )
    assert decide_lock(replace(facts, holds=True), row).plan == Defer(text, RULE)


PERCENTS = (50, 80, 0, 95, 0, 0, 0, 0, 0, 0)
NOW = 1_800_000_000.0


@pytest.mark.parametrize(("usage", "number"), [
    (Usage(5000, 1), None), (Usage(5001, 1), 1), (Usage(8001, 1), 2), (Usage(9501, 1), 4),
    (Usage(1, 10), None), (Usage(1, 11), 1), (Usage(5001, 20), 4), (Usage(20_000, 1), 4),
])  # fmt: skip
def test_the_first_exceeded_from_the_last_warns(usage: Usage, number: int | None) -> None:
    found = decide_warning(replace(FACTS, usage=usage), PERCENTS, None, NOW)
    assert (found.number if found else None) == number


def test_a_warning_has_its_command() -> None:
    given = ("alice@example.com", MAILDIR, "9000", "3", "10000", "20", "80")
    assert decide_warning(FACTS, PERCENTS, None, NOW) == QuotaWarning(2, 80, Command(given))


@pytest.mark.parametrize(("ago", "warned"), [
    (0.0, False), (WARNED_FOR - 1, False), (WARNED_FOR, True), (-60.0, True),
])  # fmt: skip
def test_once_in_seven_days(ago: float, warned: bool) -> None:
    assert (decide_warning(FACTS, PERCENTS, NOW - ago, NOW) is not None) is warned


def test_who_has_no_quota_is_not_warned() -> None:
    assert decide_warning(replace(FACTS, quota=UNLIMITED), PERCENTS, None, NOW) is None
