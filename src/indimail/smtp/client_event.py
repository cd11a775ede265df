"""What an SMTP client tells its driver, or asks it for.

| event     | the driver                                                                        |
|-----------|-----------------------------------------------------------------------------------|
| Ready     | `begin` with an envelope, or `quit`, now or later; meanwhile bytes are received   |
| StartTls  | sends what is to be sent, does the handshake, then `tls_started` or `tls_failed`  |
| Derive    | calls `work`, on a thread since it takes a while, and gives the result to `derived` |
| Downgrade | `downgraded` with the size of a message made 7-bit, or `not_downgraded` and why   |
| SendBody  | gives the next octets of the body to `send_body`                                  |
| Settled   | records the outcomes: the transaction is over                                     |
| Closed    | closes the connection, after what is to be sent                                   |

Each envelope that was begun gets one `Settled`, with one outcome for each of its recipients, and
that is the only event with outcomes of recipients.  `Closed` is the last event.
"""

from collections.abc import Callable

from msgspec import Struct

from indimail.mail.outcome import Deferred, Failed, Outcome


class Ready(Struct, frozen=True):
    """A transaction may begin."""


class StartTls(Struct, frozen=True):
    """The server waits for a handshake."""


class Derive(Struct, frozen=True):
    """Keys are to be derived from a password; `work` raises nothing."""

    work: Callable[[], object]


class Downgrade(Struct, frozen=True):
    """The server takes no octets above 127 in it, or none in its headers, and it may have some."""


class SendBody(Struct, frozen=True):
    """Octets of the body are wanted, as they are stored."""


class Settled(Struct, frozen=True):
    """What became of the recipients, in the envelope's order.

    `unknown`: so many of them are deferred but may have the mail, since the connection was lost
    between the end of the message and its reply.  `again`: a connection that had been used before
    ended before it answered at all, so a new one may be tried at once.
    """

    outcomes: tuple[Outcome, ...]
    unknown: int = 0
    again: bool = False


class Closed(Struct, frozen=True):
    """The conversation is over.

    `outcome`, where no transaction could begin: what that means for the mail that waited, if
    neither another host may be tried (`next_host`) nor this one without TLS (`in_clear`).
    """

    outcome: Deferred | Failed | None = None
    next_host: bool = False
    in_clear: bool = False


ClientEvent = Ready | StartTls | Derive | Downgrade | SendBody | Settled | Closed
