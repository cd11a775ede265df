"""SASL mechanisms, the client's side: a challenge in, an answer out.

    login = start("CRAM-MD5", "ana", Secret("wonder"), nonce="")
    login.first                              -> None: it has nothing to say before a challenge
    login.answer(b"<1.2@mx.example.com>")    -> b"ana 5fd0..."
    login.done                               -> True: success may be believed

A challenge that is none of the mechanism raises `SaslFailed`, and so does a SCRAM server that did not
prove that it knows the password; then the exchange is cancelled.  The answer to SCRAM's first
challenge takes as long as the server asks for (`is_slow`): thousands of rounds, on a thread.

`nonce` is printable, without a comma, and new for each exchange; only SCRAM uses it.
Sources: RFC 4422; RFC 4616 (PLAIN), draft-murchison-sasl-login, RFC 2195 (CRAM-MD5), RFC 5802 and
RFC 7677 (SCRAM, without channel binding).  Not here: base64 and the commands around it
(`smtp.client_auth`), the server's side.
"""

import hmac
from collections.abc import Callable
from typing import Final, Protocol

from scramp import ScramClient, ScramException

from indimail.mail.errors import MailError
from indimail.mail.secret import Secret


class SaslFailed(MailError):
    """The server broke the exchange, or what we have fits no such exchange."""


class SaslClient(Protocol):
    """One exchange."""

    @property
    def first(self) -> bytes | None:
        """What may be said before any challenge; None: nothing."""

    @property
    def is_slow(self) -> bool:
        """The next answer takes a while."""

    @property
    def done(self) -> bool:
        """The server's success may be believed."""

    def answer(self, challenge: bytes) -> bytes:
        """Return the answer to the next challenge.  Raises SaslFailed."""


class _Spoken:
    """Says its parts one by one, whatever the challenges are: PLAIN and LOGIN."""

    is_slow = False

    def __init__(self, first: bytes | None, *answers: bytes) -> None:
        self.first = first
        self._answers = list(answers)

    @property
    def done(self) -> bool:
        return not self._answers

    def answer(self, challenge: bytes) -> bytes:
        if not self._answers:
            raise SaslFailed(f"a challenge too many, of {len(challenge)} octets")
        return self._answers.pop(0)


class _CramMd5:
    first = None
    is_slow = False

    def __init__(self, user: str, password: Secret) -> None:
        self._user = _octets(user)
        self._key = _octets(password.reveal())
        self.done = False

    def answer(self, challenge: bytes) -> bytes:
        if self.done or not challenge:
            raise SaslFailed("a challenge where there is none")
        self.done = True
        digest = hmac.digest(self._key, challenge, "md5").hex()
        return b"%b %b" % (self._user, digest.encode())


class _Scram:
    def __init__(self, name: str, user: str, password: Secret, nonce: str) -> None:
        try:
            self._client = ScramClient([name], user, password.reveal(), c_nonce=nonce)
            self.first = _octets(self._client.get_client_first())
        except ScramException as error:
            raise SaslFailed(f"no user or password of {name}: {error}") from error
        self._answers = [self._prove, self._verify]

    @property
    def is_slow(self) -> bool:
        return len(self._answers) == 2

    @property
    def done(self) -> bool:
        return not self._answers

    def answer(self, challenge: bytes) -> bytes:
        if not self._answers:
            raise SaslFailed("a challenge too many")
        try:
            answer = self._answers[0](challenge.decode())
        except (ScramException, UnicodeDecodeError) as error:
            raise SaslFailed(str(error)) from error
        del self._answers[0]
        return answer

    def _prove(self, server_first: str) -> bytes:
        self._client.set_server_first(server_first)
        return _octets(self._client.get_client_final())

    def _verify(self, server_final: str) -> bytes:
        self._client.set_server_final(server_final)
        return b""


def _octets(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _plain(user: str, password: Secret, _nonce: str) -> SaslClient:
    return _Spoken(b"\0%b\0%b" % (_octets(user), _octets(password.reveal())))


def _login(user: str, password: Secret, _nonce: str) -> SaslClient:
    return _Spoken(None, _octets(user), _octets(password.reveal()))


def _cram_md5(user: str, password: Secret, _nonce: str) -> SaslClient:
    return _CramMd5(user, password)


def _scram(name: str) -> Callable[[str, Secret, str], SaslClient]:
    return lambda user, password, nonce: _Scram(name, user, password, nonce)


# In the order of preference (spec/queue.md 3.4).
MECHANISMS: Final[dict[str, Callable[[str, Secret, str], SaslClient]]] = {
    "SCRAM-SHA-256": _scram("SCRAM-SHA-256"),
    "SCRAM-SHA-1": _scram("SCRAM-SHA-1"),
    "CRAM-MD5": _cram_md5,
    "LOGIN": _login,
    "PLAIN": _plain,
}
CLEAR_TEXT: Final = frozenset({"LOGIN", "PLAIN"})  # who listens has the password


def start(mechanism: str, user: str, password: Secret, nonce: str) -> SaslClient:
    """Begin an exchange of one of `MECHANISMS`.  Raises SaslFailed, before anything is said."""
    return MECHANISMS[mechanism](user, password, nonce)
