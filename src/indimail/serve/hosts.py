"""Ask DNS for the hosts of a next hop.

    choice = await find_hosts(hop, dns, ourselves, LocalAddresses(clock), random)
    match choice:
        case Hosts(candidates): ...      # tried in this order
        case Deferred() | Failed(): ...  # the outcome of the delivery

The addresses of all exchangers are asked for at once.  Not here: the decision (`delivery.mx`).
"""

import asyncio
from collections.abc import Callable, Container, Sequence

from indimail.delivery.mx import (
    Choice,
    Exchangers,
    Ourselves,
    at_address,
    at_relay,
    choose,
    exchangers,
    no_host,
)
from indimail.mail.dns import Answer, Found, Type
from indimail.mail.ip import ip_of, literal
from indimail.net.dns import Dns
from indimail.schedule.nexthop import NextHop


async def find_hosts(
    hop: NextHop,
    dns: Dns,
    ourselves: Ourselves,
    local: Container[str],
    draw: Callable[[], float],
) -> Choice:
    """Return what is tried, or the delivery's end.  Raises nothing."""
    if hop.relay:
        address = ip_of(hop.relay)
        answers = [_known(address)] if address else await _addresses(dns, hop.relay)
        return at_relay(hop.relay, hop.port, answers, ourselves, local, hop.rule)
    address = literal(hop.domain) or ip_of(hop.domain)
    if address:
        return at_address(hop.domain, address, ourselves, local)
    if not hop.domain or hop.domain.startswith("["):
        return no_host(hop.domain)
    found = exchangers(hop.domain, await dns.look_up(hop.domain, Type.MX), draw)
    if not isinstance(found, Exchangers):
        return found
    hosts = list(dict.fromkeys(record.host for record in found.records))
    every = await asyncio.gather(*(_addresses(dns, host) for host in hosts))
    return choose(found, dict(zip(hosts, every, strict=True)), ourselves, local)


async def _addresses(dns: Dns, host: str) -> Sequence[Answer]:
    return await asyncio.gather(dns.look_up(host, Type.AAAA), dns.look_up(host, Type.A))


def _known(address: str) -> Answer:
    return Answer(Found.RECORDS, (address,), name=address)
