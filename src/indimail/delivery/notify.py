"""What the sender of a mail is to be told of one recipient: by NOTIFY, and by what became of it.

    owed("ana@example.net", "", Failed("no such user"))                   -> Dsn.FAILED
    owed("ana@example.net", "SUCCESS", Delivered("did 1+0+0"))            -> Dsn.DELIVERED
    owed("ana@example.net", "NEVER", Failed("no such user"))              -> None
    is_late("ana@example.net", "DELAY", born, now, after=14_400)          -> True

A failure without NOTIFY is told, a delay is not: only who asks for it is (both are allowed).  For a
mail with a null reverse-path, or a bounce that bounced, nobody is told of success or delay; its
failure is the postmaster's, or a line in the log, whatever NOTIFY says (`delivery.bounce`).

Sources: RFC 3461 4.1, 5.2 to 5.2.6; spec/queue.md 4.2.  Units: seconds.
"""

from indimail.delivery.verp import reduced
from indimail.mail.dsn import DELAY, FAILURE, SUCCESS, Dsn, asked
from indimail.mail.outcome import Delivered, Failed

NOBODY = ("", "#@[]")  # reverse-paths that no report goes to


def owed(reverse_path: str, notify: str, outcome: Delivered | Failed) -> Dsn | None:
    """Return what is to be told of a final outcome."""
    words = asked(notify)
    match outcome:
        case Failed():
            told = reduced(reverse_path) in NOBODY or not words or FAILURE in words
            return Dsn.FAILED if told else None
        case Delivered(dsn=dsn):
            return dsn if SUCCESS in words and reduced(reverse_path) not in NOBODY else None


def is_late(reverse_path: str, notify: str, born: float, now: float, after: float) -> bool:
    """Tell whether a delay is to be told; `after` 0: none is (RFC 3461 5.2.5)."""
    return (
        0 < after <= now - born and DELAY in asked(notify) and reduced(reverse_path) not in NOBODY
    )
