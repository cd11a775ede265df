"""Whom a remote recipient's mail is handed to: a relay, or the exchangers that DNS names.

    next_hop(Address("ana", "example.com"), "example.com", sender, routes)
        -> NextHop("example.com", relay="192.0.2.1", port=587, rule=Rule("control/smtproutes", 3), ...)
    next_hop(recipient, "example.com:192.0.2.1:25", sender, routes, Rule("domains/...", 1))
                                          # the domain:ip:port of a delivery instruction

In this order; the first that is there decides, also one whose relay is empty (DNS):

1. the delivery instruction that made this recipient;
2. the recipient's whole address in a file;
3. for the null sender, ``!@``;
4. the domain, each ``.suffix`` of it (longest first), a pattern, the empty key: of each key first in
   smtproutes, then in moresmtproutes, then in smtproutes.cdb.  Where the variable SMTPROUTE has
   routes, they take the place of these files in 3 and 4.

Credentials that a line holds are always used (AUTH_SMTP only picks the mechanism).  Where it names
remote_auth and nothing is there for the key, the mail goes without.

Sources: spec/queue.md 3.3.  Not here: the hosts (`delivery.mx`), our own end of the connection
(`schedule.outgoing`), QMTP.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import Struct

from indimail.mail.address import Address, domain_key, parents
from indimail.mail.ip import ip_of
from indimail.mail.verdict import NO_RULE, Rule
from indimail.schedule.deadhosts import MAX_TOLERANCE, MIN_PENALTY
from indimail.schedule.logins import Logins
from indimail.schedule.smtproutes import (
    NULL_SENDER,
    SMTPS,
    Login,
    LoginKey,
    Routed,
    RouteTable,
    SmtpRoute,
    Variables,
)

_INSTRUCTION: Final = re.compile(r"([^:\s\[\]]+):([^:\s\[\]]+):([0-9]{1,5})")
_IN_NONE: Final = Rule("control/smtproutes")


@dataclass(frozen=True, slots=True)
class Routes:
    """All artificial routes; `variable` is what SMTPROUTE says, where it is set.

    The times are those of routes that say none (MIN_PENALTY, MAX_TOLERANCE), in seconds.
    """

    files: tuple[RouteTable, ...] = ()
    variable: RouteTable | None = None
    logins: Logins = Logins()
    min_penalty: int = MIN_PENALTY
    max_tolerance: int = MAX_TOLERANCE


class NextHop(Struct, frozen=True):
    """Where to; without a `relay`, the exchangers of `domain`.

    `login_rule` is the line that has the credentials, or where they were sought in vain.
    """

    domain: str
    relay: str
    port: int
    tls: bool
    min_penalty: int
    max_tolerance: int
    rule: Rule
    login: Login | None = None
    login_rule: Rule = NO_RULE
    variables: Variables = ()


def next_hop(
    recipient: Address, target: str, sender: Address, routes: Routes, made_by: Rule = NO_RULE
) -> NextHop:
    """Decide where a recipient goes next.  Raises nothing.

    `target` is what the queue keeps: a domain, or an instruction, whose rule is `made_by`.
    """
    instruction = _INSTRUCTION.fullmatch(target)
    if instruction:
        domain, host, port = instruction.groups()
        route = SmtpRoute(ip_of(host) or domain_key(host), int(port))
        return _hop(domain_key(domain), (route, made_by), recipient, sender, routes)
    domain = domain_key(target)
    return _hop(domain, _routed(recipient, domain, sender, routes), recipient, sender, routes)


def _routed(recipient: Address, domain: str, sender: Address, routes: Routes) -> Routed:
    """Return the first route that is there, in the module's order."""
    files = routes.files
    address = f"{recipient.local.lower()}@{domain_key(recipient.domain)}"
    own = _first(files, (address,))
    if own is not None:
        return own
    if routes.variable is not None:
        files = (routes.variable,)
    found = None
    if not sender:
        found = _first(files, (NULL_SENDER,))
    if found is None:
        found = _first(files, (domain, *parents(domain)))
    if found is None:
        found = next((match for file in files if (match := file.match(address, domain))), None)
    if found is None:
        found = _first(files, ("",))
    return found or (SmtpRoute(), _IN_NONE)


def _first(files: Sequence[RouteTable], keys: Sequence[str]) -> Routed | None:
    tried: Iterator[Routed | None] = (file.get(key) for key in keys for file in files)
    return next((found for found in tried if found is not None), None)


def _hop(
    domain: str, routed: Routed, recipient: Address, sender: Address, routes: Routes
) -> NextHop:
    route, rule = routed
    login, variables, login_rule = _credentials(route, rule, recipient, sender, routes.logins)
    return NextHop(
        domain,
        route.relay,
        route.port,
        route.port == SMTPS,
        routes.min_penalty if route.min_penalty is None else route.min_penalty,
        routes.max_tolerance if route.max_tolerance is None else route.max_tolerance,
        rule,
        login,
        login_rule,
        variables,
    )


def _credentials(
    route: SmtpRoute, rule: Rule, recipient: Address, sender: Address, logins: Logins
) -> tuple[Login | None, Variables, Rule]:
    match route.login:
        case Login() as login:
            return login, route.variables, rule
        case LoginKey(word):
            key = {"s": str(sender), "r": str(recipient)}.get(word, word)
            return logins.find(key) or (None, (), Rule("control/remote_auth", key=key))
    return None, route.variables, NO_RULE
