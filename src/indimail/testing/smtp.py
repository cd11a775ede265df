"""The server's side of an SMTP dialogue file: a session and a tiny policy.

``@`` lines:

    @ rules databytes=100 smtputf8       fields of SessionRules
    @ client 192.0.2.1 client.example    address and name
    @ id 7                               the id that refusals end with
    @ date 4 Nov 2026 10:00:00 +0000     for the greeting
    @ gate 553 5.7.1 go away             what a client hears that was turned away
    @ nonce 1896.697170952               of the next AUTH, and of all after it
    @ user ana wonder                    who may log in by AUTH, and the password
    @ binding tls-unique abc             a channel binding
    @ answer RCPT bo@example.com: 550 5.1.1 no such mailbox

An answer is keyed by the event's word (Greeting, GateClosed, HELO, MAIL, RCPT, DATA, chunk, end,
refused, TLS, AUTH, keys, login) and, for the first three commands, the name or address, for AUTH the
mechanism, for keys and login the user; without one the answer is None, for the end ``250 2.0.0 ok``
and for a wrong password ``535``.

Notes: ``M:`` a message was accepted or refused at its end, with its stored octets; ``R:`` the
session refused it; ``A:`` it was aborted; ``U:`` somebody is logged in, or nobody any more; ``X:`` the
connection is closed.
"""

from collections.abc import Sequence

from indimail.accounts.scram import MECHANISMS, ScramKeys, answers, make_scram, parse_scram
from indimail.mail.reply import Reply
from indimail.mail.secret import Secret
from indimail.smtp import (
    AuthEnded,
    AuthKeysWanted,
    AuthOffered,
    Event,
    GateClosed,
    Greeting,
    HelloOffered,
    MessageAborted,
    MessageChunk,
    MessageEnded,
    MessageOffered,
    MessageRefused,
    RecipientOffered,
    SenderOffered,
    SessionRules,
    SmtpSession,
    TlsOffered,
)
from indimail.testing.converse import shown
from indimail.wire.sasl_server import CramAnswer, Credentials, Password, ScramProof, Token

OK = Reply(250, "2.0.0", "ok")
WRONG = Reply(535, "5.7.8", "authorization failure (#5.7.8)")
SALT = b"0123456789abcdef"


class SmtpConversation:
    """Answers a session's questions and writes down what happens."""

    def __init__(self, setup: Sequence[str] = ()) -> None:
        rules: dict[str, object] = {"greeting": ("mx.example.com",), "extra_greet": False}
        self._answers: dict[str, Reply] = {}
        self._nonce = "1896.697170952"
        self._passwords: dict[str, str] = {}
        self._user = ""
        later: list[tuple[str, str]] = []
        for line in setup:
            word, _, rest = line.partition(" ")
            match word:
                case "rules":
                    rules |= dict(map(_rule, rest.split()))
                case "answer":
                    key, _, reply = rest.partition(": ")
                    self._answers[key] = parse_reply(reply)
                case _:
                    later.append((word, rest))
        self.session = SmtpSession(SessionRules(**rules))  # type: ignore[arg-type]
        for word, rest in later:
            self._set(word, rest)
        self._stored: list[bytes] = []
        self._closed = False

    def start(self) -> list[str]:
        return self._play()

    def send(self, data: bytes) -> list[str]:
        self.session.receive(data)
        return self._play()

    def happen(self, word: str) -> list[str]:
        match word:
            case "eof":
                self.session.receive_eof()
            case "timeout":
                self.session.time_out()
            case "shutdown":
                self.session.shut_down()
            case "tls":
                self.session.tls_started()
            case _:
                raise ValueError(word)
        return self._play()

    def _set(self, word: str, rest: str) -> None:
        match word:
            case "client":
                self.session.client_ip, _, self.session.client_name = rest.partition(" ")
            case "date":
                self.session.date = rest
            case "id":
                self.session.id = int(rest)
            case "gate":
                self.session.gate = parse_reply(rest)
            case "nonce":
                self._nonce = rest
            case "user":
                user, _, password = rest.partition(" ")
                self._passwords[user] = password
            case "binding":
                name, _, octets = rest.partition(" ")
                self.session.bindings = {**self.session.bindings, name: octets.encode()}
            case _:
                raise ValueError(word)

    def _play(self) -> list[str]:
        went = self._said() + self._logged_in()
        while (event := self.session.next_event()) is not None:
            went += self._said() + self._note(event)
            self.session.answer(self._decide(event))
            went += self._said() + self._logged_in()
        went += self._said()
        if self.session.closed and not self._closed:
            self._closed = True
            went.append("X:")
        return went

    def _logged_in(self) -> list[str]:
        if self.session.user == self._user:
            return []
        self._user = self.session.user
        return [f"U: {self._user}".rstrip()]

    def _said(self) -> list[str]:
        said = self.session.data_to_send().decode()
        assert not said or said.endswith("\r\n")
        return [f"S: {line}" for line in said.split("\r\n")[:-1]]

    def _decide(self, event: Event) -> Reply | None:
        answer = self._answers.get(_key(event))
        match event:
            case MessageEnded():
                return answer or OK
            case AuthOffered():
                self.session.nonce = self._nonce
            case AuthKeysWanted(mechanism, user):
                event.keys = _keys(mechanism, self._passwords.get(user, "nobody's"))
            case AuthEnded(_, credentials):
                return answer or (None if self._are_right(credentials) else WRONG)
        return answer

    def _are_right(self, credentials: Credentials) -> bool:
        password = self._passwords.get(credentials.user)
        if password is None:
            return False
        match credentials:
            case Password(_, given):
                return given == Secret(password)
            case Token(_, token):
                return token == Secret(password)
            case CramAnswer(_, challenge, response, digest):
                return answers(Secret(password), challenge, response, digest)
            case ScramProof(_, is_right):
                return is_right

    def _note(self, event: Event) -> list[str]:
        match event:
            case MessageOffered():
                self._stored = []
            case MessageChunk(data):
                self._stored.append(data)
            case MessageEnded(size):
                stored = b"".join(self._stored)
                assert size == len(stored)
                return [f"M: {shown(stored)}"]
            case MessageRefused():
                return ["R: dropped"]
            case MessageAborted(reason):
                return [f"A: {reason}"]
        return []


def parse_reply(text: str) -> Reply:
    """Read ``550 5.1.1 text``; the enhanced code may be left out."""
    code, _, rest = text.partition(" ")
    enhanced, _, lines = rest.partition(" ")
    if enhanced.count(".") == 2 and enhanced.replace(".", "").isdigit():
        return Reply(int(code), enhanced, *lines.split(" / "))
    return Reply(int(code), None, *rest.split(" / "))


def _keys(mechanism: str, password: str) -> ScramKeys | None:
    """Return keys of 4096 iterations, with a salt that a dialogue can know."""
    made = make_scram(
        password, MECHANISMS[mechanism.removesuffix("-PLUS")], salt=SALT, iterations=4096
    )
    return parse_scram(made or Secret("")).keys


def _rule(word: str) -> tuple[str, object]:
    name, equals, value = word.partition("=")
    if name in {"greeting", "auth"}:
        return name, tuple(value.split("/"))
    if value in {"no", "yes"}:
        return name, value == "yes"
    return name, not equals or (int(value) if value.isdigit() else value)


def _key(event: Event) -> str:
    match event:
        case Greeting():
            return "Greeting"
        case GateClosed():
            return "GateClosed"
        case HelloOffered(name):
            return f"HELO {name}"
        case SenderOffered(path):
            return f"MAIL {path.address}".rstrip()
        case RecipientOffered(path):
            return f"RCPT {path.address}"
        case MessageOffered():
            return "DATA"
        case MessageChunk():
            return "chunk"
        case MessageEnded():
            return "end"
        case MessageRefused():
            return "refused"
        case MessageAborted():
            return "aborted"
        case TlsOffered():
            return "TLS"
        case AuthOffered() | AuthKeysWanted() | AuthEnded():
            return _auth_key(event)


def _auth_key(event: AuthOffered | AuthKeysWanted | AuthEnded) -> str:
    match event:
        case AuthOffered(mechanism):
            return f"AUTH {mechanism}"
        case AuthKeysWanted(user=user):
            return f"keys {user}"
        case AuthEnded(_, credentials):
            return f"login {credentials.user}"
