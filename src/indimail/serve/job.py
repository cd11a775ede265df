"""What the scheduler holds in memory: mails with waiting recipients, and a job for each of those.

A `Mail` is shared by its jobs.  Its body is in `message.body`, or None and read when its turn comes.
"""

from indimail.delivery.quota import Quota, Usage
from indimail.mail.events import Facts
from indimail.queue.port import QueuedMessage, QueuedRecipient, Step


class Mail:
    """A queued message, and how many of its recipients wait."""

    __slots__ = ("message", "waiting")

    def __init__(self, message: QueuedMessage, waiting: int) -> None:
        self.message = message
        self.waiting = waiting

    @property
    def octets(self) -> int:
        """What it takes of the memory that bodies may have."""
        return len(self.message.body or b"")


class Job:
    """One delivery attempt for one recipient.

    `life` is the life of the queue it belongs to: after the queue was closed and recovered, what
    an old job still says is not heard.  `steps` are what earlier attempts made: one of them may be
    staged and not done, and has to be settled before anything else.  `mailbox` is what the mailbox
    held before this mail, and may hold, where a quota was obeyed.  `facts` are of the trace: which host
    took it.  `lead` is the first of those that
    go together, where there are several.
    """

    __slots__ = ("delivery", "facts", "lead", "life", "mail", "mailbox", "recipient", "steps")

    def __init__(
        self, mail: Mail, recipient: QueuedRecipient, life: int, steps: tuple[Step, ...] = ()
    ) -> None:
        self.mail = mail
        self.recipient = recipient
        self.life = life
        self.steps = steps
        self.delivery = 0
        self.facts: Facts | None = None
        self.lead: Job | None = None
        self.mailbox: tuple[Usage, Quota] | None = None

    @property
    def key(self) -> tuple[int, int]:
        """The recipient's key in the queue."""
        return (self.mail.message.id, self.recipient.number)

    @property
    def staged(self) -> Step | None:
        """The copy that an earlier attempt staged and may not have published."""
        return next((step for step in self.steps if not step.done), None)
