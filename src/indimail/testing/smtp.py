"""The server's side of an SMTP dialogue file: a session and a tiny policy.

``@`` lines:

    @ rules databytes=100 smtputf8       fields of SessionRules
    @ client 192.0.2.1 client.example    address and name
    @ id 7                               the id that refusals end with
    @ date 4 Nov 2026 10:00:00 +0000     for the greeting
    @ gate 553 5.7.1 go away             what a client hears that was turned away
    @ answer RCPT bo@example.com: 550 5.1.1 no such mailbox

An answer is keyed by the event's word (Greeting, GateClosed, HELO, MAIL, RCPT, DATA, chunk, end,
refused, TLS) and, for the first three commands, the name or address; without one the answer is
None, and for the end ``250 2.0.0 ok``.

Notes: ``M:`` a message was accepted or refused at its end, with its stored octets; ``R:`` the
session refused it; ``A:`` it was aborted; ``X:`` the connection is closed.
"""

from collections.abc import Sequence

from indimail.mail.reply import Reply
from indimail.smtp import (
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

OK = Reply(250, "2.0.0", "ok")


class SmtpConversation:
    """Answers a session's questions and writes down what happens."""

    def __init__(self, setup: Sequence[str] = ()) -> None:
        rules: dict[str, object] = {"greeting": ("mx.example.com",), "extra_greet": False}
        self._answers: dict[str, Reply] = {}
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
            case _:
                raise ValueError(word)

    def _play(self) -> list[str]:
        went: list[str] = []
        while (event := self.session.next_event()) is not None:
            went += self._said() + self._note(event)
            self.session.answer(self._decide(event))
        went += self._said()
        if self.session.closed and not self._closed:
            self._closed = True
            went.append("X:")
        return went

    def _said(self) -> list[str]:
        said = self.session.data_to_send().decode()
        assert not said or said.endswith("\r\n")
        return [f"S: {line}" for line in said.split("\r\n")[:-1]]

    def _decide(self, event: Event) -> Reply | None:
        answer = self._answers.get(_key(event))
        return answer or (OK if isinstance(event, MessageEnded) else None)

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


def _rule(word: str) -> tuple[str, object]:
    name, equals, value = word.partition("=")
    if name == "greeting":
        return name, tuple(value.split("/"))
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
