"""Who may send to whom: the decision that keeps the server from being an open relay.

    decide_relay(facts, rules)    -> Accept(rule, "rcpthosts") or Refuse(553 5.7.1 ...)

A recipient in a domain of ours is accepted from everybody, any other needs a permission.  The
permissions are tried in the order of `PERMISSIONS`, each a function of facts and rules; the first
that holds decides, so none can take away what another gave:

| permission        | what grants it                                  | holds for        | built |
|-------------------|-------------------------------------------------|------------------|-------|
| ``tcp.smtp``      | the client's rule sets RELAYCLIENT              | connection       | yes   |
| ``relayclients``  | client IP in control/relayclients               | connection       | yes   |
| ``relaydomains``  | client name in control/relaydomains             | connection       | yes   |
| ``smtp-auth``     | an authenticated user without NO_RELAY          | connection       | yes   |
| ``relaymailfrom`` | reverse-path in control/relaymailfrom           | transaction      | yes   |
| ``tlsclients``    | the client's certificate in control/tlsclients  | connection       | yes   |
| ``relay table``   | a POP3 or IMAP login from there, CHECKRELAY set | transaction      | yes   |
| ``srs``           | a sender that was rewritten here comes back     | recipient        | yes   |

A line of relaydomains with ``@`` names a domain to which every client may send; it is asked last.

Where AUTH_ALL is set, or authdomains lists the sender, no domain is ours for this mail: every
recipient needs a permission.

The suffix of a permission (RELAYCLIENT's value, usually empty) is appended to every recipient of
the client, of ours too.

`RelayFacts` is all that the decision saw; a trace record keeps it (`as_facts`), and it can be
decided again from there under changed rules (`from_facts`).

Sources: spec/smtp.md 3, 3.8, 4.2, 5.2, 0.3 (either suffices), 0.9 (how long it holds).  Not here: the
order of the other checks at RCPT (`policy.recipient`); look-ups (a failed one is a 451 of the
caller, never a "no" in the facts).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from msgspec import Struct

from indimail.mail.address import NULL, Address
from indimail.mail.addresslist import NO_ADDRESSES, AddressList
from indimail.mail.match import EMPTY, DomainTable
from indimail.mail.reply import Reply
from indimail.mail.verdict import NO_RULE, Accept, Refuse, Rule, TryLater
from indimail.policy.clients import ClientTable
from indimail.policy.permission import Permission
from indimail.policy.relaylists import RelayDomains, RelaySenders, sender_key

RELAYCLIENTS: Final = "relayclients"


class RelayFacts(Struct, frozen=True):
    """One RCPT TO and all that is known about who asks; empty text means unknown.

    `relayclient` is the value of RELAYCLIENT, None where it is not set, and `relayclient_rule` the
    place that set it.  `relayclients` is the control file that counts for the client.  `client_host`
    is its confirmed name; `host_trouble` says why there is no answer about it.  `auth_user` is who is
    logged in, `auth_rule` what says so, and `auth_relays` whether that is a permission (False: NO_RELAY).
    `auth_all` is the rule that set AUTH_ALL, None where it is not set.  `tls` is the version of the
    protocol, ``TLSv1.3``.  `size` is in octets, as declared.

    `certificate` has the mail addresses of the client's certificate, apart by blanks;
    `certificate_trouble` says why one that it showed is not believed.

    `login` is whose login by POP3 or IMAP speaks for the client, empty: nobody's, or not looked for yet;
    `login_age` is its age in seconds, and `login_seconds` how long one counts.  `login_trouble` says why
    the table gave no answer.

    `offered` is the recipient as it came, where it was signed or rewritten (`policy.signing`);
    `srs_rule`: it stands for the sender of what was forwarded, by this line.
    """

    client_ip: str
    client_host: str = ""
    host_trouble: str = ""
    listener: str = ""
    helo: str = ""
    reverse_path: Address = NULL
    forward_path: Address = NULL
    relayclient: str | None = None
    relayclient_rule: Rule = NO_RULE
    relayclients: str = RELAYCLIENTS
    offered: str = ""
    srs_rule: Rule = NO_RULE
    auth_user: str = ""
    auth_relays: bool = True
    auth_rule: Rule = NO_RULE
    auth_all: Rule | None = None
    tls: str = ""
    certificate: str = ""
    certificate_trouble: str = ""
    size: int = 0
    login: str = ""
    login_age: float = 0.0
    login_seconds: float = 0.0
    login_trouble: str = ""

    def as_facts(self) -> dict[str, str | int | float | bool]:
        """Return what a trace record keeps."""
        facts: dict[str, str | int | float | bool] = {
            "client_ip": self.client_ip,
            "client_host": self.client_host,
            "listener": self.listener,
            "helo": self.helo,
            "sender": str(self.reverse_path),
            "recipient": str(self.forward_path),
            "auth_user": self.auth_user,
            "tls": self.tls,
            "size": self.size,
        }
        if self.relayclient is not None:
            facts["relayclient"] = self.relayclient
            facts["relayclient_rule"] = str(self.relayclient_rule)
        if self.relayclients != RELAYCLIENTS:
            facts["relayclients"] = self.relayclients
        if self.host_trouble:
            facts["host_trouble"] = self.host_trouble
        if self.login:
            facts |= {
                "login": self.login,
                "login_age": self.login_age,
                "login_seconds": self.login_seconds,
            }
        if self.certificate:
            facts["certificate"] = self.certificate
        if self.certificate_trouble:
            facts["certificate_trouble"] = self.certificate_trouble
        if self.login_trouble:
            facts["login_trouble"] = self.login_trouble
        if self.auth_user:
            facts["auth_relays"] = self.auth_relays
            facts["auth_rule"] = str(self.auth_rule)
        if self.auth_all is not None:
            facts["auth_all"] = str(self.auth_all)
        if self.offered:
            facts["offered"] = self.offered
        if self.srs_rule != NO_RULE:
            facts["srs_rule"] = str(self.srs_rule)
        return facts

    @classmethod
    def from_facts(cls, facts: Mapping[str, str | int | float | bool]) -> Self:
        """Return the facts of a trace record; rules are known by their text alone."""
        relayclient = facts.get("relayclient")
        return cls(
            client_ip=str(facts["client_ip"]),
            client_host=str(facts["client_host"]),
            host_trouble=str(facts.get("host_trouble", "")),
            listener=str(facts["listener"]),
            helo=str(facts["helo"]),
            reverse_path=Address.parse(str(facts["sender"])),
            forward_path=Address.parse(str(facts["recipient"])),
            relayclient=None if relayclient is None else str(relayclient),
            relayclient_rule=Rule(str(facts.get("relayclient_rule", ""))),
            relayclients=str(facts.get("relayclients", RELAYCLIENTS)),
            offered=str(facts.get("offered", "")),
            srs_rule=Rule(str(facts.get("srs_rule", ""))),
            auth_user=str(facts["auth_user"]),
            auth_relays=bool(facts.get("auth_relays", True)),
            auth_rule=Rule(str(facts.get("auth_rule", ""))),
            auth_all=Rule(str(facts["auth_all"])) if "auth_all" in facts else None,
            tls=str(facts["tls"]),
            size=int(facts["size"]),
            certificate=str(facts.get("certificate", "")),
            certificate_trouble=str(facts.get("certificate_trouble", "")),
            login=str(facts.get("login", "")),
            login_age=float(facts.get("login_age", 0.0)),
            login_seconds=float(facts.get("login_seconds", 0.0)),
            login_trouble=str(facts.get("login_trouble", "")),
        )


@dataclass(frozen=True, slots=True)
class RelayRules:
    """What the control files say.  A missing or empty list means that nothing is ours.

    `relayclients` are lists by the name of their file: RELAYCLIENTS may name another for a client.
    """

    rcpthosts: DomainTable = field(default=EMPTY)
    morercpthosts: DomainTable = field(default=EMPTY)
    relayclients: Mapping[str, ClientTable[Accept]] = field(default_factory=dict)
    relaydomains: RelayDomains = field(default_factory=RelayDomains)
    relaymailfrom: RelaySenders = field(default_factory=RelaySenders)
    tlsclients: Mapping[str, Accept] = field(default_factory=dict)
    authdomains: AddressList = NO_ADDRESSES


def decide_relay(facts: RelayFacts, rules: RelayRules) -> Accept | Refuse | TryLater:
    """Say whether this client may send to this forward-path.  Raises nothing."""
    domain = facts.forward_path.domain
    closed = rules.authdomains.find(str(facts.reverse_path)) or facts.auth_all
    if closed is None:
        if not domain:
            return Accept(_LONE_BOX, Permission.NO_DOMAIN, _suffix(facts, rules))
        ours = is_ours(domain, rules)
        if ours is not None:
            return Accept(ours, Permission.RCPTHOSTS, _suffix(facts, rules))
    granted = permission(facts, rules) or rules.relaydomains.recipients.find(domain)
    if granted is not None:
        return granted
    # No line decided about a domain that is not ours: none of them lists it.
    why = (_RCPTHOSTS, _NOT_OURS) if closed is None else (closed, _CLOSED)
    return _not_known_yet(facts, rules) or refusal(facts, *why)


def _suffix(facts: RelayFacts, rules: RelayRules) -> str:
    granted = _first(_SUFFIXED, facts, rules)
    return granted.suffix if granted is not None else ""


def is_ours(domain: str, rules: RelayRules) -> Rule | None:
    """Return the rule that makes a domain ours; CHECKRECIPIENT looks at these alone."""
    return rules.rcpthosts.find(domain) or rules.morercpthosts.find(domain)


def permission(facts: RelayFacts, rules: RelayRules) -> Accept | None:
    """Return the first permission that this client has for any domain."""
    return _first(PERMISSIONS, facts, rules)


def _first(
    permissions: Sequence[Callable[[RelayFacts, RelayRules], Accept | None]],
    facts: RelayFacts,
    rules: RelayRules,
) -> Accept | None:
    for grants in permissions:
        granted = grants(facts, rules)
        if granted is not None:
            return granted
    return None


def _by_tcp_smtp(facts: RelayFacts, _: RelayRules) -> Accept | None:
    if facts.relayclient is None:
        return None
    return Accept(facts.relayclient_rule, Permission.TCP_SMTP, facts.relayclient)


def _by_address(facts: RelayFacts, rules: RelayRules) -> Accept | None:
    table = rules.relayclients.get(facts.relayclients)
    return table.find(facts.client_ip) if table is not None else None


def _by_name(facts: RelayFacts, rules: RelayRules) -> Accept | None:
    return rules.relaydomains.hosts.find(facts.client_host)


def _by_smtp_auth(facts: RelayFacts, _: RelayRules) -> Accept | None:
    if not facts.auth_user or not facts.auth_relays:
        return None
    return Accept(facts.auth_rule, Permission.SMTP_AUTH)


def _by_sender(facts: RelayFacts, rules: RelayRules) -> Accept | None:
    return rules.relaymailfrom.find(facts.reverse_path) if rules.relaymailfrom else None


def _by_certificate(facts: RelayFacts, rules: RelayRules) -> Accept | None:
    return certified(facts.certificate, rules)[1]


def certified(addresses: str, rules: RelayRules) -> tuple[str, Accept | None]:
    """Return the first address of a certificate that tlsclients lists, and its permission."""
    for address in addresses.split():
        permit = rules.tlsclients.get(sender_key(address) or "")
        if permit is not None:
            return address, permit
    return "", None


def _by_login(facts: RelayFacts, _: RelayRules) -> Accept | None:
    if not facts.login or facts.login_age >= facts.login_seconds:
        return None
    rule = Rule("relay", key=f"{facts.login} {facts.client_ip}")
    return Accept(rule, Permission.RELAY_TABLE)


def _by_srs(facts: RelayFacts, _: RelayRules) -> Accept | None:
    return None if facts.srs_rule == NO_RULE else Accept(facts.srs_rule, Permission.SRS)


# Those that may have a suffix; they come first in the order of all.
_SUFFIXED: Final = (_by_tcp_smtp, _by_address, _by_name)

PERMISSIONS: Final[tuple[Callable[[RelayFacts, RelayRules], Accept | None], ...]] = (
    *_SUFFIXED,
    _by_smtp_auth,
    _by_sender,
    _by_certificate,
    _by_login,
    _by_srs,
)


def _not_known_yet(facts: RelayFacts, rules: RelayRules) -> TryLater | None:
    """Return the 451 where what DNS or the accounts did not tell could have permitted."""
    if facts.host_trouble and rules.relaydomains.hosts:
        return TryLater(_NO_DNS, Rule("control/relaydomains"), facts.host_trouble)
    if facts.login_trouble:
        return TryLater(_NO_DATABASE, Rule("relay"), facts.login_trouble)
    return None


def refusal(facts: RelayFacts, rule: Rule, reason: str) -> Refuse:
    """Return the 553 of spec/smtp.md 4.2; the blanks are IndiMail's."""
    if facts.auth_user:
        end = f", auth {facts.auth_user} #5.7.1"
        reason = f"{reason} ({facts.auth_rule}: NO_RELAY)"
    else:
        trouble = f": {facts.certificate_trouble}" if facts.certificate_trouble else ""
        end = f"; no valid cert for gateway{trouble}  #5.7.1" if facts.tls else " #5.7.1"
    text = "sorry, that domain isn't allowed to be relayed thru this MTA without authentication"
    return Refuse(Reply(553, "5.7.1", text + end), rule, reason)


_NO_DATABASE: Final = Reply(451, "4.3.2", "Sorry, I got a temporary database error (#4.3.2)")
_NO_DNS: Final = Reply(451, "4.4.3", "Sorry, there is a DNS temporary failure (#4.4.3)")
_LONE_BOX: Final = Rule("built-in", key="no domain")
_RCPTHOSTS: Final = Rule("control/rcpthosts")
_NOT_OURS: Final = "the domain is not ours and the client has no permission to relay"
_CLOSED: Final = "every recipient needs a permission here, and the client has none"
