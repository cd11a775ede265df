"""Maildir++ quotas at delivery: what a mailbox may still take, and what follows when it may not.

    mailbox = quotas.of(uid, gid)                        # whose Maildirs they are
    mailbox.ask(deliver, size, told)                     # told(Admission(...)), or told(an error)
    if admission.plan is None:                           # it is expected from now on
        ...                                              # stage, mark, publish
        mailbox.add(admission, deliver, warn)            # right after the rename; or `forget`

All decisions are made on an event loop, one after the other, so of mails that come at once only
those fit that fit together.  Other workers' mails are seen once they are in maildirsize; those of
another user's mailboxes are decided by that user's process, for all workers (`serve.spawned`).

A mailbox without a quota costs a look for its maildirsize, which another program may keep; a
recovered copy is not added (`mailbox.maildirsize` says why).

Units: octets.  Sources: spec/delivery.md 5.5 (3 to 5), 5.6, 5.7, 8.3, 8.4.
Not here: what is decided (`delivery.overquota`, `delivery.daily`), the lock of an account that is
delivered to (`serve.foresight`), who runs the command (`serve.attempt`), how another process is
asked (`serve.quota_errand`).
"""

import logging
import os
import shlex
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Final, NamedTuple, Protocol

from indimail.delivery.daily import Day, DayVerdict, decide_day
from indimail.delivery.overquota import QuotaFacts, QuotaVerdict, decide_quota, decide_warning
from indimail.delivery.plan import Command, Defer, Deliver, Fail
from indimail.delivery.quota import UNLIMITED, Quota, Usage, parse_quota
from indimail.durable.disk import Disk
from indimail.mail.clock import Clock
from indimail.mail.errors import MailError
from indimail.mailbox.deliverycount import read_day, write_day
from indimail.mailbox.maildirsize import MaildirSizes, inbox
from indimail.serve.hands import RunAside
from indimail.serve.locks import Held, QuotaLocks
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

    `quota` is None where none is obeyed.  `lock`: set the quota's lock, with these octets.
    `commands` are to be run now.  `number` is what another user's process knows it by.
    """

    plan: Fail | Defer | None
    maildir: str = ""
    size: int = 0
    usage: Usage = Usage()
    quota: Quota | None = None
    lock: int | None = None
    commands: tuple[Command, ...] = ()
    number: int = 0


class MailboxQuotas(Protocol):
    """The quotas of one user's mailboxes; on the event loop."""

    def ask(self, deliver: Deliver, size: int, told: Callable[[object], None]) -> None:
        """Judge a copy of `size` octets, lines in front included: an Admission, or an error."""

    def add(self, admission: Admission, deliver: Deliver, warn: Callable[[Command], None]) -> None:
        """Count a copy that is in new/ now; `warn` gets the warning that is due.  Raises nothing."""

    def forget(self, admission: Admission) -> None:
        """Take back what was expected: the copy did not come."""

    def held(self, deliver: Deliver, *, counted: bool) -> Held:
        """Tell what a locked mailbox holds; from a thread.  Raises MailError."""


class OwnQuotas:
    """The quotas of all mailboxes that a process delivers to as its own user."""

    def __init__(
        self,
        sizes: MaildirSizes,
        settings: Callable[[], QuotaSettings],
        disk: Disk,
        clock: Clock,
        aside: RunAside,
    ) -> None:
        self._sizes = sizes
        self._settings = settings
        self._disk = disk
        self._clock = clock
        self._aside = aside
        self._days = [Lock() for _ in range(64)]

    # -- before the copy -------------------------------------------------------------------------

    def ask(self, deliver: Deliver, size: int, told: Callable[[object], None]) -> None:
        """Judge at once, or with what a thread finds."""
        self._ask(deliver, size, told, None)

    def _ask(
        self, deliver: Deliver, size: int, told: Callable[[object], None], looked: Looked | None
    ) -> None:
        def found(result: object) -> None:
            if isinstance(result, Looked):
                self._ask(deliver, size, told, result)
            else:
                told(result)

        try:
            admission = self._admit(deliver, size, looked)
        except MailError as error:
            told(error)
            return
        if admission is None:
            self._aside(lambda: self._look(deliver, size), found)
        else:
            told(admission)

    def _admit(self, deliver: Deliver, size: int, looked: Looked | None) -> Admission | None:
        """Judge; None: `_look` first.  Raises MailError."""
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

    def _look(self, deliver: Deliver, size: int) -> Looked:
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
        lock = verdict.lock if deliver.account else None
        commands = self._commands(facts, verdict)
        if verdict.plan is not None:
            return Admission(verdict.plan, maildir, 0, usage, quota, lock, commands)
        self._sizes.expect(maildir, size)
        return Admission(None, maildir, size, usage, quota, lock, commands)

    def _commands(self, facts: QuotaFacts, verdict: QuotaVerdict) -> tuple[Command, ...]:
        warning = self._warning(facts) if verdict.warn and verdict.plan is not None else None
        return tuple(command for command in (verdict.command, warning) if command is not None)

    # -- after it --------------------------------------------------------------------------------

    def add(self, admission: Admission, deliver: Deliver, warn: Callable[[Command], None]) -> None:
        """Count a copy that is in new/ now; `warn` gets the warning that is due.  Raises nothing."""
        self._sizes.add(admission.maildir, admission.size)
        size, admission.size = admission.size, 0
        quota, usage = admission.quota, admission.usage
        if quota is None or not any(self._settings().percents):
            return
        held = Usage(usage.octets + size, usage.messages + 1)
        warning = self._warning(
            QuotaFacts(deliver.account or admission.maildir, admission.maildir, size, held,
                       deliver.limit or quota.definition, quota)
        )  # fmt: skip
        if warning is not None:
            warn(warning)

    def forget(self, admission: Admission) -> None:
        """Take back what was expected: the copy did not come."""
        if admission.size and admission.quota is not None:
            self._sizes.forget(admission.maildir, admission.size)
        admission.size = 0

    def held(self, deliver: Deliver, *, counted: bool) -> Held:
        """Count if that is wanted, and look for the file that makes mail wait."""
        maildir = inbox(deliver.maildir)
        usage = Usage()
        if counted:
            usage = self._sizes.measure(maildir, quota_of(deliver.limit or ""))
        return Held(usage, self._disk.exists(self._settings().hold_file(maildir)))

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


class Quotas:
    """What a worker does about quotas: who is asked, which account is locked, what is run."""

    def __init__(
        self,
        of: Callable[[int, int], MailboxQuotas],
        settings: Callable[[], QuotaSettings],
        locks: QuotaLocks,
        aside: RunAside,
    ) -> None:
        """`of` returns the quotas of a user's mailboxes, by uid and gid."""
        self.of = of
        self._settings = settings
        self._locks = locks
        self._aside = aside
        self._running: set[tuple[str, int]] = set()  # whose command runs, and of which kind

    def lock(self, account: str, octets: int) -> None:
        """Set the quota's lock, beside the delivery."""
        self._aside(lambda: self._locks.lock(account, octets), _told)

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
