"""Whose mail is taken, and where a recipient goes.

    relay_rules(reading), routing_rules(reading)

Sources: spec/smtp.md 3.8; spec/queue.md 1.4.
"""

from indimail.app.reading import Reading
from indimail.control.cdb import Cdb
from indimail.mail.errors import Mistake
from indimail.mail.match import DomainTable, key_of, parse_domain_rules, parse_domains, quoted
from indimail.mail.verdict import Rule
from indimail.policy.relay import RelayRules
from indimail.schedule.route import FILES as ROUTING_FILES
from indimail.schedule.route import Routing, parse_routing


def relay_rules(reading: Reading) -> RelayRules:
    """Read rcpthosts and morercpthosts."""
    hosts = reading.noted(*parse_domains(reading.controls["rcpthosts"].lines))
    if not reading.controls["rcpthosts"].lines and not reading.controls["morercpthosts"].lines:
        name = reading.controls.display("rcpthosts")
        reading.notices.append(f"{name}: lists nothing: mail is taken only from who may relay")
    return RelayRules(hosts, _more_hosts(reading))


def _more_hosts(reading: Reading) -> DomainTable:
    """Read morercpthosts, or the data base made from it where that is newer."""
    text = reading.controls["morercpthosts"]
    lines = reading.noted(*parse_domain_rules(text.lines, suffixes=True))
    base = reading.newer_base(reading.controls.locate("morercpthosts"), text)
    if base is None:
        return DomainTable(lines.get)
    keys = _keys(reading, base, f"{text.name}.cdb")
    if set(keys) != set(lines):
        reading.notice_difference(text, text.name)
    rules = {key: lines.get(key) or Rule(f"{text.name}.cdb", key=key) for key in keys}
    return DomainTable(rules.get)


def _keys(reading: Reading, base: Cdb, name: str) -> list[str]:
    """Return the domains of a data base; what is none is a mistake."""
    keys = []
    for raw, _ in reading.records(base):
        text = raw.decode("utf-8", "backslashreplace")
        key = key_of(text)
        if key is None:
            expected = "a domain, or .domain for its sub-domains"
            reading.mistakes.append(Mistake(name, None, quoted(text), expected))
        else:
            keys.append(key)
    return keys


def routing_rules(reading: Reading) -> Routing:
    """Read what decides where a recipient goes."""
    files = {name: reading.controls[name] for name in ROUTING_FILES}
    lines = {name: file.lines for name, file in files.items() if file.exists}
    return reading.noted(*parse_routing(lines, reading.me))
