"""qmail-remote: mail to the next host.

    remote.start(jobs, send)      # of one mail; each ends in send.finish(job, outcome)
    remote.tick(now)              # about once a second

Commit point 2 is the peer's 250 behind the message; a recipient is marked delivered by the round of
`send.finish`.  Between the two a crash sends the mail again: remote delivery is at least once, as
everywhere (RFC 5321 4.1.1.10).  A connection that is lost between the end of the message and that
250 is *unknown*: the mail is tried again, and counted (`unknown`).

Source: spec/queue.md 3; RFC 5321 5.  Not here: the connections (`serve.peers`), where mail goes
(`schedule.nexthop`, `delivery.mx`), what is in work (`serve.send`).
"""

import asyncio
import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from indimail.delivery.bounce import DOUBLE_BOUNCE
from indimail.delivery.mx import Candidate, Choice
from indimail.delivery.verp import expanded
from indimail.mail.address import NULL, Address
from indimail.mail.clock import Clock
from indimail.mail.envelope import Envelope, ForwardPath, ReversePath
from indimail.mail.errors import ConfigErrors
from indimail.mail.events import Facts
from indimail.mail.outcome import Outcome
from indimail.mail.verdict import Rule
from indimail.net.dns import Dns
from indimail.net.own import LocalAddresses
from indimail.net.tls import ClientTls
from indimail.policy.signing import signed
from indimail.schedule.deadhosts import DeadHosts
from indimail.schedule.nexthop import NextHop, next_hop
from indimail.serve.attempt import Scheduler
from indimail.serve.hands import RunAside
from indimail.serve.hosts import find_hosts
from indimail.serve.job import Job
from indimail.serve.letter import letter_of
from indimail.serve.peer import Letter, Owner, Peer
from indimail.serve.peers import Note, Peers
from indimail.serve.peertls import PeerTls
from indimail.serve.snapshot import RemoteSettings
from indimail.smtp.client import SmtpClient
from indimail.smtp.client_event import Settled
from indimail.smtp.hop import Credentials, Hop, Tls
from indimail.wire.sasl_client import MECHANISMS

Key = tuple[object, ...]
EIGHT_BIT: Final = "8BITMIME"


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

    def __init__(
        self,
        settings: Callable[[], RemoteSettings],
        dns: Dns,
        local: LocalAddresses,
        tls: PeerTls,
        dead: DeadHosts,
        clock: Clock,
        aside: RunAside,
        listening: Sequence[tuple[str, int]] = (),
    ) -> None:
        """`listening` are the addresses and ports at which we take mail ourselves."""
        self.unknown = 0  # recipients that may have got a mail twice, since the start
        self.dead = dead
        self.settings = settings
        self.dns = dns
        self.local = local
        self.tls = tls
        self.listening = tuple(listening)
        self._clock = clock
        self._aside = aside
        self._peers: dict[Key, Peers] = {}

    @property
    def at_once(self) -> int:
        """Two for each connection: the next one is at hand when one was sent."""
        return 2 * self.settings().per_host

    def start(self, jobs: Sequence[Job], send: Scheduler) -> None:
        """Begin an attempt for recipients of one mail."""
        settings = self.settings()
        message = jobs[0].mail.message
        sender = sender_of(message.reverse_path, jobs[0].recipient.address)
        hops = [
            next_hop(
                Address.parse(job.recipient.address), job.recipient.target, sender,
                settings.routes, Rule.parse(job.recipient.route),
            )
            for job in jobs
        ]  # fmt: skip
        for hop, some in groupby(zip(hops, jobs, strict=True), key=lambda pair: pair[0]):
            own = [job for _, job in some]
            delivering = Delivering(
                own, send, self._envelope(sender, own, send),
                lambda: letter_of(message, send.spool, self._aside), self._count_unknown,
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
            sender, Address.parse(jobs[0].recipient.address), self.settings().signing,
            self._clock.now(),
        )  # fmt: skip
        size = letter_of(message, send.spool, self._aside).size
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
            way = _Way(self, hop, sender)
            peers = self._peers[key] = Peers(hop, way, self._clock, self.dead, settings.per_host)
        return peers

    def peer(self, owner: Owner, hop: Hop, tls: ClientTls, candidate: Candidate) -> Peer:
        """Return the end of a connection that is not connected yet."""
        nonce = secrets.token_urlsafe(18) if hop.credentials else ""
        verifies = hop.tls is Tls.VERIFIED
        timeout = self.settings().timeoutremote
        return Peer(
            SmtpClient(hop, nonce), owner, self._clock, self._aside, tls, candidate,
            verifies=verifies, timeout=timeout,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Way:
    """How connections to one next hop are made, under the configuration of the moment."""

    remote: RemoteDelivery
    hop: NextHop
    sender: Address

    async def find(self) -> Choice:
        """Ask for the hosts."""
        remote = self.remote
        ourselves = replace(remote.settings().ourselves, listening=remote.listening)
        return await find_hosts(self.hop, remote.dns, ourselves, remote.local, random.random)

    async def connect(
        self, owner: Owner, candidate: Candidate, rule: Rule, *, in_clear: bool
    ) -> Peer:
        """Connect.  Raises OSError or TimeoutError; ConfigErrors for a file of certs/."""
        remote, hop = self.remote, self.hop
        settings = remote.settings()
        draw = random.random()  # noqa: S311 - which of our addresses
        source = settings.outgoing.source(self.sender, hop.domain, candidate.address, draw)
        protected = remote.tls.rule(candidate.host, settings.no_tls)
        tls = Tls.NEVER if in_clear else protected.tls
        peer = remote.peer(
            owner,
            Hop(
                candidate.address, source.helo, tls, hop.tls, credentials_of(hop, settings),
                settings.next_after_hello, settings.chunking, rule, candidate.host,
            ),
            protected.context,
            candidate,
        )  # fmt: skip
        peer.terms = (settings, protected)
        if source.address:
            peer.source = f"{source.address} ({source.rule})"
        async with asyncio.timeout(settings.timeoutconnect):
            await asyncio.get_running_loop().create_connection(
                lambda: peer, candidate.address, candidate.port,
                local_addr=(source.address, 0) if source.address else None,
            )  # fmt: skip
        return peer

    def fits(self, peer: Peer) -> bool:
        """Tell whether the files still say the same."""
        settings = self.remote.settings()
        try:
            rule = self.remote.tls.rule(peer.candidate.host, settings.no_tls)
        except ConfigErrors:
            return False
        return peer.terms == (settings, rule)


def sender_of(reverse_path: str, recipient: str) -> Address:
    """Return the sender that another host is told."""
    if reverse_path == DOUBLE_BOUNCE:  # no path of SMTP: to others, what bounced twice is a bounce
        return NULL
    return Address.parse(expanded(reverse_path, recipient))


def _facts(peer: Peer) -> Facts:
    """Return what is told of the host that has a mail."""
    candidate, hop = peer.candidate, peer.client.hop
    facts: Facts = {
        "host": candidate.host, "address": candidate.address, "port": candidate.port,
        "hop": candidate.shown, "helo": hop.helo,
    }  # fmt: skip
    if peer.tls_version:
        facts |= {"tls": peer.tls_version, "verified": peer.verified}
    if hop.credentials is not None:
        facts["auth_user"] = hop.credentials.user
    if peer.source:
        facts["source"] = peer.source
    if peer.served:
        facts["reused"] = peer.served
    return facts


def credentials_of(hop: NextHop, settings: RemoteSettings) -> Credentials | None:
    """Return who we are to a relay; AUTH_SMTP, of the route or for all, picks the mechanism."""
    if hop.login is None:
        return None
    variables = {**settings.auth, **dict(hop.variables)}
    mechanism = variables.get("AUTH_SMTP", "").upper()
    return Credentials(
        hop.login.user, hop.login.password,
        (mechanism,) if mechanism else tuple(MECHANISMS),
        in_clear=variables.get("SECURE_AUTH") == "0",
    )  # fmt: skip
