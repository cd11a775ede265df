"""The client's side of an SMTP conversation, without I/O: bytes in, events out, bytes out.

    client = SmtpClient(Hop("192.0.2.1", "mx.example.net"))
    client.receive(data)
    while event := client.next_event():           # Ready(): client.begin(envelope)
        act(event)                                # SendBody(): client.send_body(octets, last=True)
    transport.write(client.data_to_send())        # Settled(outcomes), Closed()

One connection carries any number of transactions, one behind the other.  A reply belongs to the
oldest command that has none, and to none that it came before: then nobody knows what the server
meant, and the connection ends.  `timeout` says how many seconds the server may be silent at the
moment (0: it owes nothing); after that the driver calls `timed_out`.  The driver's own limits and
troubles (a deadline for all of it, a body that cannot be read) are `give_up`.

What a server sends never raises; calling out of order raises `Misuse`.  What follows from a reply is
the table of `smtp.hop` until it is `Ready`, and then that of `smtp.client_transaction`.  A connection
that is lost defers who has no outcome yet.

Sources: RFC 5321 3, 4.5.3.2 (timeouts); RFC 2920 3.1, RFC 3030 2, RFC 3207 4; ``spec/queue.md`` 3.
Not here: grammar of commands and outcomes (`smtp.transfer`), texts (`smtp.report`), which host is
next, connections, TLS, clocks (`serve.remote`).
"""

from typing import Final

from msgspec.structs import replace

from indimail.mail.envelope import Envelope
from indimail.mail.errors import Misuse
from indimail.mail.outcome import Deferred
from indimail.mail.reply import printable
from indimail.smtp import report
from indimail.smtp.client_event import ClientEvent, Closed, Downgrade, Ready, SendBody, Settled
from indimail.smtp.client_hello import Hello
from indimail.smtp.client_link import Link
from indimail.smtp.client_transaction import Transaction
from indimail.smtp.hop import Hop
from indimail.smtp.offer import Offer
from indimail.smtp.transfer import MOST_RECIPIENTS, Transfer

EIGHT_BIT: Final = "8BITMIME"
READY: Final = Ready()


class SmtpClient:
    """One connection to `hop`."""

    __slots__ = ("_dirty", "_hello", "_idle", "_is_ready", "_link", "_served", "_transaction",
                 "_transfer", "hop")  # fmt: skip

    def __init__(self, hop: Hop, nonce: str = "") -> None:
        """`nonce`: chance for SCRAM, where the hop has credentials (`wire.sasl_client`)."""
        self.hop = hop
        self._link = Link(hop.address, self._break_off)
        self._hello = Hello(self._link, hop, nonce, self._greeted)
        self._is_ready = False  # the hello is over
        self._idle = False  # a transaction may begin
        self._served = 0  # transactions so far
        self._transfer: Transfer | None = None  # from `begin` to `_settle`
        self._transaction: Transaction | None = None  # from MAIL on
        self._dirty = False  # the server may still have a transaction: RSET first
        self._hello.begin()

    # The driver's side

    def receive(self, data: bytes) -> None:
        """Take bytes from the server; those between STARTTLS and the handshake are dropped."""
        if not self._link.closed and not self._link.deaf:
            self._link.replies.add(data)

    def receive_eof(self) -> None:
        """The server closed, or the connection broke; what came before is still taken."""
        self._link.eof = True

    def timed_out(self) -> None:
        """The server was silent for longer than `timeout`."""
        self._lost("It was silent for too long. ")

    def give_up(self, text: str) -> None:
        """End it for a reason of our own: ``Unable to read message. (#4.3.0)``."""
        if self._transaction is not None:
            self._transaction.fresh = False
        self._break_off(self._duplicate + text)

    def next_event(self) -> ClientEvent | None:
        """Return what is to be done; None when more bytes are needed, or when all is over."""
        link = self._link
        events = link.events
        while not events and link.step():
            pass
        if not events and link.eof:
            self._lost("")
        return events.popleft() if events else None

    def data_to_send(self) -> bytes:
        """Return the commands that have gathered."""
        link = self._link
        out, link.out = link.out, b""
        return out

    @property
    def timeout(self) -> int:
        """For how many seconds the server may be silent; 0: it owes nothing."""
        return self._link.timeout

    @property
    def closed(self) -> bool:
        """Nothing more will be read or said: flush and close."""
        return self._link.closed

    @property
    def offer(self) -> Offer:
        """What the server offers; complete once it is `Ready`."""
        return self._hello.offer

    @property
    def greeted(self) -> bool:
        """The server said 220: it is there, whatever came of it."""
        return self._hello.greeted

    @property
    def tls(self) -> bool:
        """The conversation is in TLS."""
        return self._hello.tls

    def tls_started(self, *, verified: bool = False) -> None:
        """The handshake is done; `verified`: the certificate names the server, and is right."""
        self._hello.tls_started(verified=verified)

    def tls_failed(self, why: str) -> None:
        """The handshake failed; the connection is of no use."""
        self._hello.tls_failed(why)

    def derived(self, result: object) -> None:
        """Take what `Derive.work` returned."""
        self._hello.derived(result)

    def quit(self) -> None:
        """Take leave, between two transactions."""
        if not self._link.closed:
            self._leave_idle()
            self._link.close(Closed(), politely=True)

    def begin(self, envelope: Envelope) -> None:
        """Send a message to its recipients, at most `MOST_RECIPIENTS`.

        The envelope is that of this hop: `reverse_path.body` is 8BITMIME where an octet is above
        127, `smtputf8` is set where such octets are in a header, also of a part, and `size` counts
        the octets in CRLF lines (0: not known).
        """
        if not 0 < len(envelope.forward_paths) <= MOST_RECIPIENTS:
            raise Misuse(f"a transaction with {len(envelope.forward_paths)} recipients")
        self._leave_idle()
        self._prepare(envelope)
        if self._under_way.is_over:
            self._settle()
        elif self._lacks_utf8 or (
            envelope.reverse_path.body == EIGHT_BIT and not self.offer.eight_bit
        ):
            self._link.ask(Downgrade())
        else:
            self._say_mail()

    def downgraded(self, size: int) -> None:
        """The message is 7-bit now, and as large as this."""
        if self._link.answered(Downgrade):
            envelope = self._under_way.envelope
            path = replace(envelope.reverse_path, body="", smtputf8=False, size=size)
            self._prepare(replace(envelope, reverse_path=path))
            if self._under_way.is_over:
                self._settle()
            else:
                self._say_mail()

    def not_downgraded(self, why: str) -> None:
        """The message cannot be made 7-bit: ``a part of it is signed``."""
        if self._link.answered(Downgrade):
            text = report.NO_UNICODE if self._lacks_utf8 else report.NO_EIGHT_BIT
            self._under_way.end(500, text.format(host=self.hop.address, why=printable(why)))
            self._settle()

    def send_body(self, stored: bytes, *, last: bool = False) -> None:
        """Give octets of the body, lines ended with LF; with `last` the message ends here."""
        link, transaction = self._link, self._transaction
        if link.answered(SendBody) and not link.eof and transaction is not None:
            transaction.send_body(stored, last=last)

    # A transaction

    @property
    def _lacks_utf8(self) -> bool:
        """The message may need SMTPUTF8, which is not offered.

        Of a report it may be the parts alone that do, and those take an encoding (RFC 6533 4.5).
        """
        return self._under_way.envelope.reverse_path.smtputf8 and not self.offer.smtputf8

    @property
    def _under_way(self) -> Transfer:
        assert self._transfer is not None
        return self._transfer

    def _prepare(self, envelope: Envelope) -> None:
        self._transfer = Transfer(
            envelope, self.offer, self.hop, authenticated=self._hello.authenticated
        )

    def _say_mail(self) -> None:
        self._transaction = transaction = Transaction(
            self._link, self.hop, self.offer, self._under_way, self._settle,
            reset=self._dirty, tls=self.tls,
        )  # fmt: skip
        transaction.begin()

    def _settle(self) -> None:
        """The transaction is over: hand out what became of its recipients, once."""
        link, transaction = self._link, self._transaction
        outcomes = self._under_way.settle()
        unknown, again = 0, False
        if transaction is not None:
            self._dirty = transaction.dirty
            unknown = transaction.unknown
            again = transaction.fresh and self._served > 0
        self._served += 1
        self._transfer = self._transaction = None
        link.events.append(Settled(outcomes, unknown, again))
        if link.doomed:
            link.close(Closed())
        else:
            self._be_ready()

    # Common ends

    def _greeted(self) -> None:
        if not self._link.doomed:  # by the refusal of what could be done without
            self._is_ready = True
            self._be_ready()

    def _be_ready(self) -> None:
        self._idle = True
        self._link.expect(self._on_idle, 0)
        self._link.step = self._link.read
        self._link.events.append(READY)

    def _on_idle(self, _code: int) -> None:
        """The server takes leave, or says what nobody asked for."""
        self._idle = False
        self._link.close(Closed())

    def _leave_idle(self) -> None:
        if not self._idle or self._link.closed:
            raise Misuse("it is not Ready")
        self._idle = False

    def _lost(self, why: str) -> None:
        if self._hello.awaits_tls:
            self._hello.tls_failed(why.removesuffix(". ") or "connection lost")
            return
        self._break_off(report.DIED.format(host=self.hop.address, why=self._duplicate + why))

    def _break_off(self, text: str, reply: str = "") -> None:
        """Nothing more can be said or heard."""
        link = self._link
        if link.closed:
            return
        if self._transaction is not None:
            self._transaction.break_off(text, reply)
            return
        link.doomed = True
        if self._transfer is not None:
            self._transfer.end(400, text, reply)
            self._settle()
        elif self._is_ready:
            link.close(Closed())
        else:
            link.close(Closed(Deferred(text, self.hop.rule, self.hop.peer(reply)), next_host=True))

    @property
    def _duplicate(self) -> str:
        sent = self._transaction is not None and self._transaction.sent
        return report.DUPLICATE if sent else ""
