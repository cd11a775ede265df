"""What the scheduler holds in memory: mails with waiting recipients, and a job for each of those.

A `Mail` is shared by its jobs.  Its body is in `message.body`, or None and read when its turn comes.
"""

from indimail.queue.port import QueuedMessage, QueuedRecipient, Step


class Mail:
    """A queued message, how many of its recipients wait, and how many of those are in memory."""

    __slots__ = ("jobs", "message", "waiting")

    def __init__(self, message: QueuedMessage, waiting: int) -> None:
        self.message = message
        self.waiting = waiting
        self.jobs = 0

    @property
    def octets(self) -> int:
        """What it takes of the memory that bodies may have."""
        return len(self.message.body or b"")


class Job:
    """One delivery attempt for one recipient.

    `life` is the life of the queue it belongs to: after the queue was closed and recovered, what
    an old job still says is not heard.  `staged` is a copy that an earlier attempt staged: it has
    to be settled before anything else.
    """

    __slots__ = ("delivery", "life", "mail", "recipient", "staged")

    def __init__(
        self, mail: Mail, recipient: QueuedRecipient, life: int, staged: Step | None = None
    ) -> None:
        self.mail = mail
        self.recipient = recipient
        self.life = life
        self.staged = staged
        self.delivery = 0

    @property
    def key(self) -> tuple[int, int]:
        """The recipient's key in the queue."""
        return (self.mail.message.id, self.recipient.number)
