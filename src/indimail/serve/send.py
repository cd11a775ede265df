"""qmail-send: one queue, its mail and its schedule.

    send.accept(message, recipients, done)     # done(None) after the commit: now 250 may be said
    ... local deliveries start by themselves; each asks back:
    send.stage(job, step, done)                # done() after the copy in tmp/ is marked
    send.step(job, step, done)                 # done() after a step is marked done
    send.finish(job, outcome, forwards)        # Delivered, Deferred or Failed

Commit points: 1 (accept) and 2 (finish) are the committer's rounds; see `queue.sqlite`.
Memory is bounded: a lane for each channel holds what is in work, everything else waits in the
database and is loaded when it is due.

Source: spec/queue.md 1.8, 2; DESIGN 4.  Not here: a queue that fails and is opened again
(`serve.opening`), the bounces that are owed (`serve.debts`), letting rows go (`serve.traced`), how a
local delivery is made (`serve.local`), what a channel has in memory (`serve.lane`), which recipient
is next (`schedule.window`), when to retry (`schedule.retry`).
"""

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol

from indimail.durable.committer import Done
from indimail.mail.channel import Channel
from indimail.mail.clock import Clock
from indimail.mail.errors import MailError, QueueUnwritable
from indimail.mail.events import Event, Facts, Record, Trace
from indimail.mail.ids import QueueId
from indimail.mail.outcome import Deferred, Delivered, Failed, Outcome
from indimail.mail.verdict import Rule
from indimail.queue.port import (
    Accepted,
    Finished,
    MessageStatus,
    Postponed,
    QueuedMessage,
    QueuedRecipient,
    Staged,
    State,
    Step,
    Stepped,
)
from indimail.queue.spool import Spool
from indimail.schedule.retry import CHANNEL_SKIP, GIVING_UP, is_expired, next_try
from indimail.schedule.window import Window
from indimail.serve.debts import Bounces, Debts
from indimail.serve.intake import route_record
from indimail.serve.job import Job, Mail
from indimail.serve.lane import BEGINNING, NEVER_TRIED_DONE, Lane
from indimail.serve.maillog import DeliveryLog
from indimail.serve.opening import Commits, Opened, OpenQueue
from indimail.serve.snapshot import SendSettings
from indimail.serve.traced import Endings

LOADED_AT_ONCE: Final = 200
# Of remote destinations in memory; of one of them, so that there is room for others.
DUE: Final = 10_000
LINE: Final = 1_000
DUE_LINE: Final = 100
LOADS: Final = 20  # in a row, where each finds mail for a destination that has enough of it
NOT_BEGUN: Final = "The server ended before this attempt began. (#4.3.2)"
SETTLED: Final = 1.0  # a row younger than this may still be followed by an older one: loaded later
ALWAYS: Final = 1e11  # seconds since the epoch; all mail is due before


class LocalDeliverer(Protocol):
    """Makes local deliveries."""

    def start(self, job: Job, send: "Send", /) -> None:
        """Begin; the end is told to `send.finish`."""


class RemoteDeliverer(Protocol):
    """Makes remote deliveries; `at_once` are those to one destination that are of use."""

    @property
    def at_once(self) -> int:
        """How many may be begun before one ends."""

    def start(self, jobs: Sequence[Job], send: "Send", /) -> None:
        """Begin for recipients of one mail at one destination; each ends in `send.finish`."""


class Send:
    """The scheduler of one queue."""

    def __init__(
        self,
        name: str,
        ident: int,
        directory: str,
        *,
        opened: Opened,
        commits: Commits,
        local: LocalDeliverer,
        remote: RemoteDeliverer,
        bounces: Bounces,
        settings: Callable[[], SendSettings],
        clock: Clock,
        trace: Trace,
        log: DeliveryLog,
    ) -> None:
        self.name = name
        self.ident = ident
        self.directory = directory
        self.draining = False
        self._local = local
        self._remote = remote
        self._bounces = bounces
        self._settings = settings
        self._clock = clock
        self._trace = trace
        self._log = log
        self._queue = OpenQueue(
            name, opened=opened, commits=commits, recover=self._recover, forget=self._forget,
            clock=clock, log=log,
        )  # fmt: skip
        self.endings = Endings(self._queue, trace)
        self._debts = Debts(
            self._queue, self.endings, bounces, self._begin_own,
            clock=clock, trace=trace, log=log,
        )  # fmt: skip
        self._nothing_in_work()
        self._queue.open()
        self._go_on()

    @property
    def failure(self) -> MailError | None:
        """Why the queue is closed; None while it is open."""
        return self._queue.failure

    @property
    def spool(self) -> Spool:
        """Where large bodies are."""
        return self._queue.spool

    @property
    def running(self) -> int:
        """Deliveries in work, and those whose outcome is not recorded."""
        return sum(lane.running + lane.unrecorded for lane in self._lanes.values())

    def largest_id(self) -> int:
        """Return the largest id that is known here, 0 for none."""
        return self._queue.look.largest_id()

    def close(self) -> None:
        """Commit what was submitted and let go."""
        self._queue.close()

    # -- what an opening finds, and a failure forgets --------------------------------------------

    def _recover(self) -> None:
        self.endings.recover()
        self._debts.recover()
        self._load_staged()

    def _go_on(self) -> None:
        """Start what was staged, then load what is due."""
        self._pump()
        self._load()

    def _forget(self) -> None:
        self.endings.forget_work()
        self._debts.forget()
        self._nothing_in_work()

    def _nothing_in_work(self) -> None:
        self._jobs: dict[tuple[int, int], Job] = {}
        remote: Window[Job] = Window(
            due_capacity=DUE, per_destination=self._remote.at_once, line=LINE, due_line=DUE_LINE
        )
        self._lanes = {
            Channel.LOCAL: Lane(Channel.LOCAL, Window()),
            Channel.REMOTE: Lane(Channel.REMOTE, remote),
        }

    # -- accepting -----------------------------------------------------------------------------

    def accept(
        self, message: QueuedMessage, recipients: tuple[QueuedRecipient, ...], done: Done
    ) -> None:
        """Queue a message.  `done(None)` follows its commit; `done(error)`: nothing was queued."""
        queue = self._queue
        if queue.failure is not None:
            queue.doubt(message.id)
            done(QueueUnwritable(str(queue.failure)))
            return
        fits = self._fits(recipients)
        if not fits:  # it waits in the database, and is loaded when its turn comes
            recipients = tuple(_dated(r, self._clock.now()) for r in recipients)
        life = queue.life

        def committed(failure: Exception | None) -> None:
            done(failure)
            if failure is not None:
                queue.doubt(message.id)
                queue.fail(failure)
            elif life == queue.life:
                self._accepted(message, recipients, fits)

        queue.committer.submit(Accepted(message, recipients), committed)

    def _fits(self, recipients: tuple[QueuedRecipient, ...]) -> bool:
        """Tell whether each recipient has room in memory."""
        return all(self._lanes[r.channel].fits(r) for r in recipients)

    def _accepted(
        self, message: QueuedMessage, recipients: tuple[QueuedRecipient, ...], fits: bool
    ) -> None:
        self._log.new_msg(message.id)
        self._log.info_msg(message.id, message.size, message.reverse_path, message.id, message.uid)
        if message.body is None:
            self.endings.files.add(message.id)
        if fits:
            mail = Mail(message, len(recipients))
            for recipient in recipients:
                if (message.id, recipient.number) not in self._jobs:  # loaded a moment ago
                    self._add(Job(mail, recipient, self._queue.life), fresh=True)
            self._pump()
        else:  # younger ones may have been loaded while it was committed
            for lane in self._lanes.values():
                lane.after = min(lane.after, (recipients[0].due, message.id, -1))

    def _begin_own(self, queued: Accepted, why: str) -> None:
        """Go on with a forward or a bounce, whose commit was ours."""
        message = queued.message
        facts: Facts = {
            "sender": message.reverse_path, "size": message.size,
            "recipients": len(queued.recipients), "queue": self.name,
        }  # fmt: skip
        now = self._clock.now()
        self._trace.add(Record(message.id, now, Event.MESSAGE, "accept", why, facts=facts))
        for recipient in queued.recipients:
            self._trace.add(route_record(message, recipient, now))
        self._accepted(message, queued.recipients, fits=self._fits(queued.recipients))

    def _add(self, job: Job, *, fresh: bool) -> None:
        self._jobs[job.key] = job
        self._lanes[job.recipient.channel].add(job, fresh=fresh)

    # -- scheduling ----------------------------------------------------------------------------

    def tick(self) -> None:
        """Do what time brings; called about once a second."""
        if self._queue.failure is not None:
            if self._queue.reopen():
                self._go_on()
        else:
            self._load()
            self._pump()  # a hold or a concurrency may have changed
            self._debts.tick()

    def _load_staged(self) -> None:
        """Let staged copies be settled first, while their readers have touched few of them."""
        loaded: dict[QueueId, _Loaded] = {}
        for queue_id, step in self._queue.store.staged():
            self._load_one(queue_id, step.number, loaded)

    def _load(self) -> None:
        """Fill the lanes with recipients that have become due, a bounded number at a time."""
        try:
            for lane in self._lanes.values():
                for _ in range(LOADS):
                    if not self._load_due(lane):
                        break
        except MailError as error:
            self._queue.fail(error)

    def _load_due(self, lane: Lane) -> bool:
        """Load some; tell whether what was loaded keeps others from being found, who may be now."""
        if self.draining or not lane.wants_more():
            return False
        flushed = lane.flushed
        before = ALWAYS if flushed is not None else self._clock.now() - SETTLED
        if before < lane.after[0]:  # the clock stepped back: look at everything again
            lane.after = BEGINNING
        left_out = lane.left_out()
        due = self._queue.look.due(lane.channel, before, lane.after, LOADED_AT_ONCE, left_out)
        if lane.after[0] <= 0 and (not due or due[0].due > 0):
            lane.after = NEVER_TRIED_DONE
        lane.has_more = len(due) == LOADED_AT_ONCE
        loaded: dict[QueueId, _Loaded] = {}
        for entry in due:
            key = entry.id, entry.number
            lane.after = (entry.due, *key)
            if key not in self._jobs and (flushed is None or key not in flushed):
                self._load_one(entry.id, entry.number, loaded)
            if flushed is not None:  # what fails again meanwhile waits as it says
                flushed.add(key)
        if flushed is not None and not lane.has_more and not left_out:
            lane.flushed = None
        if due:
            self._pump()
        return lane.has_more and bool(lane.left_out() - left_out)

    def flush(self) -> None:
        """Try everything that waits, now, whenever it is due; once."""
        for lane in self._lanes.values():
            lane.after, lane.flushed = BEGINNING, set()
        self.tick()

    def _load_one(self, queue_id: QueueId, number: int, loaded: "dict[QueueId, _Loaded]") -> None:
        """Load a recipient; its message is read once, however many recipients it has."""
        if queue_id not in loaded:
            look = self._queue.look
            found = look.message(queue_id)
            if found is None:
                return
            if found.message.body is None:
                self.endings.files.add(queue_id)
            loaded[queue_id] = self._mail_of(found), _waiting(found), look.steps(queue_id)
        mail, waiting, steps = loaded[queue_id]
        recipient = waiting.get(number)
        if recipient is not None:
            mine = tuple(step for step in steps if step.number == number)
            self._add(Job(mail, recipient, self._queue.life, mine), fresh=False)

    def _mail_of(self, found: MessageStatus) -> Mail:
        """Share the `Mail` that jobs of this message already have."""
        for status in found.recipients:
            job = self._jobs.get((found.message.id, status.recipient.number))
            if job is not None:
                return job.mail
        waiting = sum(s.state is State.WAITING for s in found.recipients)
        return Mail(found.message, waiting)

    def _pump(self) -> None:
        """Start as many deliveries as the channels' concurrencies allow."""
        if self.draining or self._queue.failure is not None:
            return
        settings = self._settings()
        for lane in self._lanes.values():
            for group in lane.take(settings.at_once(lane.channel)):
                for job in group:
                    self._begin(job, settings)
                if lane.channel is Channel.LOCAL:
                    self._local.start(group[0], self)
                else:
                    self._remote.start(group, self)

    def _begin(self, job: Job, settings: SendSettings) -> None:
        message, recipient = job.mail.message, job.recipient
        channel = recipient.channel.value
        shown = recipient.target if recipient.channel is Channel.LOCAL else recipient.address
        self._log.envelope(
            channel, message.reverse_path, shown, message.id, message.size, "compat mode"
        )
        job.delivery = self._log.starting_delivery(message.id, channel, shown)
        self._log_status(settings)
        self._trace.add(
            Record(message.id, self._clock.now(), Event.ATTEMPT, "start", f"{channel} delivery",
                   facts={"recipient": recipient.address, "number": recipient.number,
                          "target": recipient.target, "attempt": recipient.attempts + 1})
        )  # fmt: skip

    def _log_status(self, settings: SendSettings) -> None:
        self._log.status(
            (self._lanes[Channel.LOCAL].running, settings.concurrencylocal),
            (self._lanes[Channel.REMOTE].running, settings.concurrencyremote),
            local_held=settings.holdlocal,
            remote_held=settings.holdremote,
            exitasap=self.draining,
        )

    # -- what deliveries say -------------------------------------------------------------------

    def stage(self, job: Job, step: Step, done: Callable[[], None]) -> None:
        """Mark a copy that is synced in tmp/; `done` follows the commit, never a failure.

        May be called on any thread; `done` runs on the event loop.
        """
        self._queue.mark(Staged(job.mail.message.id, step), job.life, done)

    def step(self, job: Job, step: Step, done: Callable[[], None]) -> None:
        """Mark a step that is made, of several; `done` as above."""
        self._queue.mark(Stepped(job.mail.message.id, step), job.life, done)

    def finish(self, job: Job, outcome: Outcome, forwards: tuple[Accepted, ...] = ()) -> None:
        """End an attempt: record the final outcome, or when to try again.

        Any thread may call for a local delivery, the event loop alone for a remote one.
        """
        message, recipient = job.mail.message, job.recipient
        now = self._clock.now()
        if isinstance(outcome, Deferred):
            outcome = self._or_expired(outcome, message, now)
        if isinstance(outcome, Deferred):
            due = next_try(
                message.born, now, CHANNEL_SKIP[recipient.channel.value],
                random.random() if recipient.attempts >= 2 else 0.0,  # noqa: S311  spreads retries
            )  # fmt: skip
            self._postpone(job, outcome, due, now)
            return
        owed = self._bounces.owes(message, recipient, outcome, now)
        change = Finished(message.id, recipient.number, outcome, now, forwards, owed)
        self._record(job, outcome, change, now, forwards)

    def put_back(self, job: Job) -> None:
        """End an attempt that had not begun when the server was told to end: it is due at once."""
        now = self._clock.now()
        self._postpone(job, Deferred(NOT_BEGUN), now, now)

    def _postpone(self, job: Job, outcome: Deferred, due: float, now: float) -> None:
        message, recipient = job.mail.message, job.recipient
        owed = self._bounces.owes(message, recipient, outcome, now)
        change = Postponed(
            message.id, recipient.number, due, outcome.text, str(outcome.rule), now, owed,
            outcome.peer,
        )  # fmt: skip
        self._record(job, outcome, change, now)

    def _record(
        self, job: Job, outcome: Outcome, change: Postponed | Finished, now: float,
        forwards: tuple[Accepted, ...] = (),
    ) -> None:  # fmt: skip
        """Commit what became of a job; a host waits for no disk of ours, it gets the next one now."""
        self._queue.mark(
            change, job.life, partial(self._ended, job, outcome, change, now), forwards
        )
        if job.recipient.channel is Channel.REMOTE and not self.has_forgotten(job):
            self._lanes[Channel.REMOTE].over(job)
            self._pump()

    def has_forgotten(self, job: Job) -> bool:
        """Tell whether the queue was closed since: nothing of this attempt is heard any longer."""
        return job.life != self._queue.life

    def _or_expired(self, outcome: Deferred, message: QueuedMessage, now: float) -> Outcome:
        if is_expired(message.born, now, self._lifetime(message)):
            return Failed(f"{outcome.text}\n{GIVING_UP}", outcome.rule, outcome.peer)
        return outcome

    def _lifetime(self, message: QueuedMessage) -> float:
        settings = self._settings()
        return settings.queuelifetime if message.reverse_path else settings.bouncelifetime

    def _ended(self, job: Job, outcome: Outcome, change: Postponed | Finished, now: float) -> None:
        """Tell the log and the trace, after the commit that made it true."""
        message, recipient = job.mail.message, job.recipient
        lane = self._lanes[recipient.channel]
        self._jobs.pop(job.key, None)
        if recipient.channel is Channel.LOCAL:
            lane.over(job)
        lane.ended(job)
        settings = self._settings()
        verdict = _VERDICTS[type(outcome)]
        facts: Facts = {"recipient": recipient.address, "number": recipient.number}
        if change.owed is not None:
            facts["owed"] = change.owed
            self._debts.owe(message.id, now)
        if isinstance(change, Postponed):
            lifetime = self._lifetime(message)
            facts |= {"next_try": change.due, "age": change.due - message.born,
                      "lifetime": lifetime}  # fmt: skip
            lane.after = min(lane.after, (change.due, message.id, recipient.number - 1))
        if job.mailbox is not None:
            held, quota = job.mailbox
            facts |= {"held": str(held), "quota": quota.definition}
        if job.facts is not None:
            facts |= job.facts
        rule = outcome.rule
        self._trace.add(
            Record(message.id, now, Event.DELIVERY, verdict, outcome.text, rule, facts=facts)
        )
        self._log.delivery(job.delivery, _LOG_WORDS[type(outcome)], outcome.text)
        self._log_status(settings)
        if isinstance(change, Finished):
            self._trace.add(
                Record(message.id, now, Event.OUTCOME, verdict, outcome.text, rule, facts=facts)
            )
            if change.owed is None:
                self.endings.add(message.id, recipient.number)
            self.endings.keep_source(message)
            job.mail.waiting -= 1
            if job.mail.waiting == 0:
                self._debts.last_ended(message.id)
            for forward in change.forwards:
                self._begin_own(forward, f"forwarded by the delivery of {message.id}")
        self._pump()
        if lane.is_hungry():
            self._load()

    def tell(self, job: Job, verdict: str, text: str, rule: Rule) -> None:
        """Record what became of one of several steps."""
        recipient = job.recipient
        self._trace.add(
            Record(job.mail.message.id, self._clock.now(), Event.STEP, verdict, text, rule,
                   facts={"recipient": recipient.address, "number": recipient.number})
        )  # fmt: skip


# A mail, its recipients that wait in the database, by their numbers, and what was made for them.
_Loaded = tuple[Mail, dict[int, QueuedRecipient], list[Step]]


def _waiting(found: MessageStatus) -> dict[int, QueuedRecipient]:
    waiting = (s.recipient for s in found.recipients if s.state is State.WAITING)
    return {recipient.number: recipient for recipient in waiting}


_VERDICTS: Final[dict[type, str]] = {
    Delivered: "delivered",
    Deferred: "deferred",
    Failed: "failed",
}
_LOG_WORDS: Final[dict[type, str]] = {
    Delivered: "success",
    Deferred: "deferral",
    Failed: "failure",
}


def _dated(recipient: QueuedRecipient, due: float) -> QueuedRecipient:
    r = recipient
    return QueuedRecipient(
        r.number, r.address, r.channel, r.target, r.route, r.notify, r.orcpt, r.attempts, due
    )
