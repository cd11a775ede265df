"""The part of a report of success or delay that people read.

    notice("mx.example.com", reported, until)

    This is the mail system at mx.example.com.
    You asked to be told when your message is delivered.

    <ana@example.com>:
    The message was delivered.

    --- Enclosed is a copy of the message's header.

It does not begin as a bounce does: readers of those would take its recipients for failed.  Lines end
in LF.

Sources: RFC 3464 2.3.3 (what the words mean); RFC 3461 4.3 (the header alone is enclosed).
"""

from collections.abc import Iterator, Sequence
from typing import Final

from indimail.delivery.headers import printable
from indimail.delivery.qsbmf import Enclosed, reason, server
from indimail.delivery.reported import ReportedRecipient
from indimail.mail.dates import header_date
from indimail.mail.dsn import Dsn

SUCCESS_SUBJECT: Final = "delivery notice"
DELAY_SUBJECT: Final = "delay notice: your message is still on its way"
ASKED: Final = ("You asked to be told when your message is delivered.",)
WAITS: Final = (
    "This is only a warning: you need not send your message again.",
    "It could not be delivered yet to the following addresses. I keep trying until",
    "{until}; if it cannot be delivered by then, you are told.",
)
_HANDED_ON: Final = (
    "{server} took the message, and does not tell what becomes of it.",
    "If it cannot be delivered you may still be told; if it is delivered you are not.",
)
_SUCCESS: Final = {
    Dsn.DELIVERED: ("The message was delivered.",),
    Dsn.RELAYED: _HANDED_ON,
    Dsn.EXPANDED: (
        "The address stands for several others, and the message was sent on to them.",
        "You may still be told if it cannot be delivered to one of them.",
    ),
}


def subject(dsn: Dsn) -> str:
    """Return what a report of this kind has as its subject."""
    return DELAY_SUBJECT if dsn is Dsn.DELAYED else SUCCESS_SUBJECT


def notice(host: str, reported: Sequence[ReportedRecipient], until: float) -> str:
    """Return the text; all of them are delayed, or none is."""
    delayed = reported[0].dsn is Dsn.DELAYED
    lines = [line.format(until=header_date(until)) for line in WAITS] if delayed else ASKED
    paragraphs = [
        [f"This is the mail system at {host}.", *lines],
        *([f"<{printable(one.address)}>:", *_about(one)] for one in reported),
        [f"--- Enclosed is {Enclosed.HEADER.value}."],
    ]
    return "\n".join("".join(f"{line}\n" for line in paragraph) for paragraph in paragraphs)


def _about(one: ReportedRecipient) -> Iterator[str]:
    if one.dsn is Dsn.DELAYED:
        yield from reason(one)
        return
    where = f"The mail server {server(one.peer)}" if one.peer else "The next mail server"
    for line in _SUCCESS[one.dsn]:
        yield line.format(server=where)
