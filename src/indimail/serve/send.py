"""qmail-send: one queue, its mail and its schedule.

    send.accept(message, recipients, done)     # done(None) after the commit: now 250 may be said
    ... local deliveries start by themselves; each asks back:
    send.stage(job, step, done)                # done() after the copy in tmp/ is marked
    send.step(job, step, done)                 # done() after a step is marked done
    send.finish(job, outcome, forwards)        # Delivered, Deferred or Failed

Commit points: 1 (accept) and 2 (finish) are the committer's rounds; see `queue.sqlite`.
Memory is bounded: the window holds what is in work, everything else waits in the database and is
loaded when it is due.  A recipient's outcome leaves the database after the trace is synced.

The commit of a final failure owes its sender a bounce (commit point 3): the row stays until another
commit has queued the bounce.  It is made `COALESCE` seconds later, or at once where no recipient of
the mail is left, for all that failed by then.

When a commit fails the queue is *closed*: nothing more is accepted or started, what runs is
forgotten, and it is opened and recovered again every `REOPEN` seconds.  What is on disk then
decides, exactly as after a crash.

Source: spec/queue.md 1.8, 2, 5.4; DESIGN 4.  Not here: how a local delivery is made
(`serve.local`), which recipient is next (`schedule.window`), when to retry (`schedule.retry`).
"""

import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, suppress
from typing import Final, Protocol

from indimail.delivery.bounce import Discard
from indimail.durable.committer import Done, Rounds
from indimail.mail.channel import Channel
from indimail.mail.clock import Clock
from indimail.mail.errors import MailError, Misuse, QueueUnwritable
from indimail.mail.events import Event, Record
from indimail.mail.ids import QueueId
from indimail.mail.outcome import Deferred, Delivered, Failed, Outcome
from indimail.mail.verdict import Rule
from indimail.queue.port import (
    Accepted,
    Bounced,
    Change,
    Finished,
    MessageStatus,
    Postponed,
    QueuedMessage,
    QueuedRecipient,
    QueueReader,
    QueueStore,
    Staged,
    State,
    Step,
    Stepped,
    Traced,
)
from indimail.queue.spool import Spool
from indimail.schedule.retry import CHANNEL_SKIP, GIVING_UP, is_expired, next_try
from indimail.schedule.window import Window
from indimail.serve.intake import route_record
from indimail.serve.job import Job, Mail
from indimail.serve.maillog import DeliveryLog
from indimail.serve.snapshot import SendSettings

REOPEN: Final = 5.0
COALESCE: Final = 2.0  # seconds in which failures of one mail gather for one bounce
BOUNCE_AGAIN: Final = 60.0
BOUNCES_AT_ONCE: Final = 100  # in the making; each holds a body
LOADED_AT_ONCE: Final = 200
MEMORY: Final = 32 << 20  # octets of bodies that one queue keeps at hand
BEGINNING: Final = (-1.0, 0, 0)
NEVER_TRIED_DONE: Final = (1e-9, 0, 0)  # what is accepted from now on comes by `_accepted`
SETTLED: Final = 1.0  # a row younger than this may still be followed by an older one: loaded later


class Trace(Protocol):
    """Where decisions are recorded."""

    def add(self, record: Record) -> None:
        """Keep a record; durable after the next sync."""


class Bounces(Protocol):
    """Makes the bounces."""

    def owes(self, message: QueuedMessage, recipient: QueuedRecipient) -> bool:
        """Tell whether the sender is to be told of a final failure."""

    def make(self, failed: MessageStatus, spool: Spool, made: Callable[[object], None]) -> None:
        """Hand `made` an `Accepted` for those who are owed one, a `Discard`, or an exception."""


class LocalDeliverer(Protocol):
    """Makes local deliveries."""

    def start(self, job: Job, send: "Send", /) -> None:
        """Begin; the end is told to `send.finish`."""


class Send:
    """The scheduler of one queue."""

    def __init__(
        self,
        name: str,
        ident: int,
        directory: str,
        *,
        opened: Callable[[], tuple[QueueStore, QueueReader, Spool]],
        commits: Callable[[Callable[[Sequence[Change]], None], str], Rounds[Change]],
        local: LocalDeliverer,
        bounces: Bounces,
        settings: Callable[[], SendSettings],
        clock: Clock,
        trace: Trace,
        log: DeliveryLog,
    ) -> None:
        """`opened` returns the writing store, a reading one and the spool of this queue."""
        self.name = name
        self.ident = ident
        self.directory = directory
        self.life = 0
        self.failure: MailError | None = None
        self._opened = opened
        self._commits = commits
        self._local = local
        self._bounces = bounces
        self._settings = settings
        self._clock = clock
        self._trace = trace
        self._log = log
        self._untraced: list[tuple[QueueId, int]] = []
        self._owed: dict[QueueId, float] = {}  # whose bounce is to be made, and when
        self._bouncing: dict[QueueId, bool] = {}  # whose is made; True: nothing of it waits
        self._perhaps: list[QueueId] = []  # mail of ours with a file: has it a row?
        self._spooled: set[QueueId] = set()
        self._sources: dict[QueueId, str] = {}
        self._doubtful: list[QueueId] = []  # not accepted; row or body may be on disk
        self._jobs: dict[tuple[int, int], Job] = {}
        self._window: Window[Job] = Window()
        self._octets = 0
        self._running = 0
        self._after: tuple[float, int, int] = BEGINNING
        self._reopen_at = 0.0
        self.draining = False
        self._start()

    # -- opening and recovery ------------------------------------------------------------------

    def _start(self) -> None:
        """Open, learn what a crash left, and begin to load what is due."""
        with ExitStack() as opened:  # an opening that fails is tried again, and leaves nothing
            self._store, self._look, self.spool = self._opened()
            opened.callback(self._store.close)
            opened.callback(self._look.close)
            self._recover()
            self._committer = self._commits(self._apply, self.name)
            opened.callback(self._committer.close)
            self._load_staged()
            opened.pop_all()
        self._load()

    def _recover(self) -> None:
        self._take_back()
        self._drop(id_ for id_ in self._perhaps if self._store.message(id_) is None)
        self._perhaps.clear()
        self._retrace()
        self._owed = dict.fromkeys(self._store.owed(), 0.0)
        if not self.life:  # later, files without a row may be bodies that arrive
            self.spool.sweep(_Known(self._store))

    def _take_back(self) -> None:
        """Remove what a failed commit left: its client heard a 4xx, its large body is gone."""
        for queue_id in self._doubtful:
            found = self._store.message(queue_id)
            if found is not None:
                numbers = [status.recipient.number for status in found.recipients]
                none = Failed("not accepted")
                ends: list[Change] = [Finished(queue_id, n, none, 0.0) for n in numbers]
                self._store.apply([*ends, Traced(tuple((queue_id, n) for n in numbers))])
            self.spool.discard(queue_id)
        self._doubtful.clear()

    def _load_staged(self) -> None:
        """Let staged copies be settled first, while their readers have touched few of them."""
        loaded: dict[QueueId, _Loaded] = {}
        for queue_id, step in self._store.staged():
            self._load_one(queue_id, step.number, loaded)
        self._pump()

    def _retrace(self) -> None:
        """Record again the outcomes whose trace may have been lost with us."""
        for queue_id in self._store.untraced():
            found = self._store.message(queue_id)
            if found is None:
                continue
            if found.message.body is None:
                self._spooled.add(queue_id)
            if found.message.source:
                self._sources[queue_id] = found.message.source
            for status in found.recipients:
                if status.state is not State.WAITING:
                    facts: dict[str, str | int | float | bool] = {
                        "recipient": status.recipient.address,
                        "number": status.recipient.number,
                    }
                    self._trace.add(
                        Record(queue_id, status.at, Event.OUTCOME, status.state.value, status.text,
                               Rule.parse(status.rule), facts=facts)
                    )  # fmt: skip
                    if not status.owed:
                        self._untraced.append((queue_id, status.recipient.number))

    def _apply(self, changes: Sequence[Change]) -> None:
        self._store.apply(changes)

    def _close(self, failure: MailError) -> None:
        """Stop at a failed commit: what is on disk decides after the next opening."""
        if self.failure is not None:
            return
        self.failure = failure
        self.life += 1
        self._forget_work()
        self._reopen_at = self._clock.steady() + REOPEN
        self._log.alert(f"queue {self.name} closed: {failure}")

    def _forget_work(self) -> None:
        self._jobs.clear()
        self._window = Window()
        self._octets = 0
        self._running = 0
        self._untraced.clear()
        self._owed.clear()
        self._bouncing.clear()
        self._after = BEGINNING

    def _reopen(self) -> None:
        if self._clock.steady() < self._reopen_at or self._committer.waiting:
            return
        self._reopen_at = self._clock.steady() + REOPEN
        try:
            self._committer.close()
            self._look.close()
            self._store.close()
            self._start()
        except MailError as error:
            self._forget_work()  # what was loaded would be loaded once more
            self._log.alert(f"queue {self.name} stays closed: {error}")
            return
        self.failure = None
        self._pump()
        self._log.alert(f"queue {self.name} opened again")

    # -- accepting -----------------------------------------------------------------------------

    def accept(
        self, message: QueuedMessage, recipients: tuple[QueuedRecipient, ...], done: Done
    ) -> None:
        """Queue a message.  `done(None)` follows its commit; `done(error)`: nothing was queued."""
        if self.failure is not None:
            self._doubtful.append(message.id)
            done(QueueUnwritable(str(self.failure)))
            return
        fits = self._fits(recipients)
        if not fits:  # it waits in the database, and is loaded when its turn comes
            recipients = tuple(_dated(r, self._clock.now()) for r in recipients)
        life = self.life

        def committed(failure: Exception | None) -> None:
            done(failure)
            if failure is not None:
                self._doubtful.append(message.id)
                self._close(_as_ours(failure))
            elif life == self.life:
                self._accepted(message, recipients, fits)

        self._committer.submit(Accepted(message, recipients), committed)

    def _fits(self, recipients: tuple[QueuedRecipient, ...]) -> bool:
        return self._window.room >= len(recipients) and self._octets < MEMORY

    def _accepted(
        self, message: QueuedMessage, recipients: tuple[QueuedRecipient, ...], fits: bool
    ) -> None:
        self._log.new_msg(message.id)
        self._log.info_msg(message.id, message.size, message.reverse_path, message.id, message.uid)
        if message.body is None:
            self._spooled.add(message.id)
        if fits:
            mail = Mail(message, len(recipients))
            for recipient in recipients:
                if (message.id, recipient.number) not in self._jobs:  # loaded a moment ago
                    self._add(Job(mail, recipient, self.life), fresh=True)
            self._pump()
        else:  # younger ones may have been loaded while it was committed
            self._after = min(self._after, (recipients[0].due, message.id, -1))

    def _add(self, job: Job, *, fresh: bool) -> None:
        if job.recipient.channel is Channel.REMOTE:
            return  # kept in the queue until there is a way out
        self._jobs[job.key] = job
        if not job.mail.jobs:
            self._octets += job.mail.octets
        job.mail.jobs += 1
        destination = job.recipient.target
        if fresh:
            self._window.add_fresh(job, destination)
        else:
            self._window.add_due(job, destination)

    # -- scheduling ----------------------------------------------------------------------------

    def tick(self) -> None:
        """Do what time brings; called about once a second."""
        if self.failure is not None:
            self._reopen()
        else:
            self._load()
            self._pump()  # a hold or a concurrency may have changed
            self._bounce_due()

    def _load(self) -> None:
        """Fill the window with recipients that have become due, a bounded number at a time."""
        try:
            self._load_due()
        except MailError as error:
            self._close(error)

    def _load_due(self) -> None:
        if not self._window.wants_more() or self._octets >= MEMORY or self.draining:
            return
        before = self._clock.now() - SETTLED
        if before < self._after[0]:  # the clock stepped back: look at everything again
            self._after = BEGINNING
        due = self._look.due(Channel.LOCAL, before, self._after, LOADED_AT_ONCE)
        if self._after[0] <= 0 and (not due or due[0].due > 0):
            self._after = NEVER_TRIED_DONE
        loaded: dict[QueueId, _Loaded] = {}
        for entry in due:
            self._after = (entry.due, entry.id, entry.number)
            if (entry.id, entry.number) not in self._jobs:
                self._load_one(entry.id, entry.number, loaded)
        if due:
            self._pump()

    def _load_one(self, queue_id: QueueId, number: int, loaded: "dict[QueueId, _Loaded]") -> None:
        """Load a recipient; its message is read once, however many recipients it has."""
        if queue_id not in loaded:
            found = self._look.message(queue_id)
            if found is None:
                return
            if found.message.body is None:
                self._spooled.add(queue_id)
            loaded[queue_id] = self._mail_of(found), _waiting(found), self._look.steps(queue_id)
        mail, waiting, steps = loaded[queue_id]
        recipient = waiting.get(number)
        if recipient is not None:
            mine = tuple(step for step in steps if step.number == number)
            self._add(Job(mail, recipient, self.life, mine), fresh=False)

    def _mail_of(self, found: MessageStatus) -> Mail:
        """Share the `Mail` that jobs of this message already have."""
        for status in found.recipients:
            job = self._jobs.get((found.message.id, status.recipient.number))
            if job is not None:
                return job.mail
        waiting = sum(s.state is State.WAITING for s in found.recipients)
        return Mail(found.message, waiting)

    def _pump(self) -> None:
        """Start as many deliveries as the channel's concurrency allows."""
        settings = self._settings()
        if settings.holdlocal or self.draining or self.failure is not None:
            return
        for job in self._window.take(self._running, settings.concurrencylocal):
            self._running += 1
            self._begin(job, settings)

    def _begin(self, job: Job, settings: SendSettings) -> None:
        message, recipient = job.mail.message, job.recipient
        self._log.envelope(
            "local", message.reverse_path, recipient.target, message.id, message.size, "compat mode"
        )
        job.delivery = self._log.starting_delivery(message.id, "local", recipient.target)
        self._log_status(settings)
        self._trace.add(
            Record(message.id, self._clock.now(), Event.ATTEMPT, "start", "local delivery",
                   facts={"recipient": recipient.address, "number": recipient.number,
                          "target": recipient.target, "attempt": recipient.attempts + 1})
        )  # fmt: skip
        self._local.start(job, self)

    def _log_status(self, settings: SendSettings) -> None:
        self._log.status(
            (self._running, settings.concurrencylocal),
            (0, settings.concurrencyremote),
            local_held=settings.holdlocal,
            remote_held=settings.holdremote,
            exitasap=self.draining,
        )

    # -- what deliveries say -------------------------------------------------------------------

    def stage(self, job: Job, step: Step, done: Callable[[], None]) -> None:
        """Mark a copy that is synced in tmp/; `done` follows the commit, never a failure.

        May be called on any thread; `done` runs on the event loop.
        """
        self._keep(job, Staged(job.mail.message.id, step), done)

    def step(self, job: Job, step: Step, done: Callable[[], None]) -> None:
        """Mark a step that is made, of several; `done` as above."""
        self._keep(job, Stepped(job.mail.message.id, step), done)

    def _keep(self, job: Job, change: Change, done: Callable[[], None]) -> None:
        if job.life != self.life:
            return

        def committed(failure: Exception | None) -> None:
            if failure is not None:
                self._close(_as_ours(failure))
            elif job.life == self.life:
                done()

        self._mark(change, committed)

    def finish(self, job: Job, outcome: Outcome, forwards: tuple[Accepted, ...] = ()) -> None:
        """End an attempt: record the final outcome, or when to try again.  Any thread may call."""
        if job.life != self.life:
            self._drop(_spooled(*forwards))
            return
        message, recipient = job.mail.message, job.recipient
        now = self._clock.now()
        if isinstance(outcome, Deferred):
            outcome = self._or_expired(outcome, message, now)
        change: Change
        if isinstance(outcome, Deferred):
            due = next_try(
                message.born, now, CHANNEL_SKIP[recipient.channel.value],
                random.random() if recipient.attempts >= 2 else 0.0,  # noqa: S311  spreads retries
            )  # fmt: skip
            change = Postponed(message.id, recipient.number, due, outcome.text, str(outcome.rule))
        else:
            owed = isinstance(outcome, Failed) and self._bounces.owes(message, recipient)
            change = Finished(message.id, recipient.number, outcome, now, forwards, owed)

        def committed(failure: Exception | None) -> None:
            if failure is not None:
                self._perhaps += _spooled(*forwards)
                self._close(_as_ours(failure))
            elif job.life == self.life:
                self._ended(job, outcome, change, now)

        self._mark(change, committed)

    def _mark(self, change: Change, committed: Done) -> None:
        """Hand a mark over; one that comes while the queue is being closed is not heard."""
        with suppress(Misuse):
            self._committer.add(change, committed)

    def _or_expired(self, outcome: Deferred, message: QueuedMessage, now: float) -> Outcome:
        settings = self._settings()
        lifetime = settings.queuelifetime if message.reverse_path else settings.bouncelifetime
        if is_expired(message.born, now, lifetime):
            return Failed(f"{outcome.text}\n{GIVING_UP}", outcome.rule)
        return outcome

    def _ended(self, job: Job, outcome: Outcome, change: Change, now: float) -> None:
        """Tell the log and the trace, after the commit that made it true."""
        message, recipient = job.mail.message, job.recipient
        self._running -= 1
        self._jobs.pop(job.key, None)
        self._window.done(job)
        job.mail.jobs -= 1
        if not job.mail.jobs:
            self._octets -= job.mail.octets
        settings = self._settings()
        verdict = _VERDICTS[type(outcome)]
        facts: dict[str, str | int | float | bool] = {
            "recipient": recipient.address, "number": recipient.number,
        }  # fmt: skip
        if isinstance(change, Postponed):
            facts["next_try"] = change.due
            self._after = min(self._after, (change.due, message.id, recipient.number - 1))
        if job.mailbox is not None:
            held, quota = job.mailbox
            facts |= {"held": str(held), "quota": quota.definition}
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
            if change.owed:
                self._owed.setdefault(message.id, now + COALESCE)
            else:
                self._untraced.append((message.id, recipient.number))
            if message.source:
                self._sources[message.id] = message.source
            job.mail.waiting -= 1
            if job.mail.waiting == 0:
                self._last_ended(message.id)
            for forward in change.forwards:
                self._begin_own(forward, f"forwarded by the delivery of {message.id}")
        self._pump()
        if self._window.wants_more() and not self._running:
            self._load()

    def tell(self, job: Job, verdict: str, text: str, rule: Rule) -> None:
        """Record what became of one of several steps."""
        recipient = job.recipient
        self._trace.add(
            Record(job.mail.message.id, self._clock.now(), Event.STEP, verdict, text, rule,
                   facts={"recipient": recipient.address, "number": recipient.number})
        )  # fmt: skip

    # -- mail of our own -----------------------------------------------------------------------

    def _begin_own(self, queued: Accepted, why: str) -> None:
        """Go on with a forward or a bounce, whose commit was ours."""
        message = queued.message
        facts: dict[str, str | int | float | bool] = {
            "sender": message.reverse_path, "size": message.size,
            "recipients": len(queued.recipients), "queue": self.name,
        }  # fmt: skip
        now = self._clock.now()
        self._trace.add(Record(message.id, now, Event.MESSAGE, "accept", why, facts=facts))
        for recipient in queued.recipients:
            self._trace.add(route_record(message, recipient, now))
        self._accepted(message, queued.recipients, fits=self._fits(queued.recipients))

    def _last_ended(self, queue_id: QueueId) -> None:
        """Nothing of a mail waits any longer: say so, after its bounce where one is owed."""
        if queue_id in self._bouncing:
            self._bouncing[queue_id] = True
        elif queue_id in self._owed:
            self._bounce(queue_id)
        else:
            self._log.end_msg(queue_id)

    def _bounce_due(self) -> None:
        now = self._clock.now()
        for queue_id in [id_ for id_, due in self._owed.items() if due <= now]:
            self._bounce(queue_id)

    def _bounce(self, queue_id: QueueId) -> None:
        """Make the bounce for all that failed by now, and queue it by the commit that ends the debt.

        One at a time: who fails meanwhile is in the next, and nobody is in two.
        """
        if queue_id in self._bouncing or len(self._bouncing) >= BOUNCES_AT_ONCE:
            return  # its turn comes with `_bounce_due`
        if self._owed.pop(queue_id, None) is None:
            return  # the queue was closed
        life = self.life
        try:
            failed = self._look.message(queue_id)
        except MailError as error:
            self._close(error)
            return
        numbers = tuple(s.recipient.number for s in failed.recipients if s.owed) if failed else ()
        if failed is None or not numbers:
            return
        self._bouncing[queue_id] = all(s.state is not State.WAITING for s in failed.recipients)

        def made(result: object) -> None:
            if life != self.life:
                if isinstance(result, Accepted):
                    self._drop(_spooled(result))
                return
            match result:
                case Accepted() | Discard():
                    self._settle(queue_id, numbers, result)
                case _:
                    del self._bouncing[queue_id]
                    self._log.alert(f"bounce for {queue_id} is not made yet: {result}")
                    self._owed[queue_id] = self._clock.now() + BOUNCE_AGAIN

        self._bounces.make(failed, self.spool, made)

    def _settle(
        self, queue_id: QueueId, numbers: tuple[int, ...], bounce: Accepted | Discard
    ) -> None:
        life = self.life
        queued = bounce if isinstance(bounce, Accepted) else None

        def committed(failure: Exception | None) -> None:
            if failure is not None:
                self._perhaps += _spooled(queued) if queued is not None else []
                self._close(_as_ours(failure))
            elif life == self.life:
                self._untraced += [(queue_id, number) for number in numbers]
                self._tell_bounced(queue_id, bounce)
                if self._bouncing.pop(queue_id):
                    self._last_ended(queue_id)
                if not self._bouncing:
                    self._bounce_due()

        self._mark(Bounced(queue_id, numbers, queued), committed)

    def _tell_bounced(self, queue_id: QueueId, bounce: Accepted | Discard) -> None:
        match bounce:
            case Accepted(message, (recipient, *_)):
                self._log.bounce_msg(queue_id, message.id)
                verdict, text = "queued", f"to <{recipient.address}>, qp {message.id}"
            case Discard.DOUBLE:
                self._log.double_bounce_discarded(queue_id)
                verdict, text = "discarded", "of a bounce, and doublebounceto names nobody"
            case Discard.TRIPLE:
                self._log.triple_bounce_discarded(queue_id)
                verdict, text = "discarded", "of a double bounce"
        self._trace.add(Record(queue_id, self._clock.now(), Event.BOUNCE, verdict, text))
        if isinstance(bounce, Accepted):
            self._begin_own(bounce, f"bounce of {queue_id}")

    def _drop(self, queue_ids: Iterable[QueueId]) -> None:
        """Remove the files of mail of ours that has no row and will have none."""
        for queue_id in queue_ids:
            with suppress(MailError):  # it stays until the next start sweeps it away
                self.spool.discard(queue_id)

    # -- trace and end -------------------------------------------------------------------------

    def take_untraced(self) -> list[tuple[QueueId, int]]:
        """Return the recipients whose outcomes were recorded since; sync the trace next."""
        taken, self._untraced = self._untraced, []
        return taken

    def keep_untraced(self, outcomes: list[tuple[QueueId, int]]) -> None:
        """Take them back: the trace could not be synced yet."""
        self._untraced[:0] = outcomes

    def sources(self, outcomes: list[tuple[QueueId, int]]) -> list[str]:
        """Return the spool files these mails were adopted from: they go before the rows do."""
        if not self._sources:
            return []
        ids = {queue_id for queue_id, _ in outcomes}
        return [source for queue_id, source in self._sources.items() if queue_id in ids]

    def forget(self, outcomes: list[tuple[QueueId, int]]) -> None:
        """Let rows go whose outcomes are in the synced trace, and their spool files after them."""
        if not outcomes or self.failure is not None:
            return
        ids = {queue_id for queue_id, _ in outcomes}
        traced = Traced(tuple(outcomes))
        self._committer.add(traced, lambda failure: self._forgotten(ids, failure))

    def _forgotten(self, ids: set[QueueId], failure: Exception | None) -> None:
        if failure is not None:
            self._close(_as_ours(failure))
            return
        for queue_id in self._sources.keys() & ids:
            del self._sources[queue_id]
        for queue_id in self._spooled.intersection(ids):
            with suppress(MailError):  # it stays until the next start sweeps it away
                if self._look.message(queue_id) is None:
                    self._spooled.discard(queue_id)
                    self.spool.discard(queue_id)

    def largest_id(self) -> int:
        """Return the largest id that is known here, 0 for none."""
        return self._look.largest_id()

    @property
    def running(self) -> int:
        """Deliveries in work."""
        return self._running

    def close(self) -> None:
        """Commit what was submitted and let go."""
        self._committer.close()
        self._look.close()
        self._store.close()


def _spooled(*mails: Accepted) -> list[QueueId]:
    return [mail.message.id for mail in mails if mail.message.body is None]


# A mail, its recipients that wait in the database, by their numbers, and what was made for them.
_Loaded = tuple[Mail, dict[int, QueuedRecipient], list[Step]]


def _waiting(found: MessageStatus) -> dict[int, QueuedRecipient]:
    waiting = (s.recipient for s in found.recipients if s.state is State.WAITING)
    return {recipient.number: recipient for recipient in waiting}


class _Known:
    """Which ids have a row; asked for the few names in `mess/` alone."""

    def __init__(self, store: QueueStore) -> None:
        self._store = store

    def __contains__(self, queue_id: object) -> bool:
        return isinstance(queue_id, int) and self._store.message(QueueId(queue_id)) is not None


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


def _as_ours(failure: Exception) -> MailError:
    return failure if isinstance(failure, MailError) else QueueUnwritable(repr(failure))
