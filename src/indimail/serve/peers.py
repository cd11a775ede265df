"""The connections to one next hop, and the mail that waits for one of them.

    peers = Peers(hop, way, clock, dead, per_host=10)
    peers.deliver(delivery)          # ends in delivery.ended(outcomes) or delivery.all_ended(outcome)
    peers.tick(now)                  # about once a second

A mail goes over a connection that is idle, else over the first that becomes so; as long as there are
fewer than `per_host`, more mail opens more of them.  One that was made under other rules than those
of now (a certificate that has to be right since) gets no more mail.  Where other next hops wait for a
connection to the same host, one is left after `TURN` mails.  One that cannot be opened,
while others work, is the server's way to say that these are enough.  Where none works all that waits
is deferred (or fails) as the last attempt to connect was.

Which address: the candidates in their order, leaving out hosts that did not answer lately; what each
of them said is told with the mails (`Note`).

Source: spec/queue.md 3.3; RFC 5321 5.1.  Not here: the conversation (`smtp.client`), the hosts
(`serve.hosts`), which mail is next (`serve.lane`).
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from msgspec import Struct

from indimail.delivery.mx import Candidate, Choice, Hosts
from indimail.mail.clock import Clock
from indimail.mail.envelope import Envelope
from indimail.mail.errors import ConfigErrors
from indimail.mail.outcome import Deferred, Outcome
from indimail.mail.verdict import NO_RULE, Rule
from indimail.schedule.deadhosts import DeadHosts
from indimail.schedule.nexthop import NextHop
from indimail.serve.peer import Letter, Owner, Peer
from indimail.smtp.client_event import Closed, Settled

IDLE: Final = 5.0  # seconds that a connection waits for more mail
ENOUGH: Final = 60.0  # seconds for which a server's limit of connections is believed
TURN: Final = 20  # mails over a connection that others wait for
LONGEST: Final = 600.0  # seconds after which no further host is tried
GIVEN_UP: Final = (
    "Sorry, I wasn't able to establish a SMTP connection for {domain} to {addresses} port {port}."
    " (#4.4.1)"
)
WRONG: Final = "Unable to deliver: something is wrong here"


class Note(Struct, frozen=True):
    """What became of one host that was tried, or left out."""

    verdict: str
    text: str
    rule: Rule = NO_RULE


class Delivery(Protocol):
    """A message for some recipients at one next hop."""

    envelope: Envelope
    tries: int

    @property
    def is_void(self) -> bool:
        """Nobody wants it sent any longer."""

    def not_begun(self) -> None:
        """It is given back."""

    def letter(self) -> Letter:
        """Return its octets, from the first on."""

    def began(self, peer: Peer, notes: Sequence[Note]) -> None:
        """It is on its way over this connection, for which hosts were tried."""

    def ended(self, settled: Settled) -> None:
        """What became of each recipient."""

    def all_ended(self, outcome: Outcome, notes: Sequence[Note]) -> None:
        """It did not come to a conversation."""


class Way(Protocol):
    """How connections to one next hop are made."""

    async def find(self) -> Choice:
        """Ask for the hosts."""

    async def connect(
        self, owner: Owner, candidate: Candidate, rule: Rule, *, in_clear: bool
    ) -> Peer:
        """Connect.  Raises OSError or TimeoutError; ConfigErrors for a mistake of ours."""

    def fits(self, peer: Peer) -> bool:
        """Tell whether it would be made the same way now."""

    def is_wanted(self, peer: Peer) -> bool:
        """Tell whether others wait for a connection to its host."""


class Opening:
    """One attempt to get a connection; the owner of a peer until it is ready."""

    def __init__(
        self,
        hop: NextHop,
        way: Way,
        clock: Clock,
        dead: DeadHosts,
        works: Callable[[Candidate], bool],
    ) -> None:
        """`works` tells whether there is a connection to a host: then it is not silent."""
        self._works = works
        self.notes: list[Note] = []
        self._hop = hop
        self._way = way
        self._clock = clock
        self._dead = dead
        self._peer: Peer | None = None  # who has not greeted yet
        self._greeted: asyncio.Future[Closed | None] = asyncio.get_running_loop().create_future()

    def tick(self, now: float) -> None:
        """Do what time brings to a server that is silent."""
        if self._peer is not None:
            self._peer.tick(now)

    async def run(self) -> Peer | Outcome:
        """Return a peer that is ready, or what that there is none means for the mail."""
        choice = await self._way.find()
        if not isinstance(choice, Hosts):
            return choice
        began = self._clock.steady()
        for text in choice.left_out:
            self.notes.append(Note("skipped", text, choice.rule))
        ended: Outcome | None = None
        for candidate in choice.candidates:
            if self._clock.steady() - began > LONGEST:
                self._note("skipped", candidate, "the others took too long", choice.rule)
                break
            match await self._try(candidate, choice.rule):
                case Peer() as peer:
                    return peer
                case Closed(outcome, next_host) if outcome is not None:
                    ended = outcome
                    if not next_host:
                        return outcome
        addresses = " ".join(candidate.address for candidate in choice.candidates)
        port = choice.candidates[0].port
        text = GIVEN_UP.format(domain=self._hop.domain, addresses=addresses, port=port)
        return ended or Deferred(text, choice.rule)

    async def _try(self, candidate: Candidate, rule: Rule) -> Peer | Closed | None:
        """Return a peer that is ready, or how the conversation ended; None: there was none."""
        where, now = (candidate.address, candidate.port), self._clock.steady()
        dead = self._dead.skipped(*where, now, self._hop.min_penalty)
        if dead is not None:
            self._note("skipped", candidate, dead, rule)
            return None
        found = await self._greet(candidate, rule, in_clear=False)
        if isinstance(found, Closed) and found.in_clear:
            found = await self._greet(candidate, rule, in_clear=True)
        return found

    async def _greet(
        self, candidate: Candidate, rule: Rule, *, in_clear: bool
    ) -> Peer | Closed | None:
        """Connect to a host, and let it greet."""
        self._greeted = asyncio.get_running_loop().create_future()
        try:
            peer = await self._way.connect(self, candidate, rule, in_clear=in_clear)
        except (OSError, TimeoutError) as error:
            self._failed(candidate)
            reason = "timed out" if isinstance(error, TimeoutError) else _reason(error)
            self._note("failed", candidate, reason, rule)
            return None
        self._peer = peer
        closed = await self._greeted
        self._peer = None
        if peer.client.greeted:
            self._dead.answered(candidate.address, candidate.port)
        else:
            self._failed(candidate)
        if closed is None:
            return peer
        text = closed.outcome.text if closed.outcome is not None else "connection lost"
        self._note("failed", candidate, text, rule)
        return closed

    def _failed(self, candidate: Candidate) -> None:
        if not self._works(candidate):
            self._dead.failed(
                candidate.address, candidate.port, self._clock.steady(),
                random.random(), self._hop.max_tolerance,  # noqa: S311 - spreads retries
            )  # fmt: skip

    def _note(self, verdict: str, candidate: Candidate, what: str, rule: Rule) -> None:
        self.notes.append(Note(verdict, f"{candidate.shown}: {what}", rule))

    # The peer's owner, until it is ready

    def ready(self, _peer: Peer) -> None:
        """It has greeted."""
        if not self._greeted.done():
            self._greeted.set_result(None)

    def settled(self, _peer: Peer, _settled: Settled) -> None:
        """No transaction begins before it is ready."""

    def closed(self, _peer: Peer, closed: Closed) -> None:
        """It will not be."""
        if not self._greeted.done():
            self._greeted.set_result(closed)


class Peers:
    """All that is under way to one next hop."""

    def __init__(
        self, hop: NextHop, way: Way, clock: Clock, dead: DeadHosts, per_host: int
    ) -> None:
        self._hop = hop
        self._way = way
        self._clock = clock
        self._dead = dead
        self._per_host = per_host
        self._waiting: deque[Delivery] = deque()
        self._idle: list[Peer] = []
        self._busy: dict[Peer, Delivery | None] = {}
        self._opening: dict[Opening, asyncio.Task[None]] = {}  # connections that are being opened
        self._notes: dict[Peer, list[Note]] = {}  # told with the first mail
        self._limit = per_host
        self._limit_until = 0.0
        self._closing = False

    @property
    def is_over(self) -> bool:
        """Nothing is under way, and no connection is open."""
        return not (self._waiting or self._idle or self._busy or self._opening)

    def deliver(self, delivery: Delivery) -> None:
        """Send a message as soon as there is a connection for it."""
        while self._idle and not self._waiting:
            peer = self._idle.pop()
            if self._way.fits(peer):
                self._begin(peer, delivery)
                return
            peer.quit()
        self._waiting.append(delivery)
        self._open_more()

    def tick(self, now: float) -> None:
        """Do what time brings."""
        for opening in list(self._opening):
            opening.tick(now)
        for peer in list(self._busy):
            peer.tick(now)
        for peer in list(self._idle):
            if now - peer.since > IDLE or self._way.is_wanted(peer):
                peer.quit()
        if self._waiting:
            self._open_more()

    def close(self) -> None:
        """Take leave; what is under way goes on until it ends, what is not is given back."""
        self._closing = True
        waiting, self._waiting = self._waiting, deque()
        for delivery in waiting:
            delivery.not_begun()
        for peer in list(self._idle):
            peer.quit()

    # -- connections -----------------------------------------------------------------------------

    def _open_more(self) -> None:
        if self._limit < self._per_host and self._clock.steady() >= self._limit_until:
            self._limit = self._per_host
        while (
            len(self._opening) < len(self._waiting)
            and len(self._opening) + len(self._busy) + len(self._idle) < self._limit
        ):
            opening = Opening(self._hop, self._way, self._clock, self._dead, self._works)
            task = asyncio.get_running_loop().create_task(self._open(opening))
            self._opening[opening] = task  # the loop holds tasks weakly

    async def _open(self, opening: Opening) -> None:
        try:
            found = await opening.run()
        except ConfigErrors as errors:
            found = Deferred(f"Unable to deliver: {errors}. (#4.3.5)")
        except Exception as error:  # the task boundary of a connection
            found = Deferred(f"{WRONG}: {error!r} (#4.3.0)")
        del self._opening[opening]
        if isinstance(found, Peer):
            found.owner = self
            self._notes[found] = opening.notes
            self._busy[found] = None
            self.ready(found)
        else:
            self._not_opened(found, opening.notes)

    def _works(self, candidate: Candidate) -> bool:
        where = candidate.address, candidate.port
        peers = (*self._busy, *self._idle)
        return any(where == (p.candidate.address, p.candidate.port) for p in peers)

    def _not_opened(self, outcome: Outcome, notes: Sequence[Note]) -> None:
        others = len(self._opening) + len(self._busy) + len(self._idle)
        if others:
            self._limit = others
            self._limit_until = self._clock.steady() + ENOUGH
        else:  # we were the last one that could have helped
            waiting, self._waiting = self._waiting, deque()
            for delivery in waiting:
                delivery.all_ended(outcome, notes)

    def _begin(self, peer: Peer, delivery: Delivery) -> None:
        self._busy[peer] = delivery
        delivery.began(peer, self._notes.pop(peer, ()))
        peer.begin(delivery.envelope, delivery.letter())

    # -- what a peer says ------------------------------------------------------------------------

    def ready(self, peer: Peer) -> None:
        """Give it the next mail, or let it wait for one."""
        self._busy.pop(peer, None)
        while self._waiting and self._waiting[0].is_void:
            self._waiting.popleft()
        has_had_its_turn = not self._waiting or peer.served >= TURN
        if (
            self._closing
            or not self._way.fits(peer)
            or (has_had_its_turn and self._way.is_wanted(peer))
        ):
            peer.quit()
        elif self._waiting:
            self._begin(peer, self._waiting.popleft())
        else:
            self._idle.append(peer)

    def settled(self, peer: Peer, settled: Settled) -> None:
        """A transaction is over."""
        delivery = self._busy[peer]
        self._busy[peer] = None
        assert delivery is not None
        if settled.again and not delivery.tries:
            delivery.tries += 1
            self._waiting.appendleft(delivery)  # `closed` opens a new connection for it
        else:
            delivery.ended(settled)

    def closed(self, peer: Peer, _closed: Closed) -> None:
        """A connection is gone."""
        self._busy.pop(peer, None)
        self._notes.pop(peer, None)
        if peer in self._idle:
            self._idle.remove(peer)
        if self._waiting:
            self._open_more()


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
