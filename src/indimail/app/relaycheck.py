"""Whether the relay is closed, as the files of an instance have it (`indimail relaycheck`).

    look(reading, relay, rules, listeners, sessions)   -> [Looked(finding, "tcp/tcp.smtp :allow,...")]
    judge(reading, looked)                             # open: a mistake; else a notice

It runs before each start and reload.  A rule that lets everybody relay is a mistake, unless
``[relay] accept_open`` in indimail.toml has its file and text: then it is a notice at each start, as
one is that trusts what a client says.

Not here: the proof (`policy.relaycheck`).
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from indimail.app.read_clients import client_rules, client_sessions
from indimail.app.read_process import configured_listeners, process_settings
from indimail.app.read_recipients import relay_rules
from indimail.app.reading import Reading
from indimail.app.resolve import Scope
from indimail.mail.errors import Mistake
from indimail.mail.match import quoted
from indimail.mail.verdict import Rule
from indimail.policy.limits import is_loopback
from indimail.policy.relay import RelayRules
from indimail.policy.relaycheck import Finding, Grade, SettingsOf, check_relay
from indimail.policy.tcprules import ClientRule, TcpRules
from indimail.serve.snapshot import Grant, ListenerConfig, SessionSettings, session_of

MOST: Final = 5  # notices about one file
RECEIVES: Final = frozenset({"smtp", "submission", "submissions"})


@dataclass(frozen=True, slots=True)
class Looked:
    """A finding, with the file and the text of its line, as accept_open has them."""

    finding: Finding
    line: str
    is_accepted: bool = False

    def __str__(self) -> str:
        finding = self.finding
        accepted = ", as accept_open says" if self.is_accepted else ""
        return f"{finding.rule}: {finding.grade}{accepted}: {finding.why}"


def look(
    reading: Reading,
    relay: RelayRules,
    rules: TcpRules,
    listeners: Sequence[ListenerConfig],
    sessions: Mapping[tuple[str, Grant], SessionSettings],
) -> list[Looked]:
    """Return what opens the relay, the worst first."""

    def settings_of(listener: ListenerConfig) -> SettingsOf:
        known: dict[Rule, SessionSettings] = {}
        own = reading.level_of_listener(listener.name).get("RELAYCLIENT")
        inside = own.rule if own is not None and is_loopback(listener.host) else None

        def found(client: ClientRule) -> SessionSettings:
            if client.rule not in known:
                settings = session_of(sessions, listener.name, client)
                if settings.relayclient_rule == inside:  # it is for clients of this machine alone
                    settings = replace(settings, relayclient=None)
                known[client.rule] = settings
            return known[client.rule]

        return found

    views = [settings_of(each) for each in listeners if each.role in RECEIVES]
    findings = check_relay(relay, rules, views)
    if not findings:
        return []
    texts = _texts(reading, rules)
    accepted = set(reading.values([Scope.PROCESS]).lines("relay.accept_open"))
    looked = []
    for finding in findings:
        rule = finding.rule
        line = f"{rule.file} {texts.get(rule) or rule.key or finding.variable}"
        looked.append(Looked(finding, line, finding.grade is Grade.OPEN and line in accepted))
    return looked


def judge(reading: Reading, looked: Sequence[Looked]) -> None:
    """Make a mistake of what is open, and notices of the rest."""
    told: Counter[str] = Counter()
    for each in looked:
        rule = each.finding.rule
        if each.finding.grade is Grade.OPEN and not each.is_accepted:
            text = quoted(each.line.removeprefix(f"{rule.file} "))
            expected = f"a rule that does not let everybody relay ({each.finding.why})"
            reading.mistakes.append(Mistake(_file(rule), rule.line, text, expected))
            continue
        told[rule.file] += 1
        if told[rule.file] <= MOST:
            reading.notices.append(str(each))
    for file, count in told.items():
        if count > MOST:
            reading.notices.append(f"{file}: {count - MOST} more like these: indimail relaycheck")


def read_and_look(reading: Reading) -> list[Looked]:
    """Read what the proof needs, and look; mistakes are the reading's."""
    process = process_settings(reading)
    listeners = configured_listeners(reading, process)
    rules = client_rules(reading)
    sessions = client_sessions(reading, listeners, process, rules)
    relay = relay_rules(reading, sessions.values())
    return look(reading, relay, rules, listeners, sessions)


def _texts(reading: Reading, rules: TcpRules) -> dict[Rule, str]:
    """Return the text of each line that was read."""
    lines = {
        line.rule: line.text.strip()
        for _, _, content in reading.controls.contents()
        for line in content
    }
    return lines | {client.rule: client.text for _, client in rules.listed}


def _file(rule: Rule) -> str:
    return rule.file if rule.line is not None else str(rule)
