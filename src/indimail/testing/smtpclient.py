"""The client's side of an SMTP dialogue file: an `SmtpClient` and a tiny driver.

The server's lines (``S:``, ``S>``) are sent to it; ``C:`` is what it says, ``C>`` what is no line of
text.  ``@`` lines:

    @ hop tls=REQUIRED smtps chunking=0     fields of Hop; it is 192.0.2.1, and we client.example.net
    @ auth ana wonder PLAIN,LOGIN in_clear  credentials; the mechanisms may be left out
    @ mail ana@example.net bo@example.com cy@example.com,NOTIFY=NEVER,ORCPT=rfc822;cy size=9 8bit
    @ body two\\nlines\\n                    of the mail above; each line is a piece of its own
    @ downgrade 9 | @ downgrade a part of it is signed
    @ stay                                  no QUIT when there is no mail left

The words of a mail: the sender (``<>``: none), recipients, ``size=`` ``envid=`` ``ret=`` ``auth=``,
``8bit``, ``utf8``; a slash in NOTIFY stands for its comma.  Without a body it is ``a line\\n``.

Notes: ``T:`` a handshake is due; ``R:`` a recipient's outcome with qmail's letter, lines separated by
`` / ``; ``U:`` how many outcomes are unknown, ``A:`` it may be tried again at once; ``X:`` the end.
Where success was asked for, the outcome ends with what the sender is told of it: ``(relayed)``.
``D:`` words: eof, timeout, quit, tls, tls-verified, tls-failed WHY, give-up TEXT.
"""

from collections.abc import Sequence

from indimail.mail.address import Address
from indimail.mail.dsn import SUCCESS, asked
from indimail.mail.envelope import Envelope, ForwardPath, ReversePath
from indimail.mail.outcome import Deferred, Delivered, Outcome
from indimail.mail.secret import Secret
from indimail.smtp.client import SmtpClient
from indimail.smtp.client_event import (
    ClientEvent,
    Closed,
    Derive,
    Downgrade,
    Ready,
    SendBody,
    Settled,
    StartTls,
)
from indimail.smtp.hop import Credentials, Hop, Tls
from indimail.testing.converse import octets, shown

NONCE = "fyko+d2lbbFgONRv9qkxdawL"
ADDRESS, HELO = "192.0.2.1", "client.example.net"


class SmtpClientConversation:
    """Gives a client the mails of a script and writes down what it does."""

    def __init__(self, setup: Sequence[str] = ()) -> None:
        hop: dict[str, object] = {"address": ADDRESS, "helo": HELO}
        self._mails: list[tuple[Envelope, list[bytes]]] = []
        self._downgrade = ""
        self._stays = False
        for line in setup:
            word, _, rest = line.partition(" ")
            match word:
                case "hop":
                    hop |= dict(map(_field, rest.split()))
                case "auth":
                    hop["credentials"] = _credentials(*rest.split())
                case "mail":
                    self._mails.append((parse_mail(rest), []))
                case "body":
                    self._mails[-1][1].append(octets(f"S> {rest}"))
                case "downgrade":
                    self._downgrade = rest
                case "stay":
                    self._stays = True
                case _:
                    raise ValueError(line)
        self.client = SmtpClient(Hop(**hop), NONCE)  # type: ignore[arg-type]
        self._recipients: tuple[ForwardPath, ...] = ()
        self._body: list[bytes] = []

    def start(self) -> list[str]:
        return self._play()

    def send(self, data: bytes) -> list[str]:
        self.client.receive(data)
        return self._play()

    def happen(self, word: str) -> list[str]:
        word, _, rest = word.partition(" ")
        match word:
            case "eof":
                self.client.receive_eof()
            case "timeout":
                self.client.timed_out()
            case "quit":
                self.client.quit()
            case "tls":
                self.client.tls_started()
            case "tls-verified":
                self.client.tls_started(verified=True)
            case "tls-failed":
                self.client.tls_failed(rest)
            case "give-up":
                self.client.give_up(rest)
            case _:
                raise ValueError(word)
        return self._play()

    def _play(self) -> list[str]:
        went: list[str] = []
        while (event := self.client.next_event()) is not None:
            went += self._said() + self._note(event)
            self._act(event)
        return went + self._said()

    def _said(self) -> list[str]:
        said = self.client.data_to_send()
        return [_line(line) for line in said.split(b"\r\n")[:-1]] + (
            [f"C> {shown(rest)}"] if (rest := said.rpartition(b"\r\n")[2]) else []
        )

    def _act(self, event: ClientEvent) -> None:
        match event:
            case Ready() if self._mails:
                envelope, body = self._mails.pop(0)
                self._recipients = envelope.forward_paths
                self._body = body or [b"a line\n"]
                self.client.begin(envelope)
            case Ready() if not self._stays:
                self.client.quit()
            case Derive(work):
                self.client.derived(work())
            case Downgrade():
                if self._downgrade.isdecimal():
                    self.client.downgraded(int(self._downgrade))
                else:
                    self.client.not_downgraded(self._downgrade)
            case SendBody():
                piece = self._body.pop(0)
                self.client.send_body(piece, last=not self._body)

    def _note(self, event: ClientEvent) -> list[str]:
        match event:
            case StartTls():
                return ["T:"]
            case Settled(outcomes, unknown, again):
                assert len(outcomes) == len(self._recipients)
                return [
                    *(
                        f"R: {path.address} {report(outcome)}{_told(path, outcome)}"
                        for path, outcome in zip(self._recipients, outcomes, strict=True)
                    ),
                    *([f"U: {unknown}"] if unknown else []),
                    *(["A:"] if again else []),
                ]
            case Closed(outcome, next_host, in_clear):
                words = ["X:"]
                words += [report(outcome)] if outcome else []
                words += ["(next host)"] if next_host else []
                words += ["(in clear)"] if in_clear else []
                return [" ".join(words)]
        return []


def report(outcome: Outcome) -> str:
    """Return an outcome as qmail-rspawn gives it, on one line."""
    match outcome:
        case Delivered(text):
            letter = "K"
        case Deferred(text):
            letter = "Z"
        case _:
            letter, text = "D", outcome.text
    return f"{letter} {' / '.join(text.splitlines())}"


def _told(path: ForwardPath, outcome: Outcome) -> str:
    match outcome:
        case Delivered(dsn=dsn) if dsn and SUCCESS in asked(path.notify):
            return f" ({dsn})"
    return ""


def parse_mail(text: str) -> Envelope:
    """Read the words of a ``@ mail`` line."""
    sender, *words = text.split()
    reverse: dict[str, object] = {}
    paths = []
    for word in words:
        name, equals, value = word.partition("=")
        if word == "8bit":
            reverse["body"] = "8BITMIME"
        elif word == "utf8":
            reverse["smtputf8"] = True
        elif equals and "," not in name:
            reverse[name] = int(value) if name == "size" else value
        else:
            paths.append(_forward_path(*word.split(",")))
    reverse["address"] = Address.parse("" if sender == "<>" else sender)
    return Envelope(ReversePath(**reverse), tuple(paths))  # type: ignore[arg-type]


def _forward_path(address: str, *parameters: str) -> ForwardPath:
    fields = {name.lower(): value for name, _, value in (p.partition("=") for p in parameters)}
    if "notify" in fields:
        fields["notify"] = fields["notify"].replace("/", ",")
    return ForwardPath(Address.parse(address), **fields)


def _field(word: str) -> tuple[str, object]:
    name, equals, value = word.partition("=")
    if name == "tls":
        return name, Tls[value]
    return name, not equals or (int(value) > 0 if value.isdigit() else value)


def _credentials(user: str, password: str, *words: str) -> Credentials:
    mechanisms = [word for word in words if word != "in_clear"]
    more = {"mechanisms": tuple(mechanisms[0].split(","))} if mechanisms else {}
    return Credentials(user, Secret(password), **more, in_clear="in_clear" in words)


def _line(line: bytes) -> str:
    try:
        text = line.decode()
    except UnicodeDecodeError:
        text = ""
    return f"C: {text}" if text.isprintable() and (text or not line) else f"C> {shown(line)}\\r\\n"
