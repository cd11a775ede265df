"""Is the relay closed?  A proof over the rules, or the line and the client that open it.

    findings = check_relay(rules, tcp_rules, [listener_view, ...])
    findings[0]  -> Finding(Grade.OPEN, control/relaydomains:2, "...", Witness("8.8.8.8", "a.com", ...))

| grade     | what a rule lets relay                                                               |
|-----------|--------------------------------------------------------------------------------------|
| open      | any client on the Internet: half of all addresses or more, or names that everybody can |
|           | have (``=``, a top-level name); or to any domain: a top-level name in rcpthosts, or ``@`` |
| claimable | any client that merely says something: each line of relaymailfrom, CHECKRELAY=ip     |
| wide      | many: a network of a /8 (IPv6: /32), a public /16; a login that counts for two hours |

The proof asks `policy.relay.permission` itself, once for each stretch of addresses between two that a
rule names: within one every client is told the same.  So what is said here is what live traffic is told.
Clients are taken as strangers: not logged in, without a name, and with one of each kind that a rule
might let pass.

Of several lines that only together let half of all addresses relay, the largest are named until what
is left is less than that.  A domain that rcpthosts or an ``@`` line names is inside.

Sources: spec/smtp.md 3.  Not here: files (`app.relaycheck`), what becomes of a finding.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Protocol

from indimail.mail.address import Address
from indimail.mail.verdict import Accept, Rule
from indimail.policy.clients import Key, spans
from indimail.policy.relay import RelayFacts, RelayRules, is_ours, permission
from indimail.policy.relaylists import RelaySenders
from indimail.policy.sender import SenderRules
from indimail.policy.tcprules import ClientRule, TcpRules

# Half of all addresses, of IPv4 and of the 2000::/3 that IPv6 gives out, but for some networks that
# may be missing in it: more than 7/16.
HALF: Final = {4: (7 << 28) + 1, 6: (7 << 121) + 1}
ADDRESSES: Final = {4: (0, (1 << 32) - 1), 6: (0x2 << 124, (0x4 << 124) - 1)}
WIDE: Final = {4: 1 << 24, 6: 1 << 96}
WIDE_PUBLIC: Final = {4: 1 << 16, 6: 1 << 96}
LONG: Final = 7200.0  # seconds
SENDER: Final = "anybody@sender.invalid"
RECIPIENT: Final = "anybody@recipient.invalid"
LABEL: Final = "relaycheck"  # of names that no rule knows
ANY: Final = ".invalid"  # a top-level name that nobody has (RFC 6761 6.4)


class Grade(StrEnum):
    """How far a rule opens the relay."""

    OPEN = "open"
    CLAIMABLE = "claimable"
    WIDE = "wide"


@dataclass(frozen=True, slots=True)
class Witness:
    """A client that may send where it should not; `host` is its confirmed name, empty: it has none."""

    ip: str
    host: str
    sender: str
    recipient: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that opens the relay, how, and for whom."""

    grade: Grade
    rule: Rule
    why: str
    witness: Witness
    variable: str = "RELAYCLIENT"  # that the rule sets, if it sets one


class ClientSettings(Protocol):
    """What a client is served with; `serve.snapshot.SessionSettings` has it."""

    @property
    def relayclient(self) -> str | None: ...
    @property
    def relayclient_rule(self) -> Rule: ...
    @property
    def relayclients(self) -> str: ...
    @property
    def check_relay(self) -> str | None: ...
    @property
    def check_relay_rule(self) -> Rule: ...
    @property
    def login_seconds(self) -> float: ...
    @property
    def sender_rules(self) -> SenderRules: ...


SettingsOf = Callable[[ClientRule], ClientSettings]


def check_relay(
    rules: RelayRules, tcp: TcpRules, listeners: Sequence[SettingsOf]
) -> tuple[Finding, ...]:
    """Return every rule that opens the relay, each once, the worst first."""
    found: dict[tuple[Grade, Rule], Finding] = {}
    for finding in (
        *_names_of_recipients(rules),
        *(finding for of in listeners for finding in _Listener(rules, tcp, of).findings()),
        *_claims(rules),
    ):
        if finding.grade is not Grade.WIDE or (Grade.OPEN, finding.rule) not in found:
            found.setdefault((finding.grade, finding.rule), finding)
    return tuple(sorted(found.values(), key=_place))


def _place(finding: Finding) -> tuple[int, str, int]:
    rule = finding.rule
    return list(Grade).index(finding.grade), rule.file, rule.line or 0


# -- recipients ------------------------------------------------------------------------------------


def _names_of_recipients(rules: RelayRules) -> Iterator[Finding]:
    """Find what makes all of a top-level domain, or of all domains, inside."""
    keys = (*rules.rcpthosts.dotted, *rules.morercpthosts.dotted)
    opened = [(key, is_ours(f"{LABEL}{key}", rules)) for key in keys if key.count(".") == 1]
    permits = rules.relaydomains.recipients.permits
    opened += [(key, permit.rule) for key, permit in permits.items() if _is_top(key)]
    for key, rule in opened:
        if rule is not None:
            to = f"anybody@{LABEL}{key or ANY}"
            why = f"everybody may send to {f'every domain of {key}' if key else 'every domain'}"
            yield Finding(Grade.OPEN, rule, why, Witness(_STRANGER, "", SENDER, to))


def _is_top(key: str) -> bool:
    """Tell whether everybody can have a name like this: any name, or one below a top-level name."""
    return not key or (key[0] == "." and key.count(".") == 1)


# -- clients ---------------------------------------------------------------------------------------


class _Listener:
    """The clients of one listener."""

    def __init__(self, rules: RelayRules, tcp: TcpRules, settings_of: SettingsOf) -> None:
        self._rules = replace(rules, relaymailfrom=RelaySenders())  # that is what clients claim
        self._tcp = tcp
        self._settings_of = settings_of
        self._hosts = rules.relaydomains.hosts.permits

    def findings(self) -> Iterator[Finding]:
        """Find what lets strangers relay, then what lets many."""
        for host in self._strangers():
            for version in (4, 6):
                if self._at_most(version, host) >= HALF[version]:
                    yield from self._open(version, host)
        yield from self._wide()
        yield from self._logins()

    def _strangers(self) -> Iterator[str]:
        """Yield names that strangers have: none, any, and one below each top-level name in a rule."""
        yield ""
        tops = {key for key in self._hosts if key and _is_top(key)}
        for key, _ in self._tcp.listed:
            name = getattr(key, "text", "")
            if name == "=" or (name[:2] == "=." and _is_top(name[1:])):
                tops.add(name[1:] or ANY)
        if tops:
            yield f"{LABEL}{ANY}"
        for top in sorted(tops - {ANY}):
            yield f"{LABEL}{top}"

    def _asked(self, ip: str, host: str) -> Accept | None:
        """Ask what live traffic would."""
        client = self._tcp.find(ip, host)
        if not self._serves_strangers(client):
            return None
        return permission(self._facts(client, ip, host), self._rules)

    def _serves_strangers(self, client: ClientRule) -> bool:
        """Tell whether a client is served that is not logged in."""
        return client.allowed and self._settings_of(client).sender_rules.requireauth is None

    def _facts(self, client: ClientRule, ip: str, host: str) -> RelayFacts:
        settings = self._settings_of(client)
        return RelayFacts(
            ip, client_host=host, forward_path=Address.parse(RECIPIENT),
            relayclient=settings.relayclient, relayclient_rule=settings.relayclient_rule,
            relayclients=settings.relayclients,
        )  # fmt: skip

    def _granting(self) -> Iterator[tuple[Key, Rule]]:
        """Yield the addresses and names in rules that let a client relay, and which rule it is."""
        names = {self._settings_of(self._tcp.find("")).relayclients}
        for key, client in self._tcp.listed:
            settings = self._settings_of(client)
            names.add(settings.relayclients)
            if self._serves_strangers(client) and settings.relayclient is not None:
                yield key, settings.relayclient_rule
        for name in sorted(names):
            table = self._rules.relayclients.get(name)
            for key, permit in table.listed if table is not None else ():
                yield key, permit.rule

    def _at_most(self, version: int, host: str) -> int:
        """Return no less than how many addresses may relay; cheap, and nearly always enough."""
        if host and self._rules.relaydomains.hosts.find(host) is not None:
            return HALF[version]
        if self._rules.relaydomains.hosts.all is not None or self._asked("", "") is not None:
            return HALF[version]
        total = 0
        for key, _ in self._granting():
            if host and getattr(key, "text", "").startswith("="):
                return HALF[version]
            total += sum(last - first + 1 for of, first, last in spans(key) if of == version)
        return total

    def _open(self, version: int, host: str) -> Iterator[Finding]:
        """Add up the addresses that may relay, by the rule that lets them."""
        sizes: defaultdict[Rule, int] = defaultdict(int)
        examples: dict[Rule, tuple[int, str]] = {}
        for first, last in self._stretches(version):
            ip = _text(version, first)
            permit = self._asked(ip, host)
            if permit is None:
                continue
            sizes[permit.rule] += last - first + 1
            if last - first > examples.get(permit.rule, (-1, ""))[0]:
                examples[permit.rule] = last - first, _public(version, first, last)
        left = sum(sizes.values())
        for rule in sorted(sizes, key=lambda rule: -sizes[rule]):
            if left < HALF[version]:
                return
            left -= sizes[rule]
            whom = _whom(host)
            witness = Witness(examples[rule][1], host, SENDER, RECIPIENT)
            yield Finding(Grade.OPEN, rule, f"lets {whom} relay", witness)

    def _stretches(self, version: int) -> Iterator[tuple[int, int]]:
        """Yield stretches of addresses, first and last, between those that any rule names."""
        low, high = ADDRESSES[version]
        starts = {low}
        keys = [key for key, _ in self._tcp.listed]
        for table in self._rules.relayclients.values():
            keys += [key for key, _ in table.listed]
        for key in keys:
            for of, first, last in spans(key):
                if of == version:
                    starts |= {max(first, low), last + 1}
        inside = sorted(start for start in starts if low <= start <= high)
        yield from zip(inside, [start - 1 for start in inside[1:]] + [high], strict=True)

    def _wide(self) -> Iterator[Finding]:
        for key, rule in self._granting():
            for version, first, last in spans(key):
                size, ip = last - first + 1, _text(version, first)
                most = WIDE if ip_address(ip).is_private else WIDE_PUBLIC
                if size >= most[version] and not ip_address(ip).is_loopback:
                    whom = (
                        f"{size} addresses"
                        if version == 4
                        else f"2^{size.bit_length() - 1} addresses"
                    )
                    witness = Witness(ip, "", SENDER, RECIPIENT)
                    yield Finding(Grade.WIDE, rule, f"lets {whom} relay", witness)
                    break

    def _logins(self) -> Iterator[Finding]:
        """Find what logins by POP3 or IMAP permit besides their user, or for very long."""
        witness = Witness(_STRANGER, "", SENDER, RECIPIENT)
        for client in (self._tcp.find(""), *(client for _, client in self._tcp.listed)):
            settings = self._settings_of(client)
            rule = settings.check_relay_rule
            if settings.check_relay == "ip":
                why = "lets everybody relay behind the address of a user who logged in"
                yield Finding(Grade.CLAIMABLE, rule, why, witness, "CHECKRELAY")
            elif settings.check_relay is not None and settings.login_seconds >= LONG:
                why = f"a login counts for {settings.login_seconds / 60:.0f} minutes"
                yield Finding(Grade.WIDE, rule, why, witness, "CHECKRELAY")


def _claims(rules: RelayRules) -> Iterator[Finding]:
    """Find the senders that anybody can claim to be."""
    senders = rules.relaymailfrom
    lines: Mapping[str, Rule] = {
        **{pattern.glob: pattern.rule for pattern in senders.text.patterns if pattern.lists},
        **senders.text.exact,
        **senders.base.exact,
    }
    for key, rule in lines.items():
        sender = f"anybody{key}" if key[0] == "@" else key
        witness = Witness(_STRANGER, "", sender, RECIPIENT)
        yield Finding(Grade.CLAIMABLE, rule, f"lets everybody relay who says {sender}", witness)


def _whom(host: str) -> str:
    """Return who has such a name."""
    if not host:
        return "everybody"
    top = host.removeprefix(LABEL)
    return "everybody who has a name" if top == ANY else f"everybody whose name ends in {top}"


_STRANGER: Final = "8.8.8.8"


def _text(version: int, value: int) -> str:
    return str(IPv4Address(value) if version == 4 else IPv6Address(value))


def _public(version: int, first: int, last: int) -> str:
    """Return an address of a stretch, of the Internet where it has one."""
    step = max(1, (last - first) // 64)
    for value in (first + 1, *range(first + step, last, step)):
        if value <= last and ip_address(_text(version, value)).is_global:
            return _text(version, value)
    return _text(version, first)
