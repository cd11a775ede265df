"""`tcprulescheck`: which rule of tcp.smtp decides about a client, and what it gives.

    tcprulescheck /var/indimail/tcp/tcp.smtp 192.0.2.1
    tcprulescheck /var/indimail/tcp/tcp.smtp.cdb 192.0.2.1 ident-name mx.example.com

What is left out is TCPREMOTEIP, TCPREMOTEINFO, TCPREMOTEHOST.  The first line names the rule by its
address, and by file and line, also of a data base that says what the text beside it does::

    rule 192.0.2.: /var/indimail/tcp/tcp.smtp:7
    set environment variable RELAYCLIENT=
    allow connection

Exit codes: 0, also for a client who is denied; 100 wrong use, or a line that is no rule; 111 a file
that cannot be read, or is broken.

Sources: spec/smtp.md 1.3, 1.4; tcprulescheck(1) of ucspi-tcp.
"""

import argparse
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from indimail.cli.program_line import PERMANENT, TEMPORARY, Ended, attempt

if TYPE_CHECKING:
    from indimail.mail.errors import Mistake
    from indimail.policy.tcprules import ClientRule, TcpRules

PROGRAM: Final = "tcprulescheck"
BASE: Final = ".cdb"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("file", help="tcp.smtp, or the data base that was made of it")
    parser.add_argument("ip", nargs="?", help="the client's address")
    parser.add_argument("info", nargs="?", help="what ident says of it")
    parser.add_argument("host", nargs="?", help="its name")


def run(args: argparse.Namespace) -> int:
    """Print what the rules say."""
    return attempt(PROGRAM, lambda: _run(args))


def _run(args: argparse.Namespace) -> int:
    given = {
        name: getattr(args, name) or os.environ.get(f"TCPREMOTE{name.upper()}")
        for name in ("ip", "info", "host")
    }
    if not given["ip"]:
        raise Ended("expected an address, as argument or in TCPREMOTEIP", PERMANENT)
    rules = _rules_of_base(args.file) if args.file.endswith(BASE) else _rules_of_text(args.file)
    found = rules.find(given["ip"], given["host"], given["info"])
    is_rule = any(rule is found for _, rule in rules.listed)
    print(*_lines(found, is_rule), sep="\n")
    return os.EX_OK


def _lines(found: "ClientRule", is_rule: bool) -> Iterator[str]:
    from indimail.policy.tcprules import address_of  # noqa: PLC0415 - not for --help

    yield f"rule {address_of(found)}: {found.rule}" if is_rule else "default:"
    for name, value in found.variables.items():
        yield f"set environment variable {name}={value}"
    for name in sorted(found.removed):
        yield f"unset environment variable {name}"
    yield "allow connection" if found.allowed else "deny connection"


def _rules_of_text(path: str) -> "TcpRules":
    from indimail.control.files import read_control  # noqa: PLC0415 - not for --help
    from indimail.policy.tcprules import parse_tcp_rules  # noqa: PLC0415

    file, mistakes = read_control(path, path)
    _check(mistakes, TEMPORARY)
    if not file.exists:
        raise Ended(f"{path}: No such file or directory", TEMPORARY)
    rules, mistakes = parse_tcp_rules(file.lines)
    _check(mistakes, PERMANENT)
    return rules


def _rules_of_base(path: str) -> "TcpRules":
    """Return the rules of a data base; those of its text where that says the same."""
    from indimail.control.cdb import read_cdb  # noqa: PLC0415 - not for --help
    from indimail.mail.errors import ConfigErrors  # noqa: PLC0415
    from indimail.policy.tcprules import compile_rules, rules_from_records  # noqa: PLC0415

    try:
        records = list(read_cdb(path, path).items())
    except ConfigErrors as errors:
        raise Ended(str(errors), TEMPORARY) from None
    rules, mistakes = rules_from_records(records, path)
    _check(mistakes, TEMPORARY)
    try:
        text = _rules_of_text(path.removesuffix(BASE))
    except Ended:
        return rules
    return text if dict(reversed(records)) == dict(compile_rules(text)) else rules


def _check(mistakes: "list[Mistake]", code: int) -> None:
    if mistakes:
        raise Ended("\n".join(map(str, mistakes)), code)
