"""The client's side of an SMTP conversation, without I/O: bytes in, events out, bytes out.

    client = SmtpClient(Hop("192.0.2.1", "mx.example.net"))
    client.receive(data)
    while event := client.next_event():           # Ready(): client.begin(envelope)
        act(event)                                # SendBody(): client.send_body(octets, last=True)
    transport.write(client.data_to_send())        # Settled(outcomes), Closed()

One connection carries any number of transactions.  With PIPELINING the commands of one go out
together, DATA included; with CHUNKING the body goes in chunks behind the replies.  A reply belongs
to the oldest command that has none, and to none that it came before: then nobody knows what the
server meant, and the connection ends.  `timeout` says how many seconds the server may be silent at
the moment (0: it owes nothing); after that the driver calls `timed_out`.  The driver's own limits
and troubles (a deadline for all of it, a body that cannot be read) are `give_up`.

What a reply means:

| reply to       | 2xx           | 3xx           | 4xx, no reply at all | 5xx                         |
|----------------|---------------|---------------|----------------------|-----------------------------|
| MAIL           | go on         | as 4xx, close | all deferred         | all fail                    |
| RCPT           | go on         | as 4xx, close | deferred             | fails; 552: `smtp.transfer` |
| DATA           | as 4xx, close | send the body | accepted deferred    | accepted fail               |
| a body, early  | as 4xx, close | as 4xx, close | deferred, close      | fail, close                 |
| a chunk        | go on         | as 4xx, close | deferred             | fail                        |
| the final dot  | delivered     | as 4xx, close | deferred             | fail                        |

421 is a 4xx that closes.  Where nobody was accepted and DATA is taken all the same, an empty message
ends it.  A connection that is lost defers who has no outcome yet; after the end of the message was
sent that is "unknown": the server may have it (`Settled.unknown`).  So does a final reply that is none.

What a server sends never raises; calling out of order raises `Misuse`.  Before `Ready`, `smtp.hop`
has the rules.

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
from indimail.smtp.hop import Hop
from indimail.smtp.offer import Offer
from indimail.smtp.transfer import MOST_RECIPIENTS, Transfer
from indimail.wire.dots import StuffedText

EIGHT_BIT: Final = "8BITMIME"

# Seconds, RFC 5321 4.5.3.2.2 to 4.5.3.2.6; RSET has none there.
COMMAND: Final = 300
DATA: Final = 120
BLOCK: Final = 180
END: Final = 600


class SmtpClient:
    """One connection to `hop`."""

    __slots__ = (
        "_at", "_chunking", "_chunks", "_dirty", "_eof", "_fresh", "_hello", "_idle", "_is_ready",
        "_link", "_pipelining", "_served", "_text", "_transfer", "_unknown", "hop",
    )  # fmt: skip

    def __init__(self, hop: Hop, nonce: str = "") -> None:
        """`nonce`: chance for SCRAM, where the hop has credentials (`wire.sasl_client`)."""
        self.hop = hop
        self._link = Link(hop.address, self._break_off)
        self._hello = Hello(self._link, hop, nonce, self._greeted)
        self._eof = False
        self._is_ready = False  # the hello is over
        self._idle = False  # a transaction may begin
        self._served = 0  # transactions so far
        self._transfer: Transfer | None = None  # under way
        self._at = 0  # RCPTs of it that were answered
        self._fresh = True  # nothing of it was answered
        self._dirty = False  # the server may still have a transaction: RSET first
        self._text = StuffedText(dots=True)
        self._pipelining = self._chunking = False
        self._chunks = 0  # BDATs that were not answered
        self._unknown = 0
        self._hello.begin()

    # The driver's side

    def receive(self, data: bytes) -> None:
        """Take bytes from the server; those between STARTTLS and the handshake are dropped."""
        if not self._link.closed and not self._link.deaf:
            self._link.replies.add(data)

    def receive_eof(self) -> None:
        """The server closed, or the connection broke; what came before is still taken."""
        self._eof = True

    def timed_out(self) -> None:
        """The server was silent for longer than `timeout`."""
        self._lost("It was silent for too long. ")

    def give_up(self, text: str) -> None:
        """End it for a reason of our own: ``Unable to read message. (#4.3.0)``."""
        self._fresh = False
        self._break_off(self._duplicate + text)

    def next_event(self) -> ClientEvent | None:
        """Return what is to be done; None when more bytes are needed, or when all is over."""
        link = self._link
        events = link.events
        while not events and link.step():
            pass
        if not events and self._eof:
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
        self._fresh = True
        self._at = 0
        self._prepare(envelope)
        if self._under_way.is_over:
            self._settle()
        elif envelope.reverse_path.body == EIGHT_BIT and not self.offer.eight_bit:
            self._link.ask(Downgrade())
        else:
            self._say_mail()

    def downgraded(self, size: int) -> None:
        """The message is 7-bit now, and as large as this."""
        if self._link.answered(Downgrade):
            envelope = self._under_way.envelope
            path = replace(envelope.reverse_path, body="", size=size)
            self._prepare(replace(envelope, reverse_path=path))
            if self._under_way.is_over:
                self._settle()
            else:
                self._say_mail()

    def not_downgraded(self, why: str) -> None:
        """The message cannot be made 7-bit: ``a part of it is signed``."""
        if self._link.answered(Downgrade):
            text = report.NO_EIGHT_BIT.format(host=self.hop.address, why=printable(why))
            self._under_way.end(500, text)
            self._settle()

    def send_body(self, stored: bytes, *, last: bool = False) -> None:
        """Give octets of the body, lines ended with LF; with `last` the message ends here."""
        link = self._link
        if not link.answered(SendBody) or self._eof:
            return
        wire = self._text.feed(stored)
        if last:
            wire += self._text.end()
        if self._chunking:
            self._send_chunk(wire, last=last)
        elif not last:
            link.out += wire
            link.step = self._want_body
        elif self._text.in_line:
            self._break_off(report.PARTIAL_LINE, 500)  # without a dot, or half a line were a mail
        elif link.replies.has_unread:
            link.step = link.read  # a refusal is on its way
        else:
            link.send(wire + b".\r\n", self._on_end, END)
            self._under_way.message_sent = True

    # A transaction

    @property
    def _under_way(self) -> Transfer:
        assert self._transfer is not None  # from `begin` to `_settle`
        return self._transfer

    def _prepare(self, envelope: Envelope) -> None:
        self._transfer = Transfer(
            envelope, self.offer, self.hop, authenticated=self._hello.authenticated
        )

    def _say_mail(self) -> None:
        offer, transfer = self.offer, self._under_way
        self._pipelining = offer.pipelining
        self._chunking = offer.chunking and self.hop.chunking
        group = transfer.mail
        if offer.pipelining:
            group += b"".join(transfer.rcpts)
            if not self._chunking:
                group += b"DATA\r\n"
        if not self._dirty:
            self._link.send(group, self._on_mail, COMMAND)
        elif offer.pipelining:
            self._link.send(b"RSET\r\n" + group, self._on_rset, COMMAND)
        else:
            self._link.send(b"RSET\r\n", self._on_rset, COMMAND)

    def _on_rset(self, code: int) -> None:
        if code >= 300:
            self._break_off(self._said(report.RESET_FAILED))
        elif self._pipelining:
            self._link.expect(self._on_mail, COMMAND)
        else:
            self._link.send(self._under_way.mail, self._on_mail, COMMAND)

    def _on_mail(self, code: int) -> None:
        transfer = self._under_way
        self._fresh = code == 421
        self._dirty = code < 300
        if code >= 300:
            transfer.end(self._judge(code), self._said(report.SENDER_REJECTED))
        if self._pipelining:
            self._link.on_reply = self._on_rcpt
        elif code >= 300:
            self._settle()
        else:
            self._link.send(transfer.rcpts[0], self._on_rcpt, COMMAND)

    def _on_rcpt(self, code: int) -> None:
        link, transfer = self._link, self._under_way
        transfer.answered(self._at, self._judge(code), link.replies)
        self._at += 1
        if self._at < len(transfer.rcpts):
            if not self._pipelining:
                link.send(transfer.rcpts[self._at], self._on_rcpt, COMMAND)
        elif self._pipelining and not self._chunking:
            link.expect(self._on_data, DATA)
        elif not transfer.accepted:
            self._settle()
        elif self._chunking:
            self._begin_body()
        else:
            link.send(b"DATA\r\n", self._on_data, DATA)

    def _on_data(self, code: int) -> None:
        transfer = self._under_way
        goes_on = 300 <= code < 400
        if goes_on and transfer.accepted:
            self._begin_body()
        elif goes_on:
            self._link.send(b".\r\n", self._on_ignored, END)  # RFC 2920 3.1
        else:
            if code < 300:
                self._link.doomed = True
            transfer.end(max(code, 400), self._said(report.DATA_FAILED))
            self._settle()

    def _on_ignored(self, _code: int) -> None:
        self._dirty = False
        self._settle()

    def _begin_body(self) -> None:
        self._text = StuffedText(dots=not self._chunking)
        self._chunks = 0
        self._link.expect(self._on_early, BLOCK)
        self._link.step = self._want_body

    def _want_body(self) -> bool:
        """Ask for octets, unless the server says something about those that it has."""
        if self._link.read():
            return True
        if not self._eof:
            self._link.ask(SEND_BODY)
        return False

    def _on_early(self, code: int) -> None:
        """The server judges a message that it does not have yet: it does not get the rest."""
        text = self._said(report.MESSAGE_FAILED) if code >= 400 else self._out_of_turn
        self._break_off(text, max(code, 400))

    def _send_chunk(self, wire: bytes, *, last: bool) -> None:
        link = self._link
        if not wire and not last:
            link.step = self._want_body
            return
        if self._chunks == 0 and link.replies.has_unread:
            link.step = link.read  # a refusal is on its way
            return
        command = b"BDAT %d LAST\r\n" if last else b"BDAT %d\r\n"
        link.out += command % len(wire) + wire
        link.expect(self._on_chunk, END if last else BLOCK)
        link.step = self._want_body if self._pipelining and not last else link.read
        self._chunks += 1
        self._under_way.message_sent = last

    def _on_chunk(self, code: int) -> None:
        link, transfer = self._link, self._under_way
        self._chunks -= 1
        if transfer.message_sent and self._chunks == 0:
            self._on_end(code)
        elif code >= 300:
            transfer.end(self._judge(code), self._said(report.MESSAGE_FAILED))
            if self._chunks == 0:
                self._settle()
            else:
                link.expect(self._on_rest, END)
                link.step = link.read
        elif self._chunks == 0:
            link.expect(self._on_early, BLOCK)
            link.step = self._want_body

    def _on_rest(self, _code: int) -> None:
        """Other chunks of a message that was refused are answered (RFC 3030 section 2)."""
        self._chunks -= 1
        if self._chunks == 0:
            self._settle()

    def _on_end(self, code: int) -> None:
        transfer, link = self._under_way, self._link
        self._dirty = False
        if code < 300:
            # Commit point 2: from here on the server has the message, and it is not sent again.
            text = report.ACCEPTED_IN_TLS if self.tls else report.ACCEPTED
        else:
            text = report.MESSAGE_FAILED
            if code < 400 or link.replies.malformed:
                self._unknown = transfer.accepted
        transfer.end(code if code < 300 else self._judge(code), self._said(text))
        self._settle()

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

    def _judge(self, code: int) -> int:
        """Return the code; 3xx, where it has no meaning, is one of a server that is out of step."""
        if 300 <= code < 400:
            self._link.doomed = True
            return 400
        return code

    def _settle(self) -> None:
        """The transaction is over: hand out what became of its recipients, once."""
        link, transfer = self._link, self._under_way
        self._transfer = None
        again = link.doomed and self._fresh and self._served > 0
        self._served += 1
        link.events.append(Settled(transfer.settle(), self._unknown, again))
        if link.doomed:
            link.close(Closed())
        else:
            self._be_ready()

    def _lost(self, why: str) -> None:
        if self._hello.awaits_tls:
            self._hello.tls_failed(why.removesuffix(". ") or "connection lost")
            return
        self._break_off(report.DIED.format(host=self.hop.address, why=self._duplicate + why))

    def _break_off(self, text: str, code: int = 400) -> None:
        """Nothing more can be said or heard; who has no outcome yet gets one."""
        link = self._link
        if link.closed:
            return
        link.doomed = True
        link.out = b""
        if self._transfer is not None:
            if self._transfer.message_sent:
                self._unknown = self._transfer.accepted
            self._transfer.end(code, text)
            self._settle()
        elif self._is_ready:
            link.close(Closed())
        else:
            link.close(Closed(Deferred(text, self.hop.rule), next_host=True))

    @property
    def _duplicate(self) -> str:
        sent = self._transfer is not None and self._transfer.message_sent
        return report.DUPLICATE if sent else ""

    @property
    def _out_of_turn(self) -> str:
        return report.OUT_OF_TURN.format(host=self.hop.address)

    def _said(self, text: str) -> str:
        return report.said(text, self._link.replies.text, host=self.hop.address)


READY: Final = Ready()
SEND_BODY: Final = SendBody()
