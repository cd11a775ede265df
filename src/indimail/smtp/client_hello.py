"""From the connection to the first MAIL: greeting, EHLO or HELO, STARTTLS, EHLO again, AUTH.

    hello = Hello(link, hop, nonce, then)
    hello.begin()                    # `then` is called once mail may be sent; else link is closed
    hello.greeted, hello.offer, hello.tls, hello.authenticated

What follows where something is refused or not offered is the table of `smtp.hop`.

Sources: RFC 5321 3.1, 3.2, 4.1.1.1; RFC 3207 4 and 6; RFC 4954 4; ``spec/queue.md`` 3.3 to 3.5.
"""

from collections.abc import Callable
from typing import Final

from indimail.mail.outcome import Deferred, Failed, Peer
from indimail.mail.reply import printable
from indimail.smtp import report
from indimail.smtp.client_auth import CANCEL, TRY_ANOTHER, AuthExchange, begin_auth
from indimail.smtp.client_event import Closed, Derive, StartTls
from indimail.smtp.client_link import Link
from indimail.smtp.hop import Credentials, Hop, Tls
from indimail.smtp.offer import Offer, parse_offer

PATIENCE: Final = 300  # seconds for each reply, RFC 5321 4.5.3.2.1


class Hello:
    """Makes a connection ready for mail."""

    __slots__ = (
        "_exchange", "_hop", "_link", "_nonce", "_then", "authenticated", "greeted", "offer", "tls",
    )  # fmt: skip

    def __init__(self, link: Link, hop: Hop, nonce: str, then: Callable[[], None]) -> None:
        """`nonce`: chance for SCRAM, printable and without a comma."""
        self._link = link
        self._hop = hop
        self._nonce = nonce
        self._then = then
        self._exchange: AuthExchange | None = None
        self.greeted = False
        self.offer = Offer()
        self.tls = False
        self.authenticated = False

    def begin(self) -> None:
        """Wait for the greeting, or with smtps for the handshake before it."""
        self._link.expect(self._on_greeting, PATIENCE)
        if self._hop.smtps:
            self._await_tls()

    def tls_started(self, *, verified: bool) -> None:
        """Go on in TLS: nothing that was said before it counts."""
        link = self._link
        if not link.answered(StartTls):
            return
        link.deaf = False
        self.tls = True
        self.offer = Offer()
        if self._hop.tls is Tls.VERIFIED and not verified:
            self._turn_away(self._deferred(report.NOT_VERIFIED), next_host=True)
        elif self._hop.smtps:
            link.step = link.read
        else:
            self._say_ehlo()

    @property
    def awaits_tls(self) -> bool:
        """A handshake is under way."""
        return self._link.deaf

    def tls_failed(self, why: str) -> None:
        """There is no handshake, and no conversation any more."""
        if self._link.answered(StartTls):
            self._link.deaf = False
            required = self._hop.smtps or self._hop.tls.is_required
            outcome = self._deferred(report.TLS_FAILED, why=printable(why))
            self._link.close(Closed(outcome, next_host=required, in_clear=not required))

    def derived(self, result: object) -> None:
        """Go on with what `Derive.work` returned."""
        if self._link.answered(Derive):
            self._respond(result)

    def _on_greeting(self, code: int) -> None:
        self.greeted = code == 220
        if self.greeted:
            self._say_ehlo()
        elif code >= 500:
            self._turn_away(self._failed(report.GREETING_FAILED))
        else:
            self._turn_away(self._refused(report.GREETING_FAILED), next_host=True)

    def _say_ehlo(self) -> None:
        self._link.send(f"EHLO {self._hop.helo}\r\n".encode(), self._on_ehlo, PATIENCE)

    def _on_ehlo(self, code: int) -> None:
        if code == 250:
            self.offer = parse_offer(self._link.replies.said)
            self._protect()
        elif code < 500:
            self._turn_away(
                self._refused(report.NAME_REJECTED), next_host=self._hop.next_after_hello
            )
        elif self._hop.credentials or (self._hop.tls.is_required and not self.tls):
            self._turn_away(self._refused(report.NAME_REJECTED))
        else:
            self._link.send(f"HELO {self._hop.helo}\r\n".encode(), self._on_helo, PATIENCE)

    def _on_helo(self, code: int) -> None:
        if code == 250:
            self._then()
        elif code < 500:
            self._turn_away(
                self._refused(report.NAME_REJECTED), next_host=self._hop.next_after_hello
            )
        else:
            self._turn_away(self._failed(report.NAME_REJECTED))

    # TLS

    def _protect(self) -> None:
        if self.tls or self._hop.tls is Tls.NEVER:
            self._authenticate()
        elif self.offer.starttls:
            self._link.send(b"STARTTLS\r\n", self._on_starttls, PATIENCE)
        elif self._hop.tls.is_required:
            self._turn_away(self._deferred(report.NO_TLS), next_host=True)
        else:
            self._authenticate()

    def _on_starttls(self, code: int) -> None:
        if code == 220:
            self._await_tls()
        elif self._hop.tls.is_required:
            self._turn_away(self._refused(report.TLS_REFUSED), next_host=True)
        else:
            self._authenticate()

    def _await_tls(self) -> None:
        # What came in clear text behind the 220 is nobody's (RFC 3207 section 6).
        self._link.replies.clear()
        self._link.deaf = True
        self._link.ask(StartTls())

    # AUTH

    def _authenticate(self) -> None:
        credentials = self._hop.credentials
        if credentials is None:
            self._then()
        else:
            self._try(credentials, credentials.mechanisms)

    def _try(self, credentials: Credentials, mechanisms: tuple[str, ...]) -> None:
        self._exchange = exchange = begin_auth(
            credentials, mechanisms, self.offer.auth or (), tls=self.tls, nonce=self._nonce
        )
        if exchange is None:
            self._turn_away(self._deferred(report.NO_AUTH), next_host=True)
        else:
            self._link.send(exchange.command, self._on_auth, PATIENCE)

    def _on_auth(self, code: int) -> None:
        exchange, credentials = self._exchange, self._hop.credentials
        assert exchange is not None and credentials is not None
        if code == 334:
            self._meet(exchange)
        elif code < 300 and exchange.may_succeed:
            self.authenticated = True
            self._then()
        elif code in TRY_ANOTHER and exchange.others:
            self._try(credentials, exchange.others)
        elif code < 400:
            self._turn_away(self._broken())
        else:
            self._turn_away(self._refused(report.AUTH_REJECTED))

    def _meet(self, exchange: AuthExchange) -> None:
        challenge = exchange.challenge(self._link.replies.said)
        if challenge is None:
            self._respond(None)
        elif exchange.is_slow:
            self._link.timeout = 0  # it is we who take our time
            self._link.ask(Derive(lambda: exchange.answer(challenge)))
        else:
            self._respond(exchange.answer(challenge))

    def _respond(self, answer: object) -> None:
        if isinstance(answer, bytes):
            self._link.send(answer, self._on_auth, PATIENCE)
        else:
            self._link.send(CANCEL, self._on_cancelled, PATIENCE)

    def _on_cancelled(self, _code: int) -> None:
        self._turn_away(self._broken())

    def _broken(self) -> Deferred:
        return self._deferred(report.AUTH_BROKEN)

    # Common ends

    def _turn_away(self, outcome: Deferred | Failed, *, next_host: bool = False) -> None:
        self._link.close(Closed(outcome, next_host), politely=True)

    def _failed(self, text: str) -> Failed:
        said, peer = self._said(text)
        return Failed(said, self._hop.rule, peer)

    def _refused(self, text: str) -> Deferred:
        said, peer = self._said(text)
        return Deferred(said, self._hop.rule, peer)

    def _deferred(self, text: str, **fields: str) -> Deferred:
        return Deferred(text.format(**self._fields, **fields), self._hop.rule, self._hop.peer())

    def _said(self, text: str) -> tuple[str, Peer]:
        replies = self._link.replies
        return report.said(text, replies.text, **self._fields), self._hop.peer(replies.reply)

    @property
    def _fields(self) -> dict[str, str]:
        mechanism = self._exchange.mechanism if self._exchange else ""
        return {"host": self._hop.address, "helo": self._hop.helo, "mechanism": mechanism}
