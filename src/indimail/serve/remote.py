"""qmail-remote: mail to the next host.

    remote.start(jobs, send)      # of one mail; each ends in send.finish(job, outcome)
    remote.tick(now)              # about once a second

Commit point 2 is the peer's 250 behind the message; a recipient is marked delivered by the round of
`send.finish`.  Between the two a crash sends the mail again: remote delivery is at least once, as
everywhere (RFC 5321 4.1.1.10).  A connection that is lost between the end of the message and that
250 is *unknown*: the mail is tried again, and counted (`unknown`).

Source: spec/queue.md 3; RFC 5321 5.  Not here: the connections (`serve.peers`) and how
they are made (`serve.outside`), where mail goes (`schedule.nexthop`), what is in work (`serve.send`).
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from indimail.delivery.bounce import DOUBLE_BOUNCE
from indimail.delivery.verp import expanded
from indimail.mail.address import NULL, Address
from indimail.mail.envelope import Envelope, ForwardPath, ReversePath
from indimail.mail.events import Facts
from indimail.mail.outcome import Deferred, Outcome
from indimail.mail.verdict import Rule
from indimail.policy.signing import signed
from indimail.queue.port import QueuedRecipient
from indimail.schedule.deadhosts import DeadHosts
from indimail.schedule.nexthop import NextHop, next_hop
from indimail.serve.attempt import Scheduler
from indimail.serve.job import Job
from indimail.serve.letter import letter_of
from indimail.serve.outside import Outside
from indimail.serve.peer import Letter, Peer
from indimail.serve.peers import WRONG, Note, Peers
from indimail.serve.snapshot import RemoteSettings
from indimail.smtp.client_event import Settled

Key = tuple[object, ...]
EIGHT_BIT: Final = "8BITMIME"
LOG: Final = logging.getLogger("indimail.remote")


@dataclass(slots=True)
class Delivering:
    """A message on its way to the recipients of some jobs."""

    jobs: Sequence[Job]
    send: Scheduler
    envelope: Envelope
    letter: Callable[[], Letter]
    count_unknown: Callable[[int], None]
    tries: int = 0

    @property
    def is_void(self) -> bool:
        """The queue was closed since, and loads them again."""
        return all(map(self.send.has_forgotten, self.jobs))

    def not_begun(self) -> None:
        """Let them wait in the queue again."""
        for job in self.jobs:
            self.send.put_back(job)

    def began(self, peer: Peer, notes: Sequence[Note]) -> None:
        """Tell which hosts were tried before, and which one has it now."""
        self._tell(notes)
        facts = _facts(peer)
        for job in self.jobs:
            job.facts = facts

    def ended(self, settled: Settled) -> None:
        """Record what became of each recipient."""
        if settled.unknown:
            self.count_unknown(settled.unknown)
        for job, outcome in zip(self.jobs, settled.outcomes, strict=True):
            self.send.finish(job, outcome)

    def all_ended(self, outcome: Outcome, notes: Sequence[Note]) -> None:
        """Record the same for all of them."""
        self._tell(notes)
        for job in self.jobs:
            self.send.finish(job, outcome)

    def _tell(self, notes: Sequence[Note]) -> None:
        for job in self.jobs if notes else ():
            for note in notes:
                self.send.tell(job, note.verdict, note.text, note.rule)


class RemoteDelivery:
    """Makes the remote deliveries of a worker."""

    def __init__(self, outside: Outside, dead: DeadHosts) -> None:
        self.unknown = 0  # recipients that may have got a mail twice, since the start
        self._outside = outside
        self._dead = dead
        self._peers: dict[Key, Peers] = {}

    @property
    def at_once(self) -> int:
        """Two for each connection: the next one is at hand when one was sent."""
        return 2 * self._outside.settings().per_host

    @property
    def is_idle(self) -> bool:
        """Nothing is under way, and no connection is open."""
        return not self._peers

    def start(self, jobs: Sequence[Job], send: Scheduler) -> None:
        """Begin an attempt for recipients of one mail."""
        settings, hops = self._outside.settings(), list[NextHop]()
        sender = sender_of(jobs[0].mail.message.reverse_path, jobs[0].recipient.address)
        with _keeping_no_slot(jobs, send):
            hops = [_next_hop(job.recipient, sender, settings) for job in jobs]
        for hop, some in groupby(zip(hops, jobs, strict=False), key=lambda pair: pair[0]):
            own = [job for _, job in some]
            with _keeping_no_slot(own, send):
                self._deliver(hop, own, sender, send, settings)

    def _deliver(
        self, hop: NextHop, jobs: Sequence[Job], sender: Address, send: Scheduler,
        settings: RemoteSettings,
    ) -> None:  # fmt: skip
        message = jobs[0].mail.message
        delivering = Delivering(
            jobs, send, self._envelope(sender, jobs, send),
            lambda: letter_of(message, send.spool, self._outside.aside), self._count_unknown,
        )  # fmt: skip
        self._to(hop, sender, settings).deliver(delivering)

    def tick(self, now: float) -> None:
        """Do what time brings, and forget hops that nothing goes to."""
        for key, peers in list(self._peers.items()):
            peers.tick(now)
            if peers.is_over:
                del self._peers[key]

    def close(self) -> None:
        """Take leave of servers that wait for more."""
        for peers in self._peers.values():
            peers.close()

    def _count_unknown(self, recipients: int) -> None:
        self.unknown += recipients

    def _envelope(self, sender: Address, jobs: Sequence[Job], send: Scheduler) -> Envelope:
        message = jobs[0].mail.message
        sender = signed(
            sender, Address.parse(jobs[0].recipient.address), self._outside.settings().signing,
            self._outside.clock.now(),
        )  # fmt: skip
        size = letter_of(message, send.spool, self._outside.aside).size
        path = ReversePath(
            sender, EIGHT_BIT if message.eight_bit else "",
            message.smtputf8 and message.eight_bit, size,
            message.auth, message.ret, message.envid,
        )  # fmt: skip
        recipients = (job.recipient for job in jobs)
        return Envelope(
            path,
            tuple(ForwardPath(Address.parse(r.address), r.notify, r.orcpt) for r in recipients),
        )

    def _to(self, hop: NextHop, sender: Address, settings: RemoteSettings) -> Peers:
        """Return the connections that mail of this sender to this hop may share."""
        binding = settings.outgoing.company(sender, hop.domain)
        key = (hop.relay or hop.domain, hop.port, hop.tls, hop.login, hop.variables, binding)
        peers = self._peers.get(key)
        if peers is None:
            way, clock = self._outside.way(hop, sender), self._outside.clock
            peers = self._peers[key] = Peers(hop, way, clock, self._dead, settings.per_host)
        return peers


@contextlib.contextmanager
def _keeping_no_slot(jobs: Sequence[Job], send: Scheduler) -> Iterator[None]:
    """Defer what goes wrong in a way that nobody thought of."""
    try:
        yield
    except Exception as error:  # the task boundary of a delivery
        LOG.exception("delivery of %s", jobs[0].mail.message.id)
        for job in jobs:
            send.finish(job, Deferred(f"{WRONG}: {error!r} (#4.3.0)"))


def _next_hop(recipient: QueuedRecipient, sender: Address, settings: RemoteSettings) -> NextHop:
    address, made_by = Address.parse(recipient.address), Rule.parse(recipient.route)
    return next_hop(address, recipient.target, sender, settings.routes, made_by)


def sender_of(reverse_path: str, recipient: str) -> Address:
    """Return the sender that another host is told."""
    if reverse_path == DOUBLE_BOUNCE:  # no path of SMTP: to others, what bounced twice is a bounce
        return NULL
    return Address.parse(expanded(reverse_path, recipient))


def _facts(peer: Peer) -> Facts:
    """Return what is told of the host that has a mail."""
    facts = dict(peer.facts)
    if peer.tls_version:
        facts |= {"tls": peer.tls_version, "verified": peer.verified}
    if peer.served:
        facts["reused"] = peer.served
    return facts
