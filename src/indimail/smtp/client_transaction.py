"""One message on its way: MAIL, RCPT, DATA or BDAT, the body, and what each reply means.

    transaction = Transaction(link, hop, offer, transfer, over, reset=False, tls=True)
    transaction.begin()                  # `over` is called once all recipients have an outcome
    transaction.send_body(b"hi\\n", last=True)
    transaction.fresh, transaction.unknown, transaction.dirty

With PIPELINING the commands go out together, DATA included; chunks go behind the replies to them.

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
ends it.  A connection that is lost defers who has no outcome yet.  After the end of the message was
sent that is "unknown": the server may have it (`Settled.unknown`).  A final reply that is none leaves
it as unknown.

Sources: RFC 5321 3.3, 4.5.3.2 (timeouts); RFC 2920 3.1, RFC 3030 2; ``spec/queue.md`` 3.4.  Not here:
the commands themselves and the outcomes (`smtp.transfer`), which message is next (`smtp.client`).
"""

from collections.abc import Callable
from typing import Final

from indimail.smtp import report
from indimail.smtp.client_event import SendBody
from indimail.smtp.client_link import Link
from indimail.smtp.hop import Hop
from indimail.smtp.offer import Offer
from indimail.smtp.transfer import Transfer
from indimail.wire.dots import StuffedText

# Seconds, RFC 5321 4.5.3.2.2 to 4.5.3.2.6; RSET has none there.
COMMAND: Final = 300
DATA: Final = 120
BLOCK: Final = 180
END: Final = 600
SEND_BODY: Final = SendBody()


class Transaction:
    """Sends what `transfer` holds, and has it judged.

    `fresh`: the server answered nothing of it; `unknown`: recipients that may have the message and
    are deferred; `dirty`: the server may still have the transaction; `sent`: the end of the message was.
    """

    __slots__ = (
        "_at", "_chunking", "_chunks", "_host", "_link", "_over", "_pipelining", "_reset", "_text",
        "_tls", "dirty", "fresh", "sent", "transfer", "unknown",
    )  # fmt: skip

    def __init__(
        self, link: Link, hop: Hop, offer: Offer, transfer: Transfer, over: Callable[[], None],
        *, reset: bool, tls: bool,
    ) -> None:  # fmt: skip
        """`reset`: the server may still have another transaction."""
        self._link = link
        self._host = hop.address
        self.transfer = transfer
        self._over = over
        self._reset = reset
        self._tls = tls
        self._pipelining = offer.pipelining
        self._chunking = offer.chunking and hop.chunking
        self._text = StuffedText(dots=not self._chunking)
        self._at = 0  # RCPTs that were answered
        self._chunks = 0  # BDATs that were not
        self.fresh = True
        self.unknown = 0
        self.dirty = False
        self.sent = False

    def begin(self) -> None:
        """Say MAIL, and what may follow at once."""
        transfer = self.transfer
        group = transfer.mail
        if self._pipelining:
            group += b"".join(transfer.rcpts)
            if not self._chunking:
                group += b"DATA\r\n"
        if not self._reset:
            self._link.send(group, self._on_mail, COMMAND)
        elif self._pipelining:
            self._link.send(b"RSET\r\n" + group, self._on_rset, COMMAND)
        else:
            self._link.send(b"RSET\r\n", self._on_rset, COMMAND)

    def send_body(self, stored: bytes, *, last: bool) -> None:
        """Send octets of the body, lines ended with LF."""
        link = self._link
        wire = self._text.feed(stored)
        if last:
            wire += self._text.end()
        if link.replies.has_unread and self._chunks == 0:
            link.step = link.read  # the server judges it already: `_on_early`
        elif self._chunking:
            self._send_chunk(wire, last=last)
        elif not last:
            link.out += wire
            link.step = self._want_body
        elif self._text.in_line:
            self.break_off(
                report.PARTIAL_LINE, code=500
            )  # without a dot, or half a line were a mail
        else:
            link.send(wire + b".\r\n", self._on_end, END)
            self.sent = True

    def break_off(self, text: str, reply: str = "", code: int = 400) -> None:
        """Nothing more can be said or heard: who has no outcome yet gets one."""
        self._link.doomed = True
        self._link.out = b""
        if self.sent:
            self.unknown += self.transfer.accepted
        self.transfer.end(code, text, reply)
        self._over()

    def _on_rset(self, code: int) -> None:
        if code >= 300:
            self.break_off(*self._said(report.RESET_FAILED))
        elif self._pipelining:
            self._link.expect(self._on_mail, COMMAND)
        else:
            self._link.send(self.transfer.mail, self._on_mail, COMMAND)

    def _on_mail(self, code: int) -> None:
        transfer = self.transfer
        self.fresh = code == 421
        self.dirty = code < 300
        if code >= 300:
            transfer.end(self._judge(code), *self._said(report.SENDER_REJECTED))
        if self._pipelining:
            self._link.on_reply = self._on_rcpt
        elif code >= 300:
            self._over()
        else:
            self._link.send(transfer.rcpts[0], self._on_rcpt, COMMAND)

    def _on_rcpt(self, code: int) -> None:
        link, transfer = self._link, self.transfer
        transfer.answered(self._at, self._judge(code), link.replies)
        self._at += 1
        if self._at < len(transfer.rcpts):
            if not self._pipelining:
                link.send(transfer.rcpts[self._at], self._on_rcpt, COMMAND)
        elif self._pipelining and not self._chunking:
            link.expect(self._on_data, DATA)
        elif not transfer.accepted:
            self._over()
        elif self._chunking:
            self._begin_body()
        else:
            link.send(b"DATA\r\n", self._on_data, DATA)

    def _on_data(self, code: int) -> None:
        transfer = self.transfer
        goes_on = 300 <= code < 400
        if goes_on and transfer.accepted:
            self._begin_body()
        elif goes_on:
            self._link.send(b".\r\n", self._on_ignored, END)  # RFC 2920 3.1
        else:
            if code < 300:
                self._link.doomed = True
            transfer.end(max(code, 400), *self._said(report.DATA_FAILED))
            self._over()

    def _on_ignored(self, _code: int) -> None:
        self.dirty = False
        self._over()

    def _begin_body(self) -> None:
        self._link.expect(self._on_early, BLOCK)
        self._link.step = self._want_body

    def _want_body(self) -> bool:
        """Ask for octets, unless the server says something about those that it has."""
        if self._link.read():
            return True
        self._link.ask(SEND_BODY)
        return False

    def _on_early(self, code: int) -> None:
        """The server judges a message that it does not have yet: it does not get the rest."""
        if code >= 400:
            self.break_off(*self._said(report.MESSAGE_FAILED), code)
        else:
            self.break_off(report.OUT_OF_TURN.format(host=self._host))

    def _send_chunk(self, wire: bytes, *, last: bool) -> None:
        link = self._link
        if not wire and not last:
            link.step = self._want_body
            return
        command = b"BDAT %d LAST\r\n" if last else b"BDAT %d\r\n"
        link.out += command % len(wire) + wire
        link.expect(self._on_chunk, END if last else BLOCK)
        link.step = self._want_body if self._pipelining and not last else link.read
        self._chunks += 1
        self.sent = last

    def _on_chunk(self, code: int) -> None:
        link = self._link
        self._chunks -= 1
        if self.sent and self._chunks == 0:
            self._on_end(code)
        elif code >= 300:
            self._judge_message(code)
            if self._chunks:
                link.expect(self._on_rest, END)
                link.step = link.read
            else:
                self._over()
        elif self._chunks == 0:
            link.expect(self._on_early, BLOCK)
            link.step = self._want_body

    def _on_rest(self, _code: int) -> None:
        """Other chunks of a message that was refused are answered (RFC 3030 section 2)."""
        self._chunks -= 1
        if self._chunks == 0:
            self._over()

    def _on_end(self, code: int) -> None:
        self.dirty = False
        if code < 300:
            # Commit point 2: from here on the server has the message, and it is not sent again.
            text = report.ACCEPTED_IN_TLS if self._tls else report.ACCEPTED
            self.transfer.end(code, *self._said(text))
        else:
            self._judge_message(code)
        self._over()

    def _judge_message(self, code: int) -> None:
        """The message was not taken; what is no reply does not say that."""
        if self.sent and (code < 400 or self._link.replies.malformed):
            self.unknown = self.transfer.accepted
        self.transfer.end(self._judge(code), *self._said(report.MESSAGE_FAILED))

    def _judge(self, code: int) -> int:
        """Return the code; 3xx, where it has no meaning, is one of a server that is out of step."""
        if 300 <= code < 400:
            self._link.doomed = True
            return 400
        return code

    def _said(self, text: str) -> tuple[str, str]:
        """Return a text with the server's reply in it, and that alone."""
        replies = self._link.replies
        return report.said(text, replies.text, host=self._host), replies.reply
