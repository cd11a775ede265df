"""Who is connected: what is known of a client, what it is served with, and what is told of it.

    client = Client(reception, "smtp", peer=("192.0.2.7", 40_000), here=("192.0.2.1", 25))
    client.judge()                      # its rule of tcp.smtp, its settings, the limits
    client.says_hello("mx.example.net"); client.begin_mail(); client.end_mail()
    client.logs_in(LoggedIn("ana@example.com"), "PLAIN")
    client.record(Event.RECIPIENT, "accept", "...", rule, facts=told)

Every connection, refusal and accepted message leaves a trace record with its facts and its rule;
a client's first mail has the connection's id, each later one its own.  What is refused after a mail
has ended already stands under the id that the next one will have.

Sources: spec/smtp.md 3.1, 3.8, 4.1, 13.  Not here: bytes (`serve.smtpd`), the mail itself
(`serve.transaction`), the rules (`policy`).
"""

from typing import Final

from indimail.mail.address import Address
from indimail.mail.envelope import ForwardPath
from indimail.mail.events import Event, Facts, Record
from indimail.mail.ip import plain_ip
from indimail.mail.reply import Reply
from indimail.mail.verdict import NO_RULE, Accept, Rule, TryLater
from indimail.net.names import ClientName
from indimail.net.tls import ClientCertificate
from indimail.policy.limits import ConnectionFacts, decide_connection, is_loopback
from indimail.policy.recipient import at_our_host
from indimail.policy.tcprules import ClientRule
from indimail.serve.login import LoggedIn
from indimail.serve.maillog import SmtpLog
from indimail.serve.reception import Reception
from indimail.serve.snapshot import SessionSettings, Snapshot
from indimail.smtp import replies
from indimail.smtp.command import parse_rcpt
from indimail.smtp.event import Refusal

SESSION: Final = Rule("smtp")  # what the protocol refuses, not an operator's rule
_EVENTS: Final = {"MAIL": Event.SENDER, "RCPT": Event.RECIPIENT, "AUTH": Event.AUTH}
NOBODY: Final = LoggedIn("")
_TROUBLES: Final = {
    replies.LINE_TOO_LONG: "command too long",
    replies.BARE_LF: "Bare LF received",
}


class Client:
    """One client.  `facts` stand in its records; `tls` is what Received says of it.

    `auth` is who is logged in, by which `mechanism`; its user is empty for nobody.
    """

    __slots__ = (
        "_begun",
        "_here",
        "_is_new",
        "_rule",
        "auth",
        "certificate",
        "certificate_trouble",
        "connection_id",
        "facts",
        "helo",
        "host",
        "host_trouble",
        "id",
        "ip",
        "listener",
        "log",
        "mechanism",
        "port",
        "reception",
        "settings",
        "snapshot",
        "tls",
        "tls_version",
    )

    settings: SessionSettings
    snapshot: Snapshot
    _rule: ClientRule

    def __init__(
        self, reception: Reception, listener: str, peer: tuple[str, int], here: tuple[str, int]
    ) -> None:
        self.reception = reception
        self.listener = listener
        self.ip = ip = plain_ip(peer[0])
        self.port = peer[1]
        self._here = here
        self.certificate = self.certificate_trouble = ""  # as `policy.relay.RelayFacts` has them
        self.host = self.host_trouble = ""  # its name in DNS, or why there is no answer
        self.helo = self.tls = self.tls_version = self.mechanism = ""
        self.auth = NOBODY
        self.id = self.connection_id = reception.ids.next(int(reception.clock.now() * 1e6))
        self._is_new = True  # no mail has had the id yet
        self._begun = False
        self.facts: Facts = {"ip": ip, "port": self.port, "listener": listener, "name": ""}
        self.log = SmtpLog(reception.lines, self.id, ip)
        reception.connections.opened(ip)

    # -- may it connect? -------------------------------------------------------------------------

    def is_called(self, found: ClientName) -> None:
        """Take what DNS says of its name."""
        self.host, self.host_trouble = found.name, found.trouble
        self.facts = {**self.facts, "name": found.name}

    def judge(self) -> Accept | TryLater | None:
        """Judge the connection; None: tcp.smtp says deny, it is closed without a word."""
        reception = self.reception
        self.snapshot = snapshot = reception.config.current
        self._rule = rule = snapshot.tcp_rules.find(self.ip, self.host)
        if not rule.allowed:
            self.record(Event.CONNECT, "refuse", "denied", rule.rule)
            self._tell_judged("deny", 0)
            return None
        self.settings = settings = snapshot.session(self.listener, rule)
        limits = settings.connection_limits
        maxperip = limits.maxperip or 0
        self._tell_judged("ok", maxperip)
        counts = reception.connections  # they count this one too
        total, of_client = counts.total() - 1, counts.of_client(self.ip) - 1
        facts = ConnectionFacts(self.ip, total, of_client, is_loopback(self.ip))
        verdict = decide_connection(facts, limits)
        if isinstance(verdict, TryLater):
            self.record(Event.CONNECT, "refuse", verdict.reason, verdict.rule, verdict.reply)
            reception.tcpserver.no_slot(self.ip, maxperip, verdict.reason)
            return verdict
        self.record(Event.CONNECT, "accept", rule.text, rule.rule)
        self._begun = True
        return verdict

    def left(self, why: str) -> None:
        """The connection is over."""
        reception = self.reception
        reception.connections.closed(self.ip)
        if self._begun:
            self.id = self.connection_id
            self.record(Event.DISCONNECT, "end", why)
            reception.tcpserver.ended(self.id, 0)

    def _tell_judged(self, word: str, maxperip: int) -> None:
        here = self.reception.local_host, *self._here
        there = self.host, self.ip, self.port
        self.reception.tcpserver.judged(word, self.connection_id, here, there, "", maxperip)

    # -- what it says of itself ------------------------------------------------------------------

    def says_hello(self, name: str) -> None:
        """HELO, EHLO."""
        self.helo = name
        self.facts = {**self.facts, "helo": name}

    def begins_tls(self, version: str, description: str, shown: ClientCertificate) -> None:
        """The handshake is done; what was said before it does not count (RFC 3207 4.2)."""
        self.helo = self.mechanism = ""
        self.auth = NOBODY
        self.tls_version, self.tls = version, description
        self.certificate = " ".join(shown.addresses)
        self.certificate_trouble = shown.trouble
        self.facts = {**self.facts, "tls": description}
        self.facts.pop("helo", None)
        self.facts.pop("auth_user", None)

    def logs_in(self, outcome: LoggedIn, mechanism: str) -> None:
        """AUTH."""
        self.auth, self.mechanism = outcome, mechanism
        self.facts = {**self.facts, "auth_user": outcome.user}

    def begin_mail(self) -> None:
        """MAIL: the next id, under the newest configuration."""
        reception = self.reception
        snapshot = reception.config.current
        if snapshot is not self.snapshot:
            self.snapshot = snapshot
            rule = snapshot.tcp_rules.find(self.ip, self.host)
            if rule.allowed:  # else a new connection is refused; this one keeps what it has
                self._rule = rule
                self.settings = snapshot.session(self.listener, rule)
        if not self._is_new:
            self._renew()
        self._is_new = False

    def end_mail(self) -> None:
        """The mail was taken, refused or dropped."""
        self._renew()
        self._is_new = True

    def _renew(self) -> None:
        reception = self.reception
        self.id = reception.ids.next(int(reception.clock.now() * 1e6))

    def at_our_host(self, address: Address) -> Address:
        """Take an address literal of ours for our host (spec/smtp.md 4.1)."""
        if not address.domain.startswith("["):
            return address
        settings = self.settings
        ours = ({plain_ip(self._here[0])} | settings.more_ip_me) - settings.not_ip_me
        return at_our_host(address, ours, settings.localiphost)

    # -- what is told of it ----------------------------------------------------------------------

    def record(
        self, event: Event, verdict: str, text: str, rule: Rule = NO_RULE,
        reply: Reply | None = None, facts: Facts | None = None,
    ) -> None:  # fmt: skip
        """Leave a record under the id of the mail."""
        reception = self.reception
        reception.trace.add(
            Record(self.id, reception.clock.now(), event, verdict, text, rule,
                   str(reply) if reply else "", self.facts if facts is None else facts)
        )  # fmt: skip

    def tell_refusal(self, refusal: Refusal, facts: Facts | None) -> None:
        """Tell what the session refused without asking; `facts` are those of the transaction."""
        reply = refusal.reply
        told = {
            "connection": str(self.connection_id), **(facts or self.facts),
            "command": refusal.verb, "argument": refusal.argument,
        }  # fmt: skip
        event = _EVENTS.get(refusal.verb, Event.MESSAGE)
        verdict = "later" if reply.is_temporary else "refuse"
        self.record(event, verdict, reply.text, SESSION, reply, told)
        if reply == replies.TOO_MANY_RECIPIENTS:
            last = parse_rcpt(refusal.argument.encode(), utf8=True)
            shown = str(last.address) if isinstance(last, ForwardPath) else ""
            self.log.too_many_recipients(str(told.get("sender", "")), shown)
        else:
            self.tell_trouble(reply)

    def tell_trouble(self, reply: Reply) -> None:
        """Write the line that tools know for some refusals of the session (spec/smtp.md 13)."""
        if reply in _TROUBLES:
            self.log.trouble(_TROUBLES[reply])
