"""A vpopmail as a `Source`: its domains with their users, in files or in SQL.

    read_vpopmail(Tree("/home/vpopmail"), "/home/vpopmail/domains", "/var/qmail", None, report)

`config` is qmail's directory, with control/, users/ and alias/.  With `tables` the users are read
there, whatever vpasswd files there are beside.

Sources: vpopmail's manual; README.vlimits, README.vdelivermail.
Not here: users without a domain (~vpopmail/users), whom IndiMail does not have.
"""

import os
from dataclasses import replace
from typing import Final

from indimail.accounts.port import LastEvent
from indimail.manage.importing.limits import (
    MEGABYTE,
    limits_of_file,
    parse_limits_file,
    read_limits,
)
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
    UNNAMED_SERVICE,
    Tables,
    read_accounts,
    read_events,
    read_lines,
    read_pairs,
)
from indimail.manage.importing.source import FoundDomain, FoundUser, Source
from indimail.manage.importing.tree import Tree
from indimail.manage.importing.vpasswd import flags_of, parse_vpasswd

LIMITS: Final = ".qmailadmin-limits"
DEFAULT_LIMITS: Final = "etc/vlimits.default"
_SHARED: Final = {"vpopmail": True}
_LIMIT_TABLES: Final = ("limits", "vlimits")


def read_vpopmail(
    tree: Tree, domains: str, config: str, tables: Tables | None, report: Report
) -> Source:
    """Read all of it; `domains` is the directory that holds theirs."""
    source = read_domains(tree, domains, config, read_assign(tree, config, report), report)
    source.kind = "vpopmail"
    if tables is None:
        for domain in source.domains:
            domain.users = _users_of_file(tree, domain, report)
    else:
        _read_tables(tables, source, report)
    for domain in source.domains:
        domain.users = [_with_home(tree, user, report) for user in domain.users]
        for file in tree.files(tree.locate(domain.directory), [LIMITS], report):
            domain.limits = domain.limits or [limits_of_file(file.octets, file.where, report)]
        domain.is_limited = bool(domain.limits)
    if parse_limits_file(tree.read(os.path.join(tree.root, DEFAULT_LIMITS))):
        why = "of domains without their own: vlimit sets them for each"
        report.note(State.LEFT, DEFAULT_LIMITS, "", why)
    source.controls = read_controls(tree, config, report)
    source.alias = read_alias(tree, config, report)
    source.clients = read_clients(tree, [tree.root, config])
    if number := len(tree.read(os.path.join(tree.root, "users", "vpasswd")).splitlines()):
        report.note(State.LEFT, "users/vpasswd", f"{number} users", "without a domain")
    return source


def _users_of_file(tree: Tree, domain: FoundDomain, report: Report) -> list[FoundUser]:
    folder = tree.locate(domain.directory)
    for file in tree.files(folder, ["vpasswd"], report):
        return parse_vpasswd(file.octets, file.where, report)
    why = "no users: no vpasswd in it, and no --database was given"
    report.note(State.LEFT, tree.shown(folder), domain.name, why)
    return []


def _read_tables(tables: Tables, source: Source, report: Report) -> None:
    names = [domain.name for domain in source.domains]
    users = read_accounts(tables, _SHARED, names, flags_of, report)
    lines, events = read_lines(tables), read_events(tables)
    for domain in source.domains:
        domain.users = [
            replace(user, events=events.get((user.name.lower(), domain.name), ()))
            for user in users.pop(domain.name, [])
        ]
        domain.lines = lines.pop(domain.name, [])
    for name, left in users.items():
        report.note(State.LEFT, f"vpopmail @{name}", f"{len(left)} users", "no such domain")
    for name, rows in lines.items():
        report.note(State.LEFT, f"valias @{name}", f"{len(rows)} lines", "no such domain")
    here = {domain.name: domain for domain in source.domains}
    for alias, name in read_pairs(tables, "aliasdomains", "alias"):
        if name in here and alias not in here:
            here[name].aliases.setdefault(alias, f"aliasdomains {alias}")
    source.addresses = [
        (f"ip_alias_map {address}", address, name)
        for address, name in read_pairs(tables, "ip_alias_map", "ip_addr")
    ]
    for table in _LIMIT_TABLES:
        for name, limits in read_limits(tables, table, report, unit=MEGABYTE).items():
            if name in here:
                here[name].limits = limits


def _with_home(tree: Tree, user: FoundUser, report: Report) -> FoundUser:
    """Return a user with the files of its home, and what the home tells of the last login."""
    found = with_home(tree, user, report)
    events = user.events or (_last_login(tree, found.home) if found.home else ())
    return replace(found, events=events)


def _last_login(tree: Tree, home: str) -> tuple[LastEvent, ...]:
    """Return what the file lastauth says: its time is that of the login, its text from where."""
    path = os.path.join(home, "lastauth")
    if os.path.islink(path) or not os.path.isfile(path):
        return ()
    address = tree.read(path).decode("ascii", "replace").strip()[:46]
    shown = address if address.isprintable() else ""
    return (LastEvent(UNNAMED_SERVICE, int(os.stat(path).st_mtime), shown),)
