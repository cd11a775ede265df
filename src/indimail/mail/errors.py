"""Every error of ours, as a tree.

    MailError                        never raised itself
    ├── Temporary                    -> 4xx, exit 111, Deferred; the default for the unknown
    │   ├── QueueUnwritable          blame: our disk
    │   ├── QueueFull                blame: our disk has less than MIN_FREE left
    │   ├── AccountsUnavailable      blame: our database
    │   ├── InstanceBusy             blame: another command that is at work, or was interrupted
    │   └── MailboxUnwritable        blame: the disk of the mailbox
    │       └── CopyGone             blame: who removed what we had in tmp/
    ├── Permanent                    -> 5xx, exit 100, Failed
    │   └── MailboxFull              blame: the recipient's quota on the disk
    └── ConfigErrors                 every mistake of a configuration at once, each with file and line
    Misuse (RuntimeError)            our own bug; never caught on the way

What is expected (a refused recipient, a deferred delivery) is a value, not an exception.  Each
error has two texts: ``str(error)`` for the log, ``reply_text`` for a peer (no path, no host name).
"""

from collections.abc import Sequence
from dataclasses import dataclass


class MailError(Exception):
    """Root of our errors; raise a leaf."""

    reply_text = "Sorry, I got a temporary failure (#4.3.0)"


class Temporary(MailError):
    """Try again later; what an unknown failure counts as."""


class QueueUnwritable(Temporary):
    """The queue's disk refused a write or a sync; nothing was accepted."""

    reply_text = "Sorry, I got a temporary queue failure (#4.3.0)"


class QueueFull(Temporary):
    """Less than MIN_FREE octets are left on the queue's disk."""

    reply_text = "Sorry, I have not enough space to store that message (#4.3.1)"


class AccountsUnavailable(Temporary):
    """The user database did not answer."""

    reply_text = "Sorry, I got a temporary database error (#4.3.2)"


class InstanceBusy(Temporary):
    """Another command changes the instance, or one that was interrupted has to be completed."""


class MailboxUnwritable(Temporary):
    """A Maildir could not be written."""


class CopyGone(MailboxUnwritable):
    """A staged copy is in tmp/ no longer, and it was not us who moved it."""


class Permanent(MailError):
    """Trying again cannot help."""


class MailboxFull(Permanent):
    """The file system's own quota of the recipient is used up."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One error in a configuration file: where, what stands there, and what was expected."""

    file: str
    line: int | None
    found: str
    expected: str

    def __str__(self) -> str:
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{where}: found {self.found}, expected {self.expected}"


class ConfigErrors(MailError):
    """All the mistakes of a configuration; stops a start, keeps the old one at a reload."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(map(str, self.mistakes)))


class Misuse(RuntimeError):
    """We called something out of order: a bug of ours, reported with its traceback."""
