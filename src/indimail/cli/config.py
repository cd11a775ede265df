"""`indimail config`: every setting with its value, default, source and meaning.

    indimail config --listener submission     # as this listener's clients have it
    indimail config databytes --json          # [{"name": "databytes", "value": "0", ...}]

A value is the one that holds for clients whose rule of tcp.smtp says nothing else.  What a setting
waits for stands in its status; until then it has no effect.  Mistakes do not stop the list: they
are told on stderr, and the exit code is 78.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

from indimail.app.instance import DEFAULT_ROOT, find_root, missing, open_instance

if TYPE_CHECKING:
    from indimail.app.reading import Reading

Row = dict[str, str]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("names", nargs="*", metavar="NAME", help="settings to show; default: all")
    parser.add_argument("--json", action="store_true", help="a list of objects, texts as values")
    parser.add_argument(
        "--listener", default="smtp", metavar="NAME", help="whose view; default smtp"
    )
    parser.add_argument("--works", action="store_true", help="without what has no effect yet")
    parser.add_argument(
        "--root", metavar="DIR", help=f"the instance (INDIMAIL_ROOT, {DEFAULT_ROOT})"
    )


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    # Slow to import, and nothing that --help needs.
    from indimail.app.reading import Reading  # noqa: PLC0415

    root = find_root(args.root, os.environ)
    if nothing := missing(root):
        return _failed(nothing, os.EX_NOINPUT)
    reading = Reading(open_instance(root, os.environ), os.environ)
    rows = list(_rows(reading, args))
    unknown = set(args.names) - {name for row in rows for name in (row["name"], row["variable"])}
    if unknown:
        return _failed(f"{' '.join(sorted(unknown))}: no such setting", os.EX_USAGE)
    if args.names:
        rows = [row for row in rows if {row["name"], row["variable"]} & set(args.names)]
    if args.json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        _print(rows)
    for mistake in reading.all_mistakes():
        print(mistake, file=sys.stderr)
    return os.EX_CONFIG if reading.all_mistakes() else os.EX_OK


def _rows(reading: "Reading", args: argparse.Namespace) -> Iterator[Row]:
    from indimail.app.resolve import ME, shown  # noqa: PLC0415
    from indimail.app.settings import SETTINGS  # noqa: PLC0415

    values = reading.view(args.listener)
    for setting in SETTINGS:
        if args.works and setting.waits_for:
            continue
        value = values[setting.name]
        default = "not set" if setting.default is None else setting.default or '""'
        yield {
            "name": setting.name,
            "control": setting.control,
            "variable": setting.variable,
            "key": setting.toml,
            "value": shown(setting, value.value),
            "default": "me" if setting.default == ME else default,
            "source": value.source,
            "unit": setting.unit,
            "scope": setting.scope.value,
            "reader": setting.reader,
            "status": setting.status,
            "meaning": setting.meaning,
        }


def _print(rows: list[Row]) -> None:
    """Two lines a setting: name, value, source; then default, meaning, status."""
    width = max((len(row["name"]) for row in rows), default=0)
    for row in rows:
        unit = f" {row['unit']}" if row["unit"] and row["value"] != "not set" else ""
        print(f"{row['name'].ljust(width)}  {row['value']}{unit}  ({row['source']})")
        status = "" if row["status"] == "works" else f"; {row['status']}"
        print(f"{' ' * width}  default {row['default']}; {row['meaning']}{status}")


def _failed(reason: str, code: int) -> int:
    print(f"indimail config: {reason}", file=sys.stderr)
    return code
