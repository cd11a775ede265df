"""What a client is called: only what its name's own zone confirms."""

import asyncio

import pytest

from indimail.mail.dns import Answer, Type
from indimail.net.names import ClientName, ClientNames, client_name
from indimail.testing.dns import Zones
from support import in_loop

ZONES = """
    1.2.0.192.in-addr.arpa  PTR  MX.Example.net.
    mx.example.net          A    192.0.2.1
    mx.example.net          A    192.0.2.99
    2.2.0.192.in-addr.arpa  PTR  heaven.af.mil
    heaven.af.mil           A    198.51.100.1
    3.2.0.192.in-addr.arpa  PTR  z.example.net
    3.2.0.192.in-addr.arpa  PTR  b.example.net
    3.2.0.192.in-addr.arpa  PTR  a.example.net
    a.example.net           A    198.51.100.1
    b.example.net           A    192.0.2.3
    z.example.net           A    192.0.2.3
    4.2.0.192.in-addr.arpa  FAIL SERVFAIL
    5.2.0.192.in-addr.arpa  PTR  gone.example.net
    gone.example.net        FAIL SERVFAIL
    6.2.0.192.in-addr.arpa  PTR  nowhere.example.net
    1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR six.example.net
    six.example.net         AAAA 2001:db8:0::1
"""


@pytest.mark.parametrize(
    ("ip", "found"),
    [
        ("192.0.2.1", ClientName("mx.example.net")),
        ("192.0.2.2", ClientName()),  # what he says of himself, and the name does not confirm
        ("192.0.2.3", ClientName("b.example.net")),
        ("192.0.2.4", ClientName(trouble="SERVFAIL")),
        ("192.0.2.5", ClientName(trouble="SERVFAIL")),
        ("192.0.2.6", ClientName()),
        ("192.0.2.7", ClientName()),
        ("", ClientName()),
        ("2001:db8::1", ClientName("six.example.net")),
    ],
)
def test_a_name_counts_if_it_resolves_back(ip: str, found: ClientName) -> None:
    assert asyncio.run(client_name(Zones(ZONES), ip)) == found


@in_loop
async def test_of_very_many_names_five_are_looked_at() -> None:
    zones = Zones("\n".join(f"7.2.0.192.in-addr.arpa PTR n{n}.example" for n in range(10, 99)))
    zones.add("n98.example A 192.0.2.7")
    assert await client_name(zones, "192.0.2.7") == ClientName()
    assert [name for name, kind in zones.asked if kind is Type.A] == [
        f"n{n}.example" for n in range(10, 15)
    ]


class Silence:
    async def look_up(self, name: str, kind: Type) -> Answer:
        await asyncio.sleep(60)
        raise AssertionError


@in_loop
async def test_a_name_server_that_is_silent_holds_a_client_for_a_while_only() -> None:
    told: list[ClientName] = []
    names = ClientNames(Silence(), patience=0.01)
    names.ask("192.0.2.7", told.append)
    while not told:
        await asyncio.sleep(0.005)
    assert told == [ClientName(trouble="no answer in 0.01 s")]
