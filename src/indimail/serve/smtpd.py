"""qmail-smtpd: joins a connection with its TLS and the SMTP session, and times it.

    await loop.create_server(lambda: SmtpConnection(reception, "smtp"), sock=listener)

The session asks (`smtp.event`), a method here or the transaction answers, and the answer goes back.
One that needs a disk or a database comes later (`LATER`); until then nothing more is read of this
client, and what it sends ahead stays below `UNREAD`.  A client that does not take its replies is
not read either.

Not here: the protocol (`smtp.session`), who the client is (`serve.client`), what becomes of its
mail (`serve.transaction`).
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, cast

from indimail.mail.dates import header_date
from indimail.mail.envelope import ReversePath
from indimail.mail.reply import Reply
from indimail.mail.verdict import TryLater
from indimail.net.names import ClientName
from indimail.net.tls import ServerLayer
from indimail.serve.client import Client
from indimail.serve.reception import LATER, Answer, Reception
from indimail.serve.smtpauth import SmtpAuth
from indimail.serve.transaction import Transaction
from indimail.smtp import event as ask
from indimail.smtp.session import LOST, SmtpSession

UNREAD: Final = 65_536  # octets a client may send ahead of an open question before it has to wait
LOG: Final = logging.getLogger("indimail.smtpd")
_NO_TLS: Final = Reply(454, "4.3.0", "unable to initialize TLS (#4.3.0)")


class SmtpConnection(asyncio.Protocol):
    """One client's connection."""

    __slots__ = (
        "_auth",
        "_begun",
        "_born",
        "_cut",
        "_deaf",
        "_early",
        "_heard",
        "_listener",
        "_mail_is_over",
        "_paused",
        "_reception",
        "_session",
        "_tls",
        "_transaction",
        "_transport",
        "_waiting",
        "client",
    )

    client: Client
    _auth: SmtpAuth
    _session: SmtpSession
    _transport: asyncio.Transport

    def __init__(self, reception: Reception, listener: str) -> None:
        self._reception = reception
        self._listener = listener
        self._begun = False  # there is a session
        self._early = b""  # what came while the configuration was read, or DNS asked
        self._transaction: Transaction | None = None
        self._mail_is_over = False  # and its last reply not yet said
        self._tls: ServerLayer | None = None
        self._waiting = False  # a question is open
        self._paused = False
        self._deaf = False  # it does not take our replies
        self._cut = ""  # why we did not wait for its end
        self._heard = self._born = reception.clock.steady()

    # -- the transport's side --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the client, and begin under the newest configuration."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername") or ("", 0)
        here = transport.get_extra_info("sockname") or ("", 0)
        reception = self._reception
        self.client = Client(reception, self._listener, peer[:2], here[:2])
        reception.open.add(self)
        if reception.config.when_fresh(self._ask_for_name):
            self._ask_for_name()

    def _ask_for_name(self) -> None:
        """Ask DNS what the client is called, where that matters, before anything is decided."""
        reception = self._reception
        if reception.config.current.asks_for_names:
            reception.name_of(self.client.ip, self._is_called)
        else:
            self._begin()

    def _is_called(self, found: ClientName) -> None:
        self.client.is_called(found)
        self._begin()

    def _begin(self) -> None:
        """Look at the client's rule, and begin the conversation."""
        transport, client = self._transport, self.client
        if transport.is_closing():
            return
        verdict = client.judge()
        if verdict is None:
            transport.abort()
            return
        if isinstance(verdict, TryLater):
            reply = verdict.reply
            transport.write(
                f"{reply.code} {reply.text} [id {client.id}]\r\n".encode("ascii", "replace")
            )
            transport.close()
            return
        settings = client.settings
        self._session = session = SmtpSession(settings.session_rules)
        session.id = client.id
        session.client_ip = client.ip
        self._auth = SmtpAuth(client, session, self._answer_later)
        self._begun = True
        if settings.smtps:
            self._start_tls()
        else:
            self._date_greeting()
            self._pump()
        early, self._early = self._early, b""
        if early and not transport.is_closing():
            self._let_go()
            self.data_received(early)

    def data_received(self, data: bytes) -> None:
        """Take bytes; through TLS where it is on."""
        self._heard = self._reception.clock.steady()
        if not self._begun:  # the configuration is being read, or DNS asked; clients wait
            self._early += data
            if len(self._early) > UNREAD:
                self._hold_back()
        elif self._tls is None:
            self._receive(data)
        else:
            self._tls_received(self._tls, data)

    def _receive(self, clear: bytes) -> None:
        session = self._session
        session.receive(clear)
        if not self._waiting:
            self._pump()
        elif session.unread > UNREAD:
            self._hold_back()

    def pause_writing(self) -> None:
        """The client does not take its replies: read and answer nothing more until it does."""
        self._deaf = True
        self._hold_back()

    def resume_writing(self) -> None:
        """It took them: go on."""
        self._deaf = False
        if self._transport.is_closing() or not self._begun:
            return
        if self._waiting:
            self._let_go()
        else:
            self._go_on()

    def eof_received(self) -> bool:
        """The client is done sending; what it sent is still answered."""
        if not self._begun:
            return False
        self._session.receive_eof()
        if not self._waiting:
            self._pump()
        return not self._transport.is_closing()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  either way it is over
        """Forget the client; a message that was not whole is dropped."""
        self._reception.open.discard(self)
        self._drop_transaction()
        self.client.left(self._why_over())

    def _why_over(self) -> str:
        why = self._cut or (self._session.ended if self._begun else "")
        if why and why != LOST:
            return why
        if self._begun:
            self.client.log.trouble("read error: client dropped connection")
        return LOST

    def _hold_back(self) -> None:
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def _let_go(self) -> None:
        if self._paused and not self._deaf:
            self._paused = False
            self._transport.resume_reading()

    # -- time ------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Close a client that is silent, or that has been here, for too long."""
        if not self._begun:
            return
        settings = self.client.settings
        is_silent = now - self._heard > settings.timeout and not self._waiting
        if is_silent or 0 < settings.session_time < now - self._born:
            if self._deaf or self._transport.is_closing():  # it does not even take what is left
                self._cut = "timeout, and it took no reply"
                self._transport.abort()
                return
            self.client.log.trouble("timeout reached reading data from client")
            self._session.time_out()
            if not self._waiting:
                self._pump()

    def drain(self) -> None:
        """The server stops: 421 at once to an idle client, at its next reply to a busy one."""
        if self._begun and not self._transport.is_closing():
            self._session.shut_down()
            if not self._waiting:
                self._pump()

    def cut(self) -> None:
        """There is no more time."""
        self._cut = "the server stopped"
        self._transport.abort()

    # -- the session's side ----------------------------------------------------------------------

    def _pump(self) -> None:
        """Ask and answer until the session needs bytes or an answer needs time; then send."""
        session = self._session
        while not self._deaf:
            if self._mail_is_over:
                self._begin_next()
            event = session.next_event()
            if session.refusals:
                self._tell_refusals()
            if event is None:
                break
            self._waiting = True  # before the call: `_answer_later` may come within it
            answer = _ANSWERS[type(event)](self, event)
            if answer is LATER:
                break
            self._waiting = False
            session.answer(answer)
        self._send()

    def _answer_later(self, reply: Reply | None) -> None:
        """Answer the open question from a callback and go on, unless the client went away."""
        if self._waiting and not self._transport.is_closing():
            self._waiting = False
            self._session.answer(reply)
            self._go_on()

    def _go_on(self) -> None:
        self._heard = self._reception.clock.steady()  # its silence begins with our answer
        self._let_go()
        self._pump()

    def _send(self) -> None:
        session, transport, tls = self._session, self._transport, self._tls
        out = session.data_to_send()
        if out and tls is None:
            transport.write(out)
        elif out and tls is not None and tls.established:  # else nobody can read it
            transport.write(tls.encrypt(out))
        if session.closed:
            if tls is not None:
                transport.write(tls.close())
            transport.close()
        elif session.awaits_tls:
            self._start_tls()

    def _date_greeting(self) -> None:
        if self.client.settings.session_rules.extra_greet:
            self._session.date = header_date(self._reception.clock.now())

    def _begin_next(self) -> None:
        """A mail has had its last reply; what is refused from now on is not told of it."""
        self._mail_is_over = False
        self.client.end_mail()
        self._session.id = self.client.id

    def _tell_refusals(self) -> None:
        """Tell what the session refused without asking."""
        transaction, session = self._transaction, self._session
        facts = transaction.facts if transaction is not None else None
        for refusal in session.refusals:
            self.client.tell_refusal(refusal, facts if refusal.of_mail else None)
        session.refusals.clear()

    # -- TLS -------------------------------------------------------------------------------------

    def _start_tls(self) -> None:
        context = self._reception.tls()
        if context is None:
            LOG.error("TLS is configured for %s, but there is no certificate", self._listener)
            self._cut = "no certificate for TLS"
            self._transport.close()
            return
        self._tls = context.serve()

    def _tls_received(self, tls: ServerLayer, data: bytes) -> None:
        had_begun = tls.established
        clear, out = tls.decrypt(data)
        if out:
            self._transport.write(out)
        if tls.failed:
            LOG.info("TLS with %s failed: %s", self.client.ip, tls.failed)
            self._cut = f"TLS failed: {tls.failed}"
            self._transport.close()
            return
        if not had_begun and tls.established:
            self._session.tls_started()
            self._session.bindings = tls.bindings
            self.client.begins_tls(tls.version, tls.description, tls.client)
            self._date_greeting()
            if not clear:
                self._pump()
        if clear:
            self._receive(clear)
        if tls.ended:
            self.eof_received()

    # -- answers ---------------------------------------------------------------------------------

    def _greeting(self, _: ask.Greeting) -> Answer:
        return None

    def _hello(self, event: ask.HelloOffered) -> Answer:
        client = self.client
        client.says_hello(event.name)
        self._session.hidden = self._reception.offer.hidden(client.settings.auth)
        return None

    def _sender(self, event: ask.SenderOffered) -> Answer:
        """MAIL: a new transaction, under the newest configuration."""
        path = event.reverse_path
        if self._reception.config.when_fresh(lambda: self._sender_later(path)):
            return self._begin_transaction(path)
        return LATER

    def _sender_later(self, reverse_path: ReversePath) -> None:
        if not self._transport.is_closing():
            answer = self._begin_transaction(reverse_path)
            if answer is not LATER:
                self._answer_later(answer)

    def _begin_transaction(self, reverse_path: ReversePath) -> Answer:
        self._drop_transaction()  # one that RSET or another MAIL ended
        client = self.client
        client.begin_mail()
        session = self._session
        session.id = client.id
        session.obey(client.settings.session_rules)
        self._transaction = transaction = Transaction(client, reverse_path, self._answer_later)
        answer = transaction.sender()
        if answer is not None and answer is not LATER:
            self._transaction = None
        return answer

    def _recipient(self, event: ask.RecipientOffered) -> Answer:
        assert self._transaction is not None
        return self._transaction.recipient(event.forward_path)

    def _message(self, _: ask.MessageOffered) -> Answer:
        assert self._transaction is not None
        return self._transaction.begin()

    def _chunk(self, event: ask.MessageChunk) -> Answer:
        assert self._transaction is not None
        return self._transaction.chunk(event.data)

    def _ended(self, _: ask.MessageEnded) -> Answer:
        assert self._transaction is not None
        self._transaction.end(self._taken)
        return LATER

    def _taken(self, reply: Reply) -> None:
        self._transaction = None
        self._mail_is_over = True
        self._answer_later(reply)

    def _refused(self, event: ask.MessageRefused) -> Answer:
        assert self._transaction is not None
        self._transaction.refused(event.reply)
        self._transaction = None
        self._mail_is_over = True
        return None

    def _aborted(self, _: ask.MessageAborted) -> Answer:
        self._drop_transaction()
        self._mail_is_over = True
        return None

    def _tls_offered(self, _: ask.TlsOffered) -> Answer:
        return _NO_TLS if self._reception.tls() is None else None

    def _auth_offered(self, event: ask.AuthOffered) -> Answer:
        return self._auth.offered(event)

    def _auth_keys_wanted(self, event: ask.AuthKeysWanted) -> Answer:
        return self._auth.keys_wanted(event)

    def _auth_ended(self, event: ask.AuthEnded) -> Answer:
        return self._auth.ended(event)

    def _drop_transaction(self) -> None:
        if self._transaction is not None:
            self._transaction.drop()
            self._transaction = None


_ANSWERS: Final[dict[type, Callable[[SmtpConnection, Any], Answer]]] = {
    ask.Greeting: SmtpConnection._greeting,
    ask.HelloOffered: SmtpConnection._hello,
    ask.SenderOffered: SmtpConnection._sender,
    ask.RecipientOffered: SmtpConnection._recipient,
    ask.MessageOffered: SmtpConnection._message,
    ask.MessageChunk: SmtpConnection._chunk,
    ask.MessageEnded: SmtpConnection._ended,
    ask.MessageRefused: SmtpConnection._refused,
    ask.MessageAborted: SmtpConnection._aborted,
    ask.TlsOffered: SmtpConnection._tls_offered,
    ask.AuthOffered: SmtpConnection._auth_offered,
    ask.AuthKeysWanted: SmtpConnection._auth_keys_wanted,
    ask.AuthEnded: SmtpConnection._auth_ended,
}
