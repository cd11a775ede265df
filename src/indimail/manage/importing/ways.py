"""How an import is made: what the administrator chose, and what the plan needs to know of ours.

ways = Ways(mail=Mail.COPY, programs=frozenset({"autoresponder"}), hashed=hash_here)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from indimail.mail.errors import Mistake
from indimail.mail.secret import Secret

Check = Callable[[Mapping[str, bytes]], list[Mistake]]


class Mail(StrEnum):
    """What becomes of the mailboxes."""

    COPY = "copy"
    IN_PLACE = "in-place"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Ways:
    """`programs` are the names of our own, `hashed` makes the hash of a password.

    `controls` and `variables` are our control files and variables with what each waits for, empty:
    it works; `check` tells the mistakes of the configuration if these files said this.

    `keep_clear`: passwords that are stored as they are stay so, for CRAM; `force`: a file that is
    here and says something else is replaced; `link`: mails get a second name instead of a copy.
    """

    hashed: Callable[[str], Secret]
    programs: frozenset[str] = frozenset()
    controls: Mapping[str, str] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    check: Check = lambda _: []
    mail: Mail = Mail.COPY
    keep_clear: bool = False
    force: bool = False
    link: bool = False
