"""The configuration in force, as one value that all workers take together.

    settings = snapshot.session("smtp", snapshot.tcp_rules.find("192.0.2.1"))
    settings.session_rules.databytes, settings.relayclient_rule     # Rule('tcp/tcp.smtp', 3)

`app.configuration` makes it, whole or not at all; it goes to the workers pickled, and nothing in it
changes afterwards.  A conversation keeps the one it began a MAIL with.  What differs by client was
resolved for every rule of tcp.smtp when the files were read, so that a wrong value in a rule is
told then, and a connection costs one look-up.

Units: seconds, octets.  Not here: where values come from (`app.settings`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from indimail.delivery.assign import Assign
from indimail.delivery.blackhole import EMPTY, BlackHole
from indimail.delivery.bounce import BounceSettings
from indimail.delivery.daily import DailyLimits
from indimail.delivery.mx import Ourselves
from indimail.delivery.overquota import MAILSIZE
from indimail.delivery.program import Limits
from indimail.mail.channel import Channel
from indimail.mail.secret import Secret
from indimail.mail.verdict import NO_RULE, Rule
from indimail.mailbox.maildirsize import Counting
from indimail.net.dns import Server
from indimail.policy.limits import ConnectionLimits
from indimail.policy.recipient import RecipientLimits
from indimail.policy.relay import RelayRules
from indimail.policy.sender import SenderRules
from indimail.policy.signing import Signing
from indimail.policy.tcprules import ClientRule, TcpRules
from indimail.schedule.nexthop import Routes
from indimail.schedule.outgoing import Outgoing
from indimail.schedule.route import Routing
from indimail.serve.login import AuthSettings
from indimail.smtp.rules import SessionRules

# Role -> the port that the spec gives it.
ROLES: Final[Mapping[str, int]] = {
    "smtp": 25,
    "submission": 587,
    "submissions": 465,
    "pop3": 110,
    "pop3s": 995,
    "imap": 143,
    "imaps": 993,
    "http": 8080,
}


@dataclass(frozen=True, slots=True)
class ListenerConfig:
    """Where to accept what; port 0 is any free one."""

    name: str
    role: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """What a connection of one listener and one rule of tcp.smtp is served with."""

    session_rules: SessionRules
    connection_limits: ConnectionLimits
    sender_rules: SenderRules
    recipient_limits: RecipientLimits
    timeout: float  # longest silence
    session_time: float  # longest conversation; 0 = no limit
    penalty: float
    smtps: bool
    hide_host: bool
    check_recipient: bool
    check_recipient_rule: Rule
    relayclient: str | None  # None: may not relay by this; else the suffix of its recipients
    relayclient_rule: Rule
    relayclients: str  # the control file of this name permits by address
    check_relay: str | None  # a `serve.logins.CheckRelay`; None: no login permits
    check_relay_rule: Rule
    login_seconds: float  # how long a login counts
    norelay: bool
    localhost: str  # our name in the Received line
    localiphost: str
    more_ip_me: frozenset[str]
    not_ip_me: frozenset[str]
    queuedir: str  # empty: a queue of this worker's
    auth: AuthSettings = AuthSettings()
    auth_all: Rule | None = None  # the rule by which every recipient needs a permission


@dataclass(frozen=True, slots=True)
class SendSettings:
    """How a queue is worked off; `concurrency...` 0 holds too."""

    concurrencylocal: int
    concurrencyremote: int
    holdlocal: bool
    holdremote: bool
    queuelifetime: float
    bouncelifetime: float

    def at_once(self, channel: Channel) -> int:
        """Return how many deliveries of a channel may be in work."""
        if channel is Channel.LOCAL:
            return 0 if self.holdlocal else self.concurrencylocal
        return 0 if self.holdremote else self.concurrencyremote


@dataclass(frozen=True, slots=True)
class InjectSettings:
    """What local programs may send; 0 = no limit."""

    databytes: int = 0
    databytes_rule: Rule = NO_RULE
    max_recipients: int = 0
    max_recipients_rule: Rule = NO_RULE
    hide_host: bool = False


@dataclass(frozen=True, slots=True)
class QuotaSettings:
    """What holds for the quotas of all mailboxes; `limits` are those of a day.

    `command` is the program of OVERQUOTA_CMD, `hold` the absolute path of HOLDOVERQUOTA.
    """

    counting: Counting = Counting()
    mailsize: int = MAILSIZE
    limits: DailyLimits | None = None
    percents: tuple[int, ...] = ()
    command: str = ""
    hold: str = ""

    def hold_file(self, maildir: str) -> str:
        """Return the file that makes what is over quota wait."""
        return self.hold or f"{maildir}/holdoverquota"


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """What holds for deliveries to all local addresses.

    `max_delivered_to` is how many equal Delivered-To lines are no loop yet; below 0, any number.
    `qmail_ext`: mail for an absent ``user-ext`` goes to the user.
    `discard_bounce`: what vdelivermail would bounce is discarded.
    `allow_inactive`: inactive users get their mail.  `no_alias`: nobody's aliases and .qmail count.
    `duplicates`: for so many seconds a mail is not delivered again to where it is; 0, it always is.
    `only_local`: by which rule all homes take mail of `local_domains` alone, not only those that say so.
    """

    max_delivered_to: int = 0
    qmail_ext: bool = False
    discard_bounce: bool = False
    allow_inactive: bool = False
    no_alias: bool = False
    duplicates: int = 0
    local_domains: Mapping[str, Rule] = field(default_factory=dict)
    only_local: Rule | None = None


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """Which queues there are; `count` of them, from `start` on, take new mail."""

    base: str
    start: int
    count: int
    queuedir: str
    min_free: int
    send: SendSettings
    # Queues with a concurrency of their own (control/concurrencyl.queue2): name -> its settings.
    sends: Mapping[str, SendSettings] = field(default_factory=dict)
    inject: InjectSettings = field(default_factory=InjectSettings)
    bounces: BounceSettings = field(default_factory=BounceSettings)
    default_delivery: str = "./Maildir/"
    quota: QuotaSettings = field(default_factory=QuotaSettings)
    local: LocalSettings = field(default_factory=LocalSettings)
    black_hole: BlackHole = EMPTY
    programs: Limits = field(default_factory=Limits)
    lspawn_idle: float = 60.0  # seconds that another user's process is kept with nothing to do

    @property
    def directories(self) -> tuple[str, ...]:
        """The queues that take new mail."""
        if self.queuedir:
            return (self.queuedir,)
        return tuple(f"{self.base}/queue{self.start + number}" for number in range(self.count))

    def send_settings(self, name: str) -> SendSettings:
        """Return how the queue of this name is worked off."""
        return self.sends.get(name, self.send)


@dataclass(frozen=True, slots=True)
class RemoteSettings:
    """Where mail for other hosts goes, and how; without `servers`, resolv.conf names them.

    Times are seconds.  `per_host` are connections of one worker to one next hop; `no_tls` hosts with
    which there is no TLS; `auth` the variables AUTH_SMTP and SECURE_AUTH.
    """

    servers: tuple[Server, ...] = ()
    routes: Routes = field(default_factory=Routes)
    outgoing: Outgoing = Outgoing(("", NO_RULE))
    ourselves: Ourselves = Ourselves()
    timeoutconnect: float = 60.0
    timeoutremote: float = 1200.0
    per_host: int = 10
    no_tls: frozenset[str] = frozenset()
    auth: Mapping[str, str] = field(default_factory=dict)
    next_after_hello: bool = False
    chunking: bool = True
    signing: Signing = Signing()


@dataclass(frozen=True, slots=True)
class ProcessSettings:
    """What is decided before the first fork; a change takes effect at the next start."""

    workers: int
    user: str
    log_files: bool  # log/ instead of stderr
    drain: float
    affinity: bool  # a processor for each worker, where there are as many
    max_connections: int
    max_connections_rule: Rule
    certificate: str  # a path; empty: there is none
    key: str
    client_authorities: str  # a path; empty: clients are asked for no certificate
    client_crl: str
    database_url: Secret  # empty: SQLite in db/


# (variables, removed): rules of tcp.smtp that say the same share their settings.
Grant = tuple[frozenset[tuple[str, str]], frozenset[str]]


@dataclass(slots=True, eq=False)
class Snapshot:
    """Everything that files, the command line and the environment say.

    `fingerprint` is equal where nothing changed, whatever the generation.
    """

    generation: int
    fingerprint: str
    me: str
    listeners: tuple[ListenerConfig, ...]
    process: ProcessSettings
    tcp_rules: TcpRules
    relay: RelayRules
    routing: Routing
    assign: Assign
    queue: QueueSettings
    sessions: Mapping[tuple[str, Grant], SessionSettings]
    variables: Mapping[str, str]  # for deliveries and commands: [variables], then the environment
    notices: tuple[str, ...] = ()
    remote: RemoteSettings = field(default_factory=RemoteSettings)
    signing: Signing = Signing()
    _by_rule: dict[tuple[str, Rule], SessionSettings] = field(default_factory=dict, repr=False)

    @property
    def asks_for_names(self) -> bool:
        """Tell whether it matters what a client is called in DNS."""
        return self.tcp_rules.has_names or bool(self.relay.relaydomains.hosts)

    @property
    def default_delivery(self) -> str:
        """The lines of a .qmail for who has none."""
        return self.queue.default_delivery

    @property
    def local(self) -> LocalSettings:
        """What holds for deliveries to all local addresses."""
        return self.queue.local

    @property
    def quota(self) -> QuotaSettings:
        """What holds for the quotas of all mailboxes."""
        return self.queue.quota

    def session(self, listener: str, client: ClientRule) -> SessionSettings:
        """Return what a client is served with; the first call for a rule fills a cache."""
        key = (listener, client.rule)
        found = self._by_rule.get(key)
        if found is None:
            found = self._by_rule[key] = session_of(self.sessions, listener, client)
        return found


def session_of(
    sessions: Mapping[tuple[str, Grant], SessionSettings], listener: str, client: ClientRule
) -> SessionSettings:
    """Return what a client is served with, with its rule as what decided."""
    found = sessions[listener, grant(client)]
    return _named(found, client.rule) if client.variables else found


class Configuration(Protocol):
    """The configuration in force; `app.follow` keeps it."""

    @property
    def current(self) -> Snapshot:
        """The newest snapshot."""

    def when_fresh(self, go_on: Callable[[], None]) -> bool:
        """Return True where the snapshot is up to date; else call `go_on` once it is."""


# Stands for the rule of tcp.smtp in settings that several rules share.
GRANTED: Final = Rule("tcp/tcp.smtp")


def _named(settings: SessionSettings, rule: Rule) -> SessionSettings:
    """Put a rule where settings say that its like decided."""
    limits, senders = settings.connection_limits, settings.sender_rules
    recipients = settings.recipient_limits
    if limits.maxperip_rule == GRANTED:
        limits = replace(limits, maxperip_rule=rule)
    if senders.force_tls == GRANTED:
        senders = replace(senders, force_tls=rule)
    if senders.requireauth == GRANTED:
        senders = replace(senders, requireauth=rule)
    if senders.checksender == GRANTED:
        senders = replace(senders, checksender=rule)
    if recipients.rule == GRANTED:
        recipients = replace(recipients, rule=rule)
    checked, relayed = settings.check_recipient_rule, settings.relayclient_rule
    auth = settings.auth
    if auth.per_client_rule == GRANTED:
        auth = replace(auth, per_client_rule=rule)
    if auth.per_user_rule == GRANTED:
        auth = replace(auth, per_user_rule=rule)
    login = settings.check_relay_rule
    return replace(
        settings,
        connection_limits=limits,
        sender_rules=senders,
        recipient_limits=recipients,
        check_recipient_rule=rule if checked == GRANTED else checked,
        relayclient_rule=rule if relayed == GRANTED else relayed,
        auth=auth,
        auth_all=rule if settings.auth_all == GRANTED else settings.auth_all,
        check_relay_rule=rule if login == GRANTED else login,
    )


def grant(client: ClientRule) -> Grant:
    """Return what a rule changes."""
    return frozenset(client.variables.items()), client.removed


NOTHING_GRANTED: Final[Grant] = (frozenset(), frozenset())
