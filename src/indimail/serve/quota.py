"""Maildir++ quotas at delivery: what a mailbox may still take, and what follows when it may not.

    admission = quotas.admit(deliver, size)              # None: it has to be counted first
    quotas.look(deliver, size)                           # ... on a thread
    admission = quotas.admit(deliver, size, looked)      # ... and then on the event loop
    if admission.plan is None:                           # it is expected from now on
        ...                                              # stage, mark, publish
        quotas.add(admission)                            # right after the rename; or `forget`

All decisions are made on the event loop, one after the other, so of mails that come at once only
those fit that fit together.  Other workers' mails are seen once they are in maildirsize.

A mailbox without a quota costs a look for its maildirsize, which another program may keep; a
recovered copy is not added (`mailbox.maildirsize` says why).

Units: octets.  Sources: spec/delivery.md 5.5 (3 to 5), 5.6, 5.7, 8.3, 8.4.
Not here: what is decided (`delivery.overquota`, `delivery.daily`), the lock of an account that is
delivered to (`serve.foresight`), who runs the command (`serve.attempt`).
"""

import logging
import os
import shlex
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Final, NamedTuple

from indimail.delivery.daily import Day, DayVerdict, decide_day
from indimail.delivery.overquota import QuotaFacts, QuotaVerdict, decide_quota, decide_warning
from indimail.delivery.plan import Command, Defer, Deliver, Fail
from indimail.delivery.quota import UNLIMITED, Quota, Usage, parse_quota
from indimail.durable.disk import Disk
from indimail.mail.clock import Clock
from indimail.mail.errors import MailError
from indimail.mailbox.deliverycount import read_day, write_day
from indimail.mailbox.maildirsize import MaildirSizes, inbox
from indimail.serve.locks import QuotaLocks
from indimail.serve.snapshot import QuotaSettings

LOG: Final = logging.getLogger("indimail.quota")
COMMANDS: Final = 20  # at once; one Maildir has one
WARNED: Final = "QuotaWarn"


class Looked(NamedTuple):
    """What a thread found: what a day brought so far, and what the mailbox holds."""

    day: DayVerdict | None
    usage: Usage | None


@dataclass(slots=True)
class Admission:
    """What was decided about one copy; `size` is what is expected, 0 for nothing any more.

    `quota` is None where none is obeyed.  `commands` are to be run now.
    """

    plan: Fail | Defer | None
    maildir: str = ""
    size: int = 0
    usage: Usage = Usage()
    quota: Quota | None = None
    facts: QuotaFacts | None = None
    commands: tuple[Command, ...] = ()


class Quotas:
    """The quotas of all mailboxes that a worker delivers to as its own user."""

    def __init__(
        self,
        sizes: MaildirSizes,
        settings: Callable[[], QuotaSettings],
        disk: Disk,
        clock: Clock,
        locks: QuotaLocks,
        aside: Callable[[Callable[[], object], Callable[[object], None]], None],
        uid: int,
    ) -> None:
        self.uid = uid
        self._sizes = sizes
        self._settings = settings
        self._disk = disk
        self._clock = clock
        self._locks = locks
        self._aside = aside
        self._days = [Lock() for _ in range(64)]
        self._running: set[tuple[str, int]] = set()  # whose command runs, and of which kind

    # -- before the copy -------------------------------------------------------------------------

    def admit(self, deliver: Deliver, size: int, looked: Looked | None = None) -> Admission | None:
        """Judge a copy of `size` octets, lines in front included; None: `look` first.

        On the event loop.  Raises MailError.
        """
        settings = self._settings()
        self._sizes.counting = settings.counting
        maildir = inbox(deliver.maildir)
        quota = self._quota(deliver, maildir)
        if looked is None:
            if settings.limits is not None:
                return None
            if quota is None or quota.is_unlimited:
                return Admission(None, maildir, size)
            usage = self._sizes.known(maildir, quota, size)
            if usage is None:
                return None
        else:
            if looked.day is not None and looked.day.plan is not None:
                commands = (looked.day.command,) if looked.day.command else ()
                return Admission(looked.day.plan, commands=commands)
            if quota is None or quota.is_unlimited:
                return Admission(None, maildir, size)
            # Others may have been admitted while it was counted.
            usage = self._sizes.current(maildir) or looked.usage or Usage()
        if quota.is_over(usage, size):
            return self._over(deliver, maildir, size, usage, quota)
        self._sizes.expect(maildir, size)
        return Admission(None, maildir, size, usage, quota)

    def look(self, deliver: Deliver, size: int) -> Looked:
        """Look at the day, and count what the mailbox holds; on a thread.  Raises MailError."""
        limits = self._settings().limits
        maildir = inbox(deliver.maildir)
        day = None
        if limits is not None:
            with self._days[hash(maildir) % len(self._days)]:
                now = self._clock.now()
                today = Day(*read_day(self._disk, maildir, now))
                day = decide_day(limits, today, size, maildir, deliver.rule)
                if day.plan is not None:
                    return Looked(day, None)
                write_day(self._disk, maildir, now, day.after.messages, day.after.octets)
        quota = self._quota(deliver, maildir)
        if quota is None or quota.is_unlimited:
            return Looked(day, None)
        return Looked(day, self._sizes.measure(maildir, quota, size))

    def _quota(self, deliver: Deliver, maildir: str) -> Quota | None:
        """Return the account's quota, else the one that the Maildir's own file tells."""
        return quota_of(deliver.limit) if deliver.limit else self._sizes.definition(maildir)

    def _over(
        self, deliver: Deliver, maildir: str, size: int, usage: Usage, quota: Quota
    ) -> Admission:
        """Bounce, hold, or deliver a small one all the same; lock, warn and tell."""
        settings = self._settings()
        facts = QuotaFacts(
            deliver.account or maildir, maildir, size, usage, deliver.limit or quota.definition,
            quota, self._disk.exists(settings.hold_file(maildir)), settings.mailsize, deliver.rule,
        )  # fmt: skip
        verdict = decide_quota(facts)
        if verdict.lock is not None and deliver.account:
            octets = verdict.lock
            self._aside(lambda: self._locks.lock(deliver.account, octets), _told)
        commands = self._commands(facts, verdict)
        if verdict.plan is not None:
            return Admission(verdict.plan, maildir, 0, usage, quota, facts, commands)
        self._sizes.expect(maildir, size)
        return Admission(None, maildir, size, usage, quota, facts, commands)

    def _commands(self, facts: QuotaFacts, verdict: QuotaVerdict) -> tuple[Command, ...]:
        warning = self._warning(facts) if verdict.warn and verdict.plan is not None else None
        return tuple(command for command in (verdict.command, warning) if command is not None)

    # -- after it --------------------------------------------------------------------------------

    def add(self, admission: Admission, deliver: Deliver) -> Command | None:
        """Count a copy that is in new/ now; return the warning that is due.  Raises nothing."""
        self._sizes.add(admission.maildir, admission.size)
        size, admission.size = admission.size, 0
        quota, usage = admission.quota, admission.usage
        if quota is None or not any(self._settings().percents):
            return None
        held = Usage(usage.octets + size, usage.messages + 1)
        return self._warning(
            QuotaFacts(deliver.account or admission.maildir, admission.maildir, size, held,
                       deliver.limit or quota.definition, quota)
        )  # fmt: skip

    def forget(self, admission: Admission) -> None:
        """Take back what was expected: the copy did not come."""
        if admission.size and admission.quota is not None:
            self._sizes.forget(admission.maildir, admission.size)
        admission.size = 0

    def _warning(self, facts: QuotaFacts) -> Command | None:
        """Return the command of a warning that is due, and keep that it was given."""
        percents, now = self._settings().percents, self._clock.now()
        if not self._settings().command or decide_warning(facts, percents, None, now) is None:
            return None
        path = f"{facts.maildir}/{WARNED}"
        try:
            last = self._disk.stamp(path).modified / 1e9
        except OSError:
            last = None
        warning = decide_warning(facts, percents, last, now)
        if warning is None:
            return None
        try:
            with suppress(FileNotFoundError):
                self._disk.unlink(path)
            self._disk.write_new(path, ())
        except OSError:  # another worker's was first; or it would be given for every mail
            return None
        return warning.command

    # -- the command -----------------------------------------------------------------------------

    def begin(self, command: Command) -> str:
        """Return the line for sh, `ended` follows; empty where nothing is to be run."""
        program = self._settings().command
        key = _key(command)
        if key in self._running or len(self._running) >= COMMANDS:
            return ""
        if not program or not os.access(program, os.X_OK):
            return ""
        self._running.add(key)
        return shlex.join((program, *command.arguments))

    def ended(self, command: Command, result: object) -> None:
        """Let the next one run.  Nobody waits for what became of it."""
        self._running.discard(_key(command))
        if isinstance(result, Exception):
            LOG.warning("over-quota command: %s", result)


@lru_cache(maxsize=1024)
def quota_of(limit: str) -> Quota:
    """Return the quota that a text of pw_shell means; what is not understood is none."""
    return parse_quota(limit) or UNLIMITED


def _key(command: Command) -> tuple[str, int]:
    return command.arguments[0], len(command.arguments)


def _told(result: object) -> None:
    """Say what kept an account from being locked; the next mail tries again."""
    if isinstance(result, MailError):
        LOG.warning("not locked: %s", result)
    elif isinstance(result, Exception):
        LOG.warning("not locked: %r", result)
