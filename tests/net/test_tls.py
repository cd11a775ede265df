import ssl
from pathlib import Path

import pytest
import trustme

from indimail.mail.errors import ConfigErrors
from indimail.net.tls import TlsContext, TlsLayer


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def context(authority, tmp_path_factory) -> TlsContext:
    path = tmp_path_factory.mktemp("certs") / "servercert.pem"
    authority.issue_cert("mx.example.com").private_key_and_cert_chain_pem.write_to_path(path)
    return TlsContext.load(str(path))


class Peer:
    """A client that trusts the authority; octets go to the layer `size` at a time."""

    def __init__(
        self, layer: TlsLayer, authority: trustme.CA, size: int = 1 << 20,
        most: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
    ) -> None:  # fmt: skip
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.maximum_version = most
        authority.configure_trust(client)
        self.layer, self.size = layer, size
        self.into, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client.wrap_bio(self.into, self.out, server_hostname="mx.example.com")
        self.clear = b""  # what the layer gave the session

    def carry(self) -> None:
        data = self.out.read()
        for at in range(0, len(data), self.size):
            clear, out = self.layer.decrypt(data[at : at + self.size])
            self.clear += clear
            self.into.write(out)

    def shake_hands(self) -> "Peer":
        for _ in range(3):
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self.carry()
        self.carry()
        return self

    def say(self, data: bytes) -> None:
        self.tls.write(data)
        self.carry()


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_sides_hear_each_other_however_the_octets_are_cut(
    context, authority, size, version
) -> None:
    layer = context.serve()
    assert (layer.established, layer.version) == (False, "")
    peer = Peer(layer, authority, size, version).shake_hands()
    assert (layer.established, layer.failed) == (True, "")
    assert layer.version == version.name.replace("_", ".")
    assert layer.description.startswith(f"{layer.version} ")
    assert layer.description.endswith(" bits=256")
    peer.say(b"EHLO client\r\n" * 10_000)
    assert peer.clear == b"EHLO client\r\n" * 10_000
    peer.into.write(layer.encrypt(b"250 ok\r\n"))
    assert peer.tls.read() == b"250 ok\r\n"


def test_commands_that_come_with_the_end_of_the_handshake_are_heard(context, authority) -> None:
    layer = context.serve()
    peer = Peer(layer, authority)
    with pytest.raises(ssl.SSLWantReadError):
        peer.tls.do_handshake()
    peer.carry()
    peer.tls.do_handshake()
    peer.tls.write(b"EHLO at once\r\n")
    peer.carry()
    assert peer.clear == b"EHLO at once\r\n"


def test_text_in_the_clear_is_no_handshake(context) -> None:
    layer = context.serve()
    clear, _ = layer.decrypt(b"EHLO client.example.net\r\n")
    assert (clear, layer.established) == (b"", False)
    assert layer.failed


def test_what_breaks_a_record_fails_and_gives_no_clear_text(context, authority) -> None:
    layer = context.serve()
    peer = Peer(layer, authority).shake_hands()
    peer.tls.write(b"RSET\r\n")
    record = bytearray(peer.out.read())
    record[-1] ^= 1
    clear, _ = layer.decrypt(bytes(record))
    assert clear == b""
    assert layer.failed


def test_an_old_version_is_refused(context, authority) -> None:
    layer = context.serve()
    with pytest.warns(DeprecationWarning):
        peer = Peer(layer, authority, most=ssl.TLSVersion.TLSv1_1)
    with pytest.raises(ssl.SSLError):
        peer.shake_hands()
    assert not layer.established


def test_the_peers_end_is_told_and_ours_is_said(context, authority) -> None:
    layer = context.serve()
    peer = Peer(layer, authority).shake_hands()
    peer.tls.write(b"QUIT\r\n")
    with pytest.raises(ssl.SSLWantReadError):
        peer.tls.unwrap()
    peer.carry()
    assert (peer.clear, layer.ended, layer.failed) == (b"QUIT\r\n", True, "")
    peer.into.write(layer.encrypt(b"221 bye\r\n"))  # the peer may still be told
    peer.into.write(layer.close())
    peer.tls.read(100)
    peer.tls.unwrap()


def test_closing_before_or_in_the_handshake_is_quiet(context, authority) -> None:
    layer = context.serve()
    assert layer.close() == b""
    begun = context.serve()
    peer = Peer(begun, authority)
    with pytest.raises(ssl.SSLWantReadError):
        peer.tls.do_handshake()
    peer.carry()
    begun.close()


def test_a_certificate_that_does_not_load_is_a_mistake_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "servercert.pem"
    for content in (None, "no certificate"):
        if content:
            path.write_text(content)
        with pytest.raises(ConfigErrors) as raised:
            TlsContext.load(str(path))
        [mistake] = raised.value.mistakes
        assert mistake.file == "servercert.pem"
        assert str(tmp_path) not in str(mistake)
