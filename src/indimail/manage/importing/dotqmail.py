r"""A .qmail file of another system, as it is to be here: paths, programs, instructions.

    moved = Moved({"/home/mail/A2E/example.com/alice": "/var/indimail/mail/A2E/example.com/alice"})
    rewriting = Rewriting("/var/indimail", moved, frozenset({"autoresponder"}))
    rewriting.text(file, "/home/vpopmail/domains/example.com", report)
        -> the text for here, with a note for each line that was changed or needs a look

What stands there is kept, but for

    a path of a home that was copied               names its copy
    | .../vdelivermail '' INSTRUCTION              is our line, with the same instruction
    | /usr/bin/autoresponder ...                   a program of ours, by its name alone

Another program, and a path that does not exist here, are told with file and line.

Sources: spec/delivery.md 4 (lines), 5.4 (instruction).  Not here: what a line does (`delivery`).
"""

import os
import re
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from indimail.accounts.port import above
from indimail.delivery.dotqmail import DotQmail, read_dotqmail
from indimail.delivery.instruction import ToMaildir, parse_instruction
from indimail.delivery.plan import Defer
from indimail.mail.errors import Mistake
from indimail.mail.verdict import Rule
from indimail.manage.importing.report import Report, State
from indimail.manage.importing.source import FoundFile
from indimail.manage.instruction import VDELIVERMAIL, VFILTER, default_line
from indimail.manage.site import reading_as_root

_PATH: Final = re.compile(r"(?<![\w.:/~$-])/[^\s'\"|;&<>()]+")
_PROGRAM_FOLDER: Final = re.compile(r".*/s?bin/[^/]+")
_FOREIGN: Final = "not ours: runs here as the owner of the instance"
_COPIED: Final = frozenset({"", "Maildir", ".qmail", ".vacation.msg", ".vacation.dir"})
_BUILTINS: Final = frozenset(
    ["!", "(", ".", ":", "[", "case", "cd", "echo", "exec", "exit", "export", "false", "for", "if",
     "printf", "set", "test", "true", "unset", "while", "{"]
)  # fmt: skip
_NO_FILTERS: Final = "vfilter: not yet; vdelivermail delivers, without the filters"


class Moved:
    """Where homes of the source are here, old -> new, without a slash at the end."""

    def __init__(self, homes: Mapping[str, str]) -> None:
        self._homes = homes
        self._here = frozenset(homes.values())

    def path(self, path: str) -> str:
        """Return where a path is here; as it is where its home was not copied."""
        for folder in above(path.rstrip("/")):
            if folder in self._homes:
                return self._homes[folder] + path[len(folder) :]
        return path

    def in_home(self, path: str) -> str | None:
        """Return what follows the home in a path of here; None where it lies in none."""
        for folder in above(path.rstrip("/")):
            if folder in self._here:
                return path[len(folder) :].strip("/")
        return None


@dataclass(frozen=True, slots=True)
class Rewriting:
    """How lines are rewritten for an instance; `programs` are the names of its own."""

    root: str
    moved: Moved
    programs: frozenset[str]

    def text(self, file: FoundFile, home: str, report: Report) -> str:
        """Return a file's text for here; `home` is the directory that its relative paths mean."""
        text = file.octets.decode("utf-8", "surrogateescape")
        lines = [
            self.line(line, f"{file.where}:{number}", home, report)
            for number, line in enumerate(text.split("\n"), 1)
        ]
        rewritten = "\n".join(lines)
        steps = read_dotqmail(DotQmail(file.where, rewritten, "/")) if rewritten.strip() else ()
        if isinstance(steps, Defer):
            report.note(State.MEND, file.where, "its mail waits", steps.text)
        return rewritten

    def line(self, line: str, where: str, home: str, report: Report) -> str:
        """Return a line for here."""
        words = _words(line.removeprefix("|"))
        name = os.path.basename(words[0]) if words else ""
        if line[:1] in ("", "#", ":", "+"):
            return line
        if words[:1] and "/" in words[0] and name in (VDELIVERMAIL, VFILTER):
            return self._instruction(line, words, name, where, report)
        if line[0] in "|?":
            return self._command(line, where, report)
        if line[0] in "./":
            return self._path_line(line, where, home, report)
        return line

    def _instruction(
        self, line: str, words: list[str], name: str, where: str, report: Report
    ) -> str:
        if len(words) != 3:
            report.note(State.MEND, where, line, "its mail waits: expected '' and an instruction")
            return line
        meant = parse_instruction(words[2], Rule(where))
        text = words[2]
        if isinstance(meant, ToMaildir):
            text = self.moved.path(meant.path)
            if text == meant.path:
                report.note(State.MEND, where, meant.path, "a Maildir that was not copied")
        elif isinstance(meant, Mistake):
            report.note(State.MEND, where, line, "absent users' mail waits: no instruction")
        new = default_line(self.root, text).removesuffix("\n")
        if name == VFILTER:
            report.note(State.WAITS, where, line, _NO_FILTERS)
        elif new != line.rstrip():
            report.note(State.CHANGED, where, line, f"now {new}")
        return new

    def _command(self, line: str, where: str, report: Report) -> str:
        changed = _PATH.sub(lambda found: self._named_here(found[0]), line)
        if changed != line:
            report.note(State.CHANGED, where, line, f"now {changed}")
        words = _words(changed.removeprefix("|"))
        at = 1 if line[0] == "?" else 0
        for number, word in enumerate(words):
            why = self._why_strange(word, is_program=number == at)
            if why:
                report.note(State.MEND, where, word, why)
        return changed

    def _why_strange(self, word: str, *, is_program: bool) -> str:
        """Say what is to be looked at in a word of a command; empty: nothing."""
        inside = self.moved.in_home(word) if word.startswith("/") else None
        if inside is not None:
            is_copied = inside.partition("/")[0] in _COPIED
            return "" if is_copied else "was not copied with the home"
        if word.startswith("/"):
            with reading_as_root():
                is_there = os.path.exists(word)
            if not is_there:
                return "not there on this machine"
            return _FOREIGN if is_program else ""
        if not is_program or word in self.programs or word in _BUILTINS or "=" in word:
            return ""
        return _FOREIGN if shutil.which(word) else "no such program on this machine"

    def _named_here(self, path: str) -> str:
        """Return a copied home's new path, or the bare name of a program that is ours."""
        moved = self.moved.path(path)
        name = os.path.basename(path)
        if moved == path and name in self.programs and _PROGRAM_FOLDER.fullmatch(path):
            return name
        return moved

    def _path_line(self, line: str, where: str, home: str, report: Report) -> str:
        path = line.rstrip()
        if not path.startswith("/"):
            whole = f"{home}/{path.removeprefix('./')}"
            moved = self.moved.path(whole)
            if moved == whole:
                return line
        else:
            moved = self.moved.path(path)
            if moved == path:
                report.note(State.MEND, where, path, "a mailbox that was not copied")
                return line
        report.note(State.CHANGED, where, line, f"now {moved}")
        return moved


def _words(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return command.split()
