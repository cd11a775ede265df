"""What came of an import: how much was taken, and each thing that needs a look.

    report = Report()
    report.count("users", 3)
    report.note(State.LEFT, "domains/example.com/vpasswd:7", "upper:...", "8 fields, expected 7")
    print(report.text())                 # or json.dumps(report.values())
    report.is_whole                      -> False

Nothing of a note is a secret.  Not here: who decides (the other modules of this package).
"""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class State(StrEnum):
    """What became of a thing that is not simply taken."""

    CHANGED = "changed"
    WAITS = "waits"
    MEND = "mend"
    KEPT = "kept"
    LEFT = "left"


TITLES: Final = {
    State.CHANGED: "taken in another form",
    State.WAITS: "taken, and without effect until the feature is there",
    State.MEND: "taken, and yours to look after",
    State.KEPT: "not taken: something else is here already",
    State.LEFT: "not taken",
}


@dataclass(frozen=True, slots=True)
class Note:
    """One thing: file and line (or table and key), what it is, and why it is told."""

    state: State
    where: str
    what: str
    why: str

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.where, self.what, self.why)))


@dataclass(slots=True)
class Report:
    """Gathers counts and notes; `here` counts what was there already, as it would be taken."""

    taken: Counter[str] = field(default_factory=Counter)
    here: Counter[str] = field(default_factory=Counter)
    notes: list[Note] = field(default_factory=list)

    def count(self, what: str, number: int = 1) -> None:
        """Count what is taken: "users", "mails"."""
        self.taken[what] += number

    def note(self, state: State, where: str, what: str, why: str) -> None:
        """Say something of one thing; a second time the same is no news."""
        note = Note(state, where, what, why)
        if note not in self._known:
            self._known.add(note)
            self.notes.append(note)

    def take_notes(self, other: "Report") -> None:
        """Say what another report says."""
        for note in other.notes:
            self.note(note.state, note.where, note.what, note.why)

    @property
    def is_whole(self) -> bool:
        """Tell whether all was taken, and works as it did."""
        return all(note.state is State.CHANGED for note in self.notes)

    def text(self) -> str:
        """Return it for a reader."""
        lines = [f"taken: {_listed(self.taken)}"]
        if self.here.total():
            lines.append(f"here already: {_listed(self.here)}")
        for state, title in TITLES.items():
            notes = [note for note in self.notes if note.state is state]
            if notes:
                lines += ["", f"{title}:", *(f"  {note}" for note in notes)]
        return "\n".join(lines)

    def values(self) -> dict[str, object]:
        """Return it for a program."""
        notes = [
            {"state": str(n.state), "where": n.where, "what": n.what, "why": n.why}
            for n in self.notes
        ]
        return {"taken": _positive(self.taken), "here": _positive(self.here), "notes": notes}

    _known: set[Note] = field(default_factory=set)


def _positive(counts: Counter[str]) -> dict[str, int]:
    return {what: number for what, number in counts.items() if number}


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in _positive(counts).items()) or "nothing"
