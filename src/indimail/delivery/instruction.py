"""The delivery instruction: what becomes of mail for a user who does not exist.

    parse_instruction("delete", rule)                        -> Delete()
    parse_instruction("bounce-no-mailbox", rule)             -> BounceNoMailbox()
    parse_instruction("/srv/mail/lost/Maildir", rule)        -> ToMaildir("/srv/mail/lost/Maildir")
    parse_instruction("lost@example.com", rule)              -> ToAddress("lost@example.com")
    parse_instruction("example.com:192.0.2.1:25", rule)      -> ToHost("example.com", "192.0.2.1", 25)
    parse_instruction("bounce", rule)                        -> Mistake(...)

`str()` of one gives the text back.  The order of the tests is vdelivermail's: the two words, a
leading ``/``, an ``@`` anywhere, else exactly two colons.

Source: spec/founding-text.txt (its delivery chapter), spec/delivery.md 5.4.
"""

import re
from dataclasses import dataclass
from typing import Final

from indimail.mail.errors import Mistake
from indimail.mail.verdict import Rule

EXPECTED: Final = (
    "delete, bounce-no-mailbox, the full path of a Maildir, user@domain or domain:ip:port"
)

_ADDRESS: Final = re.compile(r"[^@\s\0-\x1f\x7f]+@[^@\s\0-\x1f\x7f]+")
_HOST: Final = re.compile(r"([^:\s]+):([^:\s]+):([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Delete:
    """Discard; nobody is told."""

    def __str__(self) -> str:
        return "delete"


@dataclass(frozen=True, slots=True)
class BounceNoMailbox:
    """Tell the sender that there is no such account."""

    def __str__(self) -> str:
        return "bounce-no-mailbox"


@dataclass(frozen=True, slots=True)
class ToMaildir:
    """Store in a Maildir that exists; the path is absolute and ends without a slash."""

    path: str

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, slots=True)
class ToAddress:
    """Forward."""

    address: str

    def __str__(self) -> str:
        return self.address


@dataclass(frozen=True, slots=True)
class ToHost:
    """Hand over to the SMTP server where the user is expected; the recipient stays the same."""

    domain: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.domain}:{self.host}:{self.port}"


Instruction = Delete | BounceNoMailbox | ToMaildir | ToAddress | ToHost


def parse_instruction(text: str, rule: Rule) -> Instruction | Mistake:
    """Return what the word means; `rule` is the place that a mistake names."""
    if text == "delete":
        return Delete()
    if text == "bounce-no-mailbox":
        return BounceNoMailbox()
    return _place(text) or Mistake(rule.file, rule.line, text or "''", EXPECTED)


def _place(text: str) -> Instruction | None:
    if text.startswith("/"):
        path = text.rstrip("/")
        return ToMaildir(path) if path and text.isprintable() else None
    if "@" in text:
        return ToAddress(text) if _ADDRESS.fullmatch(text) else None
    if (found := _HOST.fullmatch(text)) and 0 < int(found[3]) < 65_536:
        return ToHost(found[1], found[2], int(found[3]))
    return None
