"""SMTP without I/O: the server's session, its questions and rules.

Read `session` first, then `event` (what the driver answers), `command` and `message`.
"""

from indimail.smtp.event import (
    Event,
    GateClosed,
    Greeting,
    HelloOffered,
    MessageAborted,
    MessageChunk,
    MessageEnded,
    MessageOffered,
    MessageRefused,
    RecipientOffered,
    Refusal,
    SenderOffered,
    TlsOffered,
)
from indimail.smtp.rules import SessionRules
from indimail.smtp.session import SmtpSession

__all__ = [
    "Event",
    "GateClosed",
    "Greeting",
    "HelloOffered",
    "MessageAborted",
    "MessageChunk",
    "MessageEnded",
    "MessageOffered",
    "MessageRefused",
    "RecipientOffered",
    "Refusal",
    "SenderOffered",
    "SessionRules",
    "SmtpSession",
    "TlsOffered",
]
