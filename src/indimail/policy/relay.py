"""Who may send to whom: the decision that keeps the server from being an open relay.

    decide_relay(facts, rules)    -> Accept(rule, "rcpthosts") or Refuse(553 5.7.1 ...)

A recipient in a domain of ours is accepted from everybody, any other needs a permission.  The
permissions are tried in the order of `PERMISSIONS`, each a function of facts and rules; the first
that holds decides, so none can take away what another gave:

| permission        | what grants it                                  | holds for        | built |
|-------------------|-------------------------------------------------|------------------|-------|
| ``tcp.smtp``      | the client's rule sets RELAYCLIENT              | connection       | yes   |
| ``relayclients``  | client IP in control/relayclients               | connection       | no    |
| ``relaydomains``  | client name in control/relaydomains             | connection       | no    |
| ``smtp-auth``     | an authenticated user without NO_RELAY          | connection       | no    |
| ``relaymailfrom`` | reverse-path in control/relaymailfrom           | transaction      | no    |
| ``tlsclients``    | the client's certificate in control/tlsclients  | connection       | no    |
| ``pop``           | a POP3 or IMAP login from there, CHECKRELAY set | transaction      | no    |

The suffix of a permission (RELAYCLIENT's value, usually empty) is appended to every recipient of
the client, of ours too.

`RelayFacts` is all that the decision saw; a trace record keeps it (`as_facts`), and it can be
decided again from there under changed rules (`from_facts`).

Sources: spec/smtp.md 3, 3.8, 4.2, 0.3 (either suffices), 0.9 (how long it holds).  Not here: the
order of the other checks at RCPT (`policy.recipient`); look-ups (a failed one is a 451 of the
caller, never a "no" in the facts).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Self

from msgspec import Struct

from indimail.mail.address import NULL, Address
from indimail.mail.match import EMPTY, DomainTable
from indimail.mail.reply import Reply
from indimail.mail.verdict import NO_RULE, Accept, Refuse, Rule


class Permission(StrEnum):
    """The reason in an `Accept`: by what a recipient was allowed."""

    NO_DOMAIN = "no domain"  # qmail's lone box: delivered at control/envnoathost
    RCPTHOSTS = "rcpthosts"
    TCP_SMTP = "tcp.smtp"


class RelayFacts(Struct, frozen=True):
    """One RCPT TO and all that is known about who asks; empty text means unknown.

    `relayclient` is the value of RELAYCLIENT, None where it is not set, and `relayclient_rule` the
    place that set it.  `tls` is the version of the protocol, ``TLSv1.3``.  `size` is in octets, as
    declared.
    """

    client_ip: str
    client_host: str = ""
    listener: str = ""
    helo: str = ""
    reverse_path: Address = NULL
    forward_path: Address = NULL
    relayclient: str | None = None
    relayclient_rule: Rule = NO_RULE
    auth_user: str = ""
    tls: str = ""
    size: int = 0

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
        return facts

    @classmethod
    def from_facts(cls, facts: Mapping[str, str | int | float | bool]) -> Self:
        """Return the facts of a trace record; the rule of RELAYCLIENT is known by its text alone."""
        relayclient = facts.get("relayclient")
        return cls(
            client_ip=str(facts["client_ip"]),
            client_host=str(facts["client_host"]),
            listener=str(facts["listener"]),
            helo=str(facts["helo"]),
            reverse_path=Address.parse(str(facts["sender"])),
            forward_path=Address.parse(str(facts["recipient"])),
            relayclient=None if relayclient is None else str(relayclient),
            relayclient_rule=Rule(str(facts.get("relayclient_rule", ""))),
            auth_user=str(facts["auth_user"]),
            tls=str(facts["tls"]),
            size=int(facts["size"]),
        )


@dataclass(frozen=True, slots=True)
class RelayRules:
    """What the control files say.  A missing or empty list means that nothing is ours."""

    rcpthosts: DomainTable = field(default=EMPTY)
    morercpthosts: DomainTable = field(default=EMPTY)


def decide_relay(facts: RelayFacts, rules: RelayRules) -> Accept | Refuse:
    """Say whether this client may send to this forward-path.  Raises nothing."""
    granted = permission(facts, rules)
    suffix = granted.suffix if granted else ""
    domain = facts.forward_path.domain
    if not domain:
        return Accept(_LONE_BOX, Permission.NO_DOMAIN, suffix)
    ours = is_ours(domain, rules)
    if ours is not None:
        return Accept(ours, Permission.RCPTHOSTS, suffix)
    return granted or refusal(facts)


def is_ours(domain: str, rules: RelayRules) -> Rule | None:
    """Return the rule that makes a domain ours; CHECKRECIPIENT looks at these alone."""
    return rules.rcpthosts.find(domain) or rules.morercpthosts.find(domain)


def permission(facts: RelayFacts, rules: RelayRules) -> Accept | None:
    """Return the first permission that this client has for any domain."""
    for grants in PERMISSIONS:
        granted = grants(facts, rules)
        if granted is not None:
            return granted
    return None


def _by_tcp_smtp(facts: RelayFacts, _: RelayRules) -> Accept | None:
    if facts.relayclient is None:
        return None
    return Accept(facts.relayclient_rule, Permission.TCP_SMTP, facts.relayclient)


PERMISSIONS: Final[tuple[Callable[[RelayFacts, RelayRules], Accept | None], ...]] = (_by_tcp_smtp,)


def refusal(facts: RelayFacts) -> Refuse:
    """Return the 553 of spec/smtp.md 4.2; no line decided: none of them lists the domain."""
    if facts.auth_user:
        return _denied(f", auth {facts.auth_user} #5.7.1")
    return _DENIED_ON_TLS if facts.tls else _DENIED


def _denied(end: str) -> Refuse:
    text = "sorry, that domain isn't allowed to be relayed thru this MTA without authentication"
    return Refuse(
        Reply(553, "5.7.1", text + end),
        Rule("control/rcpthosts"),
        "the domain is not ours and the client has no permission to relay",
    )


_LONE_BOX: Final = Rule("built-in", key="no domain")
_DENIED: Final = _denied(" #5.7.1")
_DENIED_ON_TLS: Final = _denied("; no valid cert for gateway  #5.7.1")  # both blanks are IndiMail's
