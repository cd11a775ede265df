"""DNS by dnspython: the recursive servers we are given, by UDP and, where an answer is cut, by TCP.

    dns = Resolver(ResolvConf("/etc/resolv.conf", clock).servers, clock)
    await dns.look_up("example.com", Type.MX)

Each server is asked in turn, for 2 s; those that were silent once more, for 5 s.  A server that does
not answer comes last for a while.  An answer is believed if it is one: SERVFAIL, REFUSED and a
referral (a server that does not look further: lame) send us to the next server, never to "no such
record".  A chain of CNAMEs that the server breaks off is followed.

At most `at_once` questions are on their way, each from a socket, thus a port, of its own; ids are
dnspython's.  A question costs about 0.3 ms of the processor, which is why `net.dnscache` stands
in front.

Sources: RFC 1035 4.2, 7; RFC 2308 2 (referrals, negative answers); RFC 5452 (ports); RFC 6891
(EDNS, dropped for servers that do not know it).  Not here: validation (DNSSEC is the resolver's).
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import dns.asyncbackend
import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.NS
import dns.rdtypes.ANY.OPT
import dns.rdtypes.ANY.PTR
import dns.rdtypes.ANY.SOA
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.rrset

from indimail.mail.clock import Clock
from indimail.mail.dns import Answer, Exchanger, Found, Type
from indimail.mail.ip import plain_ip
from indimail.net.dns import Server

ROUNDS: Final = (2.0, 5.0)  # seconds that a server has, each time
AT_ONCE: Final = 200
LINKS: Final = 8  # of a chain of CNAMEs, asked one by one
AVOIDED: Final = 30.0  # seconds that a silent server comes last
BACKEND: Final = dns.asyncbackend.get_backend("asyncio")  # imported now, as all that is needed
PAYLOAD: Final = 1232  # octets that pass without fragments
_NO_EDNS: Final = {dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS}


class Resolver:
    """Asks the recursive servers of the machine."""

    def __init__(
        self,
        servers: Callable[[], Sequence[Server]],
        clock: Clock,
        *,
        at_once: int = AT_ONCE,
        rounds: Sequence[float] = ROUNDS,
    ) -> None:
        self._servers = servers
        self._clock = clock
        self._rounds = rounds
        self._places = asyncio.Semaphore(at_once)
        self._silent: dict[Server, float] = {}  # until when each comes last

    async def look_up(self, name: str, kind: Type) -> Answer:
        """Return the answer of the first server that has one."""
        try:
            question = dns.name.from_text(name.removesuffix("."))
        except (dns.exception.DNSException, UnicodeError) as error:
            return Answer(Found.NO_NAME, name=name, reason=f"no name of DNS: {error}")
        async with self._places:
            return await self._follow(question, kind)

    async def _follow(self, question: dns.name.Name, kind: Type) -> Answer:
        """Ask, and go on where the answer ends with a CNAME alone."""
        ttl = float("inf")
        for _ in range(LINKS):
            answer, target = await self._ask_all(question, kind)
            ttl = min(ttl, answer.ttl)
            if target is None:
                return Answer(answer.found, answer.records, ttl, answer.name, answer.reason)
            question = target
        return Answer(Found.FAILED, name=_text(question), reason="a chain of CNAMEs without an end")

    async def _ask_all(
        self, question: dns.name.Name, kind: Type
    ) -> tuple[Answer, dns.name.Name | None]:
        """Ask each server; return the answer, and the CNAME's target that it leaves open."""
        servers = self._in_order()
        reasons = []
        for seconds in self._rounds:
            silent = []
            for server in servers:
                try:
                    response = await _exchange(question, kind, server, seconds)
                except (TimeoutError, dns.exception.Timeout):
                    silent.append(server)
                    reasons.append(f"{server}: no answer in {seconds:g} s")
                except (dns.exception.DNSException, OSError, EOFError) as error:
                    reasons.append(f"{server}: {_reason(error)}")
                else:
                    answer, target = read(response)
                    if answer.found is not Found.FAILED:
                        return answer, target
                    reasons.append(f"{server}: {answer.reason}")
                    continue
                self._silent[server] = self._clock.steady() + AVOIDED
            servers = silent
        reason = "; ".join(reasons) or "no server to ask"
        return Answer(Found.FAILED, name=_text(question), reason=reason), None

    def _in_order(self) -> list[Server]:
        now = self._clock.steady()
        return sorted(self._servers(), key=lambda server: self._silent.get(server, 0.0) > now)


class _Question(asyncio.DatagramProtocol):
    """One question on its own connected socket: the kernel drops what comes from elsewhere."""

    def __init__(self, query: dns.message.Message) -> None:
        self._query = query
        self.response: asyncio.Future[dns.message.Message] = (
            asyncio.get_running_loop().create_future()
        )

    def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002
        """Take the response; what answers another question, or is none, may be forged."""
        try:
            response = dns.message.from_wire(data, raise_on_truncation=True)
        except dns.message.Truncated as cut:
            response = cut.message()  # type: ignore[no-untyped-call]
        except dns.exception.DNSException:
            return
        if not self.response.done() and self._query.is_response(response):
            self.response.set_result(response)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there."""
        if not self.response.done():
            self.response.set_exception(exc)


async def _exchange(
    question: dns.name.Name, kind: Type, server: Server, seconds: float
) -> dns.message.Message:
    """Ask one server; without EDNS where it does not know that."""
    query = dns.message.make_query(question, kind.value, use_edns=0, payload=PAYLOAD)
    response = await _send(query, server, seconds)
    if response.rcode() in _NO_EDNS:
        query = dns.message.make_query(question, kind.value, use_edns=False)
        response = await _send(query, server, seconds)
    return response


async def _send(query: dns.message.Message, server: Server, seconds: float) -> dns.message.Message:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Question(query), remote_addr=server
    )
    try:
        transport.sendto(query.to_wire())
        async with asyncio.timeout(seconds):
            response = await protocol.response
    finally:
        transport.close()
    if response.flags & dns.flags.TC:
        address, port = server
        response = await dns.asyncquery.tcp(
            query, address, timeout=seconds, port=port, backend=BACKEND
        )
    return response


def read(response: dns.message.Message) -> tuple[Answer, dns.name.Name | None]:
    """Return what a response says, and the target of a CNAME that it leaves open.

    Raises nothing: what makes no sense is `Found.FAILED`.
    """
    code = response.rcode()
    if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return Answer(Found.FAILED, reason=dns.rcode.to_text(code)), None
    if not isinstance(response, dns.message.QueryMessage):
        return Answer(Found.FAILED, reason="no response to a query"), None
    try:
        chain = response.resolve_chaining()
    except dns.exception.DNSException as error:
        return Answer(Found.FAILED, reason=_reason(error)), None
    name, ttl = _text(chain.canonical_name), float(chain.minimum_ttl)
    if chain.answer is not None:
        return Answer(Found.RECORDS, _records(chain.answer), ttl, name), None
    said = any(rrset.rdtype == dns.rdatatype.SOA for rrset in response.authority)
    ttl = ttl if said else 0.0
    if code == dns.rcode.NXDOMAIN:
        return Answer(Found.NO_NAME, ttl=ttl, name=name), None
    if not said and chain.cnames:
        ttl = float(min(rrset.ttl for rrset in chain.cnames))
        return Answer(Found.NONE, ttl=ttl, name=name), chain.canonical_name
    if not said and not response.flags & (dns.flags.AA | dns.flags.RA):
        return Answer(Found.FAILED, reason="a referral (the server does not look further)"), None
    return Answer(Found.NONE, ttl=ttl, name=name), None


def _records(rrset: dns.rrset.RRset) -> tuple[Exchanger | str, ...]:
    found: list[Exchanger | str] = []
    for record in rrset:
        match record:
            case dns.rdtypes.ANY.MX.MX():
                found.append(Exchanger(record.preference, _text(record.exchange)))
            case dns.rdtypes.IN.A.A() | dns.rdtypes.IN.AAAA.AAAA():
                found.append(plain_ip(record.address))
            case dns.rdtypes.ANY.PTR.PTR():
                found.append(_text(record.target))
    return tuple(found)


def _text(name: dns.name.Name) -> str:
    return "" if name == dns.name.root else name.to_text(omit_final_dot=True).lower()


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) else str(error)
    return (text or type(error).__name__).lower()
