"""The server's side of an SMTP conversation, without I/O: bytes in, questions out, bytes out.

    session = SmtpSession(rules)
    session.receive(b"EHLO client.example\\r\\n")
    while event := session.next_event():        # Greeting(), HelloOffered("client.example", True)
        session.answer(decide(event))           # None or a Reply, as the table in smtp.event says
    transport.write(session.data_to_send())
    if session.closed: ...                      # flush and close

One question is open at a time, and until it is answered nothing more is read.  So replies keep the
order of the commands (RFC 2920 section 3.1), a slow store stops the client, and what was sent
before a TLS handshake is never taken for part of it (RFC 3207).  Each command gets one reply.
What a peer sends never raises; calling out of order raises `Misuse`.

How bytes are read at the moment is one function, `_step`; what a command means in which state is
a table, the complement of what is allowed:

| state      | it is                              | refused                              |
|------------|------------------------------------|--------------------------------------|
| READY      | no transaction                     | RCPT, DATA, BDAT: MAIL first         |
| UNWELCOME  | HELO was refused                   | also MAIL: say hello first           |
| MAIL       | MAIL accepted                      | DATA, BDAT: RCPT first; AUTH         |
| RCPT       | a recipient accepted               | AUTH                                 |
| CHUNKS     | between two BDAT of one message    | RCPT, DATA: bad sequence; AUTH       |
| FAILED     | a BDAT was refused                 | RCPT, DATA, BDAT: bad sequence; AUTH |

HELO, EHLO, RSET, STARTTLS and MAIL end a transaction wherever it is (``spec/smtp.md`` 2.5: a second
MAIL starts over; also a refused one, so that no recipient joins an older sender).  MAIL needs no
HELO (2.1).  BDAT's octets are swallowed when it is refused (RFC 3030 section 2); one without a
readable size ends the connection, because its octets would be read as commands.

Who is logged in by AUTH stays so until the connection ends or TLS begins (RFC 3207 4.2).

Sources: RFC 5321 3, 4; RFC 1870, 2034, 2920, 3030, 3207, 4954, 6531; ``spec/smtp.md`` 2, 3.4, 5, 6.
Not here: grammar (`smtp.command`), the exchange of AUTH (`smtp.auth`), texts (`smtp.replies`),
timers, trace ids and time (the driver), and every decision that two operators could want different
(`policy`).
"""

from collections.abc import Callable, Container, Mapping
from typing import Final

from indimail.mail.errors import Misuse
from indimail.mail.reply import Reply
from indimail.smtp import replies
from indimail.smtp.auth import (
    CANCEL,
    MOST_LINE,
    AuthExchange,
    challenge_line,
    mechanism_refusal,
    offered_mechanisms,
)
from indimail.smtp.command import parse_bdat, parse_mail, parse_rcpt
from indimail.smtp.event import (
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
    Refusal,
    SenderOffered,
    TlsOffered,
)
from indimail.smtp.extension import hello_lines
from indimail.smtp.message import IncomingMessage
from indimail.smtp.rules import SessionRules
from indimail.wire.dots import CountedText, DottedText
from indimail.wire.lines import Inbox
from indimail.wire.sasl_server import PLUS, Challenge, KeysWanted, Malformed, Setting, Step

LOST: Final = "connection lost"  # without a QUIT
_UNLIMITED_LINE: Final = 1 << 20  # "no limit" on a line still is one: it is kept in memory
_MOST_NOTES: Final = 1000  # refusals kept for a driver that does not take them
_MOST_NAME: Final = 255  # octets of a HELO name, RFC 5321 4.5.3.1.2


class State:
    """Where a conversation stands between two commands, and what is out of sequence there."""

    __slots__ = ("name", "refuses")

    def __init__(self, name: str, refuses: dict[bytes, Reply]) -> None:
        self.name = name
        self.refuses = refuses

    def __repr__(self) -> str:
        return self.name


_NO_MAIL: Final = {
    b"RCPT": replies.MAIL_FIRST,
    b"DATA": replies.MAIL_FIRST,
    b"BDAT": replies.MAIL_FIRST,
}
_NO_AUTH: Final = {b"AUTH": replies.NO_AUTH_IN_MAIL}
_NO_RCPT: Final = {**_NO_AUTH, b"DATA": replies.RCPT_FIRST, b"BDAT": replies.RCPT_FIRST}
_NO_MIXING: Final = {**_NO_AUTH, b"RCPT": replies.BAD_SEQUENCE, b"DATA": replies.BAD_SEQUENCE}

READY: Final = State("READY", _NO_MAIL)
UNWELCOME: Final = State("UNWELCOME", {**_NO_MAIL, b"MAIL": replies.HELLO_FIRST})
MAIL: Final = State("MAIL", _NO_RCPT)
RCPT: Final = State("RCPT", _NO_AUTH)
CHUNKS: Final = State("CHUNKS", _NO_MIXING)
FAILED: Final = State("FAILED", {**_NO_MIXING, b"BDAT": replies.BAD_SEQUENCE})

# A message under way ends with these before they are obeyed.
_ENDS_MESSAGE: Final = frozenset({b"HELO", b"EHLO", b"MAIL", b"RSET", b"QUIT", b"STARTTLS"})
# What a client that was turned away is not let through with (spec/smtp.md 2.2).
_GATED: Final = frozenset({b"HELO", b"EHLO", b"MAIL", b"RCPT", b"NOOP", b"VRFY", b"AUTH"})

_OK: Final = replies.OK.wire()
_FLUSHED: Final = replies.FLUSHED.wire()
_SENDER_OK: Final = replies.SENDER_OK.wire()
_RECIPIENT_OK: Final = replies.RECIPIENT_OK.wire()
_GO_AHEAD: Final = replies.GO_AHEAD.wire()
_LOGGED_IN: Final = replies.AUTH_OK.wire()


class SmtpSession:
    """One connection's conversation.

    The driver may set `id` (of the connection, then of each message; it ends every refusal),
    `client_ip`, `client_name`, `date` (for the greeting), `gate` (what a client that was turned
    away hears later), `bindings` (of TLS, for SCRAM-...-PLUS), `hidden` (what EHLO does not list of AUTH)
    and, before each AUTH, a new `nonce`.
    It reads `helo`, `extended`, `tls`, `utf8`, `user` (who is logged in), `state`, `ended`
    (why, once it is `closed`) and `refusals`, the session's own refusals, and empties that list.
    """

    __slots__ = (
        "_after",
        "_asked",
        "_auth",
        "_auth_initial",
        "_auth_refusal",
        "_chunk_left",
        "_chunk_size",
        "_commands",
        "_ending",
        "_ending_now",
        "_eof",
        "_errors",
        "_gated",
        "_hushed",
        "_inbox",
        "_last_chunk",
        "_max_line",
        "_max_read",
        "_message",
        "_open",
        "_out",
        "_recipients",
        "_rules",
        "_step",
        "_swallowed",
        "bindings",
        "client_ip",
        "client_name",
        "date",
        "ended",
        "extended",
        "gate",
        "helo",
        "hidden",
        "id",
        "nonce",
        "refusals",
        "state",
        "tls",
        "user",
        "utf8",
    )

    def __init__(self, rules: SessionRules) -> None:
        self.id = 0
        self.client_ip = ""
        self.client_name = ""
        self.date = ""
        self.gate: Reply | None = None
        self.ended = ""
        self.helo = ""
        self.extended = False
        self.tls = False
        self.bindings: Mapping[str, bytes] = {}
        self.hidden: Container[str] = ()
        self.nonce = ""
        self.user = ""
        self.utf8 = False
        self.state = READY
        self.refusals: list[Refusal] = []
        self.obey(rules)
        self._inbox = Inbox()
        self._out = b""
        self._open: Event | None = None
        self._asked = False  # the open question was handed to the driver
        self._after: _After = SmtpSession._after_greeting
        self._step: _Step = SmtpSession._greet
        self._ending: Reply | None = None
        self._ending_now = False
        self._eof = False
        self._gated = False
        self._hushed = False  # AUTH was refused: what follows blindly is a name or a password
        self._commands = 0
        self._errors = 0
        self._recipients = 0
        self._message: IncomingMessage | None = None  # under way
        self._chunk_size = 0
        self._chunk_left = 0
        self._last_chunk = False
        self._swallowed: Reply = replies.BAD_SEQUENCE
        self._auth: AuthExchange | None = None  # under way
        self._auth_initial = b""
        self._auth_refusal: Reply = replies.BAD_AUTH

    # The driver's side

    def receive(self, data: bytes) -> None:
        """Take bytes from the client; those between STARTTLS and the handshake are dropped."""
        if self._step is not SmtpSession._read_nothing and not self.awaits_tls:
            self._inbox.add(data)

    def receive_eof(self) -> None:
        """The client sends no more; what came before is still answered."""
        self._eof = True

    def next_event(self) -> Event | None:
        """Return the next question; None when more bytes are needed, or when all is over."""
        if self._asked:
            raise Misuse(f"answer {self._open!r} first")
        while self._open is None and self._step(self):
            pass
        if self._open is None and self._eof:
            self._close(LOST)
        self._asked = self._open is not None
        return self._open

    def answer(self, reply: Reply | None = None) -> None:
        """Answer the open question; the table in `smtp.event` says what a reply does."""
        event = self._open
        if event is None or not self._asked:
            raise Misuse("no question is open")
        self._open = None
        self._asked = False
        self._after(self, event, reply)
        if (
            reply is not None
            and reply.code == 421
            and not (self._gated and isinstance(event, Greeting))
        ):
            self._close(reply.text)
        elif self._ending is not None and self._open is None:
            self._end_if_due()

    def data_to_send(self) -> bytes:
        """Return the replies that have gathered."""
        out, self._out = self._out, b""
        return out

    def obey(self, rules: SessionRules) -> None:
        """Take other rules; in the answer to a `SenderOffered`, whose mail is their first."""
        self._rules = rules
        self._max_line = rules.max_line or _UNLIMITED_LINE
        # Only what was read tells whether it is AUTH, whose lines may be longer.
        self._max_read = max(self._max_line, MOST_LINE) if rules.auth else self._max_line

    @property
    def closed(self) -> bool:
        """Nothing more will be read, asked or said: flush and close."""
        return self._step is SmtpSession._read_nothing and self._open is None

    @property
    def awaits_tls(self) -> bool:
        """220 was said to STARTTLS: flush, start the handshake, then call `tls_started`."""
        return self._step is SmtpSession._await_tls

    @property
    def has_unread(self) -> bool:
        """Octets came that were not read yet; during `Greeting`: the client spoke first."""
        return self._inbox.unread > 0

    @property
    def unread(self) -> int:
        """Octets that wait to be read."""
        return self._inbox.unread

    @property
    def in_message(self) -> bool:
        """A message is under way; a shutdown waits for its end."""
        return self._message is not None

    def tls_started(self) -> None:
        """The handshake is done: nothing that was said before it counts (RFC 3207 4.2)."""
        if not self.awaits_tls and self._step is not SmtpSession._greet:
            raise Misuse("TLS was not offered")
        self._forget_transaction(READY)
        self.helo = self.user = ""
        self.extended = False
        self.tls = True
        if self.awaits_tls:
            self._step = SmtpSession._read_command

    def time_out(self) -> None:
        """The client was silent for too long, or took too long in all: say so and close."""
        self._ending = replies.TIMEOUT
        self._ending_now = True
        if self._open is None:
            self._end_if_due()

    def shut_down(self) -> None:
        """The server stops: say so after the command or the message under way, and close."""
        self._ending = replies.shutting_down(self._rules.greeting[0])
        if self._open is None:
            self._end_if_due()

    # Steps: each reads a little and returns False when it needs more bytes

    def _greet(self) -> bool:
        self._ask(Greeting(), SmtpSession._after_greeting)
        return True

    def _read_nothing(self) -> bool:
        return False

    def _await_tls(self) -> bool:
        return False

    def _read_command(self) -> bool:
        line = self._inbox.line(self._max_read)
        if line is None:
            if self._inbox.unread < self._max_read:
                return False
            self._refuse_line(replies.LINE_TOO_LONG)
            return True
        if len(line) + len(b"\r\n") > self._max_line and line[:5].upper() != b"AUTH ":
            self._refuse_line(replies.LINE_TOO_LONG)
            return True
        verb, _, argument = line.partition(b" ")
        command = COMMANDS.get(verb)
        if command is None:
            verb = verb.upper()
            command = COMMANDS.get(verb)
        if self._message is not None and verb in _ENDS_MESSAGE:
            # The driver drops the message first; then the same line is read again.
            self._inbox.reread_line()
            self._abort(verb.decode())
            return True
        if argument:
            argument = argument.strip(b" \t")
        self._obey(verb, argument, command)
        return True

    def _obey(self, verb: bytes, argument: bytes, command: "_Command | None") -> None:
        rules = self._rules
        self._commands += 1
        if 0 < rules.max_errors <= self._errors:
            self._refuse(verb, argument, replies.TOO_MANY_ERRORS)
            self._close("too many errors")
        elif 0 < rules.max_commands < self._commands:
            self._refuse(verb, argument, replies.TOO_MANY_COMMANDS)
            self._close("too many commands")
        elif self._gated and verb in _GATED:
            refusal = self.gate or replies.TURNED_AWAY
            self._ask(GateClosed(verb.decode(), refusal), SmtpSession._after_gate)
        elif (out_of_sequence := self.state.refuses.get(verb)) is not None:
            if verb == b"BDAT":
                self._refuse_chunk(argument, out_of_sequence)
            else:
                self._hushed = verb == b"AUTH"
                self._refuse(verb, argument, out_of_sequence)
        elif command is None:
            if self._hushed:
                verb = argument = b""
            self._refuse(verb, argument, replies.not_recognized(verb, argument))
        else:
            self._hushed = False
            command(self, argument)

    def _refuse_line(self, reply: Reply) -> None:
        self._refuse(b"", b"", reply)
        self._close("a line was too long")

    def _read_auth(self) -> bool:
        """Read a response of SASL."""
        line = self._inbox.line(MOST_LINE)
        exchange = self._auth
        if line is None or exchange is None:
            if self._inbox.unread < MOST_LINE:
                return False
            self._refuse_line(replies.AUTH_LINE_TOO_LONG)
        elif line == CANCEL:
            self._end_auth(replies.AUTH_CANCELLED)
        else:
            self._take_step(exchange, exchange.answer(line))
        return True

    def _read_last_of_auth(self) -> bool:
        """Read what a client says to the mechanism's own refusal: nothing, whatever it is."""
        if self._inbox.line(MOST_LINE) is None:
            if self._inbox.unread < MOST_LINE:
                return False
            self._refuse_line(replies.AUTH_LINE_TOO_LONG)
            return True
        self._step = SmtpSession._read_command
        self._say(self._auth_refusal)
        return True

    def _read_data(self) -> bool:
        data = self._inbox.take_all()
        message = self._message
        if not data or message is None:
            return False
        stored = message.feed(data)
        text = message.text
        if text.bare_lf and not self._rules.allow_barelf:
            self._refuse_bare_lf()
            return True
        if isinstance(text, DottedText) and text.ended:
            self._inbox.put_back(text.left)
            self._step = SmtpSession._end_message
        if stored:
            self._ask(MessageChunk(stored), SmtpSession._after_chunk)
        return True

    def _read_chunk(self) -> bool:
        message = self._message
        if message is None:
            return False
        if self._chunk_left:
            data = self._inbox.take(self._chunk_left)
            if not data:
                return False
            self._chunk_left -= len(data)
            stored = message.feed(data)
            if message.text.bare_lf and not self._rules.allow_barelf:
                self._refuse_bare_lf()
                return True
        else:
            stored = message.end() if self._last_chunk else b""
            self._step = SmtpSession._end_message if self._last_chunk else SmtpSession._end_chunk
        if stored:
            self._ask(MessageChunk(stored), SmtpSession._after_chunk)
        return True

    def _end_chunk(self) -> bool:
        message = self._message
        refusal = message.refusal() if message else None
        if refusal is not None:
            self._ask(MessageRefused(refusal), SmtpSession._after_refused)
            return True
        if self._chunk_size:
            self._commands -= 1  # it made progress
        self._out += _OK
        self._command_done()
        return True

    def _end_message(self) -> bool:
        message = self._message
        if message is None:
            return False
        refusal = message.refusal()
        if refusal is None:
            self._ask(MessageEnded(message.size), SmtpSession._after_ended)
        else:
            self._ask(MessageRefused(refusal), SmtpSession._after_refused)
        return True

    def _swallow(self) -> bool:
        if self._chunk_left:
            data = self._inbox.take(self._chunk_left)
            self._chunk_left -= len(data)
            return bool(data)
        self._say(self._swallowed)
        self._command_done()
        return True

    # Commands: what is in sequence

    def _helo(self, argument: bytes) -> None:
        self._hello(argument, extended=False)

    def _ehlo(self, argument: bytes) -> None:
        self._hello(argument, extended=True)

    def _hello(self, argument: bytes, *, extended: bool) -> None:
        name = argument.decode("ascii", "replace").replace("\ufffd", "?")
        if len(name) > _MOST_NAME or not name.isprintable():
            # RFC 5321 4.1.4: the state is as before.
            self._note(b"EHLO" if extended else b"HELO", argument, replies.BAD_HELLO)
            self._say_plain(replies.BAD_HELLO)
            return
        self._ask(HelloOffered(name, extended), SmtpSession._after_hello)

    def _mail(self, argument: bytes) -> None:
        self._forget_transaction(READY)
        rules = self._rules
        offered = parse_mail(argument, smtputf8=rules.smtputf8, dsn=rules.dsn)
        if isinstance(offered, Reply):
            self._refuse(b"MAIL", argument, offered)
        else:
            self.utf8 = offered.smtputf8
            self._ask(SenderOffered(offered), SmtpSession._after_sender)

    def _rcpt(self, argument: bytes) -> None:
        offered = parse_rcpt(argument, utf8=self.utf8, dsn=self._rules.dsn)
        if isinstance(offered, Reply):
            self._refuse(b"RCPT", argument, offered)
        elif 0 < self._rules.max_recipients <= self._recipients:
            self._refuse(b"RCPT", argument, replies.TOO_MANY_RECIPIENTS)
        else:
            self._ask(RecipientOffered(offered), SmtpSession._after_recipient)

    def _data(self, argument: bytes) -> None:
        if argument:
            self._refuse(b"DATA", argument, replies.NO_PARAMETERS)
        else:
            self._ask(MessageOffered(), SmtpSession._after_data)

    def _bdat(self, argument: bytes) -> None:
        chunk = parse_bdat(argument)
        if chunk is None:
            self._refuse_chunk(argument, replies.BAD_CHUNK_SIZE)
            return
        self._chunk_size, self._last_chunk = chunk
        self._chunk_left = self._chunk_size
        if self._message is None:
            self._ask(MessageOffered(), SmtpSession._after_bdat)
        else:
            self._step = SmtpSession._read_chunk

    def _rset(self, argument: bytes) -> None:
        if argument:
            self._refuse(b"RSET", argument, replies.NO_PARAMETERS)
        else:
            unwelcome = self.state is UNWELCOME
            self._forget_transaction(UNWELCOME if unwelcome else READY)
            self._out += _FLUSHED

    def _noop(self, argument: bytes) -> None:
        if argument:
            self._refuse(b"NOOP", argument, replies.NO_PARAMETERS)
        else:
            self._out += _OK

    def _vrfy(self, argument: bytes) -> None:
        if self._rules.vrfy:
            self._say(replies.CANNOT_VRFY)
        else:
            self._refuse(b"VRFY", argument, replies.DISABLED)

    def _help(self, argument: bytes) -> None:
        if self._rules.help:
            self._say(replies.help_text(self._rules))
        else:
            self._refuse(b"HELP", argument, replies.DISABLED)

    def _starttls(self, argument: bytes) -> None:
        if self.tls or not self._rules.starttls:
            self._refuse(b"STARTTLS", argument, replies.not_recognized(b"STARTTLS", argument))
        elif argument:
            self._refuse(b"STARTTLS", argument, replies.NO_TLS_PARAMETERS)
        else:
            self._ask(TlsOffered(), SmtpSession._after_tls)

    def _begin_auth(self, argument: bytes) -> None:
        name, _, initial = argument.partition(b" ")
        mechanism = name.decode("ascii", "replace").upper()
        refusal = (
            replies.NO_AUTH if not self._rules.auth
            else replies.AUTH_DONE if self.user
            else mechanism_refusal(
                self._rules, mechanism, tls=self.tls, bindings=self._bindings_of(mechanism)
            )
        )  # fmt: skip
        if refusal is not None:
            self._hushed = True
            self._refuse(b"AUTH", argument, refusal)
            return
        self._auth_initial = initial.strip(b" \t")
        self._ask(AuthOffered(mechanism), SmtpSession._after_auth_offered)

    def _quit(self, _argument: bytes) -> None:
        self._say(replies.closing(self._rules.greeting[0]))
        self._close("QUIT")

    # Answers

    def _after_greeting(self, _event: Event, reply: Reply | None) -> None:
        self._step = SmtpSession._read_command
        if reply is None or reply.is_positive:
            self._say_plain(reply or replies.greeting(self._rules, self.date))
            return
        # 421 closes, unless the driver wants the client held (spec/smtp.md 2.2).
        self._gated = self.gate is not None or reply.code != 421
        self._say_plain(reply)

    def _after_gate(self, event: Event, reply: Reply | None) -> None:
        assert isinstance(event, GateClosed)
        say = self._say_plain if event.verb in {"HELO", "EHLO"} else self._say
        say(reply or event.reply)

    def _after_hello(self, event: Event, reply: Reply | None) -> None:
        assert isinstance(event, HelloOffered)
        if reply is not None and not reply.is_positive:
            self._forget_transaction(UNWELCOME)
            self._say_plain(reply)
            return
        self._forget_transaction(READY)
        self.helo = event.name or self.client_name
        self.extended = event.extended
        client = "" if event.name else self.client_ip
        offers = self._offers() if event.extended else ()
        self._out += replies.hello(self._rules, client, offers).wire()

    def _offers(self) -> tuple[str, ...]:
        auth = offered_mechanisms(self._rules, self.hidden, tls=self.tls, bindings=self.bindings)
        return hello_lines(self._rules, auth, tls=self.tls)

    def _after_sender(self, event: Event, reply: Reply | None) -> None:
        assert isinstance(event, SenderOffered)
        if reply is None or reply.is_positive:
            path = event.reverse_path
            if 0 < self._rules.databytes < path.size:  # RFC 1870 6.1; by the newest rules
                self.utf8 = False
                self._refuse(
                    b"MAIL", f"FROM:<{path.address}> SIZE={path.size}".encode(), replies.TOO_BIG
                )
                return
        if reply is None:
            self.state = MAIL
            self._out += _SENDER_OK
            return
        if reply.is_positive:
            self.state = MAIL
        else:
            self.utf8 = False
        self._say(reply)

    def _after_recipient(self, _event: Event, reply: Reply | None) -> None:
        if reply is None or reply.is_positive:
            self.state = RCPT
            self._recipients += 1
            self._commands -= 1  # it made progress
        if reply is None:
            self._out += _RECIPIENT_OK
        else:
            self._say(reply)

    def _after_data(self, _event: Event, reply: Reply | None) -> None:
        if reply is not None and not reply.is_positive:
            self._say(reply)
            return
        self._message = IncomingMessage(self._rules, DottedText())
        self._last_chunk = True
        self._step = SmtpSession._read_data
        self._out += _GO_AHEAD

    def _after_bdat(self, _event: Event, reply: Reply | None) -> None:
        if reply is None or reply.is_positive:
            self._message = IncomingMessage(self._rules, CountedText())
            self.state = CHUNKS
            self._step = SmtpSession._read_chunk
        elif reply.code == 421:
            self._say(reply)
        else:
            self.state = FAILED
            self._swallowed = reply
            self._step = SmtpSession._swallow

    def _after_chunk(self, _event: Event, reply: Reply | None) -> None:
        if reply is None or reply.is_positive or self._message is None:
            return
        self._message.refused = reply
        if reply.code == 421:
            self._say(reply)

    def _after_ended(self, _event: Event, reply: Reply | None) -> None:
        if reply is None:
            raise Misuse("the end of a message needs its reply")
        self._message = None
        if reply.is_positive:
            self._commands = self._errors = 0
        self._forget_transaction(READY)
        self._say(reply)
        self._command_done()

    def _after_refused(self, event: Event, reply: Reply | None) -> None:
        assert isinstance(event, MessageRefused)
        self._message = None
        # More chunks of it may be in the pipeline (RFC 3030 section 2).
        self._forget_transaction(READY if self._last_chunk else FAILED)
        self._say(reply or event.reply)
        self._command_done()

    def _after_bare_lf(self, event: Event, reply: Reply | None) -> None:
        self._after_refused(event, reply)
        self._close("bare LF")

    def _after_abort(self, _event: Event, _reply: Reply | None) -> None:
        """Nothing is said: the cause has its own reply, or nobody is there."""

    def _after_tls(self, _event: Event, reply: Reply | None) -> None:
        if reply is not None and not reply.is_positive:
            self._say(reply)
            return
        self._out += replies.READY_FOR_TLS.wire()
        # What came in clear text behind STARTTLS is nobody's (RFC 3207 section 6).
        self._inbox.clear()
        self._step = SmtpSession._await_tls

    def _after_auth_offered(self, event: Event, reply: Reply | None) -> None:
        assert isinstance(event, AuthOffered)
        initial, self._auth_initial = self._auth_initial, b""
        if reply is not None:
            self._hushed = True
            self._say(reply)
            return
        nonce, self.nonce = self.nonce, ""
        if not nonce:
            raise Misuse("AUTH needs a nonce")
        bindings = self._bindings_of(event.mechanism)
        setting = Setting(nonce, self._rules.greeting[0], bindings)
        self._auth = exchange = AuthExchange(event.mechanism, setting)
        self._take_step(exchange, exchange.begin(initial))

    def _bindings_of(self, mechanism: str) -> Mapping[str, bytes]:
        """Return what SCRAM may bind to; nothing where its -PLUS is not offered."""
        plus = mechanism.removesuffix(PLUS) + PLUS
        return self.bindings if plus in self._rules.auth else {}

    def _take_step(self, exchange: AuthExchange, step: Step) -> None:
        match step:
            case Challenge():
                self._step = SmtpSession._read_auth
                self._out += challenge_line(step)
            case KeysWanted(user, hashed):
                wanted = AuthKeysWanted(exchange.mechanism, user, hashed)
                self._ask(wanted, SmtpSession._after_keys)
            case Malformed():
                self._end_auth(replies.BAD_AUTH)
            case _:
                self._ask(AuthEnded(exchange.mechanism, step), SmtpSession._after_auth)

    def _after_keys(self, event: Event, reply: Reply | None) -> None:
        assert isinstance(event, AuthKeysWanted)
        assert self._auth is not None
        if reply is not None:
            self._leave_auth()
            self._say(reply)
        elif event.keys is None:
            raise Misuse("AUTH goes on with keys, right ones or not")
        else:
            self._take_step(self._auth, self._auth.keys_found(event.keys))

    def _after_auth(self, event: Event, reply: Reply | None) -> None:
        assert isinstance(event, AuthEnded)
        assert self._auth is not None
        last = self._auth.refused() if reply is not None else None
        self._leave_auth()
        if reply is None:
            self.user = event.credentials.user
            self._out += _LOGGED_IN
        elif last is None or reply.code == 421:
            self._say(reply)
        else:
            self._auth_refusal = reply
            self._step = SmtpSession._read_last_of_auth
            self._out += challenge_line(last)

    def _end_auth(self, refusal: Reply) -> None:
        """End the exchange without asking anybody."""
        self._leave_auth()
        self._hushed = True
        self._refuse(b"AUTH", b"", refusal)

    def _leave_auth(self) -> None:
        self._auth = None
        self._step = SmtpSession._read_command

    # Common ends

    def _ask(self, event: Event, after: "_After") -> None:
        self._open = event
        self._after = after

    def _say(self, reply: Reply) -> None:
        """Send a reply; a refusal counts as an error and ends with the id."""
        if reply.code < 400:
            self._out += reply.wire()
            return
        self._errors += 1
        wire = reply.wire()
        self._out += b"%b [id %d]\r\n" % (wire[:-2], self.id) if self.id else wire

    def _say_plain(self, reply: Reply) -> None:
        """Answer a new connection, HELO or EHLO: no enhanced code (RFC 2034 section 3)."""
        self._say(Reply(reply.code, None, *reply.lines) if reply.enhanced else reply)

    def _refuse(self, verb: bytes, argument: bytes, reply: Reply) -> None:
        """Refuse without asking, and leave a note."""
        self._note(verb, argument, reply)
        self._say(reply)

    def _note(self, verb: bytes, argument: bytes, reply: Reply) -> None:
        if len(self.refusals) < _MOST_NOTES:
            shown = "" if verb == b"AUTH" else argument.decode("utf-8", "replace")
            of_mail = self.state is not READY and self.state is not UNWELCOME
            refusal = Refusal(verb.decode("ascii", "replace"), shown, reply, of_mail)
            self.refusals.append(refusal)

    def _refuse_chunk(self, argument: bytes, reply: Reply) -> None:
        """Refuse a BDAT: its octets are read and dropped, then comes the reply."""
        chunk = parse_bdat(argument)
        if chunk is None:
            self._refuse(b"BDAT", argument, replies.BAD_CHUNK_SIZE)
            self._close("a chunk without a size")
            return
        self._note(b"BDAT", argument, reply)
        self._chunk_left = chunk[0]
        self._swallowed = reply
        self._step = SmtpSession._swallow

    def _refuse_bare_lf(self) -> None:
        self._ask(MessageRefused(replies.BARE_LF), SmtpSession._after_bare_lf)

    def _forget_transaction(self, state: State) -> None:
        self.state = state
        self._recipients = 0
        self.utf8 = False

    def _command_done(self) -> None:
        self._step = SmtpSession._read_command
        self._end_if_due()

    def _end_if_due(self) -> None:
        """Say that it is over, if it is and nothing is in the way."""
        reply = self._ending
        if reply is None or self._step is SmtpSession._read_nothing:
            return
        between = self._step in _BETWEEN_COMMANDS and self._message is None
        if between or self._ending_now:
            self._ending = None
            if not self.awaits_tls:  # a handshake cannot be spoken into
                self._say_plain(reply) if self._step is SmtpSession._greet else self._say(reply)
            self._close(reply.text)

    def _close(self, reason: str) -> None:
        """Read nothing more; a message under way goes back to the driver first."""
        self._step = SmtpSession._read_nothing
        self._ending = None
        self.ended = self.ended or reason
        self._inbox.clear()
        if self._message is not None:
            self._abort(reason)

    def _abort(self, reason: str) -> None:
        self._message = None
        self._forget_transaction(READY)
        self._ask(MessageAborted(reason), SmtpSession._after_abort)


_Step = Callable[[SmtpSession], bool]
_After = Callable[[SmtpSession, Event, Reply | None], None]
_Command = Callable[[SmtpSession, bytes], None]

_BETWEEN_COMMANDS: Final[tuple[_Step, ...]] = (
    SmtpSession._greet,
    SmtpSession._read_command,
    SmtpSession._await_tls,
    SmtpSession._read_auth,
    SmtpSession._read_last_of_auth,
)

COMMANDS: Final[dict[bytes, _Command]] = {
    b"HELO": SmtpSession._helo,
    b"EHLO": SmtpSession._ehlo,
    b"MAIL": SmtpSession._mail,
    b"RCPT": SmtpSession._rcpt,
    b"DATA": SmtpSession._data,
    b"BDAT": SmtpSession._bdat,
    b"RSET": SmtpSession._rset,
    b"NOOP": SmtpSession._noop,
    b"VRFY": SmtpSession._vrfy,
    b"HELP": SmtpSession._help,
    b"STARTTLS": SmtpSession._starttls,
    b"AUTH": SmtpSession._begin_auth,
    b"QUIT": SmtpSession._quit,
}
