"""The zones of the simulated world answer as a recursive server does."""

import asyncio

import pytest

from indimail.mail.dns import Answer, Exchanger, Found, Type
from indimail.testing.dns import Zones

ZONES = """
    example.com       MX     20 mx2.example.com.
    Example.com   60  MX     10 MX1.example.com
    mx1.example.com   A      192.0.2.1
    mx1.example.com   AAAA   2001:DB8:0::1
    www.example.com   CNAME  web.example.com
    web.example.com   CNAME  example.com
    loop.example.com  CNAME  loop.example.com
    lost.example.com  CNAME  nowhere.example.org
    nomail.example    MX     0 .
    broken.example    FAIL   SERVFAIL
    a.b.example.net   A      192.0.2.9
"""
MX = (Exchanger(20, "mx2.example.com"), Exchanger(10, "mx1.example.com"))


@pytest.mark.parametrize(
    ("name", "kind", "answer"),
    [
        ("EXAMPLE.com.", Type.MX, Answer(Found.RECORDS, MX, 60, "example.com")),
        ("www.example.com", Type.MX, Answer(Found.RECORDS, MX, 60, "example.com")),
        ("mx1.example.com", Type.A, Answer(Found.RECORDS, ("192.0.2.1",), 300, "mx1.example.com")),
        ("mx1.example.com", Type.AAAA,
         Answer(Found.RECORDS, ("2001:db8::1",), 300, "mx1.example.com")),
        ("mx1.example.com", Type.MX, Answer(Found.NONE, (), 300, "mx1.example.com")),
        ("b.example.net", Type.A, Answer(Found.NONE, (), 300, "b.example.net")),
        ("mx2.example.com", Type.A, Answer(Found.NO_NAME, (), 300, "mx2.example.com")),
        ("lost.example.com", Type.A, Answer(Found.NO_NAME, (), 300, "nowhere.example.org")),
        ("nomail.example", Type.MX,
         Answer(Found.RECORDS, (Exchanger(0, ""),), 300, "nomail.example")),
        ("broken.example", Type.MX, Answer(Found.FAILED, name="broken.example", reason="SERVFAIL")),
        ("loop.example.com", Type.MX,
         Answer(Found.FAILED, name="loop.example.com", reason="a chain of CNAMEs without an end")),
    ],
)  # fmt: skip
def test_an_answer(name: str, kind: Type, answer: Answer) -> None:
    assert asyncio.run(Zones(ZONES).look_up(name, kind)) == answer


def test_a_world_without_dns() -> None:
    zones = Zones(ZONES)
    zones.down = "timed out"
    assert asyncio.run(zones.look_up("example.com", Type.MX)) == Answer(
        Found.FAILED, reason="timed out"
    )
    zones.down = ""
    zones.remove("example.com")
    assert asyncio.run(zones.look_up("example.com", Type.MX)).found is Found.NONE
    assert zones.asked == [("example.com", Type.MX)] * 2
