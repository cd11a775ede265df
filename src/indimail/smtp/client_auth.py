"""AUTH as a client says it: which mechanism, and SASL's octets in base64.

    exchange = begin_auth(credentials, credentials.mechanisms, offer.auth, tls=True, nonce="...")
    exchange.command                    -> b"AUTH PLAIN AGFuYQB3b25kZXI=\\r\\n"
    exchange.challenge(b"334 VXNlcm5hbWU6")  -> b"Username:"; None: that is no base64
    exchange.answer(b"Username:")       -> b"YW5h\\r\\n", or the SaslFailed it was refused with

Mechanisms are tried in the order of the credentials.  What would show the password to whoever listens
is not used without TLS, unless the credentials say so.

Source: RFC 4954 4.  Not here: the mechanisms (`wire.sasl_client`); what a refusal means
(`smtp.client`).
"""

from base64 import b64decode, b64encode
from collections.abc import Collection, Sequence
from typing import Final

from indimail.smtp.hop import Credentials
from indimail.wire.sasl_client import CLEAR_TEXT, MECHANISMS, SaslClient, SaslFailed, start

CANCEL: Final = b"*\r\n"
# The mechanism is not to be had, so another one may be: RFC 4954 4 and 6.
TRY_ANOTHER: Final = frozenset({504, 534})


class AuthExchange:
    """One mechanism on its way; `others` may be tried if the server does not want it."""

    __slots__ = ("_sasl", "mechanism", "others")

    def __init__(self, mechanism: str, sasl: SaslClient, others: tuple[str, ...]) -> None:
        self.mechanism = mechanism
        self._sasl = sasl
        self.others = others

    @property
    def command(self) -> bytes:
        """The command, with what may be said at once."""
        command = f"AUTH {self.mechanism}".encode()
        first = self._sasl.first
        if first is not None:
            command += b" " + b64encode(first)
        return command + b"\r\n"

    @property
    def is_slow(self) -> bool:
        """The next answer takes a while."""
        return self._sasl.is_slow

    @property
    def may_succeed(self) -> bool:
        """The server has proved what the mechanism asks of it."""
        return self._sasl.done

    def challenge(self, said: bytes) -> bytes | None:
        """Return what a 334 asks."""
        try:
            return b64decode(said[4:].strip(), validate=True)
        except ValueError:
            return None

    def answer(self, challenge: bytes) -> bytes | SaslFailed:
        """Return the line to send, or why there is none."""
        try:
            return b64encode(self._sasl.answer(challenge)) + b"\r\n"
        except SaslFailed as failure:
            return failure


def begin_auth(
    credentials: Credentials,
    mechanisms: Sequence[str],
    offered: Collection[str],
    *,
    tls: bool,
    nonce: str,
) -> AuthExchange | None:
    """Begin with the first mechanism that is offered and may be used; None: there is none."""
    usable = [
        name
        for name in mechanisms
        if name in offered
        and name in MECHANISMS
        and (tls or credentials.in_clear or name not in CLEAR_TEXT)
    ]
    for at, name in enumerate(usable, 1):
        try:
            sasl = start(name, credentials.user, credentials.password, nonce)
        except SaslFailed:
            continue  # SCRAM has no form of this user or password
        return AuthExchange(name, sasl, tuple(usable[at:]))
    return None
