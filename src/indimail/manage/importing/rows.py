"""Users, aliases and last logins in the tables of IndiMail or vpopmail.

    read_accounts(tables, {"indimail": True, "indibak": False}, ["example.com"], flags, report)
        -> {'example.com': [FoundUser(...), ...]}
    read_lines(tables, report)       -> {'example.com': [FoundLine(...), ...]}
    read_events(tables)              -> {('alice', 'example.com'): (LastEvent(...), ...)}

Both have the same columns, pw_name to pw_shell; those that one of them lacks (scram,
pw_clear_passwd) are empty.  Where it was built for large domains, each has a table of its own, named
like it with ``_`` for dots and dashes.  Rows are told by table and address.

Sources: spec/cluster-users.md 1.4; vpopmail's manual, --disable-many-domains.
Not here: reading the database (`accounts.foreign`).
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from indimail.accounts.port import Flag, LastEvent
from indimail.mail.secret import Secret
from indimail.manage.importing.report import Report, State
from indimail.manage.importing.source import FoundLine, FoundUser

UNNAMED_SERVICE: Final = "pop3"  # vpopmail does not say by which one the last login was

Row = Mapping[str, Any]
ReadFlags = Callable[[str | int | None, str, str, Report], Flag]


class Tables(Protocol):
    """A database of another system, as `accounts.foreign.ForeignTables` has it."""

    @property
    def names(self) -> frozenset[str]: ...

    def columns(self, table: str) -> list[str]: ...

    def rows(self, table: str) -> list[dict[str, Any]]: ...

    def count(self, table: str) -> int: ...


def read_accounts(
    tables: Tables,
    shared: Mapping[str, bool],
    domains: Sequence[str],
    flags: ReadFlags,
    report: Report,
) -> dict[str, list[FoundUser]]:
    """Return the users by domain; `shared` are the tables of all domains, and which is active."""
    found: dict[str, list[FoundUser]] = defaultdict(list)
    for table, active in shared.items():
        if "pw_domain" in tables.columns(table):
            for row in tables.rows(table):
                domain = _text(row, "pw_domain").lower()
                found[domain].append(_user(row, table, domain, active, flags, report))
    named: dict[str, list[str]] = defaultdict(list)
    for domain in domains:
        named[re.sub("[.-]", "_", domain)].append(domain)
    for table in sorted(tables.names):
        of = named.get(table.lower(), [])
        columns = tables.columns(table) if of else []
        if "pw_name" not in columns or "pw_domain" in columns:
            continue
        if len(of) > 1:
            report.note(State.LEFT, table, " ".join(of), "whose users it has cannot be told")
            continue
        found[of[0]] += [
            _user(row, table, of[0], True, flags, report) for row in tables.rows(table)
        ]
    return found


def _user(
    row: Row, table: str, domain: str, active: bool, flags: ReadFlags, report: Report
) -> FoundUser:
    name = _text(row, "pw_name")
    where = f"{table} {name}@{domain}"
    return FoundUser(
        where=where,
        name=name,
        password=Secret(_text(row, "pw_passwd")),
        flags=flags(row.get("pw_gid"), where, name, report),
        gecos=_text(row, "pw_gecos"),
        directory=_text(row, "pw_dir"),
        quota=_text(row, "pw_shell"),
        active=active,
        scram=Secret(_text(row, "scram")),
        clear=Secret(_text(row, "pw_clear_passwd")),
    )


def read_lines(tables: Tables) -> dict[str, list[FoundLine]]:
    """Return the alias lines by domain."""
    found: dict[str, list[FoundLine]] = defaultdict(list)
    for row in tables.rows("valias"):
        name, domain = _text(row, "alias"), _text(row, "domain").lower()
        line = FoundLine(f"valias {name}@{domain}", name, _text(row, "valias_line"))
        found[domain].append(line)
    return found


def read_events(tables: Tables) -> dict[tuple[str, str], tuple[LastEvent, ...]]:
    """Return the last event of each service by user and domain, in lower case."""
    found: dict[tuple[str, str], tuple[LastEvent, ...]] = defaultdict(tuple)
    for row in tables.rows("lastauth"):
        service = _text(row, "service") or UNNAMED_SERVICE
        time = _seconds(row.get("timestamp"))
        if time and len(service) <= 10:
            key = _text(row, "user").lower(), _text(row, "domain").lower()
            found[key] += (LastEvent(service, time, _text(row, "remote_ip")[:46]),)
    return found


def read_usage(tables: Tables) -> dict[tuple[str, str], int]:
    """Return the userquota by user and domain, in lower case."""
    rows = tables.rows("userquota")
    return {
        (_text(row, "user").lower(), _text(row, "domain").lower()): int(row.get("quota") or 0)
        for row in rows
    }


def read_pairs(tables: Tables, table: str, key: str) -> list[tuple[str, str]]:
    """Return another column and the domain of each row, both in lower case."""
    return [(_text(row, key).lower(), _text(row, "domain").lower()) for row in tables.rows(table)]


def _text(row: Row, column: str) -> str:
    value = row.get(column)
    if isinstance(value, bytes):  # a column of type binary
        return value.decode("utf-8", "surrogateescape")
    return "" if value is None else str(value)


def _seconds(value: object) -> int:
    """Return a time in seconds since the epoch, which a column may hold in several types; or 0."""
    match value:
        case datetime():
            zoned = value if value.tzinfo else value.replace(tzinfo=UTC)
            return max(int(zoned.timestamp()), 0)
        case int():
            return max(value, 0)
        case str() if value.isdecimal():
            return int(value)
        case str():
            try:
                return _seconds(datetime.fromisoformat(value))
            except ValueError:
                return 0
        case _:
            return 0
