"""Which addresses are this machine's, now.

    "192.0.2.7" in LocalAddresses(clock)

The kernel is asked by a socket that is connected and sends nothing: towards an address of its own, it
would send from that address.  So interfaces that come and go are known without a list of them,
ten seconds later at most.
"""

import socket
from typing import Final

from indimail.mail.clock import Clock
from indimail.mail.ip import is_ipv6, plain_ip

KEPT: Final = 10.0  # seconds; a question costs 30 us
_DISCARD: Final = 9  # any port; nothing is sent


class LocalAddresses:
    """The addresses of the interfaces; what is asked for is in the spelling of `mail.ip`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._known: dict[str, bool] = {}
        self._until = 0.0

    def __contains__(self, address: object) -> bool:
        if not isinstance(address, str):
            return False
        now = self._clock.steady()
        if now >= self._until:
            self._known.clear()
            self._until = now + KEPT
        found = self._known.get(address)
        if found is None:
            found = self._known[address] = _is_local(address)
        return found


def _is_local(address: str) -> bool:
    if address.startswith("127."):
        return True
    family = socket.AF_INET6 if is_ipv6(address) else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, _DISCARD))
            return plain_ip(probe.getsockname()[0]) == address
    except OSError:
        return False  # no way there, or no such family here
