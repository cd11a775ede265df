"""An IndiMail as a `Source`: its domains with their users, which are in SQL.

    read_indimail(Tree("/var/indimail"), "/var/indimail/domains", "/etc/indimail", tables, report)

`config` is where control/, users/ and alias/ are.  Also an instance of ours can be the source, with
its own database.

Sources: spec/delivery.md 1; spec/cluster-users.md 1.3, 1.4.
Not here: where these directories are (`manage.importing.places`).
"""

import os
from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Final

from indimail.accounts.port import Flag
from indimail.manage.importing.limits import read_limits
from indimail.manage.importing.qmail import (
    read_alias,
    read_assign,
    read_clients,
    read_controls,
    read_domains,
    with_home,
)
from indimail.manage.importing.report import Report, State
from indimail.manage.importing.rows import (
    Tables,
    read_accounts,
    read_events,
    read_lines,
    read_pairs,
    read_usage,
)
from indimail.manage.importing.source import FoundDomain, Source
from indimail.manage.importing.tree import Tree
from indimail.manage.room import SWITCH

_SHARED: Final = {"indimail": True, "indibak": False}
_CLUSTER: Final = "the cluster: not yet"
_LISTS: Final = "shared block lists: not yet"
_ADMINISTRATORS: Final = "administrators of indisrvr: not yet"
_WHY_LEFT: Final = {
    "vfilter": "filters (vfilter): not yet",
    "bulkmail": "bulletins that wait for single users: vbulletin -S posts them anew",
    "fstab": "file systems: vfstab -i makes them known",
    "hostcntrl": _CLUSTER, "host_table": _CLUSTER, "smtp_port": _CLUSTER, "dbinfo": _CLUSTER,
    "atrn_map": "ETRN and ATRN: not yet", "mgmtaccess": _ADMINISTRATORS, "vpriv": _ADMINISTRATORS,
    "spam": _LISTS, "badmailfrom": _LISTS, "badrcptto": _LISTS, "spamdb": _LISTS,
}  # fmt: skip
# Taken, or made anew: logins of the last hour, homes that are counted, versions of the schema.
_READ: Final = frozenset({
    *_SHARED, "valias", "vlimits", "lastauth", "userquota", "ip_alias_map", "aliasdomain", "relay", "vlog",
    "ischema", "indimail_schema", "alembic_version",
})  # fmt: skip


def read_indimail(tree: Tree, domains: str, config: str, tables: Tables, report: Report) -> Source:
    """Read all of it; `domains` is the directory that holds theirs."""
    source = read_domains(tree, domains, config, read_assign(tree, config, report), report)
    source.kind = "indimail"
    _read_tables(tables, source, report)
    for domain in source.domains:
        domain.users = [with_home(tree, user, report) for user in domain.users]
        lies = tree.locate(domain.directory)
        folder = os.path.join(lies, "bulk_mail")
        domain.bulletins = tree.files(folder, tree.names(folder), report)
        domain.is_limited = SWITCH in tree.names(lies)
    source.controls = read_controls(tree, config, report)
    source.alias = read_alias(tree, tree.root, report) or read_alias(tree, config, report)
    source.clients = read_clients(tree, [config, tree.root])
    return source


def known_flags(gid: str | int | None, where: str, name: str, report: Report) -> Flag:
    """Return the flags of a row; tell of those that IndiMail does not have."""
    known = sum(Flag)
    bits = int(gid or 0)
    if unknown := bits & ~known:
        report.note(State.LEFT, where, f"{name}: {unknown:#x}", "no such flag here")
    return Flag(bits & known)


def _read_tables(tables: Tables, source: Source, report: Report) -> None:
    here = {domain.name: domain for domain in source.domains}
    aliases = {alias for domain in source.domains for alias in domain.aliases}
    users = read_accounts(tables, _SHARED, list(here), known_flags, report)
    lines, events, usage = read_lines(tables), read_events(tables), read_usage(tables)
    for name, limits in read_limits(tables, "vlimits", report).items():
        if name in here:
            here[name].limits = limits
        else:
            _tell_of_strangers(name, "limits", aliases, report)
    for name, found in users.items():
        if name not in here:
            _tell_of_strangers(name, f"{len(found)} users", aliases, report)
            continue
        keys = [(user.name.lower(), name) for user in found]
        here[name].users = [
            replace(user, events=events.get(key, ()), usage=usage.get(key, 0))
            for user, key in zip(found, keys, strict=True)
        ]
    for name, rows in lines.items():
        if name in here:
            here[name].lines = rows
        else:
            _tell_of_strangers(name, f"{len(rows)} alias lines", aliases, report)
    for alias, name in read_pairs(tables, "aliasdomain", "alias"):
        if name in here and alias not in here:
            here[name].aliases.setdefault(alias, f"aliasdomain {alias}")
    source.addresses = [
        (f"ip_alias_map {address}", address, name)
        for address, name in read_pairs(tables, "ip_alias_map", "ipaddr")
    ]
    _tell_of_others(tables, here.values(), report)


def _tell_of_strangers(name: str, what: str, aliases: Collection[str], report: Report) -> None:
    """Tell of rows that no delivery looked at."""
    is_alias = name in aliases
    why = "an alias domain: its rows are not looked at" if is_alias else "no such domain"
    report.note(State.LEFT, f"@{name}", what, why)


def _tell_of_others(tables: Tables, domains: Iterable[FoundDomain], report: Report) -> None:
    """Tell of the tables that are not taken, and how many rows they have."""
    of_domains = {domain.name.replace(".", "_").replace("-", "_") for domain in domains}
    for table in sorted(tables.names):
        name = table.lower()
        if name in _READ or name.startswith("dir_control") or name in of_domains:
            continue
        if number := tables.count(table):
            why = _WHY_LEFT.get(name, "no table of IndiMail's that is known here")
            report.note(State.LEFT, table, f"{number} rows", why)
