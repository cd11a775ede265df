"""One SMTP transaction: its sender, its recipients, its body, and the way into a queue.

    transaction = Transaction(client, reverse_path, answer)
    transaction.sender()                        # None: the mail may begin; a Reply; or LATER
    transaction.recipient(forward_path)         # None, a Reply, or LATER: answer(...) is called
    transaction.begin(); transaction.chunk(octets)
    transaction.end(taken)                      # taken(reply) follows the commit

Commit point 1: the queue's commit that covers the row (and the synced body file); only
`Transaction._committed` says 250.

Each MAIL makes a new one, which keeps the settings, the id and the facts of its client as they were
then.  Not here: the conversation (`serve.smtpd`), the rules (`policy`), the queue's schedule
(`serve.send`).
"""

import logging
from collections.abc import Callable
from dataclasses import replace as dataclass_replace
from typing import Final

from msgspec.structs import replace

from indimail.accounts.port import RelayLogin
from indimail.delivery.blackhole import EMPTY
from indimail.delivery.plan import foresee
from indimail.delivery.verp import expanded
from indimail.mail.address import NULL, Address
from indimail.mail.channel import Channel
from indimail.mail.dates import header_date
from indimail.mail.envelope import ForwardPath, ReversePath
from indimail.mail.errors import MailError, QueueUnwritable
from indimail.mail.events import Event, Facts
from indimail.mail.foreseen import Foreseen
from indimail.mail.reply import Reply
from indimail.mail.verdict import NO_RULE, Accept, Refuse, TryLater, Verdict
from indimail.policy.recipient import (
    TOO_MANY_INVALID,
    RecipientFacts,
    judge_mailbox,
    judge_recipient,
)
from indimail.policy.relay import RelayFacts, certified, decide_relay, is_ours, permission
from indimail.policy.sender import (
    SenderFacts,
    SenderState,
    decide_sender,
    is_checked,
    judge_sender,
)
from indimail.policy.signing import Returned, ReturnFacts, judge_returned, own_signature
from indimail.queue.port import QueuedMessage, QueuedRecipient
from indimail.schedule.route import Route, route
from indimail.serve.body import Body
from indimail.serve.client import SESSION, Client
from indimail.serve.foresight import Decided
from indimail.serve.intake import Intake, route_text
from indimail.serve.logins import CheckRelay, find_login
from indimail.serve.reception import LATER, Answer, SenderFound
from indimail.smtp import replies
from indimail.smtp.received import Origin, protocol_word, received_line

LOG: Final = logging.getLogger("indimail.smtpd")


class Transaction:
    """One mail.  `facts` are the client's, with the sender."""

    __slots__ = (
        "_answer",
        "_asks_for_login",
        "_body",
        "_born",
        "_client",
        "_dropped",
        "_invalid",
        "_is_under_way",
        "_login",
        "_queue",
        "_reception",
        "_recipients",
        "_reverse_path",
        "_taken",
        "facts",
        "id",
    )

    _queue: Intake
    _taken: Callable[[Reply], None]

    def __init__(
        self, client: Client, reverse_path: ReversePath, answer: Callable[[Reply | None], None]
    ) -> None:
        """`answer` takes what `sender`, `recipient` and `chunk` could not say at once."""
        path = reverse_path
        if path.address.domain.startswith("["):
            path = replace(path, address=client.at_our_host(path.address))
        if signing := client.snapshot.signing:
            now = client.reception.clock.now()
            path = replace(path, address=own_signature(path.address, signing, now))
        self._client = client
        self._reception = client.reception
        self._answer = answer
        self.id = client.id
        self._reverse_path = path
        self._recipients: list[tuple[QueuedRecipient, Route]] = []
        self._invalid = 0  # recipients that were refused for good
        self._body: Body | None = None
        self._born = 0.0
        self._login: RelayLogin | None = None  # of POP3 or IMAP, that speaks for this mail
        self._asks_for_login = client.settings.check_relay is not None
        self._dropped = False
        self._is_under_way = False
        self.facts: Facts = {
            **client.facts,
            "connection": str(client.connection_id),
            "sender": str(path.address),
        }

    # -- sender and recipients -------------------------------------------------------------------

    def sender(self) -> Answer:
        """MAIL: may this sender begin?"""
        client = self._client
        rules, user = client.settings.sender_rules, client.auth.user
        facts = SenderFacts(self._reverse_path.address, client.tls_version, user)
        verdict = decide_sender(facts, rules)
        if isinstance(verdict, Accept) and is_checked(facts, rules, self._is_ours):
            return self._check_sender(facts)
        return self._answer_sender(verdict)

    def _is_ours(self, domain: str) -> bool:
        return is_ours(domain, self._client.snapshot.relay) is not None

    def _check_sender(self, facts: SenderFacts) -> Answer:
        """CHECKSENDER: look the sender up; a refusal of one that is absent waits for PENALTY."""
        address, reception, client = facts.reverse_path, self._reception, self._client
        target = route(address, client.snapshot.routing).target
        relays = permission(self._relay_facts(NULL), client.snapshot.relay) is not None
        asks_for_login = self._asks_for_login and not (relays or facts.auth_user)

        def look() -> tuple[SenderFound, RelayLogin | None]:
            login = self._look_for_login() if asks_for_login else None
            return reception.sender_state(address, target), login

        def known(result: object) -> None:
            if self._dropped:  # nobody waits for it
                return
            if isinstance(result, tuple):
                found, self._login = result
                self._asks_for_login = self._asks_for_login and not asks_for_login
            else:
                LOG.warning("%s: %s", address, result)
                found = SenderFound(SenderState.UNKNOWN)
            asked, rules_of_relay = self._relay_facts(NULL), client.snapshot.relay
            may = relays or permission(asked, rules_of_relay) is not None
            trouble = client.host_trouble if rules_of_relay.relaydomains.hosts else ""
            facts_found = dataclass_replace(
                facts, mailbox=found.mailbox, relays=may, relays_trouble=trouble
            )
            rules = self._client.settings.sender_rules
            reply = self._answer_sender(
                judge_sender(facts_found, rules, found.state, self._is_ours)
            )
            is_absent = found.state in (SenderState.ABSENT, SenderState.CLOSED)
            if not (is_absent and self._is_put_off(reply)):
                self._answer(reply)

        reception.aside(look, known)
        return LATER

    def _answer_sender(self, verdict: Verdict) -> Reply | None:
        if isinstance(verdict, Accept):
            self._is_under_way = True
            self._reception.under_way += 1
            return None
        client = self._client
        if client.auth.user and verdict.reply.code == 553:
            client.log.masquerade(str(self._reverse_path.address))
        verb = "later" if isinstance(verdict, TryLater) else "refuse"
        client.record(Event.SENDER, verb, verdict.reason, verdict.rule, verdict.reply, self.facts)
        return verdict.reply

    def recipient(self, path: ForwardPath) -> Answer:
        """RCPT: the static checks and the relay decision, then what the delivery would say."""
        client = self._client
        settings, snapshot = client.settings, client.snapshot
        sender = self._reverse_path.address
        if path.address.domain.startswith("["):
            path = replace(path, address=client.at_our_host(path.address))
        facts = self._relay_facts(path.address)
        meant = self._meant(facts)
        if isinstance(meant, Returned):
            path = replace(path, address=meant.address)
            facts = replace(
                facts, forward_path=meant.address, offered=str(facts.forward_path),
                srs_rule=meant.srs_rule,
            )  # fmt: skip
        elif meant is not None:
            return self._decided(path, facts, meant, is_relayed=False)
        refused = judge_recipient(
            RecipientFacts(sender, path.address, len(self._recipients), self._invalid),
            settings.recipient_limits,
        )
        verdict = refused or decide_relay(facts, snapshot.relay)
        if refused is None and isinstance(verdict, Refuse) and self._asks_for_login:
            return self._find_login(path, facts)
        return self._decided(path, facts, verdict, is_relayed=refused is None)

    def _relay_facts(self, forward_path: Address) -> RelayFacts:
        """Return all that is known of who sends this mail."""
        client, settings = self._client, self._client.settings
        facts = RelayFacts(
            client_ip=client.ip,
            client_host=client.host,
            host_trouble=client.host_trouble,
            listener=client.listener,
            helo=client.helo,
            reverse_path=self._reverse_path.address,
            forward_path=forward_path,
            relayclient=settings.relayclient,
            relayclient_rule=settings.relayclient_rule,
            relayclients=settings.relayclients,
            auth_user=client.auth.user,
            auth_relays=client.auth.relays,
            auth_rule=client.auth.rule,
            auth_all=settings.auth_all,
            tls=client.tls_version,
            certificate=client.certificate,
            certificate_trouble=client.certificate_trouble,
            size=self._reverse_path.size,
        )
        return facts if self._login is None else self._with_login(facts, self._login)

    def _look_for_login(self) -> RelayLogin | None:
        """Ask the table for a login that speaks for this mail; on a thread."""
        check = CheckRelay(self._client.settings.check_relay or CheckRelay.ACCOUNT)
        accounts, sender = self._reception.accounts, self._reverse_path.address
        return find_login(accounts, sender, self._client.ip, check)

    def _find_login(self, path: ForwardPath, facts: RelayFacts) -> Answer:
        """CHECKRELAY: ask for a login by POP3 or IMAP, once for the mail, and decide again."""
        client, sender = self._client, facts.reverse_path

        def known(result: object) -> None:
            asked = facts
            if isinstance(result, Exception):
                LOG.warning("%s: %s", sender, result)
                asked = replace(facts, login_trouble="the accounts did not answer")
            else:
                self._asks_for_login = False
            if isinstance(result, RelayLogin):
                self._login = result
                asked = self._with_login(facts, result)
            verdict = decide_relay(asked, client.snapshot.relay)
            answer = self._decided(path, asked, verdict, is_relayed=True)
            if answer is not LATER:
                self._answer(answer)

        self._reception.aside(self._look_for_login, known)
        return LATER

    def _with_login(self, facts: RelayFacts, login: RelayLogin) -> RelayFacts:
        age = self._reception.clock.now() - login.time
        seconds = self._client.settings.login_seconds
        return replace(facts, login=login.email, login_age=age, login_seconds=seconds)

    def _decided(
        self, path: ForwardPath, facts: RelayFacts, verdict: Accept | Refuse | TryLater,
        *, is_relayed: bool,
    ) -> Answer:  # fmt: skip
        """Go on with what was decided; `is_relayed`: that it be relayed was asked at all."""
        client, settings, snapshot = self._client, self._client.settings, self._client.snapshot
        address = path.address
        told = facts.as_facts()
        told["connection"] = str(client.connection_id)
        if not isinstance(verdict, Accept):
            if is_relayed and isinstance(verdict, Refuse):
                client.log.relay_refusal(str(facts.reverse_path), str(address), client.auth.user)
            elif not is_relayed and verdict.reply == TOO_MANY_INVALID:
                client.log.too_many_invalid(str(facts.reverse_path), self._invalid)
            return self._refuse(told, verdict)
        if verdict.suffix:
            address = Address.parse(f"{address}{verdict.suffix}")
            path = ForwardPath(address, path.notify, path.orcpt)
        way = route(address, snapshot.routing)
        if (
            settings.check_recipient
            and way.channel is Channel.LOCAL
            and is_ours(address.domain, snapshot.relay) is not None
        ):
            return self._look_up(path, way, told, verdict)
        self._accept(path, way, told, verdict)
        return None

    def _meant(self, facts: RelayFacts) -> Returned | Refuse | TryLater | None:
        """Ask whether a sender that left here comes back as this recipient."""
        snapshot = self._client.snapshot
        if not snapshot.signing:
            return None
        may_relay = permission(facts, snapshot.relay) is not None
        asked = ReturnFacts(facts.reverse_path, facts.forward_path, may_relay)
        return judge_returned(asked, snapshot.signing, self._reception.clock.now())

    def _look_up(self, path: ForwardPath, way: Route, told: Facts, relay: Accept) -> Answer:
        """CHECKRECIPIENT: ask what the delivery would do; a refusal waits for PENALTY."""
        decided = self._reception.foresight.cached(way.target)
        if decided is not None:
            reply = self._judge(path, way, told, relay, decided)
            return LATER if self._is_put_off(reply) else reply

        def known(result: object) -> None:
            reply = self._judge(path, way, told, relay, result)
            if not self._is_put_off(reply):
                self._answer(reply)

        self._reception.foresee(way.target, known)
        return LATER

    def _is_put_off(self, reply: Reply | None) -> bool:
        """Answer a refusal of a mailbox or sender only after PENALTY: guessing is slow."""
        penalty = self._client.settings.penalty
        if reply is None or not penalty:
            return False
        self._reception.later(penalty, lambda: self._answer(reply))
        return True

    def _judge(
        self, path: ForwardPath, way: Route, told: Facts, relay: Accept, result: object
    ) -> Reply | None:
        """Refuse what the delivery would bounce."""
        if isinstance(result, Decided):
            foreseen, rule = foresee(result.plan), result.plan.rule
            hole = self._client.snapshot.queue.black_hole if result.plan.virtual else EMPTY
            if (discards := hole.find(str(self._reverse_path.address))) is not None:
                foreseen, rule = Foreseen.DELIVERABLE, discards
            elif result.plan.instruction:
                told["instruction"] = result.plan.instruction
        else:
            LOG.warning("%s: %s", path.address, result)
            foreseen, rule = Foreseen.UNKNOWN, NO_RULE
        sender = self._reverse_path.address
        verdict = judge_mailbox(foreseen, rule, sender, path.address)
        if isinstance(verdict, Accept):
            self._accept(path, way, told, relay, verdict)
            return None
        state = verdict.reason.rpartition(" ")[2]
        self._client.log.bad_recipient(str(sender), str(path.address), state)
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
        self._client.record(Event.RECIPIENT, "accept", text, relay.rule, facts=told)

    def _refuse(self, told: Facts, verdict: Refuse | TryLater) -> Reply:
        verb = "later"
        if isinstance(verdict, Refuse):
            verb = "refuse"
            self._invalid += 1
        self._client.record(
            Event.RECIPIENT, verb, verdict.reason, verdict.rule, verdict.reply, told
        )
        return verdict.reply

    # -- the body --------------------------------------------------------------------------------

    def begin(self) -> Reply | None:
        """DATA or the first BDAT: choose a queue, and write the Received line."""
        client, reception = self._client, self._reception
        settings = client.settings
        queue = reception.choose_queue(settings)
        if isinstance(queue, MailError):
            reply = self._failed(queue)
            self._tell_refused(reply)
            return reply
        self._queue = queue
        self._born = reception.clock.now()
        word = protocol_word(
            tls=bool(client.tls),
            authenticated=bool(client.auth.user),
            utf8=self._reverse_path.smtputf8,
        )
        origin = Origin(
            client.host, client.ip, client.helo, client.auth.user, settings.localhost, word, client.tls,
            settings.hide_host, certified(client.certificate, client.snapshot.relay)[0],
        )  # fmt: skip
        received = received_line(self.id, origin, header_date(self._born))
        self._body = Body(self.id, queue.spool, reception.aside, received, self._lines_in_front)
        return None

    def chunk(self, data: bytes) -> Answer:
        """Keep the octets; those of a large body go to a file, a piece at a time."""
        body = self._body
        assert body is not None
        if body.add(data):
            return None
        body.write(self._written)
        return LATER

    def end(self, taken: Callable[[Reply], None]) -> None:
        """End of data: into the queue; `taken(reply)` follows the commit."""
        body = self._body
        assert body is not None
        self._taken = taken
        self._arrive()
        if body.is_large:
            body.seal(self._sealed)
        else:
            self._submit(body, body.whole())

    def refused(self, reply: Reply) -> None:
        """The message is not taken: forget its octets, and tell why."""
        self.drop()
        client = self._client
        if reply == replies.TOO_BIG:
            for recipient, _ in self._recipients:
                sender = str(self._reverse_path.address)
                client.log.too_large(sender, recipient.address, self._size)
        else:
            client.tell_trouble(reply)
        self._tell_refused(reply)

    def drop(self) -> None:
        """Nothing more is answered; what was not given to a queue is forgotten."""
        self._dropped = True
        self._arrive()
        if self._body is not None:
            self._body.drop()

    def _arrive(self) -> None:
        if self._is_under_way:
            self._is_under_way = False
            self._reception.under_way -= 1

    @property
    def _size(self) -> int:
        return self._body.size if self._body is not None else 0

    def _lines_in_front(self) -> bytes:
        """Return the lines that the only recipient's delivery will prepend, if that is foreseen."""
        if len(self._recipients) != 1:
            return b""
        reception = self._reception
        recipient = self._recipients[0][0]
        decided = reception.foresight.cached(recipient.target)
        if recipient.channel is Channel.REMOTE or decided is None:
            return b""
        if not decided.plan.maildir:
            return b""
        sender = expanded(str(self._reverse_path.address), recipient.address)
        return reception.local.lines(sender, recipient.target, self.id, self._born, decided)

    def _written(self, result: object) -> None:
        self._answer(None if result is None else self._failed(result))

    def _sealed(self, result: object) -> None:
        if result is None:
            assert self._body is not None
            self._submit(self._body, None)
        else:
            error = result if isinstance(result, Exception) else QueueUnwritable(str(result))
            self._committed(error)

    def _submit(self, body: Body, octets: bytes | None) -> None:
        path = self._reverse_path
        message = QueuedMessage(
            self.id, self._born, str(path.address), body.size, octets, body.start,
            not body.is_ascii, path.smtputf8, path.auth, path.ret, path.envid,
        )  # fmt: skip
        recipients = tuple(recipient for recipient, _ in self._recipients)
        body.give()
        self._queue.accept(message, recipients, self._committed)

    def _committed(self, failure: Exception | None) -> None:
        """Commit point 1: without a failure the message is on disk, so 250 may be said."""
        is_heard = not self._dropped
        if failure is not None:  # it may be on disk all the same: the reopened queue sweeps files
            reply = self._failed(failure)
            self.refused(reply)
        else:
            now = int(self._reception.clock.now())
            reply = Reply(250, "2.0.0", f"ok {now} qp {self.id}")
            self._tell_accepted(reply)
        if is_heard:
            self._taken(reply)

    # -- what is told ----------------------------------------------------------------------------

    def _tell_accepted(self, reply: Reply) -> None:
        client, queue, body = self._client, self._queue, self._body
        assert body is not None
        facts: Facts = {
            **self.facts, "size": body.size, "recipients": len(self._recipients),
            "message_id": body.message_id, "queue": queue.name,
        }  # fmt: skip
        client.record(Event.MESSAGE, "accept", f"queued in {queue.name}", NO_RULE, reply, facts)
        sender = str(self._reverse_path.address)
        for recipient, way in self._recipients:
            client.record(
                Event.ROUTE, way.channel.value, route_text(way.channel, way.target), way.rule,
                facts={"recipient": recipient.address, "number": recipient.number,
                       "target": way.target, "sender": sender},
            )  # fmt: skip
            client.log.accepted(
                client.helo, sender, recipient.address, self._auth_word(recipient), body.size,
                client.tls_version or "No",
            )  # fmt: skip

    def _auth_word(self, recipient: QueuedRecipient) -> str:
        """Return what the log says about how a client may send to a recipient."""
        client, is_local = self._client, recipient.channel is Channel.LOCAL
        if not client.auth.user:
            return "local-rcpt" if is_local else "auth-ip/pop"
        local = ": local-rcpt" if is_local else ""
        return f"{client.auth.user}: AUTH {client.mechanism}{local}"

    def _failed(self, failure: object) -> Reply:
        """Return the reply to a failure of the queue, and write its log lines."""
        reply, client = _failure_reply(failure), self._client
        for recipient, _ in self._recipients:
            client.log.queue_refusal(
                reply.text, client.helo, str(self._reverse_path.address), recipient.address,
                self._auth_word(recipient), self._size, client.tls_version or "No", self.id,
                permanent=not reply.is_temporary,
            )  # fmt: skip
        return reply

    def _tell_refused(self, reply: Reply) -> None:
        verb = "later" if reply.is_temporary else "refuse"
        facts: Facts = {**self.facts, "size": self._size}
        self._client.record(Event.MESSAGE, verb, reply.text, SESSION, reply, facts)


def _failure_reply(failure: object) -> Reply:
    """Return the 4xx for a failure of ours; a peer learns nothing of the disk or its paths."""
    if isinstance(failure, MailError):
        text = failure.reply_text
    else:
        LOG.error("unexpected failure: %r", failure)
        text = MailError.reply_text
    full = "#4.3.1" in text
    return Reply(452 if full else 451, "4.3.1" if full else "4.3.0", text)
