"""What people and programs read: aligned columns, labelled values, JSON.

    print_table(["address", "quota"], [["alice@example.com", "50 MiB"]])
    print_values({"address": "alice@example.com", "aliases": ["sales@example.com"]})
    print_json({"users": []})

Headings are bold on a terminal, unless NO_COLOR is set (no-color.org).
"""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Final

from indimail.accounts.port import LastEvent, Limits
from indimail.cli.vlimit import report

_UNITS: Final = (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10))


def print_json(value: object) -> None:
    """Print one value."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their headings; nothing where there is no row."""
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for number, row in enumerate([headings, *rows]):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        line = "  ".join(cells).rstrip()
        print(line if number else _bold(line))


def print_values(values: Mapping[str, str | Sequence[str]]) -> None:
    """Print a label and a value on each line; of a list, one value on each line."""
    width = max(map(len, values)) + 1
    for label, value in values.items():
        for number, text in enumerate([value] if isinstance(value, str) else value or ["-"]):
            front = f"{label}:".ljust(width) if not number else " " * width
            print(f"{_bold(front)} {text}")


def size(octets: int) -> str:
    """Return a number of octets as people read it: ``1.5 MiB``."""
    for unit, shift in _UNITS:
        if octets >= 1 << shift:
            return f"{octets / (1 << shift):.1f}".removesuffix(".0") + f" {unit}"
    return f"{octets} B"


def event_values(event: LastEvent | None) -> dict[str, object] | None:
    """Return an event as JSON has it: its time in UTC."""
    if event is None:
        return None
    return {"service": event.service, "time": utc(event.time), "ip": event.remote_ip or None}


def limit_values(limits: Limits | None) -> dict[str, int] | None:
    """Return limits by their columns."""
    if limits is None:
        return None
    return {name: value for name, value in asdict(limits).items() if isinstance(value, int)}


def limit_lines(limits: Limits | None) -> list[str]:
    """Return limits as `vlimit -s` prints them, in one column."""
    lines = [] if limits is None else report(limits)
    return [": ".join(map(str.strip, line.split(":", 1))) for line in lines]


def utc(seconds: int) -> str:
    """Return a time as ``2026-01-02T03:04:05Z`` (RFC 3339)."""
    from datetime import UTC, datetime  # noqa: PLC0415 - nothing that --help needs

    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _bold(text: str) -> str:
    is_coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return f"\033[1m{text}\033[0m" if is_coloured else text
