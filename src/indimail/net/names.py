"""The name of a client, as DNS has it and confirms it.

    found = await client_name(dns, "192.0.2.7")
    found.name           -> "mx.example.net", or empty: it has none
    found.trouble        -> why there is no answer; empty: there is one

A name counts if it resolves back to the address (`tcpserver -p`): the reverse zone belongs to whoever
has the address, and says what he likes.  Of several names the first that is confirmed counts, by
alphabet, so that a client has the same name each time.

Sources: spec/smtp.md 1.1 (-p), 3.5; RFC 1035 3.5, RFC 3596 2.5 (in-addr.arpa, ip6.arpa).  Not here: what
a name permits (`policy`).
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from indimail.mail.dns import Found, Type
from indimail.mail.ip import is_ipv6
from indimail.net.dns import Dns

MOST: Final = 5  # names of an address that are looked at
PATIENCE: Final = 10.0  # seconds that a client waits for its greeting because of us


@dataclass(frozen=True, slots=True)
class ClientName:
    """A confirmed name, lower-case, without a dot at its end; or why it is not known."""

    name: str = ""
    trouble: str = ""


async def client_name(dns: Dns, ip: str) -> ClientName:
    """Look up what an address is called; raises nothing."""
    try:
        pointer = ip_address(ip).reverse_pointer
    except ValueError:  # of a local socket
        return ClientName()
    reverse = await dns.look_up(pointer, Type.PTR)
    if reverse.found is Found.FAILED:
        return ClientName(trouble=reverse.reason)
    kind = Type.AAAA if is_ipv6(ip) else Type.A
    trouble = ""
    for name in sorted(reverse.names)[:MOST]:
        answer = await dns.look_up(name, kind)
        if ip in answer.addresses:
            return ClientName(name)
        if answer.found is Found.FAILED:
            trouble = trouble or answer.reason
    return ClientName(trouble=trouble)


class ClientNames:
    """Looks up names for connections, which go on when they are told; for one event loop."""

    def __init__(self, dns: Dns, patience: float = PATIENCE) -> None:
        self._dns = dns
        self._patience = patience
        self._asking: set[asyncio.Task[None]] = set()

    def ask(self, ip: str, told: Callable[[ClientName], None]) -> None:
        """Call `told` once, never within this call."""
        task = asyncio.get_running_loop().create_task(self._ask(ip, told))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask(self, ip: str, told: Callable[[ClientName], None]) -> None:
        try:
            async with asyncio.timeout(self._patience):
                found = await client_name(self._dns, ip)
        except TimeoutError:
            found = ClientName(trouble=f"no answer in {self._patience:g} s")
        told(found)
