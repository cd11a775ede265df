"""Daily limits of a mailbox: how many mails and octets it takes in a day.

    decide_day(DailyLimits(messages=100), Day(100, 5000), 2048, ...)
        -> Fail("Dir has insufficient quota. ...")

They hold only if MAILCOUNT_LIMIT or MAILSIZE_LIMIT is set; the other one then has its default.

Units: octets, messages.  Source: spec/delivery.md 5.6, 5.7.
Not here: the file (`mailbox.deliverycount`); the mailbox's quota (`delivery.overquota`).
"""

from dataclasses import dataclass
from typing import Final

from indimail.delivery.overquota import MAILBOX_FULL
from indimail.delivery.plan import Command, Fail
from indimail.mail.foreseen import Foreseen
from indimail.mail.verdict import NO_RULE, Rule

MAILCOUNT_LIMIT: Final = 1500
MAILSIZE_LIMIT: Final = 10_485_760


@dataclass(frozen=True, slots=True)
class Day:
    """What a mailbox got today."""

    messages: int = 0
    octets: int = 0

    def after(self, size: int) -> "Day":
        """Return the day with one mail more."""
        return Day(self.messages + 1, self.octets + size)


@dataclass(frozen=True, slots=True)
class DailyLimits:
    """The most that a day may bring."""

    messages: int = MAILCOUNT_LIMIT
    octets: int = MAILSIZE_LIMIT


@dataclass(frozen=True, slots=True)
class DayVerdict:
    """`plan` is None where the mail may come: then its day is `after`, to be written."""

    plan: Fail | None
    after: Day
    command: Command | None = None


def decide_day(
    limits: DailyLimits, today: Day, size: int, maildir: str, rule: Rule = NO_RULE
) -> DayVerdict:
    """Judge a mail of `size` octets, lines in front included; one too many is not counted."""
    after = today.after(size)
    count = f"{after.messages}/{limits.messages}" if after.messages > limits.messages else ""
    octets = f"{after.octets}/{limits.octets}" if after.octets > limits.octets else ""
    if not (count or octets):
        return DayVerdict(None, after)
    what = "count and size" if count and octets else "count" if count else "size"
    figures = " ".join(filter(None, (count, octets)))
    text = f"Dir has insufficient quota. Mail {what} exceeded. {figures}. indimail (#5.1.4)"
    given = (size, today.octets, today.messages, f"{limits.octets},{limits.messages}")
    command = Command((maildir, *map(str, given)))
    return DayVerdict(Fail(text, MAILBOX_FULL, Foreseen.DELIVERABLE, rule), today, command)
