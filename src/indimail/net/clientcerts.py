"""TLS that asks a client for its certificate, and goes on whatever the client shows.

    context = AskingContext.load("servercert.pem", "", Authorities("clientca.pem", "clientcrl.pem"))
    tls = context.serve()               # used as `net.tls.TlsLayer` is
    tls.client     -> ClientCertificate(("gw@partner.example",), ""), after the handshake

The certificate is asked for in the first handshake: TLS 1.3 has no renegotiation.  A client that has none,
or one that no authority of ours vouches for, that is out of date, withdrawn or meant for something else,
is served as everybody is; `trouble` says why its certificate says nothing.  Sessions are not resumed here,
so every connection shows its own.

The engine is pyOpenSSL: the standard library ends a handshake whose certificate it cannot verify
(docs/adr/0046).  It is imported where certificates are asked for, and nowhere else.

Source: spec/smtp.md 3.7; RFC 8446 4.3.2, 4.4.2.4; RFC 5280 4.2.1.6.  Not here: whom a certificate permits
(`policy.relay`), which files they are (`app.read_process`).
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Self

from cryptography import x509
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto

from indimail.mail.errors import ConfigErrors, Mistake
from indimail.net.tls import NO_CERTIFICATE, ClientCertificate, TlsContext, end_point_of

# X509_V_ERR_..., of x509_vfy.h; any other is told by its number.
_TROUBLES: Final = {
    9: "not valid yet",
    10: "expired",
    18: "self-signed",
    19: "of an unknown authority",
    20: "of an unknown authority",
    21: "of an unknown authority",
    23: "withdrawn",
    26: "not meant for clients",
    28: "not trusted",
    3: "no list of withdrawn certificates for its authority",
    12: "the list of withdrawn certificates is out of date",
}
_PIECE: Final = 65_536


@dataclass(frozen=True, slots=True)
class Authorities:
    """PEM files: who vouches for clients, and what they withdrew (empty: nothing)."""

    certificates: str
    withdrawn: str = ""


class AskingContext:
    """Certificate, methods and authorities, shared by the connections of a worker."""

    def __init__(self, context: SSL.Context, end_point: bytes) -> None:
        self._context = context
        self._end_point = end_point

    @classmethod
    def load(
        cls,
        certificate: str,
        key: str,
        authorities: Authorities,
        shown: Callable[[str], str] = os.path.basename,
    ) -> Self:
        """Read all files.  Raises ConfigErrors, with the file that is wrong as `shown` names it."""
        TlsContext.load(certificate, key, shown)  # which tells best what is wrong with these two
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_options(_NO_RENEGOTIATION | SSL.OP_NO_TICKET)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_session_id(b"indimail")
        context.use_certificate_chain_file(certificate)
        context.use_privatekey_file(key or certificate)
        context.set_verify(SSL.VERIFY_PEER, _note)
        _load(authorities.certificates, shown, "certificates (PEM)",
              lambda path: _trust(context, path))  # fmt: skip
        if authorities.withdrawn:
            _load(authorities.withdrawn, shown, "a list of withdrawn certificates (PEM)",
                  lambda path: _withdraw(context, path))  # fmt: skip
        return cls(context, end_point_of(certificate))

    def serve(self) -> "AskingLayer":
        """Return the server's side of a new connection."""
        return AskingLayer(self._context, self._end_point)


class AskingLayer:
    """One connection's TLS; its attributes mean what those of `net.tls.TlsLayer` do.

    `client` is what the client showed, once the handshake is done.
    """

    __slots__ = ("_connection", "_end_point", "client", "ended", "established", "failed")

    def __init__(self, context: SSL.Context, end_point: bytes) -> None:
        self._connection = SSL.Connection(context, None)
        self._connection.set_app_data([])  # errors of verification
        self._connection.set_accept_state()
        self._end_point = end_point
        self.established = False
        self.ended = False
        self.failed = ""
        self.client = NO_CERTIFICATE

    @property
    def version(self) -> str:
        """The protocol (``TLSv1.3``), empty before the handshake."""
        return self._connection.get_protocol_version_name() if self.established else ""

    @property
    def bindings(self) -> dict[str, bytes]:
        """What SASL can bind to this channel, by name, as `net.tls.TlsLayer` has it."""
        if self.version in ("", "TLSv1.3"):
            return {}
        ends = {"tls-server-end-point": self._end_point} if self._end_point else {}
        return {"tls-unique": self._connection.get_peer_finished() or b"", **ends}

    @property
    def description(self) -> str:
        """Version, cipher and strength, as the Received line has them."""
        name, bits = self._connection.get_cipher_name(), self._connection.get_cipher_bits()
        return f"{self._connection.get_protocol_version_name()} {name or 'none'} bits={bits or 0}"

    def decrypt(self, data: bytes) -> tuple[bytes, bytes]:
        """Take bytes from the peer; return clear text for the session and bytes for the peer."""
        connection = self._connection
        clear = bytearray()
        try:
            if data:
                connection.bio_write(data)
            if not self.established:
                connection.do_handshake()
                self.established = True
                self.client = self._shown()
            while True:
                clear += connection.recv(_PIECE)
        except SSL.WantReadError:
            pass
        except (SSL.ZeroReturnError, SSL.SysCallError):
            self.ended = True
        except SSL.Error as error:
            self.failed = _reason(error)
        return bytes(clear), self._out()

    def encrypt(self, clear: bytes) -> bytes:
        """Return the bytes that carry the clear text."""
        sent = 0
        while sent < len(clear):
            sent += self._connection.send(clear[sent:])
        return self._out()

    def close(self) -> bytes:
        """Return the bytes that end TLS (close_notify)."""
        with contextlib.suppress(
            SSL.Error
        ):  # before the end of the handshake nothing is to be ended
            self._connection.shutdown()
        return self._out()

    def _out(self) -> bytes:
        pieces = []
        try:
            while True:
                pieces.append(self._connection.bio_read(_PIECE))
        except SSL.WantReadError:
            return b"".join(pieces)

    def _shown(self) -> ClientCertificate:
        """Return what the client's certificate says, if it is to be believed."""
        found = self._connection.get_peer_certificate(as_cryptography=True)
        if found is None:
            return NO_CERTIFICATE
        if errors := self._connection.get_app_data():
            return ClientCertificate(trouble=_TROUBLES.get(errors[0], f"error {errors[0]}"))
        try:
            addresses = _addresses(found)
        except ValueError:  # what it says makes no sense
            addresses = ()
        return ClientCertificate(addresses, "" if addresses else "no mail address in it")


def _note(connection: SSL.Connection, _: crypto.X509, error: int, __: int, is_ok: int) -> bool:
    """Remember what is wrong with a certificate, and go on."""
    if not is_ok:
        connection.get_app_data().append(error)
    return True


def _addresses(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the mail addresses of the subject, then of its alternative names; each once."""
    found = [
        str(attribute.value)
        for attribute in certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)
    ]
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        found += names.value.get_values_for_type(x509.RFC822Name)
    except x509.ExtensionNotFound:
        pass
    return tuple(dict.fromkeys(address for address in found if _is_plain(address)))


def _is_plain(address: str) -> bool:
    return address.isascii() and address.isprintable() and " " not in address and "@" in address


def _trust(context: SSL.Context, path: str) -> None:
    context.load_verify_locations(path)
    context.load_client_ca(path.encode())


def _withdraw(context: SSL.Context, path: str) -> None:
    with open(path, "rb") as file:
        octets = file.read()
    begin, end = b"-----BEGIN X509 CRL-----", b"-----END X509 CRL-----"
    pieces = octets.split(begin)[1:]
    if not pieces:
        raise ValueError
    store = context.get_cert_store()
    assert store is not None
    for piece in pieces:
        store.add_crl(x509.load_pem_x509_crl(begin + piece.partition(end)[0] + end + b"\n"))
    store.set_flags(crypto.X509StoreFlags.CRL_CHECK)


def _load(
    path: str, shown: Callable[[str], str], expected: str, load: Callable[[str], None]
) -> None:
    try:
        with open(path, "rb"):  # OpenSSL tells no reason
            load(path)
    except OSError as error:
        found = (error.strerror or str(error)).lower()
    except (SSL.Error, crypto.Error, ValueError):
        found = "a file that is damaged"
    else:
        return
    raise ConfigErrors([Mistake(shown(path), None, found, expected)])


def _reason(error: SSL.Error) -> str:
    """Return OpenSSL's word for an error: it comes as a list of (library, function, reason)."""
    said = error.args[0] if error.args else ()
    reasons = [str(each[2]) for each in said if isinstance(each, tuple) and len(each) > 2]
    return (reasons or [str(error) or type(error).__name__])[0]


_NO_RENEGOTIATION: Final = getattr(SSL, "OP_NO_RENEGOTIATION", 0x4000_0000)
