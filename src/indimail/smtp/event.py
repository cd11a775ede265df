"""What an SMTP session asks its driver.  Each is a question; `SmtpSession.answer` answers it.

| event            | None means                    | a Reply means                                  |
|------------------|-------------------------------|------------------------------------------------|
| Greeting         | the normal 220                | the client is turned away with it              |
| GateClosed       | repeat the refusal            | say this instead                               |
| HelloOffered     | accepted                      | 4xx, 5xx: refused, and MAIL will be            |
| SenderOffered    | 250                           | 2xx: accepted so; 4xx, 5xx: no transaction     |
| RecipientOffered | 250                           | 2xx: accepted so; 4xx, 5xx: not this one       |
| MessageOffered   | go on (354 for DATA)          | 4xx, 5xx: refused, the transaction stays       |
| MessageChunk     | taken, more please            | 4xx, 5xx: no more, `MessageRefused` will come  |
| MessageEnded     | (not allowed)                 | the final reply; 2xx accepts the message       |
| MessageRefused   | drop it, its reply is sent    | drop it, say this instead                      |
| MessageAborted   | drop it                       | (ignored)                                      |
| TlsOffered       | 220, then start the handshake | 4xx, 5xx: no handshake, go on in clear         |
| AuthOffered      | begin, with the `nonce` set   | 4xx, 5xx: no exchange                          |
| AuthKeysWanted   | go on with its `keys`         | 4xx, 5xx: the exchange ends                    |
| AuthEnded        | 235: that user is logged in   | 4xx, 5xx: nobody is                            |

Between `MessageOffered` answered with None and exactly one of `MessageEnded`, `MessageRefused` and
`MessageAborted` a message is under way.  An exchange of AUTH may end unheard: by the client's ``*``,
by what is malformed, by a lost connection.  A 421 reply closes the connection wherever it is given.
"""

from dataclasses import dataclass

from indimail.mail.envelope import ForwardPath, ReversePath
from indimail.mail.reply import Reply
from indimail.wire.sasl_server import Credentials, ScramKeys


@dataclass(frozen=True, slots=True)
class Greeting:
    """A client is there; nothing was read from it yet."""


@dataclass(frozen=True, slots=True)
class GateClosed:
    """A client that was turned away goes on all the same; the place for a penalty."""

    verb: str
    reply: Reply


@dataclass(frozen=True, slots=True)
class HelloOffered:
    """HELO or EHLO (`extended`); `name` may be empty."""

    name: str
    extended: bool


@dataclass(frozen=True, slots=True)
class SenderOffered:
    """MAIL FROM."""

    reverse_path: ReversePath


@dataclass(frozen=True, slots=True)
class RecipientOffered:
    """RCPT TO."""

    forward_path: ForwardPath


@dataclass(frozen=True, slots=True)
class MessageOffered:
    """DATA, or the first BDAT of a transaction."""


@dataclass(frozen=True, slots=True)
class MessageChunk:
    """The next octets of the message as they are stored: dots removed, CRLF become LF."""

    data: bytes


@dataclass(frozen=True, slots=True)
class MessageEnded:
    """The message is whole: `size` octets were handed over."""

    size: int


@dataclass(frozen=True, slots=True)
class MessageRefused:
    """The message is refused by the session, or was by the answer to a chunk: drop it."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class MessageAborted:
    """The transaction died before the message was whole: drop it."""

    reason: str


@dataclass(frozen=True, slots=True)
class TlsOffered:
    """STARTTLS."""


@dataclass(frozen=True, slots=True)
class AuthOffered:
    """AUTH with a mechanism that there is; before it the driver sets the session's `nonce`."""

    mechanism: str


@dataclass(slots=True)
class AuthKeysWanted:
    """SCRAM: the driver puts the user's keys here, or some for a user that there is not."""

    mechanism: str
    user: str
    hash: str
    keys: ScramKeys | None = None


@dataclass(frozen=True, slots=True)
class AuthEnded:
    """The client has shown its credentials: are they right?"""

    mechanism: str
    credentials: Credentials


Event = (
    Greeting
    | GateClosed
    | HelloOffered
    | SenderOffered
    | RecipientOffered
    | MessageOffered
    | MessageChunk
    | MessageEnded
    | MessageRefused
    | MessageAborted
    | TlsOffered
    | AuthOffered
    | AuthKeysWanted
    | AuthEnded
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal that the session made without asking; for the trace, answered already."""

    verb: str
    argument: str
    reply: Reply
    of_mail: bool = False  # a transaction was under way
