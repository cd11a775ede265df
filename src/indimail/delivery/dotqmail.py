"""dot-qmail files: which one is meant, and what its lines ask for.

    find_dotqmail_names("-", "a-b")     -> (Name(".qmail-a-b"), Name(".qmail-a-default", "b"), ...)
    read_dotqmail(DotQmail("alias/.qmail-x", text, home="/srv/alias"))     -> (Step(1, Forward(...)),)

The caller opens the first of the names that is a regular file and hands its text over.  A line is

    # comment
    |command                  run by sh in the home directory, the mail on its standard input
    ./Maildir/  /x/Maildir/   a Maildir: a path that begins with . or / and ends with /
    ./mbox                    any other such path
    &bob@example.org          forward; the & may be missing
    ?label command            as |, but exit 99 goes on at the line :label; without a command always
    :label                    where it goes on
    +list                     from here on only forwards are allowed
    % directory               variables for the commands below, a file each (envdir)
    | .../vdelivermail '' bounce-no-mailbox

The last is done in-process, whatever stands before its last ``/`` and with or without the ``|``.  A
line that cannot be obeyed defers the whole file before its first step, and says which line it was.

Source: spec/delivery.md 4 (search, lines, checks), 5 (vdelivermail's arguments),
spec/founding-text.txt (the line without ``|``).  Not here: what the instruction means
(`delivery.instruction`), what vdelivermail makes of it (`delivery.virtual`).
"""

import shlex
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from indimail.delivery.instruction import Instruction, parse_instruction
from indimail.delivery.plan import Defer, Deliver, Fail, Forward, Jump, Mbox, Run
from indimail.mail.errors import Mistake
from indimail.mail.foreseen import Foreseen
from indimail.mail.verdict import Rule

LONGEST_NAME: Final = 255  # octets of a file name, NAME_MAX of every Linux file system
WORLD_WRITABLE: Final = 0o002
FORWARDS_ONLY: Final = 0o100  # the owner's x bit
STICKY: Final = 0o1000
EXPECTED_ARGUMENTS: Final = "'' and a delivery instruction, in plain words"
EXPECTED_ADDRESS: Final = "an address, a path that begins with / or ., or |command"

BLANK: Final = "Uh-oh: first line of .qmail file is blank. (#4.2.1)"
WRITABLE: Final = "Uh-oh: .qmail file is writable. (#4.7.0)"
HOME_WRITABLE: Final = "Uh-oh: home directory is writable. (#4.7.0)"
HOME_STICKY: Final = "Home directory is sticky: user is editing his .qmail file. (#4.2.1)"
X_AND_FILE: Final = "Uh-oh: .qmail has file delivery but has x bit set. (#4.7.0)"
X_AND_PROGRAM: Final = "Uh-oh: .qmail has prog delivery but has x bit set. (#4.7.0)"
NO_MAILBOX: Final = "Sorry, no mailbox here by that name. (#5.1.1)"

# sh would expand or run these; the line is not given to a shell, so it must not need one
_SHELL: Final = frozenset("$`;&|<>\\")


@dataclass(frozen=True, slots=True)
class Name:
    """A name to try; of a ``default`` file, `default` is the part of the extension it stands for."""

    file: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class DotQmail:
    """A file that was found: as texts name it, its text, its owner's home, its permission bits.

    `is_virtual`: vdelivermail reads it, for whom every path that begins with ``/`` is a Maildir.
    """

    file: str
    text: str
    home: str
    mode: int = 0o600
    is_virtual: bool = False


@dataclass(frozen=True, slots=True)
class VDeliver:
    """Deliver as vdelivermail does; `instruction` is looked at only for a user who is absent.

    A mistake in the instruction is no mistake of the file: mail for the users who exist goes on.
    """

    instruction: Instruction | Mistake
    rule: Rule


Step = Deliver | Mbox | Forward | Jump | VDeliver


def find_dotqmail_names(dash: str, ext: str) -> tuple[Name, ...]:
    """Return the file names to try, in order.

    Dots become colons, so no name leads out of the home directory.  Names that no file can have
    (too long, with NUL) are left out.
    """
    if not dash:
        return (Name(".qmail"),)
    safe = ext.lower().replace(".", ":")
    names = [Name(f".qmail{dash}{safe}")]
    at = safe.rfind("-") + 1
    while at:
        names.append(Name(f".qmail{dash}{safe[:at]}default", ext[at:]))
        at = safe.rfind("-", 0, at - 1) + 1
    names.append(Name(f".qmail{dash}default", ext))
    return tuple(filter(_is_possible, names))


def check_home(shown: str, mode: int) -> Defer | None:
    """Refuse to read .qmail files of a home that others may write, or whose owner is editing."""
    if mode & WORLD_WRITABLE:
        return Defer(HOME_WRITABLE, Rule(shown))
    return Defer(HOME_STICKY, Rule(shown)) if mode & STICKY else None


def missing_dotqmail() -> Fail:
    """Decide for an extension for which none of the names is there."""
    return Fail(NO_MAILBOX, "5.1.1", Foreseen.ABSENT)


@lru_cache(maxsize=1000)
def read_dotqmail(of: DotQmail) -> tuple[tuple[int, Step], ...] | Defer:
    """Return the steps with their line numbers, none for a file of comments alone.

    An empty file has to be replaced with the default delivery by the caller.
    """
    if of.mode & WORLD_WRITABLE:
        return Defer(WRITABLE, Rule(of.file))
    lines = [line.rstrip(" \t\r") for line in of.text.split("\n")]
    if not lines[0]:
        return Defer(BLANK, Rule(of.file, 1))
    reader = _Reader(of, lines)
    for number, line in enumerate(lines, 1):
        reader.read(number, line)
        if reader.wrong is not None:
            return reader.wrong
    return tuple(reader.steps)


class _Reader:
    """Reads the lines of one file, from the first on."""

    def __init__(self, of: DotQmail, lines: list[str]) -> None:
        self._of = of
        self._lines = lines
        self._forwards_only = bool(of.mode & FORWARDS_ONLY)
        self._envdirs: tuple[str, ...] = ()
        self._from = 0  # a jump leaves out the lines before this one
        self.steps: list[tuple[int, Step]] = []
        self.wrong: Defer | None = None

    def read(self, number: int, line: str) -> None:
        if not line or line[0] in "#:" or number < self._from:
            return
        rule = Rule(self._of.file, number)
        match line[0]:
            case "+":
                self._forwards_only = True
            case "%":
                self._envdirs += (self._path(line[1:].strip()),)
            case "?":
                self._branch(number, line[1:], rule)
            case _:
                self._step(number, line, rule)

    def _step(self, number: int, line: str, rule: Rule) -> None:
        if (virtual := _read_virtual(line, rule)) is not None:
            self._add(number, virtual, X_AND_PROGRAM, rule)
        elif line[0] == "|":
            self._add(number, Jump(self._run(line[1:], rule)), X_AND_PROGRAM, rule)
        elif line[0] in "./":
            path = self._path(line)
            is_maildir = line.endswith("/") or (self._of.is_virtual and line[0] == "/")
            what = Deliver(path.rstrip("/"), rule) if is_maildir else Mbox(path, rule)
            self._add(number, what, X_AND_FILE, rule)
        else:
            address = line.removeprefix("&").strip()
            if not address or not address.isprintable() or " " in address:
                self.wrong = Defer(str(Mistake(rule.file, number, line, EXPECTED_ADDRESS)), rule)
            self.steps.append((number, Forward(address, rule)))

    def _add(self, number: int, step: Step | Mistake, refusal: str, rule: Rule) -> None:
        if isinstance(step, Mistake):
            self.wrong = Defer(str(step), rule)
        elif self._forwards_only:
            self.wrong = Defer(refusal, rule)
        else:
            self.steps.append((number, step))

    def _branch(self, number: int, rest: str, rule: Rule) -> None:
        """``?label command``: 99 goes on at the label, which stands below or means the end."""
        label, _, command = rest.partition(" ")
        below = enumerate(self._lines[number:], number + 1)
        to = next((at for at, line in below if line == f":{label}"), len(self._lines) + 1)
        if command.strip():
            jump = Jump(self._run(command, rule), to)
            self._add(number, jump, X_AND_PROGRAM, rule)
        else:
            self._from = to

    def _run(self, command: str, rule: Rule) -> Run:
        home = self._of.home if self._of.is_virtual else ""
        return Run(command.strip(), rule, envdirs=self._envdirs, home=home)

    def _path(self, path: str) -> str:
        if path.startswith("/"):
            return path
        return f"{self._of.home}/{path.removeprefix('./')}"


def _read_virtual(line: str, rule: Rule) -> VDeliver | Mistake | None:
    """Return what a vdelivermail line says; None for any other line."""
    command = line.removeprefix("|")
    words = _words(command)
    if not words or not words[0].endswith(("/vdelivermail", "/vfilter")):
        return None
    if words[0].endswith("/vfilter"):
        return Mistake(rule.file, rule.line, line, "vdelivermail (vfilter: not yet)")
    if len(words) != 3 or _SHELL.intersection(command):
        return Mistake(rule.file, rule.line, line, EXPECTED_ARGUMENTS)
    return VDeliver(parse_instruction(words[2], rule), rule)


def _words(command: str) -> list[str]:
    """Split as sh does; none where a quote stays open."""
    try:
        return shlex.split(command)
    except ValueError:
        return []


def _is_possible(name: Name) -> bool:
    if name.file.isascii():
        return len(name.file) <= LONGEST_NAME and "\0" not in name.file
    octets = name.file.encode("utf-8", "surrogateescape")
    return "\0" not in name.file and len(octets) <= LONGEST_NAME
