"""What clients may: the rules of tcp.smtp, and what each of them gives on each listener.

    rules = client_rules(reading)
    client_sessions(reading, listeners, process, rules)[listener.name, grant(client)]  -> SessionSettings

Rules are named by their line in the text wherever text and data base say the same.

Source: spec/smtp.md 1.2 to 1.4.
"""

import os
from collections.abc import Iterable, Mapping, Sequence

from indimail.app.read_recipients import address_list
from indimail.app.reading import Reading
from indimail.app.resolve import Entry, Level, Scope, parsed
from indimail.app.sessions import session_settings
from indimail.app.settings import VARIABLES
from indimail.mail.verdict import Rule
from indimail.policy.tcprules import (
    ClientRule,
    TcpRules,
    compile_rules,
    parse_tcp_rules,
    rules_from_records,
)
from indimail.serve.snapshot import (
    GRANTED,
    NOTHING_GRANTED,
    Grant,
    ListenerConfig,
    ProcessSettings,
    SessionSettings,
    grant,
)


def client_rules(reading: Reading) -> TcpRules:
    """Read tcp.smtp, or the data base made from it where that is newer."""
    text = reading.file(reading.instance.tcp_smtp)
    rules = reading.noted(*parse_tcp_rules(text.lines))
    base = reading.newer_base(reading.instance.tcp_smtp, text)
    if base is None:
        return rules
    records = reading.records(base)
    if text.exists and dict(reversed(records)) == dict(compile_rules(rules)):
        return rules
    name = reading.instance.display(reading.instance.tcp_smtp)
    reading.notice_difference(text, name)
    return reading.noted(*rules_from_records(records, f"{name}.cdb"))


def client_sessions(
    reading: Reading, listeners: Sequence[ListenerConfig], process: ProcessSettings, rules: TcpRules
) -> dict[tuple[str, Grant], SessionSettings]:
    """Resolve what each listener and each distinct rule gives a client."""
    grants: dict[Grant, list[Level]] = {NOTHING_GRANTED: []}
    for _, client in rules.listed:
        _check_level(reading, level_of_rule(client, client.rule))
        grants.setdefault(grant(client), [level_of_rule(client, GRANTED)])
    found = {}
    senders = address_list(reading, "chksenderdomains")
    for listener in listeners:
        own = reading.level_of_listener(listener.name)
        _check_level(reading, own)
        for granted, level in grants.items():
            values = reading.values([Scope.CLIENT, Scope.QUEUE], [*level, own], listener.name)
            found[listener.name, granted] = session_settings(
                values, listener, process, reading.instance.root, senders
            )
    _notice_programs(reading, found.values())
    return found


def _notice_programs(reading: Reading, sessions: Iterable[SessionSettings]) -> None:
    """Tell of programs for passwords and tokens that are not there: each login would wait for them."""
    for auth in {settings.auth for settings in sessions}:
        for name, programs in (
            ("AUTHMODULES", auth.modules), ("OAUTHMODULES", auth.oauth),
            ("POSTAUTH", (auth.postauth,)),
        ):  # fmt: skip
            reading.notices += [
                f"{name}: {program}: no program that can be started"
                for program in programs if "/" in program and not os.access(program, os.X_OK)
            ]  # fmt: skip


def _check_level(reading: Reading, level: Mapping[str, Entry]) -> None:
    """Note what is wrong in a level, and what has no effect there."""
    for name, entry in level.items():
        setting = VARIABLES.get(name)
        if setting is None or entry.text is None:
            continue
        if setting.waits_for:
            reading.notices.append(f"{entry.rule}: {name}: {setting.status}")
            continue
        if not setting.names_file:
            reading.mistakes += parsed(setting, entry, reading.me)[1]
        if setting.scope is not Scope.CLIENT:
            reading.notices.append(f"{entry.rule}: {name}: has no effect for some clients only")


def level_of_rule(client: ClientRule, rule: Rule) -> Level:
    """Return the variables of a rule of tcp.smtp as a level; they are said to come from `rule`."""
    texts: dict[str, str | None] = {**client.variables, **dict.fromkeys(client.removed)}
    file, line = (rule.file, rule.line) if rule.line else (str(rule), None)
    return {name: Entry(text, str(rule), rule, file, line) for name, text in texts.items()}
