"""What vpopmail and IndiMail have in common: qmail's files.

    names = read_assign(tree, "/var/qmail", report)
    names.domains       -> [AssignedDomain('example.com', '/home/vpopmail/domains/example.com', ...)]
    names.others        -> [('users/assign:7', '=joe:joe:1001:1001:/home/joe:::')]
    read_controls(tree, "/var/qmail", report)

An alias domain is a line of its own that leads to another's directory (vpopmail), or to a link to
it (IndiMail).  Of a directory of domains that no line names nothing is taken, unless there are no
lines at all, as in a copy of the domains alone.

Sources: spec/delivery.md 1.1, 3 (users/assign, virtualdomains); vpopmail's manual, vaddaliasdomain.
Not here: users (`manage.importing.vpopmail`, `.indimail`).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from indimail.manage.importing.report import Report, State
from indimail.manage.importing.source import FoundDomain, FoundFile, FoundUser, Source
from indimail.manage.importing.tree import Tree

SETTINGS: Final = (".users_per_level", "hash_method", "scram_method")
HOME_FILES: Final = (".qmail", ".vacation.msg")
_DEEPEST: Final = 3  # folders of one letter in front of a domain's, where there are many


@dataclass(frozen=True, slots=True)
class AssignedDomain:
    """A line of users/assign that hands out a domain's addresses; `directory` as it stands there."""

    name: str
    user: str
    uid: int
    directory: str
    where: str


@dataclass(slots=True)
class Assigned:
    """All lines of users/assign."""

    domains: list[AssignedDomain] = field(default_factory=list)
    others: list[tuple[str, str]] = field(default_factory=list)


def read_assign(tree: Tree, config: str, report: Report) -> Assigned:
    """Read users/assign up to its last line."""
    path = os.path.join(config, "users", "assign")
    virtual = _virtual_names(tree, config)
    found = Assigned()
    for number, octets in enumerate(tree.read(path).split(b"\n"), 1):
        line, where = octets.decode("utf-8", "surrogateescape").rstrip(), tree.shown(path)
        if line.startswith("."):
            break
        if not line:
            continue
        where = f"{where}:{number}"
        domain = _domain_of(line, where, virtual)
        if domain is None:
            found.others.append((where, line))
        elif any(other.name == domain.name for other in found.domains):
            report.note(State.LEFT, where, domain.name, "a second line; the first counts")
        else:
            found.domains.append(domain)
    return found


def _domain_of(line: str, where: str, virtual: frozenset[str]) -> AssignedDomain | None:
    """Return the domain of a line; a user of the system has the same form, and is none."""
    key, *fields = line.split(":")
    name = key[1:-1].lower()
    if not key.startswith("+") or not key.endswith("-") or "." not in name or len(fields) < 6:
        return None
    user, uid, _, directory = fields[:4]
    if not uid.isdecimal() or not (name in virtual or "/domains/" in directory):
        return None
    return AssignedDomain(name, user.lower(), int(uid), directory.rstrip("/"), where)


def _virtual_names(tree: Tree, config: str) -> frozenset[str]:
    text = tree.read(os.path.join(config, "control", "virtualdomains")).decode("utf-8", "replace")
    return frozenset(line.partition(":")[2].strip().lower() for line in text.split("\n"))


def read_domains(
    tree: Tree, folder: str, config: str, assigned: Assigned, report: Report
) -> Source:
    """Return the domains with their files, without users; `folder` holds their directories."""
    source = Source("", entries=assigned.others)
    source.named = {domain.name for domain in assigned.domains}
    virtual = _virtual_names(tree, config)
    listed = assigned.domains or _unlisted(tree, folder)
    real = {domain.name: _real_name(tree, domain, listed) for domain in listed}
    domains = {}
    for domain in listed:
        if real[domain.name] != domain.name:
            continue
        found = FoundDomain(domain.name, domain.where, domain.directory, domain.uid)
        lies = tree.locate(domain.directory)
        if not os.path.isdir(lies):
            report.note(State.LEFT, domain.where, domain.name, f"no directory {lies}")
            continue
        names = [name for name in tree.names(lies) if name.startswith(".qmail-")]
        found.files = tree.files(lies, names, report)
        for file in tree.files(lies, [n for n in SETTINGS if n in tree.names(lies)], report):
            found.settings[file.name] = (
                file.octets.decode("utf-8", "replace").split("\n")[0].strip()
            )
        domains[domain.name] = found
        if domain.name not in virtual and assigned.domains:
            why = "its mail was not routed to it (control/virtualdomains); here it is"
            report.note(State.CHANGED, domain.where, domain.name, why)
    for domain in listed:
        stands_for = domains.get(real[domain.name])
        if stands_for is not None and stands_for.name != domain.name:
            stands_for.aliases[domain.name] = domain.where
    source.domains = list(domains.values())
    if assigned.domains:
        taken = {os.path.realpath(tree.locate(domain.directory)) for domain in listed}
        for domain in _unlisted(tree, folder):
            if os.path.realpath(domain.directory) not in taken:
                what = "no line of users/assign leads to it"
                report.note(State.LEFT, tree.shown(domain.directory), "", what)
    return source


def _real_name(tree: Tree, domain: AssignedDomain, listed: list[AssignedDomain]) -> str:
    """Return the domain that a line stands for, which is its own unless it is an alias."""
    names = {other.name for other in listed}
    led_to = os.path.basename(os.path.realpath(tree.locate(domain.directory))).lower()
    candidates = (domain.user, led_to)
    return next((name for name in candidates if name in names - {domain.name}), domain.name)


def _unlisted(tree: Tree, folder: str, depth: int = 0) -> list[AssignedDomain]:
    """Return the directories of domains below a folder."""
    found = []
    for name in tree.names(folder):
        path = os.path.join(folder, name)
        if not os.path.isdir(path):
            continue
        if "." in name.strip("."):
            found.append(AssignedDomain(name.lower(), name.lower(), 0, path, tree.shown(path)))
        elif len(name) == 1 and depth < _DEEPEST:
            found += _unlisted(tree, path, depth + 1)
    return found


def read_controls(tree: Tree, config: str, report: Report) -> list[FoundFile]:
    """Return the files of control/; an administrator's links are followed."""
    folder = os.path.join(config, "control")
    found = []
    for name in tree.names(folder):
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            report.note(State.LEFT, f"{tree.shown(path)}/", "", "a directory")
        elif os.path.isfile(path):
            mode = os.stat(path).st_mode & 0o777
            found.append(FoundFile(name, tree.shown(path), tree.read(path), mode))
    return found


def read_clients(tree: Tree, folders: Sequence[str]) -> list[FoundFile]:
    """Return the first tcp.smtp that is there: in tcp/ or etc/ of one of the folders."""
    for folder in folders:
        for part in ("tcp", "etc"):
            path = os.path.join(folder, part, "tcp.smtp")
            if text := tree.read(path):
                return [FoundFile("tcp.smtp", tree.shown(path), text)]
    return []


def with_home(tree: Tree, user: FoundUser, report: Report) -> FoundUser:
    """Return a user with what there is of its home: where, whose, which files."""
    home = tree.locate(user.directory)
    if not user.directory.startswith("/") or not os.path.isdir(home):
        return user
    names = [name for name in tree.names(home) if name in HOME_FILES]
    files = tuple(tree.files(home, names, report))
    home = os.path.realpath(home)
    return replace(user, home=home, owner=os.stat(home).st_uid, files=files)


def read_alias(tree: Tree, config: str, report: Report) -> list[FoundFile]:
    """Return the .qmail files of qmail's user alias, who gets what has no other owner."""
    folder = os.path.join(config, "alias")
    maildir = os.path.join(folder, "Maildir")
    mails = sum(len(tree.names(os.path.join(maildir, part))) for part in ("new", "cur"))
    if mails:
        report.note(State.LEFT, tree.shown(maildir), f"{mails} mails", "of no virtual user")
    names = [name for name in tree.names(folder) if name.startswith(".qmail")]
    return tree.files(folder, names, report)
