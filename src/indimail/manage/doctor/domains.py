"""Domains: what the control files, users/assign, the directories and the rows say of one another.

    list(check_routes(patient))     -> [Finding("no-entry", "control/virtualdomains:1", ...)]

Source: spec/delivery.md 1.1, 2.1 (what makes a domain).  Not here: alias domains (`aliasdomains`),
lines that no parser understands.
"""

import os
import pwd
from collections.abc import Iterator
from stat import S_ISDIR
from typing import Final

from indimail.delivery.assign import AssignEntry
from indimail.delivery.dotqmail import find_dotqmail_names
from indimail.delivery.getpw import candidates
from indimail.mail.address import Address
from indimail.mail.channel import Channel
from indimail.mail.match import key_of, parse_domain_rules
from indimail.manage.doctor.aliasdomains import is_alias_link
from indimail.manage.doctor.finding import Finding
from indimail.manage.doctor.patient import Patient
from indimail.manage.domains import POSTMASTER
from indimail.schedule.route import route

ANYBODY: Final = "anybody-at-all"  # a local part that no line is about


def check_routes(patient: Patient) -> Iterator[Finding]:
    """Lines of virtualdomains whose mail nobody would get."""
    for key, virtual in patient.routing.virtualdomains.items():
        local = f"{virtual.prepend}{key.partition('@')[0] if '@' in key else ANYBODY}"
        if virtual.prepend and not _has_owner(patient, local):
            yield Finding(
                "no-entry", str(virtual.rule), f"mail for {key or 'every domain'} goes to {local}",
                "a line of users/assign, a user of the system or a file of alias/ for it",
            )  # fmt: skip


def _has_owner(patient: Patient, local: str) -> bool:
    """Tell whether anything takes a local address."""
    if patient.assign.find(local) is not None:
        return True
    for name in candidates(local):
        try:
            pwd.getpwnam(name)
        except (KeyError, ValueError):
            continue
        return True
    files = (name.file for name in find_dotqmail_names("-", local))
    return any(os.path.isfile(os.path.join(patient.site.places.alias, file)) for file in files)


def check_directories(patient: Patient) -> Iterator[Finding]:
    """Lines of users/assign without a directory, and directories without a line."""
    places = patient.site.places
    entries = {entry.rule: entry for entry in _entries(patient)}
    for entry in entries.values():
        if not _is_there(entry.home) and not is_alias_link(entry.home):
            found = f"{entry.home}: no directory"
            yield Finding("no-directory", str(entry.rule), found, "a directory")
        if entry.uid == 0:
            yield Finding("root", str(entry.rule), "uid 0", "a uid that mail is delivered as")
    homes = {os.path.normpath(entry.home) for entry in entries.values()}
    for name in sorted(os.listdir(places.domains_dir)):
        path = os.path.join(places.domains_dir, name)
        if path not in homes and os.path.isdir(path) and not is_alias_link(path):
            expected = f"a line of users/assign for {name}, or nothing"
            yield Finding("no-domain", patient.shown(path), "a directory", expected)


def _is_there(path: str) -> bool:
    """Tell whether a directory is there, or lies where we may not look."""
    try:
        return S_ISDIR(os.stat(path).st_mode)
    except PermissionError:
        return True
    except OSError:
        return False


def _entries(patient: Patient) -> list[AssignEntry]:
    return [*patient.assign.exact.values(), *patient.assign.prefixes.values()]


def check_modes(patient: Patient) -> Iterator[Finding]:
    """The directories of domains, which their users' mail is found by."""
    for entry in patient.domains.values():
        if os.path.isdir(entry.home) and not is_alias_link(entry.home) and entry.uid:
            yield from patient.judge(entry.home, 0o755, 0o700, entry.uid)


def check_received(patient: Patient) -> Iterator[Finding]:
    """Domains that are ours and refused, or taken and not ours."""
    local = patient.routing.locals
    for domain, entry in patient.domains.items():
        there = route(Address(ANYBODY, domain), patient.routing)
        if domain in local:
            expected = f"{domain} in one of control/locals and users/assign"
            yield Finding("local", str(local[domain]), f"{domain} is delivered as local", expected)
        elif there.channel is not Channel.LOCAL or patient.assign.find(there.target) is None:
            expected = f"{domain}:{entry.user} in control/virtualdomains"
            yield Finding("not-virtual", domain, f"mail goes to {there.target}", expected)
        if domain not in patient.received:
            expected = f"{domain} in control/rcpthosts"
            yield Finding("not-received", domain, "mail from outside is refused", expected)


def check_relayed(patient: Patient) -> Iterator[Finding]:
    """Domains whose mail is taken from everybody, and leads nowhere that was named."""
    routed = [key_of(line.text.partition(":")[0]) for line in patient.lines("smtproutes")]
    lists = [*patient.lines("morercpthosts"), *patient.lines("rcpthosts")]
    for domain, rule in parse_domain_rules(lists, suffixes=True)[0].items():
        if domain[0] == "." or any(_covers(key, domain) for key in routed):
            continue
        if any(key.endswith(f"@{domain}") for key in patient.routing.virtualdomains):
            continue
        if route(Address(ANYBODY, domain), patient.routing).channel is Channel.REMOTE:
            expected = "a virtual or local domain, or a line of control/smtproutes"
            yield Finding("relayed", str(rule), f"{domain}, which is neither", expected)


def _covers(key: str | None, domain: str) -> bool:
    return key is not None and (key == domain or (key[:1] == "." and domain.endswith(key)))


def check_postmasters(patient: Patient) -> Iterator[Finding]:
    """Every domain has a postmaster (RFC 5321 4.5.1)."""
    for domain, entry in patient.domains.items():
        if is_alias_link(entry.home) or not os.path.isdir(entry.home):
            continue
        address = f"{POSTMASTER}@{domain}"
        file = os.path.join(entry.home, f".qmail-{POSTMASTER}")
        if address not in patient.taken and not os.path.isfile(file):
            yield Finding("no-postmaster", address, "nobody", "an account or an alias")


def check_rows(patient: Patient) -> Iterator[Finding]:
    """Rows of domains that are nobody's."""
    for domain, users in patient.users.items():
        if domain not in patient.domains or domain in patient.alias_rows:
            lines = len(patient.alias_lines[domain])
            aliases = list(patient.alias_rows.values()).count(domain)
            found = f"{len(users)} users, {lines} alias lines, {aliases} alias domains"
            expected = "a domain that users/assign has, and is no alias, or no rows"
            yield Finding("rows", domain, found, expected)
