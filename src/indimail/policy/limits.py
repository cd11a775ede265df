"""How many connections there may be, in all and from one client.

    decide_connection(ConnectionFacts("192.0.2.1", total=12, of_client=200), limits)
                                              -> TryLater(421 mx.example.com sorry, ...)

A client of this machine is not limited unless MAXPERIP is set; the total holds for everybody.
0 means no limit.

Sources: spec/smtp.md 1.1 (-c, -C, MAXPERIP); RFC 2034 4: the reply stands where the greeting would,
so it has our name and no enhanced code in front.  Not here: the counting (`net.connections`).
"""

from dataclasses import dataclass
from typing import Final

from indimail.mail.reply import Reply
from indimail.mail.verdict import Accept, Rule, TryLater


@dataclass(frozen=True, slots=True)
class ConnectionFacts:
    """A new connection: `total` and `of_client` count the others that are open, not this one."""

    client_ip: str
    total: int
    of_client: int
    loopback: bool = False


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """`greeting` begins with our name; `maxperip` is None where MAXPERIP is not set."""

    greeting: str
    total: int = 10_000
    total_rule: Rule = Rule("built-in", key="connections")
    per_client: int = 200
    per_client_rule: Rule = Rule("built-in", key="MAXPERIP")
    maxperip: int | None = None
    maxperip_rule: Rule = Rule("built-in", key="MAXPERIP")


def decide_connection(facts: ConnectionFacts, limits: ConnectionLimits) -> Accept | TryLater:
    """Say whether a connection is served.  Raises nothing."""
    if 0 < limits.total <= facts.total:
        text = "sorry, too many connections, try again later (#4.7.0)"
        reason = f"{facts.total} connections are open"
        return TryLater(_turned_away(limits.greeting, text), limits.total_rule, reason)
    if limits.maxperip is not None:
        most, rule = limits.maxperip, limits.maxperip_rule
    else:
        most, rule = 0 if facts.loopback else limits.per_client, limits.per_client_rule
    if 0 < most <= facts.of_client:
        text = f"sorry, too many connections from your IP ({facts.client_ip}) (#4.7.0)"
        reason = f"{facts.of_client} connections of this client are open"
        return TryLater(_turned_away(limits.greeting, text), rule, reason)
    return _ACCEPTED


def is_loopback(ip: str) -> bool:
    """Whether an address is this machine's own (RFC 1122 3.2.1.3, RFC 4291 2.5.3)."""
    return ip.removeprefix("::ffff:").startswith("127.") or ip == "::1"


def _turned_away(greeting: str, text: str) -> Reply:
    return Reply(421, None, f"{greeting} {text}")


_ACCEPTED: Final = Accept(Rule("built-in", key="connections"), "below the limits")
