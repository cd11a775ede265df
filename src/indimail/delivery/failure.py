"""What a bounce is made of: the message that failed, and a record of each failed recipient.

    failed = FailedRecipient("ana@example.com", "Over quota. (#5.2.2)", now)
    failed.status                       -> "5.2.2"
    is_told("SUCCESS,DELAY")            -> False

A record is kept for each recipient whose failure the sender is told; a bounce that has not left may
get more of them, and is composed from all when it leaves.  Which rule failed a recipient is in no
record: that is for the operator (`explain`), not for strangers.

Sources: RFC 3461 4.1, 5.2.6 (NOTIFY); RFC 3463 (codes); spec/queue.md 4.1.
"""

import re
from dataclasses import dataclass
from typing import Final

UNKNOWN: Final = "5.0.0"  # RFC 3461 6.3 (g)
TEXT_SHOWN: Final = 2000  # characters of a text that a bounce repeats

_CODE: Final = r"([45]\.(?:0|[1-9]\d{0,2})\.(?:0|[1-9]\d{0,2}))(?![.\d])"
# qmail's way, a reply's way, and any: the last of the first kind that is there counts.
_CODES: Final = tuple(
    re.compile(pattern + _CODE, re.ASCII)
    for pattern in (r"#", r"(?<!\d)[45]\d\d[ -]", r"(?<![.\w])")
)
_MAILBOX: Final = {" has insufficient quota. ": "5.2.2", " locked/overquota ": "5.2.1"}


@dataclass(frozen=True, slots=True)
class FailedMessage:
    """The message, as its row in the queue has it; `envid` is xtext."""

    reverse_path: str
    born: float
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""


@dataclass(frozen=True, slots=True)
class FailedRecipient:
    """A recipient that failed for good.

    `address` is the forward-path (no virtual domain's prefix), `text` the peer's, the program's or
    our own reason, `at` when the last attempt ended, `orcpt` as it came (``addr-type;xtext``).
    `peer` is the host whose reply stands in the text; empty where there was none.
    """

    address: str
    text: str
    at: float
    orcpt: str = ""
    peer: str = ""

    @property
    def status(self) -> str:
        """The RFC 3463 code of the text, or the one in it.

        IndiMail's code for a full mailbox is one for a wrong address, by which a list would forget
        the address.  A class 4 is kept: a temporary failure whose time is over is ``failed`` with
        its own code (RFC 3464 2.3.3).
        """
        for words, code in _MAILBOX.items():
            if words in self.text:
                return code
        found = next(filter(None, (code.findall(self.text) for code in _CODES)), [UNKNOWN])
        return str(found[-1])

    @property
    def lines(self) -> list[str]:
        """The lines of the text, no more than `TEXT_SHOWN` characters; none at its ends empty."""
        text = self.text.strip()
        return (text if len(text) <= TEXT_SHOWN else f"{text[:TEXT_SHOWN]} ...").splitlines()


def is_told(notify: str) -> bool:
    """Tell whether a recipient's NOTIFY lets its failure be told; without one it is."""
    return not notify or "FAILURE" in notify.upper().split(",")
