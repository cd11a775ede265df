"""The closed list of trace events, and the record each one leaves.

A record is one line of a message's story: what happened, what was decided, by which rule, with
all the facts the decision had (so that it can be replayed against changed rules).

| event      | when                                             | verdicts                          |
|------------|--------------------------------------------------|-----------------------------------|
| connect    | a client connected, or was turned away           | accept, refuse                    |
| auth       | AUTH was answered                                | accept, refuse, later             |
| sender     | MAIL FROM was refused; a forward's is rewritten  | refuse, later, rewritten          |
| recipient  | RCPT TO was judged                               | accept, refuse, later             |
| message    | the end of data was answered                     | accept, refuse, later             |
| route      | where a recipient goes, decided at accept time   | local, remote                     |
| attempt    | a delivery was started                           | start                             |
| step       | one of several steps of a delivery ended         | done, failed                      |
| delivery   | one attempt ended                                | delivered, deferred, failed       |
| outcome    | a recipient's final outcome                      | delivered, failed, removed        |
| bounce     | who is told of failures; nobody, where discarded | queued, discarded                 |
| disconnect | the conversation ended                           | end                               |
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from indimail.mail.verdict import NO_RULE, Rule

Facts = dict[str, str | int | float | bool]  # what a decision knew, as a record has it


class Event(StrEnum):
    """What a trace record is about."""

    CONNECT = "connect"
    AUTH = "auth"
    SENDER = "sender"
    RECIPIENT = "recipient"
    MESSAGE = "message"
    ROUTE = "route"
    ATTEMPT = "attempt"
    STEP = "step"
    DELIVERY = "delivery"
    OUTCOME = "outcome"
    BOUNCE = "bounce"
    DISCONNECT = "disconnect"


@dataclass(slots=True)
class Record:
    """One trace record; `facts` values are str, int, float or bool.  Not frozen: it is hot."""

    id: int
    time: float
    event: Event
    verdict: str
    text: str
    rule: Rule = NO_RULE
    reply: str = ""
    facts: Mapping[str, str | int | float | bool] = field(default_factory=dict)


class Trace(Protocol):
    """Where decisions are recorded."""

    def add(self, record: Record) -> None:
        """Keep a record; durable after the next sync."""
