"""The part of a bounce that people read, in qmail's format (QSBMF).

    notice("mx.example.com", (), failed, Enclosed.MESSAGE)

    Hi. This is the qmail-send program at mx.example.com.
    I'm afraid I wasn't able to deliver your message to the following addresses.
    This is a permanent error; I've given up. Sorry it didn't work out.

    <ana@example.com>:
    There is no such address.
    no account ana@example.com here by that name. indimail (#5.1.5)

    --- Enclosed is a copy of the message.

Readers of the format look for the beginning of the first line, for paragraphs that begin with an
address, and for one that begins with a dash; some for lines instead of paragraphs.  So a text of
the operator stands below the first line, a blank line in a reason becomes ``/``, and one that
begins like a paragraph of the format has that in front.  Lines end in LF.  Who reads the format takes
everybody in it for failed, so reports of success and delay have another one (`delivery.notice`).

Sources: spec/queue.md 4.1, 4.3; cr.yp.to/proto/qsbmf.txt; RFC 3463 3 (what codes mean).
"""

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final

from indimail.delivery.headers import printable
from indimail.delivery.reported import ReportedRecipient
from indimail.mail.dsn import Dsn
from indimail.mail.outcome import Peer

HI: Final = "Hi. This is the"
APOLOGY: Final = (
    "I'm afraid I wasn't able to deliver your message to the following addresses.",
    "This is a permanent error; I've given up. Sorry it didn't work out.",
)
BOUNCE_BOUNCED: Final = (
    "I tried to deliver a bounce message to this address, but the bounce bounced!",
)
LONGEST: Final = 240  # characters of a line: in UTF-8 below the 998 octets of RFC 5322 2.1.1

# By subject and detail of the code, else by subject.  No words for what IndiMail's own codes mean
# otherwise than RFC 3463: 1.3 is an inactive account there, 1.4 one over quota.
_NO_ADDRESS: Final = "There is no such address."
_NO_DOMAIN: Final = "There is no such domain, or it takes no mail."
_TOO_LARGE: Final = "The message is too large."
_IN_WORDS: Final = {
    "1.1": _NO_ADDRESS,
    "1.2": _NO_DOMAIN,
    "1.5": _NO_ADDRESS,
    "1.10": _NO_DOMAIN,
    "2.1": "The mailbox is closed.",
    "2.2": "The mailbox is full.",
    "2.3": _TOO_LARGE,
    "3.4": _TOO_LARGE,
    "4": "The receiving server could not be reached.",
    "4.6": "The message goes round in a circle.",
    "7": "The message was refused by a rule of the receiving side.",
}
_ANY: Final = "The message could not be delivered."
_TIMED_OUT: Final = "It could not be delivered in time."


class Enclosed(Enum):
    """What comes after the text."""

    MESSAGE = "a copy of the message"
    HEADER = "a copy of the message's header"
    BOUNCE = "the original bounce"


def notice(
    host: str, own: Sequence[str], failed: Sequence[ReportedRecipient], enclosed: Enclosed
) -> str:
    """Return the text; `own` are the operator's lines instead of the apology."""
    own = [line for line in own if line.strip()]
    lines = own or (BOUNCE_BOUNCED if enclosed is Enclosed.BOUNCE else APOLOGY)
    first = () if lines[0].startswith(HI) else (f"{HI} qmail-send program at {host}.",)
    paragraphs = [
        [*first, *cut(lines)],
        *([f"<{printable(one.address)}>:", *reason(one)] for one in failed),
        [f"--- Enclosed is {enclosed.value}."],
    ]
    return "\n".join("".join(f"{line}\n" for line in paragraph) for paragraph in paragraphs)


def in_words(status: str, *, gave_up: bool = True) -> str:
    """Say what a code means, for somebody who never saw one."""
    kind, _, code = status.partition(".")
    words = _IN_WORDS.get(code) or _IN_WORDS.get(code.partition(".")[0], _ANY)
    return f"{words} {_TIMED_OUT}" if kind == "4" and gave_up else words


def reason(one: ReportedRecipient) -> Iterator[str]:
    """Yield why a recipient has not got the message: in words, who said so, and how."""
    yield in_words(one.status, gave_up=one.dsn is Dsn.FAILED)
    if one.peer is not None and one.peer.reply:
        yield f"The mail server {server(one.peer)} said so:"
    for line in cut(one.lines):
        begin = line.strip()[:1]
        yield "/" if not begin else f"/ {line}" if begin in "<-" else line


def server(peer: Peer) -> str:
    """Return a server's name and address, for people."""
    name, address = printable(peer.name)[:LONGEST], printable(peer.address)
    return f"{name} ({address})" if address != name else name


def cut(lines: Sequence[str]) -> Iterator[str]:
    """Yield lines that print, none longer than a mail may have."""
    for line in map(printable, lines):
        yield line[:LONGEST]
        for at in range(LONGEST, len(line), LONGEST):
            yield line[at : at + LONGEST]
