"""Mutants of the server: one durable step removed or put in the wrong order in each.

    for mutant in removals(Path("src")) + orders(Path("src")): mutant.text   # the file's new content

Removals are found by name: every call of a sync, a seal or a lock is one, wherever it stands, so a
new one cannot be forgotten here.  Orders are written down (`orders`); one that no longer fits the
code is an error, not a survivor.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .orders import ORDERS

# Calls that make something durable, or that make one process the owner.
SYNCS: Final = re.compile(r"_?sync(_\w+)?|f(data)?sync|syncfs|flock|_?seal")


@dataclass(frozen=True)
class Mutant:
    """`file` is relative to the source folder; `promise` says what is broken."""

    file: str
    line: int
    promise: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.promise}"


def removals(source: Path) -> list[Mutant]:
    """Return a mutant for each call that `SYNCS` names, without that call."""
    found = []
    for path in sorted(source.rglob("*.py")):
        name = str(path.relative_to(source))
        if "/testing/" not in name:
            found += list(_without(name, path.read_text()))
    return found


def _without(name: str, text: str) -> Iterator[Mutant]:
    for call in sync_calls(ast.parse(text)):
        start, end = _offsets(text, call)
        instead = "0" if _called(call) == "syncfs" else "None"
        shown = " ".join(text[start:end].split())
        yield Mutant(name, call.lineno, f"without {shown}", text[:start] + instead + text[end:])


def sync_calls(tree: ast.AST) -> list[ast.Call]:
    """Return the calls of syncs, seals and locks, in order."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    found = [call for call in calls if SYNCS.fullmatch(_called(call))]
    return sorted(found, key=lambda call: (call.lineno, call.col_offset))


def _called(call: ast.Call) -> str:
    match call.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def _offsets(text: str, node: ast.expr) -> tuple[int, int]:
    """Return where a node is in the text; ast counts octets of UTF-8 in a line."""
    lines = text.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))

    def offset(line: int, column: int) -> int:
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode())

    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return offset(node.lineno, node.col_offset), offset(node.end_lineno, node.end_col_offset)


def orders(source: Path) -> list[Mutant]:
    """Return the mutants that are written down.  Raises ValueError for one that is out of date."""
    found = []
    for order in ORDERS:
        text = (source / order.file).read_text()
        if text.count(order.old) != 1:
            times = text.count(order.old)
            raise ValueError(f"{order.file}: {times} times, expected once: {order.old!r}")
        line = text[: text.index(order.old)].count("\n") + 1
        changed = text.replace(order.old, order.new)
        ast.parse(changed)
        found.append(Mutant(order.file, line, order.promise, changed))
    return found
