"""SASL mechanisms, the server's side: a response in, a challenge or a question out.

    login = start("CRAM-MD5", Setting(nonce="1896.697170952", host="mx.example.com"))
    login.receive(None)             -> Challenge(b"<1896.697170952@mx.example.com>")
    login.receive(b"ana 5fd0...")   -> CramAnswer("ana", challenge, "5fd0...", "md5")

What a step is:

| step         | what whoever runs the exchange does                                              |
|--------------|----------------------------------------------------------------------------------|
| `Challenge`  | sends it, and calls `receive` with the response                                  |
| `KeysWanted` | looks up the user's keys, or makes some up, and calls `keys_found`               |
| `Password`, `CramAnswer`, `Token` | verifies it; the exchange ends with the result               |
| `ScramProof` | nothing is left to verify: `is_right` says it; the exchange ends                 |
| `Malformed`  | the response was none of the mechanism; the exchange ends                        |

A refused `Token` has one more round: `refused` says what is sent, any response to it ends the
exchange.  What a client sends never raises.

`receive(None)` begins without an initial response; one for a mechanism that begins with the server
is malformed (RFC 4954 4).  The authorization identity of PLAIN is ignored (``spec/smtp.md`` 3.4).
The nonce is printable, without a comma, unpredictable and new for each exchange.

Sources: RFC 4422; RFC 4616 (PLAIN), draft-murchison-sasl-login, RFC 2195 (CRAM-MD5; with other
hashes IndiMail's), RFC 5802 and RFC 7677 (SCRAM), RFC 5929 (channel bindings), RFC 7628
(OAUTHBEARER), XOAUTH2 as Gmail has it.  Not here: base64 and the commands around it (`smtp.auth`),
who knows passwords (`serve.authentication`), the client's side (`wire.sasl_client`).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from scramp import ScramException, ScramMechanism
from scramp.core import ScramServer
from scramp.utils import ServerError

from indimail.mail.secret import Secret

MOST_USER: Final = 320  # characters; local part and domain of RFC 5321 4.5.3.1
PLUS: Final = "-PLUS"  # ends the name of a mechanism that binds to the TLS channel
_NO_KEYS: Final = (bytes(16), bytes(32), bytes(32), 4096)  # of a server that only reads a name
_HEX: Final = re.compile(r"[0-9a-f]+")
_KEY_VALUE: Final = re.compile(rb"([A-Za-z]+)=([^\x01]*)")


@dataclass(frozen=True, slots=True)
class Setting:
    """What an exchange goes by.  `bindings`: name and octets of each channel binding there is."""

    nonce: str
    host: str
    bindings: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Challenge:
    """What is sent to the client."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Malformed:
    """What the client sent is none of the mechanism."""

    reason: str


@dataclass(frozen=True, slots=True)
class KeysWanted:
    """A user's keys are wanted, made with this hash (``sha256``)."""

    user: str
    hash: str


@dataclass(frozen=True, slots=True)
class Password:
    """A password as it is."""

    user: str
    password: Secret


@dataclass(frozen=True, slots=True)
class CramAnswer:
    """A challenge's keyed hash, in hex; whose password is the key is right."""

    user: str
    challenge: bytes
    response: str
    digest: str


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token of OAuth 2."""

    user: str
    token: Secret


@dataclass(frozen=True, slots=True)
class ScramProof:
    """The keys were used up: the client knew the password, or did not (then `reason` says more)."""

    user: str
    is_right: bool
    reason: str = ""
    bound: bool = True  # False: refused for its channel binding


class ScramKeys(Protocol):
    """What a server of SCRAM keeps of a password."""

    @property
    def iterations(self) -> int: ...
    @property
    def salt(self) -> bytes: ...
    @property
    def stored_key(self) -> bytes: ...
    @property
    def server_key(self) -> bytes: ...


Credentials = Password | CramAnswer | Token | ScramProof
Step = Challenge | KeysWanted | Credentials | Malformed


class SaslServer(Protocol):
    """One exchange."""

    def receive(self, response: bytes | None) -> Step:
        """Take a response; the first may be None: there was no initial one."""

    def keys_found(self, keys: ScramKeys) -> Step:
        """Go on after `KeysWanted`."""

    def refused(self) -> Challenge | None:
        """Return what is sent before the refusal."""


class _Exchange:
    """What most mechanisms are: no keys, and no last word."""

    def keys_found(self, keys: ScramKeys) -> Step:
        raise NotImplementedError(f"no keys were wanted, but there are some of {type(keys)}")

    def refused(self) -> Challenge | None:
        return None


class _Plain(_Exchange):
    def receive(self, response: bytes | None) -> Step:
        if response is None:
            return Challenge(b"")
        parts = response.split(b"\0")
        if len(parts) != 3:
            return Malformed("PLAIN has three parts")
        return _password(parts[1], parts[2])


class _Login(_Exchange):
    def __init__(self) -> None:
        self._user: bytes | None = None
        self._asked = False

    def receive(self, response: bytes | None) -> Step:
        if response is None and not self._asked:
            self._asked = True
            return Challenge(b"Username:")
        if response is not None and self._user is None:
            self._user = response
            return Challenge(b"Password:")
        return _password(self._user or b"", response or b"")


class _Cram(_Exchange):
    def __init__(self, digest: str, setting: Setting) -> None:
        self._digest = digest
        self._challenge = f"<{setting.nonce}@{setting.host}>".encode()
        self._asked = False

    def receive(self, response: bytes | None) -> Step:
        if not self._asked:
            self._asked = True
            if response is not None:
                return Malformed("the server begins")
            return Challenge(self._challenge)
        name, _, keyed = (response or b"").rpartition(b" ")
        user, hashed = _name(name), keyed.decode("ascii", "replace").lower()
        if user is None or not _HEX.fullmatch(hashed):
            return Malformed("a name and a keyed hash in hex are expected")
        return CramAnswer(user, self._challenge, hashed, self._digest)


class _Scram(_Exchange):
    """scramp asks for the keys in the middle of a call, so it is called when they are there."""

    def __init__(self, name: str, setting: Setting) -> None:
        self._mechanism = ScramMechanism(name.removesuffix(PLUS))
        self._plus = name.endswith(PLUS)
        self._setting = setting
        self._user = ""
        self._first = ""
        self._binding: tuple[str, bytes] | None = None
        self._keys: tuple[bytes, bytes, bytes, int] = _NO_KEYS
        self._server = self._new_server()
        self._step: Callable[[bytes], Step] = self._read_first

    def receive(self, response: bytes | None) -> Step:
        if response is None:
            return Challenge(b"")
        try:
            return self._step(response)
        except UnicodeDecodeError:
            return Malformed("no UTF-8")
        except ScramException as error:
            if error.server_error in _UNBOUND:
                return ScramProof(self._user, is_right=False, reason=str(error), bound=False)
            if error.server_error is ServerError.INVALID_PROOF:
                return ScramProof(self._user, is_right=False)
            return Malformed(str(error))

    def keys_found(self, keys: ScramKeys) -> Step:
        self._keys = keys.salt, keys.stored_key, keys.server_key, keys.iterations
        self._server = self._new_server()
        try:
            self._server.set_client_first(self._first)
            challenge = self._server.get_server_first()
        except ScramException as error:  # keys that this library does not take
            return Malformed(str(error))
        self._step = self._read_final
        return Challenge(challenge.encode())

    def _read_first(self, response: bytes) -> Step:
        self._first = response.decode()
        flag = self._first.partition(",")[0]
        wanted = flag.removeprefix("p=") if flag.startswith("p=") else ""
        if wanted and not self._plus:
            return Malformed("a channel binding in a mechanism without one")
        if wanted and wanted not in self._setting.bindings:
            reason = f"no channel binding {wanted}" if wanted.isprintable() else "no such binding"
            return ScramProof(self._user, is_right=False, reason=reason, bound=False)
        if self._plus and not wanted:
            return ScramProof(self._user, is_right=False, reason="not bound", bound=False)
        # What is not used tells a client that sees no -PLUS ("y") that somebody took it away.
        found = wanted or next(iter(self._setting.bindings), "")
        self._binding = (found, self._setting.bindings[found]) if found else None
        self._server = self._new_server()
        self._server.set_client_first(self._first)
        if _name(self._user.encode()) is None:
            return Malformed("that name is none")
        return KeysWanted(self._user, self._mechanism.hf().name)

    def _read_final(self, response: bytes) -> Step:
        self._server.set_client_final(response.decode())
        self._step = self._read_nothing
        return Challenge(self._server.get_server_final().encode())

    def _read_nothing(self, response: bytes) -> Step:
        if response:
            return Malformed("nothing more is expected")
        return ScramProof(self._user, is_right=True)

    def _new_server(self) -> ScramServer:
        return self._mechanism.make_server(self._asked_for, self._binding, self._setting.nonce)

    def _asked_for(self, user: str) -> tuple[bytes, bytes, bytes, int]:
        self._user = user
        return self._keys


_UNBOUND: Final = frozenset({
    ServerError.SERVER_DOES_SUPPORT_CHANNEL_BINDING, ServerError.CHANNEL_BINDINGS_DONT_MATCH,
    ServerError.CHANNEL_BINDING_NOT_SUPPORTED, ServerError.UNSUPPORTED_CHANNEL_BINDING_TYPE,
})  # fmt: skip


class _XOAuth2(_Exchange):
    """``user=U ^A auth=Bearer T ^A ^A``."""

    error = b'{"status":"401","schemes":"bearer"}'

    def receive(self, response: bytes | None) -> Step:
        if response is None:
            return Challenge(b"")
        fields = self._fields(response)
        kind, _, token = fields.get(b"auth", b"").partition(b" ")
        user = _name(fields.get(b"user", b""))
        if user is None or kind.lower() != b"bearer" or not token.strip():
            return Malformed("user=, and auth=Bearer with a token, are expected")
        if not token.strip().isascii():
            return Malformed("a token is ASCII")
        return Token(user, Secret(token.strip().decode()))

    def refused(self) -> Challenge:
        return Challenge(self.error)

    def _fields(self, response: bytes) -> dict[bytes, bytes]:
        return dict(_KEY_VALUE.findall(response))


class _OAuthBearer(_XOAuth2):
    """``n,a=USER, ^A host=H ^A port=P ^A auth=Bearer T ^A ^A`` (RFC 7628 3.1)."""

    error = b'{"status":"invalid_token","schemes":"bearer"}'

    def _fields(self, response: bytes) -> dict[bytes, bytes]:
        header, _, rest = response.partition(b"\x01")
        flag, _, names = header.partition(b",")
        authzid = names.removesuffix(b",").removeprefix(b"a=")
        if flag not in (b"n", b"y") or not names.endswith(b",") or not names.startswith(b"a="):
            return {}
        unescaped = authzid.replace(b"=2C", b",").replace(b"=3D", b"=")  # RFC 5801 4
        return {**super()._fields(rest), b"user": unescaped}


def _name(octets: bytes) -> str | None:
    """Return the name of a user; None for what cannot be one."""
    try:
        name = octets.decode()
    except UnicodeDecodeError:
        return None
    return name if name.isprintable() and 0 < len(name) <= MOST_USER else None


def _password(user: bytes, password: bytes) -> Password | Malformed:
    name = _name(user)
    if name is None or not password:
        return Malformed("a name and a password are expected")
    return Password(name, Secret(password.decode("utf-8", "surrogateescape")))


def _cram(digest: str) -> Callable[[str, Setting], SaslServer]:
    return lambda _, setting: _Cram(digest, setting)


# In the order in which they are offered (spec/smtp.md 2.6).
MECHANISMS: Final[Mapping[str, Callable[[str, Setting], SaslServer]]] = {
    "LOGIN": lambda _name, _setting: _Login(),
    "PLAIN": lambda _name, _setting: _Plain(),
    "XOAUTH2": lambda _name, _setting: _XOAuth2(),
    "OAUTHBEARER": lambda _name, _setting: _OAuthBearer(),
    "CRAM-MD5": _cram("md5"),
    "CRAM-SHA1": _cram("sha1"),
    "CRAM-SHA224": _cram("sha224"),
    "CRAM-SHA256": _cram("sha256"),
    "CRAM-SHA384": _cram("sha384"),
    "CRAM-SHA512": _cram("sha512"),
    "SCRAM-SHA-1": _Scram,
    "SCRAM-SHA-256": _Scram,
    "SCRAM-SHA-1-PLUS": _Scram,
    "SCRAM-SHA-256-PLUS": _Scram,
}
# Who listens has what opens the account.
CLEAR_TEXT: Final = frozenset({"LOGIN", "PLAIN", "XOAUTH2", "OAUTHBEARER"})


def start(mechanism: str, setting: Setting) -> SaslServer:
    """Begin an exchange of one of `MECHANISMS`."""
    return MECHANISMS[mechanism](mechanism, setting)
