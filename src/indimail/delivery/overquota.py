"""What a delivery does about a quota: deliver, bounce, wait; lock or lift; warn; which command runs.

    verdict = decide_quota(QuotaFacts("alice@example.com", maildir, 2048, usage, "1M", quota))
    verdict.plan        -> None: deliver; else Fail or Defer, with IndiMail's text
    verdict.lock        -> the usage to keep with the lock, or None: set no lock
    verdict.command     -> Command(...) to run, or None
    verdict.figures     -> '2048/1048000:31/0:1048576', for the log and `explain`

Two locks share the flag 0x10: the quota's, which has a nonzero `userquota` row and goes when there
is room again, and the administrator's, without one, which only he lifts.

Units: octets, messages, seconds since the epoch, percent.
Sources: spec/delivery.md 5.3a, 5.5 (4 and 5), 5.7, 8.4, 10 (6 and 7).
Not here: what is over (`delivery.quota`), daily limits (`delivery.daily`), who runs a command.
"""

from dataclasses import dataclass
from typing import Final

from indimail.delivery.plan import Command, Defer, Fail
from indimail.delivery.quota import Quota, Usage
from indimail.mail.foreseen import Foreseen
from indimail.mail.verdict import NO_RULE, Rule

MAILSIZE: Final = 1000  # OVERQUOTA_MAILSIZE: what is no larger is delivered all the same
ROOM: Final = 1_024_000  # a lock is lifted when about a megabyte fits again
WARNED_FOR: Final = 7 * 86_400.0
WARNINGS: Final = 10  # QUOTAWARN1 to QUOTAWARN10
# RFC 3463, for the bounce's Status; IndiMail's texts have codes of their own
MAILBOX_FULL: Final = "5.2.2"
DISABLED: Final = "5.2.1"


@dataclass(frozen=True, slots=True)
class QuotaFacts:
    """A mail at the door of a mailbox; `size` includes the lines in front of it.

    `who` is the address, or the alias line that named the Maildir; `limit` the quota as it is
    stored.  `holds` tells that the file HOLDOVERQUOTA names, or Maildir/holdoverquota, is there.
    """

    who: str
    maildir: str
    size: int
    usage: Usage
    limit: str
    quota: Quota
    holds: bool = False
    mailsize: int = MAILSIZE
    rule: Rule = NO_RULE


@dataclass(frozen=True, slots=True)
class QuotaVerdict:
    """What follows, and the figures that led there.

    `lock`: set the quota's lock, with this usage in its row.  `warn`: a warning may be due
    (`decide_warning`): after a delivery, and before a bounce.
    """

    plan: Fail | Defer | None
    figures: str
    is_over: bool = False
    lock: int | None = None
    warn: bool = True
    command: Command | None = None


def decide_quota(facts: QuotaFacts) -> QuotaVerdict:
    """Judge a mail by the quota of its mailbox (5.5 step 4)."""
    figures = _figures(facts)
    if not facts.quota.is_over(facts.usage, facts.size):
        return QuotaVerdict(None, figures)
    command = Command((*_figures_of(facts), "dummy"))
    text = f"{facts.who} has insufficient quota. {figures}. indimail (#5.1.4)"
    if facts.holds:
        held = Defer(text, facts.rule)
        return QuotaVerdict(held, figures, is_over=True, warn=False, command=command)
    exceeded = facts.quota.is_exceeded(facts.usage)
    lock = max(1, facts.usage.octets) if exceeded else None  # 0 would be the administrator's
    if facts.size <= facts.mailsize:
        return QuotaVerdict(None, figures, is_over=True, lock=lock, command=command)
    fail = Fail(text, MAILBOX_FULL, Foreseen.DELIVERABLE, facts.rule)
    return QuotaVerdict(fail, figures, is_over=True, lock=lock, command=command)


@dataclass(frozen=True, slots=True)
class LockVerdict:
    """`lift`: clear the bit 0x10 and the row, nothing else, and go on; else `plan` ends it."""

    lift: bool
    plan: Fail | Defer | None
    figures: str
    command: Command | None = None


def is_quota_lock(row: int) -> bool:
    """Tell whose lock it is, where the flag 0x10 is set."""
    return row != 0


def may_lift(row: int, quota: Quota, usage: Usage) -> bool:
    """Tell whether the quota's own lock goes: there is room for a mail of ordinary size again.

    A quota so small that it never has that much room is asked for half of it.
    """
    if not is_quota_lock(row):
        return False
    room = ROOM if quota.octets > ROOM else quota.octets // 2
    fits = not quota.octets or usage.octets + room < quota.octets
    return fits and not (quota.messages and usage.messages + 1 > quota.messages)


def decide_lock(facts: QuotaFacts, row: int) -> LockVerdict:
    """Judge a delivery to a locked account (5.3a); `row` is its `userquota`, 0 for none."""
    figures = f"{facts.usage.octets}/{facts.limit}"
    if may_lift(row, facts.quota, facts.usage):
        return LockVerdict(True, None, figures)
    command = Command(_figures_of(facts))
    text = f"account {facts.who} locked/overquota {figures}. indimail (#5.1.1)"
    if facts.holds:
        return LockVerdict(False, Defer(text, facts.rule), figures, command)
    status = MAILBOX_FULL if is_quota_lock(row) else DISABLED
    return LockVerdict(False, Fail(text, status, Foreseen.LOCKED, facts.rule), figures, command)


@dataclass(frozen=True, slots=True)
class QuotaWarning:
    """QUOTAWARN`number` is exceeded: run the command, and stamp Maildir/QuotaWarn."""

    number: int
    percent: int
    command: Command


def decide_warning(
    facts: QuotaFacts, percents: tuple[int, ...], last: float | None, now: float
) -> QuotaWarning | None:
    """Warn by the first percentage, from the last one down, that size or count exceed.

    `percents` are QUOTAWARN1 to QUOTAWARN10, 0 where one is not set.
    `last` is the time of Maildir/QuotaWarn: at most one warning in seven days.  Where the mail
    was delivered `usage` has it.
    """
    if last is not None and 0 <= now - last < WARNED_FOR:
        return None
    usage, quota = facts.usage, facts.quota
    for number in range(len(percents), 0, -1):
        percent = percents[number - 1]
        if percent and (
            (quota.octets and usage.octets * 100 > quota.octets * percent)
            or (quota.messages and usage.messages * 100 > quota.messages * percent)
        ):
            figures = (usage.octets, usage.messages, quota.octets, quota.messages, percent)
            command = Command((facts.who, facts.maildir, *map(str, figures)))
            return QuotaWarning(number, percent, command)
    return None


def _figures(facts: QuotaFacts) -> str:
    usage, quota = facts.usage, facts.quota
    held = f"{usage.octets}:{usage.messages}"
    return f"{facts.size}/{held}/{quota.messages}:{quota.octets}"


def _figures_of(facts: QuotaFacts) -> tuple[str, ...]:
    """Return the arguments that both commands begin with."""
    usage = facts.usage
    return facts.maildir, str(facts.size), str(usage.octets), str(usage.messages), facts.limit
