"""Client certificates: what is believed of one, and that none ends a handshake."""

import contextlib
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from indimail.mail.errors import ConfigErrors
from indimail.net.tls import NO_CERTIFICATE, ClientCertificate
from net.test_tls import Peer

pytest.importorskip("OpenSSL")
from indimail.net.clientcerts import AskingContext, Authorities

NOW = datetime.now(UTC)
PEM = serialization.Encoding.PEM
GATEWAY = "gw@partner.example"


class Authority:
    """Who vouches for clients."""

    def __init__(self, name: str = "Partners") -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        public, basic = self.key.public_key(), x509.BasicConstraints(True, None)
        builder = _builder(self.name, self.name, public).add_extension(basic, critical=True)
        self.certificate = builder.sign(self.key, hashes.SHA256())

    def issue(
        self, *subject: str, names: tuple[str, ...] = (), until: timedelta = timedelta(days=9),
        use: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
    ) -> tuple[bytes, int]:  # fmt: skip
        """Return key and certificate of a client with these addresses as PEM, and its serial."""
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, "client")]
        attributes += [x509.NameAttribute(NameOID.EMAIL_ADDRESS, text) for text in subject]
        builder = _builder(x509.Name(attributes), self.name, key.public_key(), NOW + until)
        builder = builder.add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        if names:
            found = x509.SubjectAlternativeName([x509.RFC822Name(name) for name in names])
            builder = builder.add_extension(found, critical=False)
        certificate = builder.sign(self.key, hashes.SHA256())
        plain = serialization.NoEncryption()
        form = serialization.PrivateFormat.PKCS8
        pem = key.private_bytes(PEM, form, plain) + certificate.public_bytes(PEM)
        return pem, certificate.serial_number

    def withdraws(self, *serials: int) -> bytes:
        builder = x509.CertificateRevocationListBuilder(
            self.name, NOW - timedelta(days=1), NOW + timedelta(days=1)
        )
        for serial in serials:
            one = x509.RevokedCertificateBuilder(serial, NOW - timedelta(hours=1))
            builder = builder.add_revoked_certificate(one.build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(PEM)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey,
    until: datetime = NOW + timedelta(days=9),
) -> x509.CertificateBuilder:  # fmt: skip
    return x509.CertificateBuilder(
        issuer, subject, key, x509.random_serial_number(), NOW - timedelta(days=30), until
    )


SERVERS, PARTNERS, STRANGERS = trustme.CA(), Authority(), Authority("Strangers")
WITHDRAWN, SERIAL = PARTNERS.issue(GATEWAY)


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("certs")
    server = SERVERS.issue_cert("mx.example.com").private_key_and_cert_chain_pem
    server.write_to_path(path / "servercert.pem")
    (path / "clientca.pem").write_bytes(PARTNERS.certificate.public_bytes(PEM))
    (path / "clientcrl.pem").write_bytes(PARTNERS.withdraws(SERIAL))
    return path


@pytest.fixture(scope="module")
def context(certs: Path) -> AskingContext:
    files = Authorities(f"{certs}/clientca.pem", f"{certs}/clientcrl.pem")
    return AskingContext.load(f"{certs}/servercert.pem", "", files)


class Shower(Peer):
    """A client that shows a certificate, if it has one."""

    def __init__(self, context: AskingContext, pem: bytes, version: ssl.TLSVersion, folder: Path):
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.minimum_version = client.maximum_version = version
        SERVERS.configure_trust(client)
        if pem:
            (folder / "client.pem").write_bytes(pem)
            client.load_cert_chain(folder / "client.pem")
        self.layer, self.size = context.serve(), 1 << 20  # type: ignore[assignment]
        self.into, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = client.wrap_bio(self.into, self.out, server_hostname="mx.example.com")
        self.clear = b""


SHOWN = [
    (b"", NO_CERTIFICATE),
    (PARTNERS.issue(GATEWAY)[0], ClientCertificate((GATEWAY,))),
    (PARTNERS.issue(names=(GATEWAY, "b@x.example"))[0],
     ClientCertificate((GATEWAY, "b@x.example"))),
    (PARTNERS.issue(GATEWAY, names=(GATEWAY,))[0], ClientCertificate((GATEWAY,))),
    (PARTNERS.issue()[0], ClientCertificate((), "no mail address in it")),
    (PARTNERS.issue("a b@x", "nobody")[0], ClientCertificate((), "no mail address in it")),
    (PARTNERS.issue(GATEWAY, until=timedelta(days=-1))[0], ClientCertificate((), "expired")),
    (PARTNERS.issue(GATEWAY, use=ExtendedKeyUsageOID.SERVER_AUTH)[0],
     ClientCertificate((), "not meant for clients")),
    (STRANGERS.issue(GATEWAY)[0], ClientCertificate((), "of an unknown authority")),
    (WITHDRAWN, ClientCertificate((), "withdrawn")),
]  # fmt: skip


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize(("pem", "shown"), SHOWN)
def test_whatever_a_client_shows_the_handshake_is_made(
    context: AskingContext, pem: bytes, shown: ClientCertificate, version: ssl.TLSVersion,
    tmp_path: Path,
) -> None:  # fmt: skip
    peer = Shower(context, pem, version, tmp_path).shake_hands()
    layer = peer.layer
    assert (layer.established, layer.failed) == (True, "")
    assert layer.client == shown
    assert layer.version == version.name.replace("_", ".")
    assert layer.description.startswith(f"{layer.version} ")
    peer.say(b"NOOP\r\n")
    assert peer.clear == b"NOOP\r\n"
    peer.into.write(layer.encrypt(b"250 ok\r\n" * 9000))
    heard = b""
    while len(heard) < 72_000:
        heard += peer.tls.read(1 << 17)
    assert heard == b"250 ok\r\n" * 9000
    assert set(layer.bindings) == (
        {"tls-unique", "tls-server-end-point"} if version is ssl.TLSVersion.TLSv1_2 else set()
    )
    if layer.bindings:
        assert layer.bindings["tls-unique"] == peer.tls.get_channel_binding("tls-unique")


def test_without_a_list_of_withdrawn_certificates_none_is(certs: Path, tmp_path: Path) -> None:
    files = Authorities(f"{certs}/clientca.pem")
    context = AskingContext.load(f"{certs}/servercert.pem", "", files)
    peer = Shower(context, WITHDRAWN, ssl.TLSVersion.TLSv1_3, tmp_path).shake_hands()
    assert peer.layer.client == ClientCertificate((GATEWAY,))


def test_the_end_is_told_and_said(context: AskingContext, tmp_path: Path) -> None:
    peer = Shower(context, b"", ssl.TLSVersion.TLSv1_3, tmp_path).shake_hands()
    peer.into.write(peer.layer.close())
    assert peer.tls.read() == b""
    with contextlib.suppress(ssl.SSLWantReadError):
        peer.tls.unwrap()
    peer.carry()
    assert peer.layer.ended
    assert context.serve().close() == b""


def test_what_is_no_handshake_fails(context: AskingContext) -> None:
    layer = context.serve()
    clear, _ = layer.decrypt(b"EHLO client.example\r\n" * 9)
    assert clear == b""
    assert layer.failed
    assert not layer.established


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("clientca.pem", None, "no such file or directory"),
        ("clientca.pem", b"nonsense", "a file that is damaged"),
        ("clientcrl.pem", b"nonsense", "a file that is damaged"),
        ("clientcrl.pem", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
         "a file that is damaged"),
        ("servercert.pem", b"nonsense", "no certificate in it"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_a_mistake(
    certs: Path, tmp_path: Path, name: str, content: bytes | None, found: str
) -> None:
    for file in certs.iterdir():
        if file.name != name:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    if content is not None:
        (tmp_path / name).write_bytes(content)
    files = Authorities(f"{tmp_path}/clientca.pem", f"{tmp_path}/clientcrl.pem")
    with pytest.raises(ConfigErrors) as errors:
        AskingContext.load(f"{tmp_path}/servercert.pem", "", files)
    (mistake,) = errors.value.mistakes
    assert (mistake.file, mistake.found) == (name, found)
