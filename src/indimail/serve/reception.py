"""What the SMTP connections of a worker share, and how the parts of a connection talk.

    reception = Reception(config=follower, connections=counts, ids=ids, ...)
    await loop.create_server(lambda: SmtpConnection(reception, "smtp"), sock=listener)

A connection (`serve.smtpd`) puts the session's questions; the client (`serve.client`) and the
transaction (`serve.transaction`) answer each with an `Answer`: a Reply or None, as the table in
`smtp.event` says, or `LATER` where a disk or a database is asked first.  Then the callback that
the transaction was given is called, once, with what else would have been returned.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal, Protocol

from indimail.accounts.port import Lookup
from indimail.mail.address import Address
from indimail.mail.clock import Clock
from indimail.mail.errors import MailError
from indimail.mail.events import Trace
from indimail.mail.ids import QueueIds
from indimail.mail.reply import Reply
from indimail.net.connections import WorkerConnections
from indimail.net.names import ClientName
from indimail.net.tls import ServerContext
from indimail.policy.sender import SenderState
from indimail.serve.authentication import Authenticator
from indimail.serve.authoffer import AuthOffer
from indimail.serve.foresight import Foresight
from indimail.serve.hands import RunAside
from indimail.serve.intake import Intake
from indimail.serve.local import LocalDelivery
from indimail.serve.maillog import LineSink, TcpserverLog
from indimail.serve.snapshot import Configuration, SessionSettings


class Later(Enum):
    """Stands where a reply would: it is not known yet."""

    LATER = "later"


LATER: Final = Later.LATER
Answer = Reply | Literal[Later.LATER] | None


class Conversation(Protocol):
    """A connection, as its worker sees it."""

    def tick(self, now: float) -> None:
        """Close a client that is silent, or that has been here, for too long."""

    def drain(self) -> None:
        """The server stops: 421 at once to an idle client, at its next reply to a busy one."""

    def cut(self) -> None:
        """There is no more time."""


@dataclass(frozen=True, slots=True)
class SenderFound:
    """What a look-up told of a sender in a domain of ours; `mailbox` as `SenderFacts` has it."""

    state: SenderState
    mailbox: str = ""


def _later(seconds: float, call: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(seconds, call)


@dataclass(slots=True)
class Reception:
    """What all connections of a worker share."""

    config: Configuration
    connections: WorkerConnections
    ids: QueueIds
    clock: Clock
    trace: Trace
    lines: LineSink
    tcpserver: TcpserverLog
    foresight: Foresight
    foresee: Callable[[str, Callable[[object], None]], None]
    local: LocalDelivery
    aside: RunAside
    choose_queue: Callable[[SessionSettings], Intake | MailError]
    local_host: str
    tls: Callable[[], ServerContext | None]
    name_of: Callable[[str, Callable[[ClientName], None]], None]
    accounts: Lookup
    authenticator: Authenticator
    offer: AuthOffer
    sender_state: Callable[[Address, str], SenderFound]
    open: set[Conversation] = field(default_factory=set)
    later: Callable[[float, Callable[[], None]], object] = _later
    under_way: int = 0  # transactions whose MAIL was taken and that are in no queue yet
