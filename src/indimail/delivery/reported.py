"""What a report is made of: the message, and a record of each recipient that it tells of.

    failed = ReportedRecipient("ana@example.com", "Over quota. (#5.2.2)", now)
    failed.status                       -> "5.2.2"

A record is kept for each recipient of whom the sender is told (`delivery.notify`); a report that has
not left may get more of them, and is composed from all when it leaves.  Which rule decided is in no
record: that is for the operator (`explain`), not for strangers.

Sources: RFC 3461 6.3; RFC 3463 (codes); RFC 3464 2.3.3, 2.3.4; spec/queue.md 4.1.
"""

import re
from dataclasses import dataclass
from typing import Final

from indimail.mail.dsn import Dsn
from indimail.mail.outcome import Peer

UNKNOWN: Final = {"4": "4.0.0", "5": "5.0.0"}  # RFC 3461 6.3 (g)
DONE: Final = "2.0.0"
TEXT_SHOWN: Final = 2000  # characters of a text that a report repeats

_CODE: Final = r"([45]\.(?:0|[1-9]\d{0,2})\.(?:0|[1-9]\d{0,2}))(?![.\d])"
# qmail's way, a reply's way, and any: the last of the first kind that is there counts.
_CODES: Final = tuple(
    re.compile(pattern + _CODE, re.ASCII)
    for pattern in (r"#", r"(?<!\d)[45]\d\d[ -]", r"(?<![.\w])")
)
_MAILBOX: Final = {" has insufficient quota. ": "5.2.2", " locked/overquota ": "5.2.1"}


@dataclass(frozen=True, slots=True)
class ReportedMessage:
    """The message, as its row in the queue has it; `envid` is xtext.

    `until` is when nobody tries any longer to deliver it.
    """

    reverse_path: str
    born: float
    smtputf8: bool = False
    ret: str = ""
    envid: str = ""
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class ReportedRecipient:
    """A recipient that failed for good, waits, or has the message (`dsn`).

    `address` is the forward-path (no virtual domain's prefix), `text` the peer's, the program's or
    our own words, `at` when the last attempt ended, `orcpt` as it came (``addr-type;xtext``).
    `peer` is the server whose words they are; None where there was none.
    """

    address: str
    text: str
    at: float
    orcpt: str = ""
    peer: Peer | None = None
    dsn: Dsn = Dsn.FAILED

    @property
    def status(self) -> str:
        """The RFC 3463 code: the one in the text of what failed or waits.

        IndiMail's code for a full mailbox is one for a wrong address, by which a list would forget
        the address.  A class 4 is kept: a temporary failure whose time is over is ``failed`` with
        its own code (RFC 3464 2.3.3).
        """
        if self.dsn not in {Dsn.FAILED, Dsn.DELAYED}:
            return DONE
        for words, code in _MAILBOX.items():
            if words in self.text and self.dsn is Dsn.FAILED:
                return code
        own = "4" if self.dsn is Dsn.DELAYED else "5"
        found = next(filter(None, (code.findall(self.text) for code in _CODES)), [UNKNOWN[own]])
        code = str(found[-1])
        return code if self.dsn is Dsn.FAILED or code[0] == own else UNKNOWN[own]

    @property
    def lines(self) -> list[str]:
        """The lines of the text, no more than `TEXT_SHOWN` characters; none at its ends empty."""
        text = self.text.strip()
        return (text if len(text) <= TEXT_SHOWN else f"{text[:TEXT_SHOWN]} ...").splitlines()
