"""One server that mail is sent to: what a route says about it.

    Hop("192.0.2.1", "mx.example.net", tls=Tls.VERIFIED)

What follows when something is not to be had, which is all that the client decides by itself:

| what                         | then                                                               |
|------------------------------|--------------------------------------------------------------------|
| no connection, or it is lost | before MAIL: the next host; in a transaction: see `smtp.client`    |
| greeting is 5xx              | the mail fails: the host speaks for the domain                     |
| greeting is anything but 220 | the next host                                                      |
| EHLO is 4xx                  | deferred; the next host with `next_after_hello`                    |
| EHLO is 5xx                  | HELO, where neither TLS nor AUTH is required; else deferred        |
| HELO is 5xx                  | the mail fails                                                     |
| STARTTLS is not offered      | in clear; with `REQUIRED` or `VERIFIED` the next host              |
| STARTTLS is refused          | in clear on this connection; `REQUIRED`, `VERIFIED`: the next host |
| the handshake fails          | this host again, in clear; `REQUIRED`, `VERIFIED`: the next host   |
| the certificate is not right | with `VERIFIED` the next host; else nothing                        |
| no AUTH that can be used     | the next host: what has credentials is never sent without          |
| the credentials are refused  | deferred; no other host is told them                               |

Where no host is left the mail is deferred (or failed, where that is said above): a mail is never
sent less protected than its route asks for.

Sources: ``spec/queue.md`` 3.3, 3.4, 3.5; RFC 3207 4.1, 5.  Not here: which hosts there are
(`delivery.mx`), whether a certificate is right (`net.tls`).
"""

from dataclasses import dataclass
from enum import Enum, auto

from indimail.mail.outcome import Peer
from indimail.mail.secret import Secret
from indimail.mail.verdict import NO_RULE, Rule
from indimail.wire.sasl_client import MECHANISMS


class Tls(Enum):
    """How far a conversation may be read by others."""

    NEVER = auto()
    OFFERED = auto()  # when the server offers it, with any certificate
    REQUIRED = auto()  # with any certificate
    VERIFIED = auto()  # with a certificate that names the server

    @property
    def is_required(self) -> bool:
        """Nothing is sent without."""
        return self in {Tls.REQUIRED, Tls.VERIFIED}


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are to the server, and by which mechanisms it may be told, the first one offered."""

    user: str
    password: Secret
    mechanisms: tuple[str, ...] = tuple(MECHANISMS)
    in_clear: bool = False  # PLAIN and LOGIN also without TLS


@dataclass(frozen=True, slots=True)
class Hop:
    """`address` is the server's, as texts show it; `helo` the name we give ourselves.

    `host` is the server's name, as reports have it.
    """

    address: str
    helo: str
    tls: Tls = Tls.OFFERED
    smtps: bool = False  # TLS before the greeting, required whatever `tls` says
    credentials: Credentials | None = None
    next_after_hello: bool = False  # TRY_NEXT_MX_HELO_FAIL
    chunking: bool = True  # BDAT where it is offered
    rule: Rule = NO_RULE  # what led here, for the outcomes
    host: str = ""

    def peer(self, reply: str = "") -> Peer:
        """Return the server for an outcome that it had a word in."""
        return Peer(self.host or self.address, self.address, reply)
