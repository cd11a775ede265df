"""What qmail-remote says about a delivery: the texts of log, bounce and `explain`.

    said(SENDER_REJECTED, "550 no", host="192.0.2.1")
        -> "Connected to 192.0.2.1 but sender was rejected.\\nRemote host said: 550 no"
    judged(550, text, rule, peer)   -> Failed(text, rule, peer)

Lines are separated by LF.  A text about a recipient begins with `about`, once RCPT was answered.
Where nothing the server said explains it, the text ends with a code of RFC 3463.

Sources: ``spec/queue.md`` 3.1, 3.2; the texts about TLS, AUTH, size and 8-bit are ours.
"""

from typing import Final

from indimail.mail.dsn import Dsn
from indimail.mail.outcome import Deferred, Delivered, Failed, Peer
from indimail.mail.reply import printable
from indimail.mail.verdict import Rule

# With what the server said behind them.
GREETING_FAILED: Final = "Connected to {host} but greeting failed"
NAME_REJECTED: Final = "Connected to {host} but my name -->{helo}<-- was rejected :("
SENDER_REJECTED: Final = "Connected to {host} but sender was rejected"
RECIPIENT_REFUSED: Final = "{host} does not like recipient"
DATA_FAILED: Final = "{host} failed on DATA command"
MESSAGE_FAILED: Final = "{host} failed after I sent the message"
ACCEPTED: Final = "{host} accepted message - Protocol SMTP"
ACCEPTED_IN_TLS: Final = "{host} accepted message - Protocol SMTPS"
TLS_REFUSED: Final = "Connected to {host} but TLS is required and was refused"
AUTH_REJECTED: Final = "Connected to {host} but authentication was rejected (AUTH {mechanism})"
RESET_FAILED: Final = "{host} failed on RSET command"
CLOSED: Final = "Connected to {host} but it closed the connection"
NO_REPLY: Final = "Connected to {host} but what it said is no reply"

# By themselves.
GIVING_UP: Final = "Giving up on {host}."
DIED: Final = "Connected to {host} but connection died. {why}(#4.4.2)"
DUPLICATE: Final = "Possible duplicate! "
OUT_OF_TURN: Final = "Connected to {host} but it spoke before it was asked. (#4.5.0)"
PARTIAL_LINE: Final = "SMTP cannot transfer messages with partial final lines. (#5.6.2)"
UNSENDABLE: Final = "Sorry, that address cannot be written in SMTP. (#5.1.3)"
NO_UNICODE: Final = (
    "Connected to {host} but server does not support unicode in email addresses. (#5.6.7)"
)
TOO_LARGE: Final = (
    "Connected to {host} but it takes {limit} octets and the message has {size}. (#5.3.4)"
)
NO_EIGHT_BIT: Final = "Connected to {host} but it takes no 8-bit message, and {why}. (#5.6.3)"
NO_TLS: Final = "Connected to {host} but TLS is required and it offers none. (#4.7.5)"
TLS_FAILED: Final = "Connected to {host} but TLS failed: {why}. (#4.7.5)"
NOT_VERIFIED: Final = "Connected to {host} but its certificate could not be verified. (#4.7.5)"
NO_AUTH: Final = "Connected to {host} but it offers no authentication that can be used. (#4.7.0)"
AUTH_BROKEN: Final = (
    "Connected to {host} but authentication went wrong (AUTH {mechanism}). (#4.7.0)"
)


def said(text: str, reply: str, **fields: str) -> str:
    """Return a text with what the server said behind it."""
    return f"{text.format(**fields)}.\nRemote host said: {reply}"


def about(sender: str, recipient: str) -> str:
    """Begin a text about a recipient."""
    return f"From: <{printable(sender)}> RCPT: <{printable(recipient)}> "


def judged(
    code: int, text: str, rule: Rule, peer: Peer, dsn: Dsn | None = None
) -> Delivered | Deferred | Failed:
    """Return the outcome that a reply's code means; `dsn` is what success is told as."""
    if code < 300:
        return Delivered(text, rule, dsn, peer)
    return Deferred(text, rule, peer) if code < 500 else Failed(text, rule, peer)
