"""dot-qmail files: which one is meant, and what its lines ask for.

    find_dotqmail_names("-", "a-b")     -> (".qmail-a-b", ".qmail-a-default", ".qmail-default")
    read_dotqmail("domains/example.com/.qmail-default", text)    -> (VDeliver(...),) or Defer(...)

The caller opens the first of the names that is a regular file and hands its whole text over.
So far one kind of line is understood, vdelivermail's; it is done in-process:

    | /usr/sbin/vdelivermail '' bounce-no-mailbox

A file with any other line defers as a whole, before its first step, and says which line it was.

Source: spec/delivery.md 4 (search, lines), 5 (vdelivermail's arguments), spec/founding-text.txt
(the line without ``|``).  Not here: what the instruction means (`delivery.instruction`).
"""

import shlex
from dataclasses import dataclass
from typing import Final

from indimail.delivery.instruction import Instruction, parse_instruction
from indimail.delivery.plan import Defer, Fail
from indimail.mail.errors import Mistake
from indimail.mail.foreseen import Foreseen
from indimail.mail.verdict import Rule

LONGEST_NAME: Final = 255  # octets of a file name, NAME_MAX of every Linux file system
EXPECTED_LINE: Final = "a line | .../vdelivermail '' INSTRUCTION (other lines: not yet)"
EXPECTED_ARGUMENTS: Final = "'' and a delivery instruction, in plain words"

# sh would expand or run these; the line is not given to a shell, so it must not need one
_SHELL: Final = frozenset("$`;&|<>\\")


@dataclass(frozen=True, slots=True)
class VDeliver:
    """Deliver as vdelivermail does; `instruction` is looked at only for a user who is absent.

    `number` counts the steps of a file from 0.  A mistake in the instruction is no mistake of
    the file: mail for the users who exist goes on.
    """

    number: int
    instruction: Instruction | Mistake
    rule: Rule


Step = VDeliver


def find_dotqmail_names(dash: str, ext: str) -> tuple[str, ...]:
    """Return the file names to try, in order.

    Dots become colons, so no name leads out of the home directory.  Names that no file can have
    (too long, with NUL) are left out.
    """
    ext = ext.lower().replace(".", ":")
    names = [f".qmail{dash}{ext}"]
    at = ext.rfind("-") + 1
    while at:
        names.append(f".qmail{dash}{ext[:at]}default")
        at = ext.rfind("-", 0, at - 1) + 1
    names.append(f".qmail{dash}default")
    return tuple(filter(_is_possible, names))


def missing_dotqmail(dash: str) -> Fail | Defer:
    """Decide for a recipient for whom none of the names is there."""
    if dash:
        text = "Sorry, no mailbox here by that name. (#5.1.1)"
        return Fail(text, "5.1.1", Foreseen.ABSENT)
    return Defer("there is no .qmail, and the default delivery is not supported yet. (#4.3.0)")


def read_dotqmail(file: str, text: str) -> tuple[Step, ...] | Defer:
    """Return the steps of a file, none for one of comments alone; Defer where one is not ours."""
    if not text:
        what = "an empty file means the default delivery, which is not supported yet. (#4.3.0)"
        return Defer(f"{file}: {what}", Rule(file))
    lines = [line.rstrip(" \t\r") for line in text.split("\n")]
    if not lines[0]:
        return Defer("Uh-oh: first line of .qmail file is blank. (#4.2.1)", Rule(file, 1))
    steps: list[Step] = []
    for number, line in enumerate(lines, 1):
        if not line or line.startswith("#"):
            continue
        rule = Rule(file, number)
        step = _read_line(line, len(steps), rule)
        if isinstance(step, Mistake):
            return Defer(str(step), rule)
        steps.append(step)
    return tuple(steps)


def _read_line(line: str, number: int, rule: Rule) -> Step | Mistake:
    command = line.removeprefix("|")
    words = _words(command)
    if not words or not words[0].endswith("/vdelivermail"):
        return Mistake(rule.file, rule.line, line, EXPECTED_LINE)
    if len(words) != 3 or _SHELL.intersection(command):
        return Mistake(rule.file, rule.line, line, EXPECTED_ARGUMENTS)
    return VDeliver(number, parse_instruction(words[2], rule), rule)


def _words(command: str) -> list[str]:
    """Split as sh does; none where a quote stays open."""
    try:
        return shlex.split(command)
    except ValueError:
        return []


def _is_possible(name: str) -> bool:
    if name.isascii():
        return len(name) <= LONGEST_NAME and "\0" not in name
    return "\0" not in name and len(name.encode("utf-8", "surrogateescape")) <= LONGEST_NAME
