"""tcp.smtp of another system: who may connect and relay, without what would let everybody relay.

    text = safe_rules(file, variables, report)       # the file, with what is left as a comment
    clients_writes(site, files, source.clients)

A rule that sets RELAYCLIENT for addresses all over the world is a comment here, and so is a line that
is no rule; a variable that waits for its feature, or is none of ours, is told.  A tcp.smtp that
nobody wrote into since `indimail init` is replaced, another stays.

Source: spec/smtp.md 1.2, 1.3.  Not here: what a rule grants (`policy.tcprules`).
"""

from collections.abc import Collection, Mapping
from typing import Final

from indimail.mail.line import Line
from indimail.manage.importing.files import FileWrites
from indimail.manage.importing.report import Report, State
from indimail.manage.importing.source import FoundFile
from indimail.manage.instance import TCP_SMTP
from indimail.manage.site import Site
from indimail.manage.writes import Write
from indimail.policy.tcprules import ClientRule, parse_tcp_rules

_RELAY: Final = "RELAYCLIENT"
# Of each family, and by a name: nobody lets all of them relay who does not let everybody.
_FAR_APART: Final = (
    [("8.8.8.8", None), ("100.64.0.1", None), ("203.0.113.200", None)],
    [("2600::1", None), ("2001:db8::1", None), ("2a00::1", None)],
    [("192.0.2.1", "a.example"), ("198.51.100.1", "b.test")],
)


def clients_writes(site: Site, files: FileWrites, clients: Collection[FoundFile]) -> list[Write]:
    """Return the write of tcp.smtp."""
    writes: list[Write] = []
    for file in clients:
        text = safe_rules(file, files.ways.variables, files.report)
        pristine = [TCP_SMTP.encode()]
        writes += files.file(site.places.tcp_smtp, text, 0o644, file.where, pristine)
    files.report.count("tcp.smtp", len(writes))
    return writes


def safe_rules(file: FoundFile, variables: Mapping[str, str], report: Report) -> str:
    """Return the rules; `variables` are ours, with what each waits for, empty: it works."""
    lines = []
    for number, line in enumerate(file.octets.decode("utf-8", "replace").split("\n"), 1):
        where, text = f"{file.where}:{number}", line.rstrip()
        why = _why_left(file.name, number, text)
        if why:
            report.note(State.LEFT, where, text, why)
            text = f"# not taken: {text}"
        else:
            _tell_of_variables(where, text, variables, report)
        lines.append(text)
    return "\n".join(lines)


def _rule(text: str, number: int = 1) -> ClientRule | None:
    """Return the one rule of a line, None where it has none."""
    rules, _ = parse_tcp_rules([Line("tcp.smtp", number, text)])
    return rules.listed[0][1] if rules.listed else None


def _why_left(name: str, number: int, text: str) -> str:
    """Say why a line is not taken; empty: it is."""
    if not text or text.startswith("#"):
        return ""
    rules, mistakes = parse_tcp_rules([Line(name, number, text)])
    if mistakes:
        return f"found {mistakes[0].found}, expected {mistakes[0].expected}"
    for clients in _FAR_APART:
        found = [rules.find(address, host) for address, host in clients]
        if all(_RELAY in rule.variables for rule in found):
            return "lets everybody relay"
    return ""


def _tell_of_variables(where: str, text: str, variables: Mapping[str, str], report: Report) -> None:
    rule = _rule(text) if text and not text.startswith("#") else None
    for name in rule.variables if rule is not None else ():
        if name not in variables:
            report.note(State.MEND, where, name, "no variable of ours: it has no effect")
        elif variables[name]:
            report.note(State.WAITS, where, name, variables[name])
