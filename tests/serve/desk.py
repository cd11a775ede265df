"""qmail-smtpd with everything around it moved by hand, on one thread.

desk = Desk()
client = desk.connect()
client.say("EHLO there", "MAIL FROM:<eve@example.net>", ...)
desk.work()                      # what was put on threads
desk.queue.commit()              # the queue's commit came
client.heard()                   -> ["250 2.0.0 ok ..."]
"""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from indimail.accounts.cache import CachedLookup
from indimail.accounts.login import Storing
from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.passwords import Method, hash_password
from indimail.accounts.port import Account
from indimail.delivery.assign import Assign
from indimail.delivery.environment import Addressee
from indimail.delivery.headers import delivered_to
from indimail.delivery.plan import Action, Deliver, Fail, Plan
from indimail.durable.committer import Done
from indimail.durable.disk import Disk
from indimail.mail.errors import MailError
from indimail.mail.events import Record
from indimail.mail.foreseen import Foreseen
from indimail.mail.ids import QueueIds
from indimail.mail.line import Line
from indimail.mail.match import parse_domains
from indimail.mail.secret import Secret
from indimail.mail.verdict import NO_RULE, Rule
from indimail.mailbox.maildirsize import MaildirSizes
from indimail.net.connections import ConnectionTable
from indimail.net.names import ClientName
from indimail.net.recent import RecentTable
from indimail.net.tls import TlsContext
from indimail.policy.limits import ConnectionLimits
from indimail.policy.recipient import RecipientLimits
from indimail.policy.relay import RelayRules
from indimail.policy.relaylists import RelayDomains, parse_relaydomains
from indimail.policy.sender import SenderRules
from indimail.policy.tcprules import parse_tcp_rules
from indimail.queue.port import QueuedMessage, QueuedRecipient
from indimail.queue.spool import Spool
from indimail.schedule.route import parse_routing
from indimail.serve.authentication import Authenticator
from indimail.serve.authoffer import AuthOffer
from indimail.serve.foresight import Decided
from indimail.serve.locks import QuotaLocks
from indimail.serve.login import Outcome
from indimail.serve.loginlimits import FAILURES_KEPT, LOGINS_KEPT, LoginLimits
from indimail.serve.maillog import TcpserverLog
from indimail.serve.quota import OwnQuotas, Quotas
from indimail.serve.reception import Reception
from indimail.serve.senders import SenderLookup
from indimail.serve.smtpd import SmtpConnection
from indimail.serve.snapshot import (
    NOTHING_GRANTED,
    ListenerConfig,
    ProcessSettings,
    QueueSettings,
    QuotaSettings,
    SendSettings,
    SessionSettings,
    Snapshot,
    grant,
)
from indimail.serve.verifying import Verifier
from indimail.smtp.rules import SessionRules
from indimail.testing.clock import FakeClock
from indimail.testing.disk import SimulatedDisk

STRANGER = ("192.0.2.7", 40_000)


def lines(file: str, *texts: str) -> list[Line]:
    return [Line(file, number, text) for number, text in enumerate(texts, 1)]


def session_settings(**changes: Any) -> SessionSettings:
    """Return settings of a plain listener; what a rule of tcp.smtp changes is given."""
    values: dict[str, Any] = {
        "session_rules": SessionRules(("mx.example.com",), extra_greet=False),
        "connection_limits": ConnectionLimits("mx.example.com"),
        "sender_rules": SenderRules(),
        "recipient_limits": RecipientLimits(),
        "timeout": 1200.0,
        "session_time": 0.0,
        "penalty": 0.0,
        "smtps": False,
        "hide_host": False,
        "check_recipient": False,
        "check_recipient_rule": NO_RULE,
        "relayclient": None,
        "relayclient_rule": NO_RULE,
        "relayclients": "relayclients",
        "check_relay": None,
        "check_relay_rule": NO_RULE,
        "login_seconds": 3600.0,
        "norelay": False,
        "localhost": "mx.example.com",
        "localiphost": "",
        "more_ip_me": frozenset(),
        "not_ip_me": frozenset(),
        "queuedir": "",
    }
    return SessionSettings(**{**values, **changes})


SEND = SendSettings(10, 20, False, False, 604_800.0, 86_400.0)


def relaydomains(*texts: str) -> RelayDomains:
    """Return the lines of control/relaydomains."""
    found, wrong = parse_relaydomains(lines("control/relaydomains", *texts))
    assert not wrong
    return found


def snapshot(
    *tcp: str, generation: int = 1, relay: dict[str, Any] | None = None, **changes: Any
) -> Snapshot:
    """Return a configuration: example.com is ours; `tcp` are the lines of tcp.smtp.

    `relay` are rules besides rcpthosts.
    """
    tcp_rules, wrong = parse_tcp_rules(lines("tcp/tcp.smtp", *tcp))
    routing, more = parse_routing(
        {"virtualdomains": lines("control/virtualdomains", "example.com:example.com")},
        "mx.example.com",
    )
    assert not wrong + more
    ours, _ = parse_domains(lines("control/rcpthosts", "example.com"))
    plain = session_settings(**changes)
    sessions = {("smtp", NOTHING_GRANTED): plain}
    for _, rule in tcp_rules.listed:
        granted = dict(changes)
        if "RELAYCLIENT" in rule.variables:
            granted["relayclient"] = rule.variables["RELAYCLIENT"]
            granted["relayclient_rule"] = Rule("tcp/tcp.smtp")
        sessions["smtp", grant(rule)] = session_settings(**granted)
    return Snapshot(
        generation,
        str(generation),
        "mx.example.com",
        (ListenerConfig("smtp", "smtp", "::", 25),),
        ProcessSettings(
            1, "indimail", False, 30.0, False, 10_000, NO_RULE, "", "", "", "", Secret("")
        ),
        tcp_rules,
        RelayRules(ours, **(relay or {})),
        routing,
        Assign({}, {}),
        QueueSettings("/queue", 1, 1, "", 0, SEND),
        sessions,
        {},
    )


class Config:
    """A configuration; while `stale`, who asks has to wait for `refresh`."""

    def __init__(self, current: Snapshot) -> None:
        self.current = current
        self.stale = False
        self._waiting: list[Callable[[], None]] = []

    def when_fresh(self, go_on: Callable[[], None]) -> bool:
        if self.stale:
            self._waiting.append(go_on)
        return not self.stale

    def refresh(self, new: Snapshot) -> None:
        self.current, self.stale = new, False
        waiting, self._waiting = self._waiting, []
        for go_on in waiting:
            go_on()


def quotas(
    disk: Disk,
    clock: FakeClock,
    aside: Any,
    accounts: MemoryAccounts,
    settings: Callable[[], QuotaSettings] = QuotaSettings,
) -> Quotas:
    """Return the quotas of a worker that runs as uid 89; nobody is told of a lock."""
    sizes = MaildirSizes(disk, clock)
    own = OwnQuotas(sizes, settings, disk, clock, aside)
    locks = QuotaLocks(accounts, accounts, lambda uid, gid: own, lambda name, domain: None)
    return Quotas(lambda uid, gid: own, settings, locks, aside)


class Threads:
    """What runs aside: begun when the test says so, and told to the loop at once."""

    def __init__(self) -> None:
        self._work: deque[tuple[Callable[[], object], Callable[[object], None]]] = deque()

    def __call__(self, work: Callable[[], object], then: Callable[[object], None]) -> None:
        self._work.append((work, then))

    def __len__(self) -> int:
        return len(self._work)

    def work_all(self) -> None:
        """Do all that was begun; the loop is told only after the last."""
        begun, self._work = list(self._work), deque()
        for work, then in begun:
            self._work.append((partial(_itself, work()), then))

    def run(self, most: int = 1_000, *, last_first: bool = False) -> None:
        """Do what was begun; on several threads the last may well be done first."""
        while self._work and most:
            most -= 1
            work, then = self._work.pop() if last_first else self._work.popleft()
            try:
                result = work()
            except Exception as error:
                result = error
            then(result)


def _itself(result: object) -> object:
    return result


class Queue:
    """A queue that commits when it is told."""

    def __init__(self, disk: SimulatedDisk) -> None:
        self.name = "queue1"
        self.spool = Spool(disk, "/queue/queue1")
        self.submitted: list[tuple[QueuedMessage, tuple[QueuedRecipient, ...], Done]] = []
        self.accepted: list[tuple[QueuedMessage, tuple[QueuedRecipient, ...]]] = []

    def accept(
        self, message: QueuedMessage, recipients: tuple[QueuedRecipient, ...], done: Done
    ) -> None:
        self.submitted.append((message, recipients, done))

    def commit(self, failure: MailError | None = None) -> None:
        """End a round: everything submitted is durable, or nothing of it."""
        round_, self.submitted = self.submitted, []
        for message, recipients, done in round_:
            if failure is None:
                self.accepted.append((message, recipients))
            done(failure)


class Foresight:
    """Plans by address; who has none is absent, and only what is `known` is told at once."""

    def __init__(self) -> None:
        self.plans: dict[str, Plan] = {}
        self.uid = 89
        self.known: set[str] = set()
        self.failure: Exception | None = None

    def knows(self, target: str, *plan: Action, owner: str = "", virtual: bool = True) -> None:
        self.plans[target] = Plan(plan, owner, virtual)
        self.known.add(target)

    def cached(self, target: str) -> Decided | None:
        return self.decide(target) if target in self.known else None

    def decide(self, target: str) -> Decided:
        if self.failure is not None:
            raise self.failure
        plan = self.plans.get(target, Plan((ABSENT,), virtual=True))
        local, _, host = target.rpartition("@")
        who = Addressee("indimail", "/home", local, host, local)
        return Decided(plan, delivered_to(target), who, self.uid, 89, (), 0.0, (0, 0))


QMAIL_DEFAULT = Rule("domains/example.com/.qmail-default", 1)
ABSENT = Fail("no such user", "5.1.1", Foreseen.ABSENT, QMAIL_DEFAULT)
DELIVERABLE = Deliver("/mail/somebody/Maildir", QMAIL_DEFAULT)


class Lines:
    """A log in memory."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, line: str) -> None:
        self.lines.append(line)

    urgent = add


class Records(list[Record]):
    """A trace in memory."""

    def add(self, record: Record) -> None:
        self.append(record)

    def told(self, event: str) -> list[Record]:
        return [record for record in self if record.event == event]


class AuthSite:
    """Passwords are stored as DES hashes, which are fast; the limits of all domains are on."""

    def storing(self, domain: str) -> Storing:
        return Storing(Method.DES, None)

    def has_limits(self, domain: str) -> bool:
        return True


class Prepending:
    """The one thing that reception asks the local delivery."""

    def lines(
        self, sender: str, target: str, queue_id: int, born: float, decided: Decided
    ) -> bytes:
        return f"Delivered-To: {target}\n".encode()


class Client(asyncio.Transport):
    """The other end of a connection."""

    def __init__(self, peer: tuple[str, int], listener: str, reception: Reception) -> None:
        super().__init__({"peername": peer, "sockname": ("192.0.2.1", 25)})
        self.told = b""
        self.closed = False
        self.aborted = False
        self.paused = False
        self.connection = SmtpConnection(reception, listener)
        self.connection.connection_made(self)

    @property
    def id(self) -> int:
        """The id of its mail."""
        return self.connection.client.id

    @property
    def connection_id(self) -> int:
        return self.connection.client.connection_id

    def send(self, data: bytes) -> None:
        self.connection.data_received(data)

    def say(self, *commands: str) -> None:
        """Send commands in one piece, as a pipelining client does."""
        self.send("".join(f"{command}\r\n" for command in commands).encode())

    def heard(self) -> list[str]:
        """Return the lines that came since the last look."""
        told, self.told = self.told, b""
        return told.decode().splitlines()

    def leave(self) -> None:
        self.closed = True
        self.connection.connection_lost(None)

    # the transport, as the connection sees it

    def write(self, data: Any) -> None:
        self.told += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Desk:
    """A worker's share of reception."""

    def __init__(self, *tcp: str, tls: TlsContext | None = None, **changes: Any) -> None:
        self.clock = FakeClock()
        self.disk = SimulatedDisk()
        self.config = Config(snapshot(*tcp, **changes))
        self.threads = Threads()
        self.queue = Queue(self.disk)
        self.choice: Queue | MailError = self.queue
        self.foresight = Foresight()
        self.trace = Records()
        self.accounts = MemoryAccounts()
        self.names: list[tuple[str, Callable[[ClientName], None]]] = []  # asked, and not told yet
        self.log = Lines()
        self.table = ConnectionTable(1)
        self.work = self.threads.run
        fakes: Any = (self.foresight, Prepending())
        self.users = CachedLookup(self.accounts, self.clock, expiry=3.0)
        self.modules: list[Outcome] = []  # what programs will say
        self.failures = RecentTable(1, FAILURES_KEPT)
        self.authenticator = Authenticator(
            Verifier(
                self.users, self.accounts, AuthSite(), self.clock,
                lambda modules, attempt: self.modules.pop(0),
                lambda program, attempt, who: self.modules.pop(0), b"the server's",
            ),
            LoginLimits(
                self.failures.of_worker(0), RecentTable(1, LOGINS_KEPT).of_worker(0), self.clock
            ),
            self.clock,
            self.threads,
        )  # fmt: skip
        self.offer = AuthOffer(self.users, self.accounts, self.threads, self.clock)
        self.reception = Reception(
            config=self.config,
            connections=self.table.of_worker(0),
            ids=QueueIds(1),
            clock=self.clock,
            trace=self.trace,
            lines=self.log,
            tcpserver=TcpserverLog(self.log),
            foresight=fakes[0],
            foresee=lambda target, told: self.threads(lambda: self.foresight.decide(target), told),
            local=fakes[1],
            aside=self.threads,
            choose_queue=lambda _: self.choice,
            local_host="mx.example.com",
            tls=lambda: tls,
            accounts=self.accounts,
            name_of=lambda ip, told: self.names.append((ip, told)),
            authenticator=self.authenticator,
            offer=self.offer,
            sender_state=SenderLookup(fakes[0], self.users),
        )

    def knows(self, address: str, password: str, **more: Any) -> None:
        """Add an account with a mailbox."""
        name, _, domain = address.partition("@")
        hashed = hash_password(password, Method.DES)
        self.accounts.add(Account(name, domain, hashed, **more))
        self.foresight.knows(f"{domain}-{address}", DELIVERABLE)

    def connect(self, peer: tuple[str, int] = STRANGER) -> Client:
        return Client(peer, "smtp", self.reception)

    def greeted(self, peer: tuple[str, int] = STRANGER) -> Client:
        """Connect, say hello, and forget what was heard."""
        client = self.connect(peer)
        client.say("EHLO client.example.net")
        client.heard()
        return client

    def spooled(self) -> list[str]:
        return self.disk.names("/queue/queue1/mess")
