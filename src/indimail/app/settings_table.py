"""The settings as a table in Markdown, for the documents.

settings_table_markdown()     -> '| Control file | Variable | ...'
"""

from indimail.app.resolve import ME, Setting
from indimail.app.settings import SETTINGS


def settings_table_markdown() -> str:
    """Return the table for the documents: what works first, then what waits and for what."""
    works = [setting for setting in SETTINGS if not setting.waits_for]
    waits = [setting for setting in SETTINGS if setting.waits_for]
    head = ["Control file", "Variable", "Key", "Default", "Unit", "Scope", "Meaning"]
    parts = [_markdown([*head, "Read in"], [[*_cells(row), f"`{row.reader}`"] for row in works])]
    parts.append("Known, and without effect yet:\n")
    parts.append(_markdown([*head, "Waits for"], [[*_cells(row), row.waits_for] for row in waits]))
    return "\n".join(parts)


def _cells(setting: Setting) -> list[str]:
    names = (setting.control, setting.variable, setting.toml)
    default = "me" if setting.default == ME else setting.default
    shown = "" if default is None else default or '""'
    return [
        *(f"`{name}`" if name else "" for name in names),
        shown, setting.unit, setting.scope.value, setting.meaning,
    ]  # fmt: skip


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
