"""qmail-local: one recipient's mail, each step exactly once where it can be.

    local.start(job, send)      # ends in send.finish(job, outcome)

The order is the promise (DESIGN 4): a copy is written to tmp/ and synced with its name; the
queue's commit marks it *staged*; it is renamed into new/ and that name synced; the next commit
marks it delivered (commit point 2).  Where more steps follow, the commit marks this one *done*, and
later attempts leave it out.  What is forwarded is queued by the commit that ends the recipient.
A program line and an mbox are made at least once: a crash between them and their mark makes them
again.  No step waits in the event loop.

Not here: what is to be done (`serve.foresight`), the walk over the steps (`serve.attempt`), who
touches files and starts programs (`serve.hands`), what a forward looks like (`serve.forward`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from indimail.delivery.blackhole import BlackHole
from indimail.delivery.headers import ahead, prepended
from indimail.delivery.plan import outcome
from indimail.durable.committer import Wake
from indimail.mail.clock import Clock
from indimail.mail.errors import MailError
from indimail.mail.outcome import Deferred
from indimail.mailbox import maildir
from indimail.serve.attempt import WRONG, Attempt, Scheduler
from indimail.serve.duplicates import Duplicates
from indimail.serve.foresight import Decided, Foresight, deferred
from indimail.serve.forward import Forwards
from indimail.serve.hands import Hands, RunAside
from indimail.serve.job import Job
from indimail.serve.quota import Quotas
from indimail.serve.snapshot import LocalSettings

HEADER_SEEN: Final = 65_536  # octets of a spooled mail in which its header is looked for


@dataclass(frozen=True, slots=True)
class Own:
    """What a delivery has to know of this server; `boot` tells one boot of the machine from others."""

    me: Callable[[], str]
    boot: str
    dates: Callable[[float], str]  # formats a time for a header
    black_hole: Callable[[], BlackHole]
    settings: Callable[[], LocalSettings]


@dataclass(frozen=True, slots=True)
class Prepared:
    """The plan, the mail's beginning with all of its header, and how a staged copy stands."""

    decided: Decided
    header: bytes
    settled: maildir.Settlement | None = None


@dataclass(frozen=True, slots=True)
class LocalDelivery:
    """Makes the local deliveries of a worker.

    `hands` returns those of a user of the system, by uid and gid; `wake` leads back to the event
    loop from any thread.
    """

    foresight: Foresight
    hands: Callable[[int, int], Hands]
    forwards: Forwards
    clock: Clock
    aside: RunAside
    wake: Wake
    own: Own
    quotas: Quotas
    duplicates: Duplicates

    def start(self, job: Job, send: Scheduler, /) -> None:
        """Begin an attempt."""
        decided = self.foresight.cached(job.recipient.target)
        body = job.mail.message.body
        if decided is not None and body is not None and not job.steps:
            Attempt(self, job, send, decided).begin(body)
            return

        def prepared(result: object) -> None:
            match result:
                case Prepared():
                    attempt = Attempt(self, job, send, result.decided)
                    attempt.begin(result.header, result.settled)
                case MailError():
                    send.finish(job, outcome(deferred(result)))
                case _:
                    send.finish(job, Deferred(f"{WRONG}: {result!r} (#4.3.0)"))

        self.aside(lambda: self._prepare(job, send), prepared)

    def _prepare(self, job: Job, send: Scheduler) -> Prepared:
        """Decide, and tell what became of a copy that an earlier attempt staged."""
        decided = self.foresight.decide(job.recipient.target)
        message, step = job.mail.message, job.staged
        header = message.body
        if header is None:
            header = send.spool.beginning(message.id, message.offset, HEADER_SEEN)
        if step is None:
            return Prepared(decided, header)
        settled = self.hands(decided.uid, decided.gid).settle(
            step.place, step.name,
            same_boot=step.boot == self.own.boot, staged_age=self.clock.now() - step.at,
        )  # fmt: skip
        return Prepared(decided, header, settled)

    def lines(
        self, sender: str, target: str, queue_id: int, born: float, decided: Decided
    ) -> bytes:
        """Return the lines in front of a copy in a Maildir, foreseen or made."""
        if not decided.plan.virtual:
            return ahead(sender, target)
        me, date = self.own.me(), self.own.dates(born)
        return prepended(sender, target, queue_id, me, decided.uid, date)
