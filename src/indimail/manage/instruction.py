r"""The line of a domain's `.qmail-default`: a program, and what becomes of mail for absent users.

    find_fault("lost@example.com")               -> None: one of the five forms
    default_line("/var/indimail", "delete")      -> "| /var/indimail/sbin/vdelivermail '' delete\n"
    with_instruction(text, "delete")             -> the file's text with another instruction

A Maildir has to be there: itself with cur, new and tmp, or its `Maildir/` with them.  A character
that a shell would act upon is refused, since no delivery gives the line to one.

Sources: spec/founding-text.txt (the five forms), spec/delivery.md 2 (vmoddomain), 2.4.
Not here: what an instruction means (`delivery.instruction`).
"""

import os
import re
import shlex
from enum import Enum
from typing import Final

from indimail.delivery import instruction as forms
from indimail.delivery.instruction import ToMaildir, parse_instruction
from indimail.mail.errors import Mistake
from indimail.mail.verdict import NO_RULE

EXPECTED: Final = forms.EXPECTED
VDELIVERMAIL: Final = "vdelivermail"
VFILTER: Final = "vfilter"

_UNQUOTED: Final = frozenset("$`;&|<>\\'\"")
_PROGRAM: Final = re.compile(rf"\|?[ \t]*\S*/({VDELIVERMAIL}|{VFILTER})(?=[ \t]|$)")


class Fault(Enum):
    """What is wrong with an instruction."""

    NO_FORM = "none of the five forms"
    NO_MAILDIR = "no Maildir there"


def find_fault(text: str) -> Fault | None:
    """Tell what speaks against an instruction; looks for the Maildir that one names."""
    meant = parse_instruction(text, NO_RULE)
    if isinstance(meant, Mistake) or not _UNQUOTED.isdisjoint(text) or not text.isprintable():
        return Fault.NO_FORM
    if isinstance(meant, ToMaildir) and not _holds_maildir(meant.path):
        return Fault.NO_MAILDIR
    return None


def default_line(root: str, instruction: str, program: str = VDELIVERMAIL) -> str:
    """Return the line with its end."""
    return f"| {root}/sbin/{program} '' {shlex.quote(instruction)}\n"


def with_instruction(text: str, instruction: str) -> str | None:
    """Give the first line of vdelivermail or vfilter another instruction; None: there is none.

    The program stays, and so does what stands on other lines.
    """
    lines = text.removesuffix("\n").split("\n")
    for at, line in enumerate(lines):
        found = _PROGRAM.match(line)
        if found:
            lines[at] = f"{found[0]} '' {shlex.quote(instruction)}"
            return "".join(f"{line}\n" for line in lines)
    return None


def _holds_maildir(path: str) -> bool:
    return any(
        all(os.path.isdir(os.path.join(folder, part)) for part in ("cur", "new", "tmp"))
        for folder in (path, os.path.join(path, "Maildir"))
    )
