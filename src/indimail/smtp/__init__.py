"""SMTP without I/O: the server's session with its questions and rules, and the client.

Read `session` first, then `event` (what the driver answers), `command` and `message`.  Of the client
`hop`, `client`, `client_event` and `client_transaction`; it is imported from there, by what sends mail.
"""

from indimail.smtp.event import (
    AuthEnded,
    AuthKeysWanted,
    AuthOffered,
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
    "AuthEnded",
    "AuthKeysWanted",
    "AuthOffered",
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
