"""TLS as a layer between a transport and a session: bytes in, bytes out.

    tls = TlsContext.load("/var/indimail/certs/servercert.pem").serve()
    clear, out = tls.decrypt(data)      # out goes to the peer, clear to the session
    transport.write(tls.encrypt(b"250 ok\r\n"))

    context = ClientTls()               # or ClientTls(authorities="ca.pem"), which verifies
    tls = context.connect("mx.example.net")
    transport.write(tls.decrypt(b"")[1])        # the client begins
    context.keep("mx.example.net", tls)         # the next connection resumes the session

The layer works on memory, so what was read before the handshake never reaches it, and its engine
can change without the transports.  It is the standard library's `ssl` (docs/adr/0005); where clients
are asked for certificates, that of `net.clientcerts`.

Source: RFC 3207, RFC 8446, RFC 9325 (TLS 1.2 and newer), RFC 7435.  Not here: who may offer TLS (`policy`).
"""

import contextlib
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol, Self

from indimail.mail.errors import ConfigErrors, Mistake

SESSIONS: Final = 1000  # hosts whose sessions a worker remembers
EXPECTED: Final = "a PEM file with a certificate chain, and its private key there or in `key`"


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """The mail addresses of a certificate that is believed, or why there is none.

    Without a certificate both are empty.
    """

    addresses: tuple[str, ...] = ()
    trouble: str = ""


NO_CERTIFICATE: Final = ClientCertificate()


class ServerLayer(Protocol):
    """One connection's TLS, as who serves a client needs it; see `TlsLayer`."""

    established: bool
    ended: bool
    failed: str
    client: ClientCertificate

    @property
    def version(self) -> str: ...
    @property
    def bindings(self) -> dict[str, bytes]: ...
    @property
    def description(self) -> str: ...
    def decrypt(self, data: bytes) -> tuple[bytes, bytes]: ...
    def encrypt(self, clear: bytes) -> bytes: ...
    def close(self) -> bytes: ...


class ServerContext(Protocol):
    """What makes one for each connection."""

    def serve(self) -> ServerLayer:
        """Return the server's side of a new connection."""


class TlsContext:
    """Certificate and methods, shared by the connections of a worker."""

    def __init__(self, context: ssl.SSLContext, end_point: bytes = b"") -> None:
        self._context = context
        self._end_point = end_point

    @classmethod
    def load(
        cls, certificate: str, key: str = "", shown: Callable[[str], str] = os.path.basename
    ) -> Self:
        """Read a certificate chain, and the key from its own PEM file or the same one.

        Raises ConfigErrors, with the file that is wrong as `shown` names it.
        """
        key = key or certificate
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        try:
            _check_pem(certificate, b"CERTIFICATE-----", "no certificate in it")
            _check_pem(key, b"PRIVATE KEY-----", "no private key in it")
            _load_chain(context, certificate, key)
        except _Unusable as unusable:
            mistake = Mistake(shown(unusable.path), None, unusable.found, EXPECTED)
            raise ConfigErrors([mistake]) from unusable
        return cls(context, end_point_of(certificate))

    def serve(self) -> "TlsLayer":
        """Return the server's side of a new connection."""
        return TlsLayer(self._context, end_point=self._end_point)


class ClientTls:
    """What a worker's connections to other servers share: whom it trusts, sessions to resume.

    Without `authorities` any certificate will do, for who does not verify has no use for a refusal
    (RFC 7435).  With them the chain and the name have to be right; empty: those of the system.
    """

    def __init__(self, authorities: str | None = None, certificate: str = "") -> None:
        """`authorities` and `certificate` (ours, with its key) are PEM files.

        Raises OSError or ssl.SSLError where one cannot be used.
        """
        self._context = context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        if authorities is None:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif authorities:
            context.load_verify_locations(authorities)
        else:
            context.load_default_certs()
        if certificate:
            context.load_cert_chain(certificate)
        self._sessions: dict[str, ssl.SSLSession] = {}

    def connect(self, host: str) -> "TlsLayer":
        """Return the client's side of a new connection to a host of that name."""
        layer = TlsLayer(self._context, host)
        session = self._sessions.get(host)
        if session is not None:
            layer.resume(session)
        return layer

    def keep(self, host: str, layer: "TlsLayer") -> None:
        """Remember a session for the next connection; servers of TLS 1.3 send it a while later."""
        session = layer.session
        if session is None:
            return
        self._sessions.pop(host, None)
        self._sessions[host] = session
        if len(self._sessions) > SESSIONS:
            del self._sessions[next(iter(self._sessions))]


class _Unusable(Exception):
    """What is wrong with a file."""

    def __init__(self, path: str, found: str) -> None:
        super().__init__(path, found)
        self.path = path
        self.found = found


def _check_pem(path: str, label: bytes, missing: str) -> None:
    """Make sure that a file can be read and has what OpenSSL would not name as missing."""
    try:
        with open(path, "rb") as file:
            found = label in file.read()
    except OSError as error:
        raise _Unusable(path, (error.strerror or str(error)).lower()) from error
    if not found:
        raise _Unusable(path, missing)


def end_point_of(path: str) -> bytes:
    """Return tls-server-end-point of the first certificate in a file (RFC 5929 4.1)."""
    # As slow as all else that a command imports; a server has it long before.
    from scramp.core import CBindData  # noqa: PLC0415

    with open(path, encoding="ascii", errors="replace") as file:
        text = file.read()
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    inside = text.partition(begin)[2].partition(end)[0]
    return bytes(CBindData.from_der(ssl.PEM_cert_to_DER_cert(f"{begin}{inside}{end}")))


def _load_chain(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Load both, and find out which of them is broken."""

    def no_phrase() -> str:  # without it OpenSSL would ask on the terminal
        raise _Unusable(key, "a private key that needs a pass phrase")

    try:
        context.load_cert_chain(certificate, key, no_phrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise _Unusable(key, "the private key of another certificate") from error
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(certificate)
        except ssl.SSLError:
            raise _Unusable(certificate, "a certificate that is damaged") from error
        raise _Unusable(key, "a private key that is damaged") from error


class TlsLayer:
    """One connection's TLS.

    `established` after the handshake, `ended` after the peer's close, `failed` with the reason
    where the peer broke TLS: then only `decrypt`'s last output (an alert) is left to send.
    """

    __slots__ = (
        "_end_point",
        "_incoming",
        "_object",
        "_outgoing",
        "client",
        "ended",
        "established",
        "failed",
    )  # fmt: skip

    def __init__(self, context: ssl.SSLContext, host: str = "", end_point: bytes = b"") -> None:
        """The server's side, or with a `host` the client's; `end_point` is the certificate's hash."""
        self._end_point = end_point
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_side=not host, server_hostname=host or None
        )
        self.established = False
        self.ended = False
        self.failed = ""
        self.client = NO_CERTIFICATE  # nobody is asked for one here

    @property
    def version(self) -> str:
        """The protocol (``TLSv1.3``), empty before the handshake."""
        return (self._object.version() or "") if self.established else ""

    @property
    def session(self) -> ssl.SSLSession | None:
        """What a later connection may resume; None before there is something."""
        session = self._object.session if self.established else None
        return session if session is not None and session.has_ticket else None

    @property
    def is_resumed(self) -> bool:
        """Tell whether the handshake went on with an earlier session."""
        return bool(self._object.session_reused)

    def resume(self, session: ssl.SSLSession) -> None:
        """Offer an earlier session of the same context; before the handshake."""
        self._object.session = session

    @property
    def bindings(self) -> dict[str, bytes]:
        """What SASL can bind to this channel, by name (RFC 5929).

        Nothing in TLS 1.3: its tls-exporter is not in this library (docs/adr/0042).
        """
        unique = self._object.get_channel_binding("tls-unique") if self.established else None
        if unique is None or self.version == "TLSv1.3":
            return {}
        ends = {"tls-server-end-point": self._end_point} if self._end_point else {}
        return {"tls-unique": unique, **ends}

    @property
    def description(self) -> str:
        """Version, cipher and strength, as the Received line has them."""
        cipher = self._object.cipher()
        name, version, bits = cipher if cipher else ("none", "none", 0)
        return f"{self._object.version() or version} {name} bits={bits}"

    def decrypt(self, data: bytes) -> tuple[bytes, bytes]:
        """Take bytes from the peer; return clear text for the session and bytes for the peer."""
        self._incoming.write(data)
        clear = bytearray()
        try:
            if not self.established:
                self._object.do_handshake()
                self.established = True
            while piece := self._object.read(65_536):
                clear += piece
            self.ended = True
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            self.ended = True
        except ssl.SSLCertVerificationError as error:
            self.failed = error.verify_message
        except ssl.SSLError as error:
            self.failed = error.reason or str(error)
        return bytes(clear), self._outgoing.read()

    def encrypt(self, clear: bytes) -> bytes:
        """Return the bytes that carry the clear text."""
        self._object.write(clear)
        return self._outgoing.read()

    def close(self) -> bytes:
        """Return the bytes that end TLS (close_notify)."""
        with contextlib.suppress(ssl.SSLError):  # the peer's own close_notify is not waited for
            self._object.unwrap()
        return self._outgoing.read()
