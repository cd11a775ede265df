"""qmail-smtpd: joins a connection, the SMTP session, the policy and the queue.

    await loop.create_server(lambda: SmtpConnection(smtpd, "smtp"), sock=listener)

The session asks (`smtp.event`), the policy decides over frozen facts, and the answer goes back; an
answer that needs a disk or a database comes later, and until then nothing more is read of this
client.  Commit point 1: the queue's commit that covers the row (and the synced body file); only
`_Message.committed` says 250.

Every connection, refusal and accepted message leaves a trace record with its facts and its rule.
Not here: the protocol (`smtp.session`), the rules (`policy`), the queue's schedule (`serve.send`).
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, cast

from indimail.delivery.plan import Deliver, foresee
from indimail.mail.address import Address
from indimail.mail.channel import Channel
from indimail.mail.clock import Clock
from indimail.mail.dates import header_date
from indimail.mail.envelope import ForwardPath, ReversePath
from indimail.mail.errors import MailError, QueueUnwritable
from indimail.mail.events import Event as Traced
from indimail.mail.events import Record
from indimail.mail.foreseen import Foreseen
from indimail.mail.ids import QueueId, QueueIds
from indimail.mail.reply import Reply
from indimail.mail.verdict import NO_RULE, Accept, Refuse, Rule, TryLater
from indimail.net.connections import WorkerConnections
from indimail.net.tls import TlsContext, TlsLayer
from indimail.policy.limits import ConnectionFacts, decide_connection, is_loopback
from indimail.policy.recipient import (
    RecipientFacts,
    at_our_host,
    judge_mailbox,
    judge_recipient,
)
from indimail.policy.relay import RelayFacts, decide_relay, is_ours
from indimail.policy.sender import SenderFacts, decide_sender
from indimail.policy.tcprules import ClientRule, plain_ip
from indimail.queue.port import QueuedMessage, QueuedRecipient
from indimail.queue.spool import LARGE
from indimail.schedule.route import Route, route
from indimail.serve.foresight import Decided, Foresight
from indimail.serve.intake import Intake, message_id_of, route_text
from indimail.serve.local import LocalDelivery, RunAside
from indimail.serve.maillog import LineSink, SmtpLog, TcpserverLog
from indimail.serve.send import Trace
from indimail.serve.snapshot import SessionSettings, Snapshot
from indimail.smtp import event as ask
from indimail.smtp import replies
from indimail.smtp.received import Origin, protocol_word, received_line
from indimail.smtp.session import SmtpSession

PIECE: Final = 131_072  # octets of a large body that gather before a thread writes them
UNREAD: Final = 65_536  # octets a client may send ahead of an open question before it has to wait
LOG: Final = logging.getLogger("indimail.smtpd")

Facts = dict[str, str | int | float | bool]


def _later(seconds: float, call: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(seconds, call)


@dataclass(slots=True)
class Smtpd:
    """What all connections of a worker share."""

    config: "Configuration"
    connections: WorkerConnections
    ids: QueueIds
    clock: Clock
    trace: Trace
    lines: LineSink
    tcpserver: TcpserverLog
    foresight: Foresight
    local: LocalDelivery
    aside: RunAside
    choose_queue: Callable[[SessionSettings], Intake | MailError]
    local_host: str
    tls: Callable[[], TlsContext | None]
    open: "set[SmtpConnection]"
    draining: bool = False
    later: Callable[[float, Callable[[], None]], object] = _later


class Configuration(Protocol):
    """The configuration in force; `app.follow` keeps it."""

    @property
    def current(self) -> Snapshot:
        """The newest snapshot."""

    def when_fresh(self, go_on: Callable[[], None]) -> bool:
        """Return True where the snapshot is up to date; else call `go_on` once it is."""


class SmtpConnection(asyncio.Protocol):
    """One client."""

    __slots__ = (
        "_client",
        "_deaf",
        "_draining",
        "_early",
        "_facts",
        "_ip",
        "_listener",
        "_log",
        "_message",
        "_origin",
        "_paused",
        "_port",
        "_session",
        "_settings",
        "_smtpd",
        "_snapshot",
        "_tls",
        "_transport",
        "_waiting",
        "born",
        "connection_id",
        "heard",
        "id",
        "next_id",
    )

    _session: SmtpSession
    _snapshot: Snapshot
    _settings: SessionSettings
    _client: ClientRule

    def __init__(self, smtpd: Smtpd, listener: str) -> None:
        self._smtpd = smtpd
        self._listener = listener
        self._message: _Message | None = None
        self._paused = False
        self._deaf = False  # it does not take our replies
        self._early = b""  # what came while the configuration was being read
        self._tls: TlsLayer | None = None
        self._draining = False
        self._waiting: ask.Event | None = None
        self.heard = self.born = smtpd.clock.steady()

    # -- the transport's side --------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the client, look at its rule, and begin the conversation."""
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._ip: str = plain_ip(peer[0]) if peer else ""
        self._port: int = peer[1] if peer else 0
        smtpd = self._smtpd
        self.id = self.connection_id = smtpd.ids.next(int(smtpd.clock.now() * 1e6))
        self.next_id: QueueId | None = self.id
        smtpd.connections.opened(self._ip)
        smtpd.open.add(self)
        if smtpd.config.when_fresh(self._begin):
            self._begin()

    def _begin(self) -> None:
        smtpd = self._smtpd
        if self._transport.is_closing():
            return
        self._snapshot = snapshot = smtpd.config.current
        self._client = client = snapshot.tcp_rules.find(self._ip)
        self._facts: Facts = {
            "ip": self._ip, "port": self._port, "listener": self._listener, "name": "",
        }  # fmt: skip
        local = self._transport.get_extra_info("sockname") or ("", 0)
        ends = (smtpd.local_host, local[0], local[1]), ("", self._ip, self._port)
        if not client.allowed:
            self._record(Traced.CONNECT, "refuse", "denied", client.rule)
            smtpd.tcpserver.judged("deny", self.id, *ends, "", 0)
            self._transport.abort()
            return
        self._settings = settings = snapshot.session(self._listener, client)
        smtpd.tcpserver.judged("ok", self.id, *ends, "", settings.connection_limits.maxperip or 0)
        counts = smtpd.connections  # they count this one too
        limited = decide_connection(
            ConnectionFacts(
                self._ip, counts.total() - 1, counts.of_client(self._ip) - 1, is_loopback(self._ip)
            ),
            settings.connection_limits,
        )
        if isinstance(limited, TryLater):
            self._record(Traced.CONNECT, "refuse", limited.reason, limited.rule, limited.reply)
            smtpd.tcpserver.no_slot(
                self._ip, settings.connection_limits.maxperip or 0, limited.reason
            )
            refused = f"{limited.reply.code} {limited.reply.text} [id {self.id}]\r\n"
            self._transport.write(refused.encode())
            self._transport.close()
            return
        self._record(Traced.CONNECT, "accept", client.text, client.rule, facts=self._facts)
        self._session = session = SmtpSession(settings.session_rules)
        session.id = self.id
        session.client_ip = self._ip
        self._log = SmtpLog(smtpd.lines, self.id, self._ip)
        if settings.smtps:
            self._start_tls()
        elif settings.session_rules.extra_greet:
            session.date = header_date(smtpd.clock.now())
        if not settings.smtps:
            self._pump()
        if self._early:
            early, self._early = self._early, b""
            self._let_go()
            self.data_received(early)

    def data_received(self, data: bytes) -> None:
        """Take bytes; through TLS where it is on."""
        self.heard = self._smtpd.clock.steady()
        if not hasattr(self, "_session"):  # the configuration is being read; clients wait
            self._early += data
            if len(self._early) > UNREAD and not self._paused:
                self._paused = True
                self._transport.pause_reading()
            return
        if self._tls is not None:
            self._tls_received(data)
            return
        self._session.receive(data)
        if self._open_question():
            self._hold_back()
        else:
            self._pump()

    def pause_writing(self) -> None:
        """The client does not take its replies: read and answer nothing more until it does."""
        self._deaf = True
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It took them: go on."""
        self._deaf = False
        if self._transport.is_closing() or not hasattr(self, "_session"):
            return
        if self._open_question():
            self._let_go()
        else:
            self._go_on()

    def eof_received(self) -> bool:
        """The client is done sending; what it sent is still answered."""
        if hasattr(self, "_session"):
            self._session.receive_eof()
            if not self._open_question():
                self._pump()
            return not self._transport.is_closing()
        return False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  either way it is over
        """Forget the client; a message that was not whole is dropped."""
        smtpd = self._smtpd
        smtpd.open.discard(self)
        smtpd.connections.closed(self._ip)
        if hasattr(self, "_session"):
            if self._message is not None:
                self._message.drop()
                self._message = None
            self._record(Traced.DISCONNECT, "end", "connection closed")
            smtpd.tcpserver.ended(self.connection_id, 0)

    # -- time ------------------------------------------------------------------------------------

    def tick(self, now: float) -> None:
        """Close a client that is silent, or that has been here, for too long."""
        if not hasattr(self, "_session"):
            return
        settings = self._settings
        waits_for_us = self._open_question()
        if (now - self.heard > settings.timeout and not waits_for_us) or (
            0 < settings.session_time < now - self.born
        ):
            if self._deaf or self._transport.is_closing():  # it does not even take what is left
                self._transport.abort()
                return
            self._log.trouble("timeout reached reading data from client")
            self._session.time_out()
            if not waits_for_us:
                self._pump()

    def drain(self) -> None:
        """The server stops: 421 at once to an idle client, at its next reply to a busy one."""
        self._draining = True
        if hasattr(self, "_session") and not self._transport.is_closing():
            self._session.shut_down()
            if not self._open_question():
                self._pump()

    def cut(self) -> None:
        """There is no more time."""
        self._transport.abort()

    # -- the session's side ----------------------------------------------------------------------

    def _open_question(self) -> bool:
        return self._waiting is not None

    def _pump(self) -> None:
        """Ask and answer until the session needs bytes or an answer needs time; then send."""
        session = self._session
        while not self._deaf and (event := session.next_event()) is not None:
            self._waiting = event
            if not _ANSWERS[type(event)](self, event):
                break
        if session.refusals:
            self._trace_refusals()
        self._send()

    def _answer(self, reply: Reply | None = None) -> bool:
        """Answer the open question at once."""
        self._waiting = None
        self._session.answer(reply)
        return True

    def _answer_later(self, reply: Reply | None = None) -> None:
        """Answer the open question from a callback, and go on."""
        if self._answer_if_there(reply):
            self._go_on()

    def _answer_if_there(self, reply: Reply | None) -> bool:
        """Answer, unless the client went away meanwhile."""
        if self._waiting is None or self._transport.is_closing():
            return False
        return self._answer(reply)

    def _answer_in_time(self, reply: Reply | None) -> bool:
        """Answer at once, but a refusal of a mailbox only after PENALTY: guessing is slow."""
        penalty = self._settings.penalty
        if reply is None or not penalty:
            return self._answer_if_there(reply)
        self._smtpd.later(penalty, lambda: self._answer_later(reply))
        return False

    def _go_on(self) -> None:
        self.heard = self._smtpd.clock.steady()  # its silence begins with our answer
        self._let_go()
        self._pump()

    def _let_go(self) -> None:
        if self._paused and not self._deaf:
            self._paused = False
            self._transport.resume_reading()

    def _send(self) -> None:
        session, transport = self._session, self._transport
        out = session.data_to_send()
        if out and self._tls is None:
            transport.write(out)
        elif out and self._tls is not None and self._tls.established:  # else nobody can read it
            transport.write(self._tls.encrypt(out))
        if session.closed:
            if self._tls is not None:
                transport.write(self._tls.close())
            transport.close()
        elif session.awaits_tls:
            self._start_tls()

    def _hold_back(self) -> None:
        if not self._paused and self._session.unread > UNREAD:
            self._paused = True
            self._transport.pause_reading()

    # -- TLS -------------------------------------------------------------------------------------

    def _start_tls(self) -> None:
        context = self._smtpd.tls()
        if context is None:
            LOG.error("TLS is configured for %s, but there is no certificate", self._listener)
            self._transport.close()
            return
        self._tls = context.serve()

    def _tls_received(self, data: bytes) -> None:
        tls = self._tls
        assert tls is not None
        started = tls.established
        clear, out = tls.decrypt(data)
        if out:
            self._transport.write(out)
        if tls.failed:
            LOG.info("TLS with %s failed: %s", self._ip, tls.failed)
            self._transport.close()
            return
        if not started and tls.established:
            self._session.tls_started()
            self._facts = {**self._facts, "tls": tls.description}
            if self._settings.session_rules.extra_greet:
                self._session.date = header_date(self._smtpd.clock.now())
            if not clear:
                self._pump()
        if clear:
            self._session.receive(clear)
            if self._open_question():
                self._hold_back()
            else:
                self._pump()
        if tls.ended:
            self.eof_received()

    # -- answers ---------------------------------------------------------------------------------

    def _greet(self, _: ask.Greeting) -> bool:
        return self._answer(None)

    def _hello(self, event: ask.HelloOffered) -> bool:
        self._facts = {**self._facts, "helo": event.name}
        return self._answer(None)

    def _sender(self, event: ask.SenderOffered) -> bool:
        """MAIL: a new transaction, under the newest configuration."""
        if not self._smtpd.config.when_fresh(lambda: self._sender_fresh(event)):
            return False
        reply = self._judge_sender(event.reverse_path)
        return self._answer(reply)

    def _sender_fresh(self, event: ask.SenderOffered) -> None:
        self._answer_later(self._judge_sender(event.reverse_path))

    def _judge_sender(self, reverse_path: ReversePath) -> Reply | None:
        smtpd = self._smtpd
        snapshot = smtpd.config.current
        if snapshot is not self._snapshot:
            self._snapshot = snapshot
            client = snapshot.tcp_rules.find(self._ip)
            if client.allowed:  # else a new connection is refused; this one keeps what it has
                self._client = client
                self._settings = snapshot.session(self._listener, client)
        if self.next_id is None:
            self.id = smtpd.ids.next(int(smtpd.clock.now() * 1e6))
        else:
            self.id, self.next_id = self.next_id, None
        self._session.id = self.id
        if reverse_path.address.domain.startswith("["):
            reverse_path = replace(reverse_path, address=self._at_our_host(reverse_path.address))
        tls = self._tls.version if self._tls is not None else ""
        verdict = decide_sender(
            SenderFacts(reverse_path.address, tls),
            self._settings.sender_rules,
        )
        if isinstance(verdict, Accept):
            self._message = _Message(self, snapshot, reverse_path)
            return None
        facts = {**self._facts, "sender": str(reverse_path.address)}
        self._record(Traced.SENDER, "refuse", verdict.reason, verdict.rule, verdict.reply, facts)
        return verdict.reply

    def _recipient(self, event: ask.RecipientOffered) -> bool:
        assert self._message is not None
        return self._message.recipient(event.forward_path)

    def _offered(self, _: ask.MessageOffered) -> bool:
        assert self._message is not None
        return self._message.begin()

    def _chunk(self, event: ask.MessageChunk) -> bool:
        assert self._message is not None
        return self._message.chunk(event.data)

    def _ended(self, _: ask.MessageEnded) -> bool:
        assert self._message is not None
        return self._message.end()

    def _refused(self, event: ask.MessageRefused) -> bool:
        self._log_refusal(event.reply)
        if self._message is not None:
            self._message.refused(event.reply)
        self._message = None
        return self._answer(None)

    def _aborted(self, _: ask.MessageAborted) -> bool:
        if self._message is not None:
            self._message.drop()
        self._message = None
        return self._answer(None)

    def _tls_offered(self, _: ask.TlsOffered) -> bool:
        if self._smtpd.tls() is None:
            return self._answer(Reply(454, "4.3.0", "unable to initialize TLS (#4.3.0)"))
        return self._answer(None)

    def _at_our_host(self, address: Address) -> Address:
        """Take an address literal of ours for our host (spec/smtp.md 4.1)."""
        settings = self._settings
        here = self._transport.get_extra_info("sockname") or ("",)
        ours = ({plain_ip(here[0])} | settings.more_ip_me) - settings.not_ip_me
        return at_our_host(address, ours, settings.localiphost)

    # -- the trace -------------------------------------------------------------------------------

    def _record(
        self, event: Traced, verdict: str, text: str, rule: Rule = NO_RULE,
        reply: Reply | None = None, facts: Facts | None = None,
    ) -> None:  # fmt: skip
        """Leave a record; connect and disconnect carry the connection's id."""
        smtpd = self._smtpd
        of_connection = event is Traced.CONNECT or event is Traced.DISCONNECT
        id_ = self.connection_id if of_connection else self.id
        smtpd.trace.add(
            Record(id_, smtpd.clock.now(), event, verdict, text, rule,
                   str(reply) if reply else "", facts if facts is not None else self._facts)
        )  # fmt: skip

    def _trace_refusals(self) -> None:
        """Record what the session refused without asking."""
        events = {"MAIL": Traced.SENDER, "RCPT": Traced.RECIPIENT}
        for refusal in self._session.refusals:
            event = events.get(refusal.verb, Traced.MESSAGE)
            verb = "later" if refusal.reply.is_temporary else "refuse"
            of = self._message.facts if self._message is not None else self._facts
            facts: Facts = {**of, "command": refusal.verb, "argument": refusal.argument}
            facts.setdefault("connection", str(self.connection_id))
            rule = Rule("smtp")
            self._record(event, verb, refusal.reply.text, rule, refusal.reply, facts)
            self._log_refusal(refusal.reply, refusal.argument)
        self._session.refusals.clear()

    def _log_refusal(self, reply: Reply, argument: str = "") -> None:
        """Write the line that tools know for a refusal of the session (spec/smtp.md 13)."""
        message = self._message
        sender = str(message.facts["sender"]) if message is not None else ""
        if reply == replies.TOO_MANY_RECIPIENTS:
            self._log.too_many_recipients(sender, argument)
        elif reply == replies.TOO_BIG:
            for recipient in message.recipients if message is not None else ():
                self._log.too_large(sender, recipient, message.size if message is not None else 0)
        elif reply in _TROUBLES:
            self._log.trouble(_TROUBLES[reply])


class _Message:
    """One transaction: its recipients, its body on the way to the queue."""

    __slots__ = (
        "_born",
        "_busy",
        "_connection",
        "_errors",
        "_facts",
        "_gathered",
        "_message_id",
        "_parts",
        "_queue",
        "_recipients",
        "_reverse_path",
        "_size",
        "_snapshot",
        "_spooled",
        "_start",
        "_submitted",
        "facts",
    )

    def __init__(
        self, connection: SmtpConnection, snapshot: Snapshot, reverse_path: ReversePath
    ) -> None:
        self._connection = connection
        self._snapshot = snapshot
        self._reverse_path = reverse_path
        self._recipients: list[tuple[QueuedRecipient, Route]] = []
        self._parts: list[bytes] = []
        self._gathered = 0  # octets in them
        self._size = 0
        self._spooled = False
        self._busy = False  # a thread is at the spool file
        self._submitted = False  # the queue decides what becomes of the octets
        self._start = 0
        self._errors = 0
        self._message_id = ""
        self.facts: Facts = {
            **connection._facts,
            "connection": str(connection.connection_id),
            "sender": str(reverse_path.address),
        }

    @property
    def recipients(self) -> list[str]:
        """The forward-paths that were accepted."""
        return [recipient.address for recipient, _ in self._recipients]

    @property
    def size(self) -> int:
        """Octets so far."""
        return self._size

    # -- recipients ------------------------------------------------------------------------------

    def recipient(self, path: ForwardPath) -> bool:
        """RCPT: the static checks and the relay decision, then what the delivery would say."""
        connection = self._connection
        settings = connection._settings
        if path.address.domain.startswith("["):
            path = replace(path, address=connection._at_our_host(path.address))
        refused = judge_recipient(
            RecipientFacts(
                self._reverse_path.address, path.address, len(self._recipients), self._errors
            ),
            settings.recipient_limits,
        )
        tls = connection._tls
        facts = RelayFacts(
            client_ip=connection._ip,
            listener=connection._listener,
            helo=connection._session.helo,
            reverse_path=self._reverse_path.address,
            forward_path=path.address,
            relayclient=settings.relayclient,
            relayclient_rule=settings.relayclient_rule,
            tls=tls.version if tls is not None else "",
            size=self._reverse_path.size,
        )
        verdict = refused or decide_relay(facts, self._snapshot.relay)
        told = facts.as_facts()
        told["connection"] = str(connection.connection_id)
        if not isinstance(verdict, Accept):
            if refused is None:
                connection._log.relay_refusal(str(self._reverse_path.address), str(path.address))
            return connection._answer(self._refuse(told, verdict))
        address = path.address
        if verdict.suffix:
            address = Address.parse(f"{address}{verdict.suffix}")
            path = ForwardPath(address, path.notify, path.orcpt)
        way = route(address, self._snapshot.routing)
        checked = (
            settings.check_recipient
            and way.channel is Channel.LOCAL
            and is_ours(address.domain, self._snapshot.relay) is not None
        )
        if not checked:
            self._accept(path, way, told, verdict)
            return connection._answer(None)
        smtpd = connection._smtpd
        decided = smtpd.foresight.cached(way.target)
        if decided is not None:
            reply = self._judge(path, way, told, verdict, decided)
            return connection._answer_in_time(reply)

        def known(result: object) -> None:
            reply = self._judge(path, way, told, verdict, result)
            if connection._answer_in_time(reply):
                connection._go_on()

        smtpd.aside(lambda: smtpd.foresight.decide(way.target), known)
        return False

    def _judge(
        self, path: ForwardPath, way: Route, told: Facts, relay: Accept, result: object
    ) -> Reply | None:
        """CHECKRECIPIENT: refuse what the delivery would bounce."""
        if isinstance(result, Decided):
            foreseen, rule = foresee(result.plan), result.plan.rule
        else:
            LOG.warning("%s: %s", path.address, result)
            foreseen, rule = Foreseen.UNKNOWN, NO_RULE
        verdict = judge_mailbox(foreseen, rule, self._reverse_path.address, path.address)
        if isinstance(verdict, Accept):
            self._accept(path, way, told, relay, verdict)
            return None
        state = verdict.reason.rpartition(" ")[2]
        self._connection._log.bad_recipient(
            str(self._reverse_path.address), str(path.address), state
        )
        return self._refuse(told, verdict)

    def _accept(
        self, path: ForwardPath, way: Route, told: Facts, relay: Accept,
        mailbox: Accept | None = None,
    ) -> None:  # fmt: skip
        number = len(self._recipients)
        self._recipients.append((
            QueuedRecipient(
                number, str(path.address), way.channel, way.target, str(way.rule),
                path.notify, path.orcpt,
            ),
            way,
        ))  # fmt: skip
        text = relay.reason if mailbox is None else f"{relay.reason}; {mailbox.reason}"
        told["number"] = number
        self._connection._record(Traced.RECIPIENT, "accept", text, relay.rule, facts=told)

    def _refuse(self, told: Facts, verdict: Refuse | TryLater) -> Reply:
        self._errors += 1
        verb = "refuse" if isinstance(verdict, Refuse) else "later"
        self._connection._record(
            Traced.RECIPIENT, verb, verdict.reason, verdict.rule, verdict.reply, told
        )
        return verdict.reply

    # -- the body --------------------------------------------------------------------------------

    def begin(self) -> bool:
        """DATA or the first BDAT: choose a queue, and write the Received line."""
        connection = self._connection
        smtpd = connection._smtpd
        queue = smtpd.choose_queue(connection._settings)
        if isinstance(queue, MailError):
            reply = _failure_reply(queue)
            self.refused(reply)
            return connection._answer(reply)
        self._queue = queue
        self._born = smtpd.clock.now()
        session = connection._session
        tls = connection._tls
        origin = Origin(
            "", connection._ip, session.helo, "", connection._settings.localhost,
            protocol_word(tls=session.tls, authenticated=False, utf8=session.utf8),
            tls.description if tls is not None and session.tls else "",
            connection._settings.hide_host,
        )  # fmt: skip
        received = received_line(connection.id, origin, header_date(self._born))
        self._parts = [received]
        self._size = self._gathered = len(received)
        return connection._answer(None)

    def chunk(self, data: bytes) -> bool:
        """Keep the octets; a large body goes to a spool file, a piece at a time."""
        self._parts.append(data)
        self._size += len(data)
        self._gathered += len(data)
        if self._gathered < PIECE:
            return self._connection._answer(None)
        self._spool_with(lambda: None, self._written)
        return False

    def _spool_with(self, more: Callable[[], None], then: Callable[[object], None]) -> None:
        """Write what gathered to the spool file, and do `more`, on a thread."""
        parts, self._parts, self._gathered = self._parts, [], 0
        spool, id_ = self._queue.spool, self._connection.id
        write = spool.add
        if not self._spooled:
            self._message_id = message_id_of(b"".join(parts))
            lines = self._foreseen_lines()
            self._start = len(lines)
            parts.insert(0, lines)
            write = spool.begin
            self._spooled = True  # before the call: what a failed one left is discarded

        def work() -> None:
            if parts:
                write(id_, parts)
            more()

        self._busy = True
        self._connection._smtpd.aside(work, then)

    def _written(self, result: object) -> None:
        self._busy = False
        connection = self._connection
        if connection._message is not self:  # the client went away meanwhile
            self.drop()
            return
        if result is None:
            connection._answer_later(None)
        else:
            connection._answer_later(_failure_reply(result))

    def _foreseen_lines(self) -> bytes:
        """Return the lines that the only recipient's delivery will prepend, if that is foreseen."""
        if len(self._recipients) != 1:
            return b""
        smtpd = self._connection._smtpd
        recipient = self._recipients[0][0]
        decided = smtpd.foresight.cached(recipient.target)
        if recipient.channel is Channel.REMOTE or decided is None:
            return b""
        if not isinstance(decided.plan, Deliver):
            return b""
        return smtpd.local.lines(
            str(self._reverse_path.address), recipient.target, self._connection.id, self._born
        )

    def end(self) -> bool:
        """End of data: into the queue; the answer follows the commit."""
        if self._spooled or self._size > LARGE:
            spool, id_ = self._queue.spool, self._connection.id
            self._spool_with(lambda: spool.seal(id_), self._sealed)
            return False
        body = b"".join(self._parts)
        self._message_id = message_id_of(body)
        self._submit(body)
        return False

    def _sealed(self, result: object) -> None:
        self._busy = False
        connection = self._connection
        if connection._message is not self:
            self.drop()
        elif result is None:
            self._submit(None)
        else:
            self.committed(
                result if isinstance(result, Exception) else QueueUnwritable(str(result))
            )

    def _submit(self, body: bytes | None) -> None:
        path = self._reverse_path
        message = QueuedMessage(
            self._connection.id, self._born, str(path.address), self._size, body, self._start,
            path.body == "8BITMIME", path.smtputf8, path.auth, path.ret, path.envid,
        )  # fmt: skip
        self._parts = []
        self._submitted = True
        recipients = tuple(recipient for recipient, _ in self._recipients)
        self._queue.accept(message, recipients, self.committed)

    def committed(self, failure: Exception | None) -> None:
        """Commit point 1: without a failure the message is on disk, so 250 may be said."""
        connection = self._connection
        if failure is not None:  # it may be on disk all the same: the reopened queue sweeps files
            reply = _failure_reply(failure)
            self.refused(reply)
        else:
            now = int(connection._smtpd.clock.now())
            reply = Reply(250, "2.0.0", f"ok {now} qp {connection.id}")
            self._trace_accepted(reply)
        if connection._message is self:
            connection._message = None
            connection._answer_later(reply)

    def _trace_accepted(self, reply: Reply) -> None:
        connection = self._connection
        facts: Facts = {
            **self.facts, "size": self._size, "recipients": len(self._recipients),
            "message_id": self._message_id, "queue": self._queue.name,
        }  # fmt: skip
        text = f"queued in {self._queue.name}"
        connection._record(Traced.MESSAGE, "accept", text, NO_RULE, reply, facts)
        session, tls = connection._session, connection._tls
        sender = str(self._reverse_path.address)
        for recipient, way in self._recipients:
            connection._record(
                Traced.ROUTE, way.channel.value, route_text(way.channel, way.target), way.rule,
                facts={"recipient": recipient.address, "number": recipient.number,
                       "target": way.target, "sender": sender},
            )  # fmt: skip
            connection._log.accepted(
                session.helo, sender, recipient.address,
                "local-rcpt" if way.channel is Channel.LOCAL else "auth-ip/pop", self._size,
                tls.version if tls is not None else "No",
            )  # fmt: skip

    def refused(self, reply: Reply) -> None:
        """The message is not taken: forget its octets, and record why."""
        self.drop()
        verb = "later" if reply.is_temporary else "refuse"
        facts: Facts = {**self.facts, "size": self._size}
        self._connection._record(Traced.MESSAGE, verb, reply.text, Rule("smtp"), reply, facts)

    def drop(self) -> None:
        """Forget the octets; a spool file without a row goes, once no thread is at it."""
        self._parts = []
        if self._spooled and not self._busy and not self._submitted:
            self._spooled = False
            spool, id_ = self._queue.spool, self._connection.id
            self._connection._smtpd.aside(lambda: spool.discard(id_), lambda _: None)


_TROUBLES: Final = {
    replies.LINE_TOO_LONG: "command too long",
    replies.BARE_LF: "Bare LF received",
}

_ANSWERS: Final[dict[type, Callable[[SmtpConnection, Any], bool]]] = {
    ask.Greeting: SmtpConnection._greet,
    ask.HelloOffered: SmtpConnection._hello,
    ask.SenderOffered: SmtpConnection._sender,
    ask.RecipientOffered: SmtpConnection._recipient,
    ask.MessageOffered: SmtpConnection._offered,
    ask.MessageChunk: SmtpConnection._chunk,
    ask.MessageEnded: SmtpConnection._ended,
    ask.MessageRefused: SmtpConnection._refused,
    ask.MessageAborted: SmtpConnection._aborted,
    ask.TlsOffered: SmtpConnection._tls_offered,
}


def _failure_reply(failure: object) -> Reply:
    """Return the 4xx for a failure of ours; a peer learns nothing of the disk or its paths."""
    if isinstance(failure, MailError):
        text = failure.reply_text
    else:
        LOG.error("unexpected failure: %r", failure)
        text = MailError.reply_text
    full = "#4.3.1" in text
    return Reply(452 if full else 451, "4.3.1" if full else "4.3.0", text)
