"""`indimail relaycheck`: prove that the relay is closed, or name the rule and the client that open it.

    open       control/relaydomains:2  .com:
               lets everybody whose name ends in .com relay
               8.8.8.8 (relaycheck.com) from <anybody@sender.invalid> to <anybody@recipient.invalid>
               to mean it: accept_open = ["control/relaydomains .com:"] in [relay] of indimail.toml

It asks the decision that live traffic is asked, over all addresses; nothing is sent.  Grades: open (any
client on the Internet), claimable (any client that says something), wide (a large network, a login that
counts for hours).

Exit codes: 0 closed, also with what is wide; 1 open; 3 claimable; 78 a configuration with mistakes.
"""

import argparse
import os
import sys
from typing import TYPE_CHECKING, Final

from indimail.app.instance import find_root, missing, open_instance
from indimail.cli.root import add_root

if TYPE_CHECKING:
    from indimail.app.relaycheck import Looked

OPEN: Final = 1
CLAIMABLE: Final = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="print an object")
    add_root(parser)


def run(args: argparse.Namespace) -> int:
    """Look, and print what was found."""
    # Slow to import, and nothing that --help needs.
    from indimail.app.reading import Reading  # noqa: PLC0415
    from indimail.app.relaycheck import read_and_look  # noqa: PLC0415

    root = find_root(args.root, os.environ)
    if nothing := missing(root):
        print(f"indimail relaycheck: {nothing}", file=sys.stderr)
        return os.EX_NOINPUT
    reading = Reading(open_instance(root, os.environ), os.environ)
    looked = read_and_look(reading)
    if mistakes := reading.all_mistakes():
        print(*mistakes, sep="\n", file=sys.stderr)
        return os.EX_CONFIG
    code = _code(looked)
    if args.json:
        _print_json(looked, code)
    else:
        _print(looked, code)
    return code


def _code(looked: "list[Looked]") -> int:
    grades = {each.finding.grade.value for each in looked if not each.is_accepted}
    if "open" in grades:
        return OPEN
    return CLAIMABLE if "claimable" in grades else os.EX_OK


def _print(looked: "list[Looked]", code: int) -> None:
    for each in looked:
        finding, witness = each.finding, each.finding.witness
        grade = "accepted" if each.is_accepted else finding.grade.value
        text = each.line.removeprefix(f"{finding.rule.file} ")
        print(f"{grade.ljust(10)} {finding.rule}  {text}")
        host = f" ({witness.host})" if witness.host else ""
        print(f"{' ' * 10} {finding.why}")
        print(f"{' ' * 10} {witness.ip}{host} from <{witness.sender}> to <{witness.recipient}>")
        if grade == "open":
            where = "in [relay] of indimail.toml"
            print(f"{' ' * 10} to mean it: accept_open = [{_quoted(each.line)}] {where}")
    if code == os.EX_OK:
        print("closed: no client without a permission can send from outside to outside")


def _quoted(text: str) -> str:
    return f"'{text}'" if "'" not in text else f'"{text}"'


def _print_json(looked: "list[Looked]", code: int) -> None:
    from indimail.cli.shown import print_json  # noqa: PLC0415

    findings = [
        {
            "grade": each.finding.grade.value,
            "accepted": each.is_accepted,
            "rule": str(each.finding.rule),
            "line": each.line,
            "why": each.finding.why,
            "client": each.finding.witness.ip,
            "host": each.finding.witness.host,
            "sender": each.finding.witness.sender,
            "recipient": each.finding.witness.recipient,
        }
        for each in looked
    ]
    grade = {OPEN: "open", CLAIMABLE: "claimable"}.get(code, "closed")
    print_json({"grade": grade, "findings": findings})
