"""One channel of a queue: what of it is in memory, what is in work, how far it was loaded.

    lane = Lane(Channel.LOCAL, Window())
    lane.add(job, fresh=True)
    lane.take(cap=200)            -> the jobs that start now, in groups that go together
    lane.over(job)                # its attempt is; the slot of a group is free with the last of it
    lane.ended(job)               # and its outcome is recorded

Memory is bounded: by the window, and by the octets of the bodies that its mails hold.  A destination
has a share of these, so that one that is slow does not keep others out.  What a crash would send again
is bounded, too: while `UNRECORDED` outcomes wait for their commit, nothing starts.

Not here: what starts them (`serve.send`), whose turn it is (`schedule.window`).
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

from indimail.delivery.verp import MARK as VERP_MARK
from indimail.mail.channel import Channel
from indimail.queue.port import QueuedRecipient
from indimail.schedule.window import Window
from indimail.serve.job import Job

MEMORY: Final = 32 << 20  # octets of bodies that one lane keeps at hand
SHARE: Final = MEMORY // 8  # of them those for one remote destination
UNRECORDED: Final = 200  # outcomes of a lane whose commit is awaited
TOGETHER: Final = 100  # recipients of one transaction (RFC 5321 4.5.3.1.8)
BEGINNING: Final = (-1.0, 0, 0)
NEVER_TRIED_DONE: Final = (1e-9, 0, 0)  # what is accepted from now on comes by `add`


class Lane:
    """The local or the remote channel of one queue.

    `after` is the due time, id and number of the recipient that was loaded last; `has_more`: there
    were as many as are loaded at once.  `running` are groups in work, `unrecorded` jobs whose attempt
    is over and whose outcome is not recorded.  `flushed` are those that were loaded since all were made
    due, None: only what is due is loaded.
    """

    def __init__(self, channel: Channel, window: Window[Job]) -> None:
        self.channel = channel
        self.after = BEGINNING
        self.running = 0
        self.unrecorded = 0
        self.has_more = False
        self.flushed: set[tuple[int, int]] | None = None
        self._window = window
        self._octets = 0
        self._left_out: set[str] = set()
        self._passed_over = BEGINNING  # where `after` was when the first of them was left out
        self._held: dict[int, int] = {}  # jobs here, by the mail's id
        self._octets_for: dict[str, int] = {}  # of the bodies of jobs, by destination
        self._open: dict[Job, int] = {}  # jobs of a group that have not ended, by its first

    def fits(self, recipient: QueuedRecipient) -> bool:
        """Tell whether a new recipient has room; else it waits in the database."""
        window, to = self._window, destination(recipient)
        return (
            window.room > 0
            and self._octets < MEMORY
            and not window.is_crowded(to)
            and self._octets_for.get(to, 0) < SHARE
        )

    def left_out(self) -> set[str]:
        """Return destinations of which nothing is to be loaded, for as much waits here as may."""
        crowded = self._window.crowded()
        crowded |= {to for to, octets in self._octets_for.items() if octets >= SHARE}
        if self._left_out - crowded:  # what was passed over has its turn now
            self.after = min(self.after, self._passed_over)
            self._left_out = set()
        if crowded and not self._left_out:
            self._passed_over = self.after
        self._left_out |= crowded
        return crowded

    def wants_more(self) -> bool:
        """Tell whether recipients that are due may be loaded."""
        return self._octets < MEMORY and self._window.wants_more()

    def is_hungry(self) -> bool:
        """Tell whether recipients that are due are wanted now, and not with the next second."""
        idle = not self.running or (self.has_more and not self._window)
        return idle and self.wants_more()

    def add(self, job: Job, *, fresh: bool) -> None:
        """Let a job wait for its turn."""
        mail = job.mail
        held = self._held.get(mail.message.id, 0)
        if not held:
            self._octets += mail.octets
        self._held[mail.message.id] = held + 1
        self._count(job, mail.octets)
        if fresh:
            self._window.add_fresh(job, destination(job.recipient))
        else:
            self._window.add_due(job, destination(job.recipient))

    def _count(self, job: Job, octets: int) -> None:
        """Count the octets of a job; recipients of one mail at one host are counted each."""
        if self.channel is Channel.LOCAL:
            return
        to = destination(job.recipient)
        left = self._octets_for.get(to, 0) + octets
        if left > 0:
            self._octets_for[to] = left
        else:
            self._octets_for.pop(to, None)

    def take(self, cap: int) -> list[Sequence[Job]]:
        """Return what starts now, so that at most `cap` groups are in work."""
        if self.channel is Channel.LOCAL:
            taken = self._window.take(self.running, cap)
            self.running += len(taken)
            return [(job,) for job in taken]
        groups = []
        while (
            self.unrecorded < UNRECORDED
            and (first := self._window.next(self.running, cap)) is not None
        ):
            self.running += 1
            groups.append(self._group(first))
        return groups

    def _group(self, first: Job) -> Sequence[Job]:
        """Return a job and those of its mail that go to the same host."""
        same = partial(_goes_with, first)
        group = (first, *self._window.companions(first, same, TOGETHER - 1))
        if len(group) > 1:
            self._open[first] = len(group)
            for job in group:
                job.lead = first
        return group

    def over(self, job: Job) -> None:
        """Free the slot of a job whose attempt is over: another may start."""
        self.unrecorded += 1
        lead = job.lead or job
        left = self._open.pop(lead, 1) - 1
        if left:
            self._open[lead] = left
        else:
            self.running -= 1
            self._window.done(lead)

    def ended(self, job: Job) -> None:
        """Let go of a job whose outcome is recorded."""
        self.unrecorded -= 1
        mail = job.mail
        self._count(job, -mail.octets)
        held = self._held.get(mail.message.id, 0) - 1
        if held > 0:
            self._held[mail.message.id] = held
        elif self._held.pop(mail.message.id, None):
            self._octets -= mail.octets


def destination(recipient: QueuedRecipient) -> str:
    """Return what a recipient shares its turns with: its mailbox, or the host it is for."""
    return recipient.target


def _goes_with(first: Job, other: Job) -> bool:
    """Tell whether two recipients may share a transaction; a VERP sender is of one recipient."""
    mail = first.mail
    return other.mail is mail and not mail.message.reverse_path.endswith(VERP_MARK)
