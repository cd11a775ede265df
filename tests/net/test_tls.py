import hashlib
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives import serialization

from indimail.mail.errors import ConfigErrors
from indimail.net import tls
from indimail.net.tls import ClientTls, TlsContext, TlsLayer


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


ISSUED = trustme.CA().issue_cert("mx.example.com")
CHAIN, KEY = ISSUED.cert_chain_pems[0].bytes(), ISSUED.private_key_pem.bytes()
DAMAGED = b"-----BEGIN %b-----\nAAAA\n-----END %b-----\n"
LOCKED = serialization.load_pem_private_key(KEY, None).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
    serialization.BestAvailableEncryption(b"secret"),
)  # fmt: skip


@pytest.mark.parametrize(("chain", "key", "file", "found"), [
    (None, KEY, "chain.pem", "no such file or directory"),
    (b"junk", KEY, "chain.pem", "no certificate in it"),
    (KEY, KEY, "chain.pem", "no certificate in it"),
    (DAMAGED.replace(b"%b", b"CERTIFICATE"), KEY, "chain.pem", "a certificate that is damaged"),
    (CHAIN, None, "key.pem", "no such file or directory"),
    (CHAIN, CHAIN, "key.pem", "no private key in it"),
    (CHAIN, DAMAGED.replace(b"%b", b"PRIVATE KEY"), "key.pem", "a private key that is damaged"),
    (CHAIN, trustme.CA().issue_cert("a.example").private_key_pem.bytes(), "key.pem",
     "the private key of another certificate"),
    (CHAIN, LOCKED, "key.pem", "a private key that needs a pass phrase"),
])  # fmt: skip
def test_what_does_not_load_is_a_mistake_with_the_file_that_is_wrong(
    tmp_path: Path, chain, key, file, found
) -> None:
    for name, octets in (("chain.pem", chain), ("key.pem", key)):
        if octets is not None:
            (tmp_path / name).write_bytes(octets)
    with pytest.raises(ConfigErrors) as raised:
        TlsContext.load(f"{tmp_path}/chain.pem", f"{tmp_path}/key.pem")
    [mistake] = raised.value.mistakes
    assert (mistake.file, mistake.found) == (file, found)
    assert str(tmp_path) not in str(mistake)


# -- the client's side ---------------------------------------------------------------------------


def joined(client: TlsLayer, server: TlsLayer) -> tuple[str, str]:
    """Let both shake hands and greet; return what each of them heard."""
    heard: list[str] = ["", ""]
    to_server = client.decrypt(b"")[1]
    said = False
    while to_server or not said:
        clear, to_client = server.decrypt(to_server)
        heard[1] += clear.decode()
        if server.established and not said:
            to_client += server.encrypt(b"220 hello")
            said = True
        clear, to_server = client.decrypt(to_client)
        heard[0] += clear.decode()
        if client.failed or server.failed:
            server.decrypt(to_server)
            break
    return heard[0], heard[1]


@pytest.fixture(scope="module")
def trusted(authority, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


def test_a_client_that_does_not_verify_takes_any_certificate(context) -> None:
    client = ClientTls().connect("elsewhere.example.net")
    assert joined(client, context.serve())[0] == "220 hello"
    assert client.version == "TLSv1.3"


def test_a_client_that_verifies_wants_the_name_and_who_vouches_for_it(context, trusted) -> None:
    client = ClientTls(trusted).connect("mx.example.com")
    assert joined(client, context.serve())[0] == "220 hello"
    for verifying, host, reason in (
        (ClientTls(trusted), "elsewhere.example.net", "Hostname mismatch"),
        (ClientTls(""), "mx.example.com", "unable to get local issuer certificate"),
    ):
        client = verifying.connect(host)
        assert joined(client, context.serve())[0] == ""
        assert client.failed.startswith(reason)


def test_a_session_is_resumed_with_the_same_host_alone(context) -> None:
    contexts = ClientTls()
    first = contexts.connect("mx.example.com")
    joined(first, context.serve())
    assert not first.is_resumed
    contexts.keep("mx.example.com", first)
    again = contexts.connect("mx.example.com")
    assert joined(again, context.serve())[0] == "220 hello"
    assert again.is_resumed
    other = contexts.connect("other.example.com")
    joined(other, context.serve())
    assert not other.is_resumed


def test_sessions_have_a_bound(context, monkeypatch) -> None:
    monkeypatch.setattr(tls, "SESSIONS", 2)
    contexts = ClientTls()
    for host in ("a.example", "b.example", "c.example"):
        layer = contexts.connect(host)
        joined(layer, context.serve())
        contexts.keep(host, layer)
    assert sorted(contexts._sessions) == ["b.example", "c.example"]


def bound(layer: TlsLayer, authority: trustme.CA, most: ssl.TLSVersion) -> Peer:
    return Peer(layer, authority, most=most).shake_hands()


def test_what_sasl_binds_to_is_what_the_client_sees(authority, tmp_path) -> None:
    path = tmp_path / "servercert.pem"
    issued = authority.issue_cert("mx.example.com")
    issued.private_key_and_cert_chain_pem.write_to_path(path)
    layer = TlsContext.load(str(path)).serve()
    assert layer.bindings == {}
    peer = bound(layer, authority, ssl.TLSVersion.TLSv1_2)
    der = peer.tls.getpeercert(binary_form=True)
    assert layer.bindings == {
        "tls-unique": peer.tls.get_channel_binding("tls-unique"),
        "tls-server-end-point": hashlib.sha256(der).digest(),  # it is signed with SHA-256
    }


def test_tls_1_3_has_nothing_to_bind_to_here(context, authority) -> None:
    layer = context.serve()
    bound(layer, authority, ssl.TLSVersion.TLSv1_3)
    assert layer.version == "TLSv1.3"
    assert layer.bindings == {}
