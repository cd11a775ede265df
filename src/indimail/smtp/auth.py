"""AUTH as a server hears it: which mechanisms there are, and SASL's octets in base64.

    offered_mechanisms(rules, (), tls=True, bindings={})  -> ("LOGIN", "PLAIN", ...)
    refused = mechanism_refusal(rules, "PLAIN", ...)      -> Reply(538 ...), None: it may begin
    exchange = AuthExchange("PLAIN", setting)
    exchange.begin(b"AHRpbQBwdw==")                       -> Password("tim", Secret(***))

`-PLUS` is offered where there is a channel binding: TLS 1.2, as Python's ssl permits (docs/adr/0042).

Source: RFC 4954 4; spec/smtp.md 2.6, 3.4.  Not here: the mechanisms (`wire.sasl_server`), in which
state AUTH is heard (`smtp.session`), who knows passwords (`serve.authentication`).
"""

from base64 import b64decode, b64encode
from collections.abc import Container, Mapping
from typing import Final

from indimail.mail.reply import Reply
from indimail.smtp.replies import NO_SUCH_AUTH, NOT_IN_CLEAR
from indimail.smtp.rules import SessionRules
from indimail.wire.sasl_server import (
    CLEAR_TEXT,
    MECHANISMS,
    PLUS,
    Challenge,
    Malformed,
    SaslServer,
    ScramKeys,
    Setting,
    Step,
    start,
)

MOST_LINE: Final = 12_288  # octets, RFC 4954 4
CANCEL: Final = b"*"


def offered_mechanisms(
    rules: SessionRules, hidden: Container[str], *, tls: bool, bindings: Mapping[str, bytes]
) -> tuple[str, ...]:
    """Return what EHLO lists; what is `hidden` can be used by who knows of it."""
    return tuple(
        name
        for name in rules.auth
        if name not in hidden
        and ((tls and bindings) or not name.endswith(PLUS))
        and (tls or not rules.secure_auth or name not in CLEAR_TEXT)
    )


def mechanism_refusal(
    rules: SessionRules, name: str, *, tls: bool, bindings: Mapping[str, bytes]
) -> Reply | None:
    """Return why a mechanism cannot be begun."""
    if name not in rules.auth or name not in MECHANISMS:
        return NO_SUCH_AUTH
    if name in CLEAR_TEXT and rules.secure_auth and not tls:
        return NOT_IN_CLEAR
    return NO_SUCH_AUTH if name.endswith(PLUS) and not bindings else None


class AuthExchange:
    """One AUTH on its way; `mechanism` is in upper case."""

    __slots__ = ("_sasl", "mechanism")

    def __init__(self, mechanism: str, setting: Setting) -> None:
        self.mechanism = mechanism
        self._sasl: SaslServer = start(mechanism, setting)

    def begin(self, initial: bytes) -> Step:
        """Take the initial response as it stands behind the mechanism; empty: there is none."""
        if not initial:
            return self._sasl.receive(None)
        return self.answer(b"" if initial == b"=" else initial)

    def answer(self, line: bytes) -> Step:
        """Take a line of the client, without its end."""
        try:
            response = b64decode(line, validate=True)
        except ValueError:
            return Malformed("no base64")
        return self._sasl.receive(response)

    def keys_found(self, keys: ScramKeys) -> Step:
        """Go on with the keys that were wanted."""
        return self._sasl.keys_found(keys)

    def refused(self) -> Challenge | None:
        """Return what the mechanism sends before a refusal."""
        return self._sasl.refused()


def challenge_line(challenge: Challenge) -> bytes:
    """Return a 334 (the blank is there also without a challenge)."""
    return b"334 %b\r\n" % b64encode(challenge.data)
