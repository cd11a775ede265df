"""How connections to other hosts are made: our own end, the protection, the credentials.

    outside = Outside(settings, dns, local, tls, clock, aside, listening)
    way = outside.way(hop, sender)               # for `serve.peers`
    await way.find()                             # the hosts
    await way.connect(owner, candidate, rule, in_clear=False)
    way.fits(peer)                               # whether it would be made the same way now

Not here: which host is tried when, and how many connections there are (`serve.peers`).
"""

import asyncio
import random
import secrets
from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from functools import partial

from indimail.delivery.mx import Candidate, Choice
from indimail.mail.address import Address
from indimail.mail.clock import Clock
from indimail.mail.errors import ConfigErrors
from indimail.mail.events import Facts
from indimail.mail.verdict import NO_RULE, Rule
from indimail.net.dns import Dns
from indimail.schedule.nexthop import NextHop
from indimail.schedule.outgoing import Source
from indimail.serve.hands import RunAside
from indimail.serve.hosts import find_hosts
from indimail.serve.peer import Owner, Peer
from indimail.serve.peers import Way
from indimail.serve.peertls import PeerTls
from indimail.serve.slots import HostSlots
from indimail.serve.snapshot import RemoteSettings
from indimail.smtp.client import SmtpClient
from indimail.smtp.hop import Credentials, Hop, Tls
from indimail.wire.sasl_client import MECHANISMS


@dataclass(frozen=True, slots=True)
class Outside:
    """What all connections are made with; `listening` is where we take mail ourselves."""

    settings: Callable[[], RemoteSettings]
    dns: Dns
    local: Container[str]
    tls: PeerTls
    clock: Clock
    aside: RunAside
    listening: tuple[tuple[str, int], ...] = ()
    slots: HostSlots = field(default_factory=HostSlots)

    def way(self, hop: NextHop, sender: Address) -> Way:
        """Return how connections for mail of this sender to a next hop are made."""
        return _Way(self, hop, sender)


@dataclass(frozen=True, slots=True)
class _Way:
    """How connections to one next hop are made, under the configuration of the moment."""

    outside: "Outside"
    hop: NextHop
    sender: Address

    async def find(self) -> Choice:
        """Ask for the hosts."""
        outside = self.outside
        ourselves = replace(outside.settings().ourselves, listening=outside.listening)
        return await find_hosts(self.hop, outside.dns, ourselves, outside.local, random.random)

    async def connect(
        self, owner: Owner, candidate: Candidate, rule: Rule, *, in_clear: bool
    ) -> Peer:
        """Connect.  Raises OSError or TimeoutError; ConfigErrors for a file of certs/."""
        outside, hop = self.outside, self.hop
        settings = outside.settings()
        draw = random.random()  # noqa: S311 - which of our addresses
        source = settings.outgoing.source(self.sender, hop.domain, candidate.address, draw)
        protected = outside.tls.rule(candidate.host, settings.no_tls)
        tls = Tls.NEVER if in_clear else protected.tls
        next_ = Hop(
            candidate.address, source.helo, tls, hop.tls, credentials_of(hop, settings),
            settings.next_after_hello, settings.chunking, rule, candidate.host,
        )  # fmt: skip
        nonce = secrets.token_urlsafe(18) if next_.credentials else ""
        peer = Peer(
            SmtpClient(next_, nonce), owner, outside.clock, outside.aside, protected.context,
            candidate, verifies=tls is Tls.VERIFIED, timeout=settings.timeoutremote,
        )  # fmt: skip
        peer.terms = (settings, protected)
        peer.facts = _facts(candidate, source, protected.rule, hop)
        where = candidate.address, candidate.port
        await outside.slots.take(where, settings.per_host)
        peer.ended = partial(outside.slots.release, where)
        try:
            async with asyncio.timeout(settings.timeoutconnect):
                await asyncio.get_running_loop().create_connection(
                    lambda: peer, *where,
                    local_addr=(source.address, 0) if source.address else None,
                )  # fmt: skip
        except BaseException:
            peer.never_came()
            raise
        return peer

    def is_wanted(self, peer: Peer) -> bool:
        """Tell whether others wait for a connection to its host."""
        return self.outside.slots.is_wanted((peer.candidate.address, peer.candidate.port))

    def fits(self, peer: Peer) -> bool:
        """Tell whether the files still say the same."""
        settings = self.outside.settings()
        try:
            rule = self.outside.tls.rule(peer.candidate.host, settings.no_tls)
        except ConfigErrors:
            return False
        return peer.terms == (settings, rule)


def _facts(candidate: Candidate, source: Source, tls_rule: Rule, hop: NextHop) -> Facts:
    """Return what is told of a connection, with the rules that it was made by."""
    facts: Facts = {
        "host": candidate.host, "address": candidate.address, "port": candidate.port,
        "hop": candidate.shown, "helo": source.helo,
    }  # fmt: skip
    if source.address:
        facts["source"] = f"{source.address} ({source.rule})"
    if tls_rule != NO_RULE:
        facts["tls_rule"] = str(tls_rule)
    if hop.login is not None:
        facts["auth_user"] = hop.login.user
    if hop.login_rule != NO_RULE:
        facts["auth_rule"] = str(hop.login_rule)
    return facts


def credentials_of(hop: NextHop, settings: RemoteSettings) -> Credentials | None:
    """Return who we are to a relay; AUTH_SMTP, of the route or for all, picks the mechanism."""
    if hop.login is None:
        return None
    variables = {**settings.auth, **dict(hop.variables)}
    wanted = variables.get("AUTH_SMTP", "").upper()
    return Credentials(
        hop.login.user, hop.login.password,
        tuple(name for name in MECHANISMS if wanted in ("", name)),
        in_clear=variables.get("SECURE_AUTH") == "0",
    )  # fmt: skip
