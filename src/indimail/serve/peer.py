"""One connection to another server: the socket, TLS and time around `smtp.client`.

    peer = Peer(SmtpClient(hop), owner, clock, aside, ClientTls(), candidate)
    await loop.create_connection(lambda: peer, address, port)
    ...                                  # owner.ready(peer): it has greeted, or is done with one
    peer.begin(envelope, letter)         # owner.settled(peer, Settled(...)), then ready or closed
    peer.tick(now)                       # about once a second

`owner.closed` comes last, and once.

Sources: RFC 5321 4.5.3.2 (how long a server may be silent).  Not here: which server, and when
(`serve.peers`), what is said (`smtp.client`).
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

from indimail.delivery.mx import Candidate
from indimail.mail.clock import Clock
from indimail.mail.envelope import Envelope
from indimail.mail.events import Facts
from indimail.net.tls import ClientTls, TlsLayer
from indimail.serve.hands import RunAside
from indimail.smtp.client import SmtpClient
from indimail.smtp.client_event import (
    Closed,
    Derive,
    Downgrade,
    Ready,
    SendBody,
    Settled,
    StartTls,
)

DEADLINE: Final = 3600.0  # seconds for one transaction, however lively
SLOWEST: Final = 1000  # octets a second for which a large message gets more
TOO_LONG: Final = "It took too long. (#4.4.2)"


class Letter(Protocol):
    """The octets of a message on its way out."""

    @property
    def size(self) -> int:
        """How many they are."""

    def next(self, given: Callable[[bytes, bool, str], None]) -> None:
        """Give the next octets, whether they are the last, and why there are none; now or later."""

    def downgrade(self, done: Callable[[int, str], None]) -> None:
        """Become 7-bit: tell the size in CRLF lines, or why not."""


class Owner(Protocol):
    """Who wants to know what becomes of a connection."""

    def ready(self, peer: "Peer", /) -> None:
        """A transaction may begin."""

    def settled(self, peer: "Peer", settled: Settled, /) -> None:
        """One is over."""

    def closed(self, peer: "Peer", closed: Closed, /) -> None:
        """The connection is over."""


class Peer(asyncio.Protocol):
    """A server that we are connected to.

    `since` is when it last said something, or was found idle; `tls_version` is empty in clear, and
    `verified` whether its certificate had to be right; `served` the transactions so far.
    """

    _transport: asyncio.Transport

    def __init__(
        self,
        client: SmtpClient,
        owner: Owner,
        clock: Clock,
        aside: RunAside,
        tls: ClientTls,
        candidate: Candidate,
        *,
        verifies: bool = False,
        timeout: float = 1200.0,
    ) -> None:
        """A certificate has to have the name of the candidate, where the context `verifies`.

        `timeout` are the seconds of silence that are too long whatever the RFC allows.
        """
        self.client = client
        self.candidate = candidate
        self.verified = False
        self.tls_version = ""
        self.ended: Callable[[], None] | None = None  # called once, when it is over
        self.terms: object = None  # the rules under which it was connected
        self.facts: Facts = {}  # how it was connected, for the trace
        self.served = 0
        self.owner = owner
        self._clock = clock
        self._aside = aside
        self._contexts = tls
        self._verifies = verifies
        self._timeout = timeout
        self._tls: TlsLayer | None = None
        self._letter: Letter | None = None
        self._until = 0.0  # when the transaction has to be over
        self._busy = False  # `_go_on` is at work
        self._full = False  # the peer does not take what we send
        self._wanted = False  # octets of the body are, once it does
        self._over = False
        self.since = clock.steady()

    # -- the owner's side ------------------------------------------------------------------------

    def begin(self, envelope: Envelope, letter: Letter) -> None:
        """Send a message; the peer is ready."""
        self._letter = letter
        self.since = now = self._clock.steady()
        self._until = now + DEADLINE + letter.size / SLOWEST
        self.served += 1
        self.client.begin(envelope)
        self._go_on()

    def quit(self) -> None:
        """Take leave of a peer that is idle."""
        self.client.quit()
        self._go_on()

    def never_came(self) -> None:
        """There is no connection."""
        self._end()

    def cut(self, why: str) -> None:
        """End it now."""
        self.client.give_up(why)
        self._go_on()

    def tick(self, now: float) -> None:
        """Tell the client that time is over, where it is."""
        allowed = self.client.timeout
        if self._letter is not None and now > self._until:
            self.cut(TOO_LONG)
        elif allowed and now - self.since > min(allowed, self._timeout):
            self.client.timed_out()
            self._go_on()

    # -- the transport's side --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the greeting, or begin TLS."""
        self._transport = cast("asyncio.Transport", transport)
        self.since = self._clock.steady()
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """Take bytes; through TLS where it is on."""
        self.since = self._clock.steady()
        tls = self._tls
        if tls is not None:
            was_established = tls.established
            data, out = tls.decrypt(data)
            if out:
                self._transport.write(out)
            if not was_established and not self._shaken(tls):
                return
            if tls.ended or tls.failed:
                self.client.receive(data)
                self.client.receive_eof()
                self._go_on()
                return
        self.client.receive(data)
        self._go_on()

    def eof_received(self) -> bool:
        """The server says nothing more."""
        self._lost()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - either way it is over
        """The connection is gone."""
        self._lost()
        if not self._over:  # it was not said to be over: it is
            self._end()
            self.owner.closed(self, Closed())

    def pause_writing(self) -> None:
        """The server takes no more for now."""
        self._full = True

    def resume_writing(self) -> None:
        """It took it."""
        self._full = False
        self.since = self._clock.steady()
        if self._wanted:
            self._wanted = False
            self._give()
            self._go_on()

    # -- between them ----------------------------------------------------------------------------

    def _end(self) -> None:
        self._over = True
        if self.ended is not None:
            self.ended()
            self.ended = None

    def _lost(self) -> None:
        self.client.receive_eof()
        self._go_on()

    def _shaken(self, tls: TlsLayer) -> bool:
        """Tell the client how the handshake ended; False while it goes on, and where it failed."""
        if tls.failed or tls.ended:
            self.client.tls_failed(tls.failed or "the server closed the connection")
            self._go_on()
            return False
        if not tls.established:
            return False
        self.tls_version = tls.version
        self.verified = self._verifies
        self.client.tls_started(verified=self._verifies)
        return True

    def _go_on(self) -> None:
        """Do what the client asks for, until it waits for the server or for us."""
        if self._busy:
            return
        self._busy = True
        try:
            while (event := self.client.next_event()) is not None:
                self._do(event)
        finally:
            self._busy = False
        self._flush()

    def _do(self, event: object) -> None:
        client = self.client
        match event:
            case SendBody():
                self._give()
            case Settled():
                self._letter = None
                if self._tls is not None:
                    self._contexts.keep(self.candidate.host, self._tls)
                self.owner.settled(self, event)
            case Ready():
                self.since = self._clock.steady()
                self.owner.ready(self)
            case StartTls():
                self._flush()
                self._tls = tls = self._contexts.connect(self.candidate.host)
                self._transport.write(tls.decrypt(b"")[1])
            case Derive(work):
                self._aside(work, self._later(client.derived))
            case Downgrade():
                assert self._letter is not None
                self._letter.downgrade(self._downgraded)
            case Closed():
                self._flush()
                self._end()
                self._transport.close()
                self.owner.closed(self, event)

    def _later(self, then: Callable[[Any], None]) -> Callable[[object], None]:
        def done(result: object) -> None:
            then(result)
            self._go_on()

        return done

    def _downgraded(self, size: int, why: str) -> None:
        if why:
            self.client.not_downgraded(why)
        else:
            self.client.downgraded(size)
        self._go_on()

    def _give(self) -> None:
        """Give octets of the body, when the server takes some."""
        if self._full:
            self._wanted = True
        elif self._letter is not None:
            self._letter.next(self._given)

    def _given(self, octets: bytes, last: bool, why: str) -> None:
        if why:
            self.client.give_up(why)
        else:
            self.client.send_body(octets, last=last)
        self._go_on()

    def _flush(self) -> None:
        out = self.client.data_to_send()
        if out and not self._transport.is_closing():
            self._transport.write(out if self._tls is None else self._tls.encrypt(out))
