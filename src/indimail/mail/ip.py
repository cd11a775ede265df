"""IP addresses as texts, each in one spelling.

    plain_ip("::FFFF:192.0.2.7")          -> '192.0.2.7'
    literal("[IPv6:2001:DB8:0::7]")       -> '2001:db8::7': what an address literal names
    ip_of("2001:DB8::7"), ip_of("mx")     -> '2001:db8::7', None

The spelling is that of RFC 5952; an IPv4 address inside IPv6 (``::ffff:``) is the IPv4 address.

Source: RFC 5321 4.1.3 (literals).  Not here: networks (`policy.tcprules`).
"""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Final

MAPPED: Final = "::ffff:"


def plain_ip(ip: str) -> str:
    """Return the one spelling of what is an address already."""
    if ":" not in ip:
        return ip
    if ip.startswith(MAPPED) and "." in ip:
        return ip[len(MAPPED) :]
    return _plain6(ip)


@lru_cache(maxsize=4096)
def _plain6(ip: str) -> str:
    try:
        address = IPv6Address(ip.partition("%")[0])
    except ValueError:
        return ip.lower()
    mapped = address.ipv4_mapped
    return str(mapped) if mapped else address.compressed


def ip_of(text: str) -> str | None:
    """Return the address that a text is, in its one spelling; None where it is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return None if "%" in text else plain_ip(str(address))


def literal(domain: str) -> str | None:
    """Return the address of ``[192.0.2.7]`` or ``[IPv6:2001:db8::7]``; None for all else.

    The tag may be missing: operators write ``[2001:db8::7]``.
    """
    if not (domain.startswith("[") and domain.endswith("]")):
        return None
    inside = domain[1:-1]
    tagged = inside[:5].lower() == "ipv6:"
    address = ip_of(inside[5:] if tagged else inside)
    return None if address is None or (tagged and ":" not in inside[5:]) else address


def is_ipv6(ip: str) -> bool:
    """Tell the family of an address in its one spelling."""
    return ":" in ip


def network_of(ip: str) -> str:
    """Return what one client has of the Internet: its address, of IPv6 the first 64 bits."""
    if ":" not in ip:
        return ip
    try:
        packed = IPv6Address(ip).packed
    except ValueError:
        return ip
    return IPv6Address(packed[:8] + bytes(8)).compressed
