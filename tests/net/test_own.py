"""Which addresses are ours."""

import socket

import pytest

from indimail.net.own import KEPT, LocalAddresses
from indimail.testing.clock import FakeClock


@pytest.mark.parametrize(
    ("address", "ours"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("8.8.8.8", False),
        ("2001:db8::1", False),
        ("0.0.0.0", False),
        ("mx.example.com", False),
        ("", False),
        (25, False),
    ],
)
def test_an_address_is_ours_or_not(address: object, ours: bool) -> None:
    local = LocalAddresses(FakeClock())
    assert [address in local for _ in range(2)] == [ours, ours]


def test_the_loopback_of_ipv6_is_ours_where_there_is_one() -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 here")
    assert "::1" in LocalAddresses(FakeClock())


def test_the_kernel_is_asked_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, asked = FakeClock(), []
    monkeypatch.setattr("indimail.net.own._is_local", lambda ip: bool(asked.append(ip)))
    local = LocalAddresses(clock)
    for seconds in (0, KEPT - 1, 1):
        clock.advance(seconds)
        assert "192.0.2.1" not in local
    assert asked == ["192.0.2.1"] * 2
