"""Which servers are asked."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.net.dns import AGAIN, ResolvConf, Server, parse_resolv_conf, parse_server
from indimail.testing.clock import FakeClock


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("127.0.0.1", Server("127.0.0.1", 53)),
        ("127.0.0.1:5353", Server("127.0.0.1", 5353)),
        ("::1", Server("::1", 53)),
        ("[2001:DB8::1]", Server("2001:db8::1", 53)),
        ("[::1]:5353", Server("::1", 5353)),
    ],
)
def test_a_server_has_an_address_and_perhaps_a_port(text: str, server: Server) -> None:
    assert parse_server(text) == server
    assert parse_server(str(server)) == server


@pytest.mark.parametrize(
    "text",
    ["", "localhost", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:x", "[::1",
     "::1]:53", "[::1]53", "127.0.0.1:²", "[127.0.0.1]x:53", "1:2", ":53"],
)  # fmt: skip
def test_what_is_no_server(text: str) -> None:
    with pytest.raises(ValueError):
        parse_server(text)


@given(st.text("0123456789abcdef:.[]", max_size=20))
def test_a_text_is_a_server_or_is_refused(text: str) -> None:
    try:
        server = parse_server(text)
    except ValueError:
        return
    assert parse_server(str(server)) == server


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("", ["127.0.0.1"]),
        ("search example.com\n# nameserver 192.0.2.1\n", ["127.0.0.1"]),
        ("nameserver 192.0.2.1\nnameserver\t2001:DB8::1 \n", ["192.0.2.1", "2001:DB8::1"]),
        ("nameserver\nnameserver resolver\nnameserver fe80::1%eth0\n", ["fe80::1%eth0"]),
        ("".join(f"nameserver 192.0.2.{n}\n" for n in range(5)),
         ["192.0.2.0", "192.0.2.1", "192.0.2.2"]),
    ],
)  # fmt: skip
def test_the_servers_of_resolv_conf(text: str, servers: list[str]) -> None:
    assert [server.address for server in parse_resolv_conf(text)] == servers


def test_a_change_of_the_file_is_seen_after_a_while(tmp_path) -> None:
    path, clock = tmp_path / "resolv.conf", FakeClock()
    conf = ResolvConf(str(path), clock)
    assert [server.address for server in conf.servers()] == ["127.0.0.1"]  # no file
    path.write_text("nameserver 192.0.2.1\n")
    assert [server.address for server in conf.servers()] == ["127.0.0.1"]
    clock.advance(AGAIN)
    assert [server.address for server in conf.servers()] == ["192.0.2.1"]
    path.write_text("nameserver 192.0.2.2\n")
    os.utime(path, ns=(1, 1))
    clock.advance(AGAIN)
    assert [server.address for server in conf.servers()] == ["192.0.2.2"]
    path.unlink()
    clock.advance(AGAIN)
    assert [server.address for server in conf.servers()] == ["192.0.2.2"]
