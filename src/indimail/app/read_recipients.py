"""Whose mail is taken, and where a recipient goes.

    relay_rules(reading, sessions), routing_rules(reading)

Sources: spec/smtp.md 3; spec/queue.md 1.4.
"""

from collections.abc import Callable, Iterable

from indimail.app.reading import Reading
from indimail.control.cdb import Cdb
from indimail.mail.addresslist import NO_ADDRESSES, AddressList, parse_address_list
from indimail.mail.errors import Mistake
from indimail.mail.match import (
    DomainTable,
    key_of,
    parse_domain_rules,
    parse_domains,
    quoted,
    table_of,
)
from indimail.mail.verdict import Accept, Rule
from indimail.policy.clients import ClientTable
from indimail.policy.relay import RELAYCLIENTS, RelayRules
from indimail.policy.relaylists import (
    RelaySenders,
    parse_relayclients,
    parse_relaydomains,
    parse_relaymailfrom,
    parse_tlsclients,
    sender_key,
)
from indimail.schedule.route import FILES as ROUTING_FILES
from indimail.schedule.route import Routing, parse_routing
from indimail.serve.snapshot import SessionSettings


def relay_rules(reading: Reading, sessions: Iterable[SessionSettings]) -> RelayRules:
    """Read the lists of our domains and of who may relay; `sessions` name those of relayclients."""
    hosts = reading.noted(*parse_domains(reading.controls["rcpthosts"].lines))
    if not reading.controls["rcpthosts"].lines and not reading.controls["morercpthosts"].lines:
        name = reading.controls.display("rcpthosts")
        reading.notices.append(f"{name}: lists nothing: mail is taken only from who may relay")
    return RelayRules(
        hosts,
        _more_hosts(reading),
        {name: _relayclients(reading, name) for name in sorted({s.relayclients for s in sessions})},
        reading.noted(*parse_relaydomains(reading.controls["relaydomains"].lines)),
        _relaymailfrom(reading),
        reading.noted(*parse_tlsclients(reading.controls["tlsclients"].lines)),
        address_list(reading, "authdomains") or NO_ADDRESSES,
    )


def _relayclients(reading: Reading, name: str) -> ClientTable[Accept]:
    file = reading.controls[name]
    if name != RELAYCLIENTS and not file.exists:
        reading.notices.append(f"{file.name}: RELAYCLIENTS names it, and it is not there")
    return reading.noted(*parse_relayclients(file.lines))


def _relaymailfrom(reading: Reading) -> RelaySenders:
    """Read relaymailfrom and its data base, which is asked first whatever their age: both count."""
    text = reading.controls["relaymailfrom"]
    listed = reading.noted(*parse_relaymailfrom(text.lines))
    base = reading.base(reading.controls.locate("relaymailfrom"))
    rules = {}
    for key in _keys(reading, base, f"{text.name}.cdb", sender_key, "user@domain or @domain"):
        rules[key] = listed.text.exact.get(key) or Rule(f"{text.name}.cdb", key=key)
    return parse_relaymailfrom(text.lines, rules.items())[0]


def address_list(reading: Reading, name: str) -> AddressList | None:
    """Read a list of addresses, or the data base made from it where that is newer; None: neither."""
    text = reading.controls[name]
    listed = parse_address_list(text.lines)
    base = reading.newer_base(reading.controls.locate(name), text)
    if base is None:
        return listed if text.exists else None
    keys = {raw.decode("utf-8", "backslashreplace").lower() for raw, _ in reading.records(base)}
    if keys - set(listed.exact):
        reading.notice_difference(text, text.name)
    rules = {key: listed.exact.get(key) or Rule(f"{text.name}.cdb", key=key) for key in keys}
    return AddressList({**listed.exact, **rules}, listed.patterns)  # the text has the patterns


def _more_hosts(reading: Reading) -> DomainTable:
    """Read morercpthosts, or the data base made from it where that is newer."""
    text = reading.controls["morercpthosts"]
    lines = reading.noted(*parse_domain_rules(text.lines, suffixes=True))
    base = reading.newer_base(reading.controls.locate("morercpthosts"), text)
    if base is None:
        return table_of(lines)
    keys = _keys(
        reading, base, f"{text.name}.cdb", key_of, "a domain, or .domain for its sub-domains"
    )
    if set(keys) != set(lines):
        reading.notice_difference(text, text.name)
    rules = {key: lines.get(key) or Rule(f"{text.name}.cdb", key=key) for key in keys}
    return table_of(rules)


def _keys(
    reading: Reading,
    base: Cdb | None,
    name: str,
    key_of: Callable[[str], str | None],
    expected: str,
) -> list[str]:
    """Return the keys of a data base in our spelling; what is none is a mistake."""
    keys = []
    for raw, _ in reading.records(base) if base is not None else ():
        text = raw.decode("utf-8", "backslashreplace")
        key = key_of(text)
        if key is None:
            reading.mistakes.append(Mistake(name, None, quoted(text), expected))
        else:
            keys.append(key)
    return keys


def routing_rules(reading: Reading) -> Routing:
    """Read what decides where a recipient goes."""
    files = {name: reading.controls[name] for name in ROUTING_FILES}
    lines = {name: file.lines for name, file in files.items() if file.exists}
    return reading.noted(*parse_routing(lines, reading.me))
