"""`indimail.toml` and users/assign of a restored instance: where it is, and whose.

    without_locations(text)                   -> the text without variables that place parts
    with_database(text, "mysql://...")        -> with that URL; with "" the default one
    owned(octets, (555, 555), (5555, 5555))   -> users/assign, of another owner

The rest of the text stays as it was, comments too.
"""

import json
import re
from typing import Final

from indimail.control.toml import parse_toml

# As in app.instance, and what names places for every message.
LOCATIONS: Final = (
    "SYSCONFDIR", "CONTROLDIR", "ASSIGNDIR", "CERTDIR", "DOMAINDIR", "BASE_PATH", "QUEUE_BASE",
    "QUEUEDIR",
)  # fmt: skip
_SECTION: Final = re.compile(r"(?m)^\s*\[\s*database\s*\][^\n]*\n?")
_ENTRY: Final = re.compile(rb"(?m)^([=+][^:\n]*:[^:\n]*):(\d+):(\d+):")


def without_locations(text: str) -> str:
    """Take the variables away that put parts elsewhere: a restored instance lies below its root."""
    setup, _ = parse_toml(text.encode(), "indimail.toml")
    given = (setup.variables[name].line for name in LOCATIONS if name in setup.variables)
    return _without(text, {line for line in given if line})


def with_database(text: str, url: str) -> str:
    """Let the text name a database; an empty URL: the SQLite file of the instance."""
    setup, _ = parse_toml(text.encode(), "indimail.toml")
    given = setup.settings.get("database.url")
    text = _without(text, {given.line} if given is not None and given.line else set())
    if not url:
        return text
    line = f"url = {json.dumps(url, ensure_ascii=False)}\n"
    found = _SECTION.search(text)
    if found is None:
        return f"{text.rstrip()}\n\n[database]\n{line}"
    head = found[0] if found[0].endswith("\n") else f"{found[0]}\n"
    return f"{text[: found.start()]}{head}{line}{text[found.end() :]}"


def _without(text: str, numbers: set[int]) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(line for number, line in enumerate(lines, 1) if number not in numbers)


def owned(text: bytes, old: tuple[int, int], new: tuple[int, int]) -> bytes:
    """Let the lines of the old owner be those of the new one."""
    was = tuple(str(number).encode() for number in old)

    def changed(found: re.Match[bytes]) -> bytes:
        return b"%b:%d:%d:" % (found[1], *new) if found.groups()[1:] == was else found[0]

    return _ENTRY.sub(changed, text)
