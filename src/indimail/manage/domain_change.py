"""Change what a domain has beside it: its instruction, its hash method, its limits' switch.

    change_domain(site, disk, DomainChange("example.com", instruction="delete"))  -> None, or Refused

All that is asked for is checked before the first file is written.

Source: spec/delivery.md 2 (vmoddomain), 2.4, 10 (2).  Not here: what the limits are (vlimit).
"""

import os
from dataclasses import dataclass
from typing import Final

from indimail.accounts.passwords import METHODS, method_named
from indimail.control.files import write_atomic
from indimail.durable.disk import Disk
from indimail.manage.assign import owner_of_domain
from indimail.manage.instruction import (
    EXPECTED,
    Fault,
    default_line,
    find_fault,
    with_instruction,
)
from indimail.manage.site import Refused, Site, alone

LIMITS: Final = ".domain_limits"


@dataclass(frozen=True, slots=True)
class DomainChange:
    """What is to change; None: stays.

    `program` (vdelivermail) goes in front of the instruction; empty: the line keeps its own.
    """

    domain: str
    instruction: str | None = None
    program: str = ""
    limits: bool | None = None
    method_name: str | None = None


def change_domain(site: Site, disk: Disk, change: DomainChange) -> Refused | None:
    """Change a domain, given by its real name."""
    with alone(site):
        refused = _check(site, disk, change)
        if refused is not None:
            return refused
        if change.instruction is not None:
            refused = _write_instruction(site, disk, change, change.instruction)
            if refused is not None:
                return refused
        folder = site.domain_dir(change.domain)
        if change.limits is not None:
            _switch_limits(disk, os.path.join(folder, LIMITS), change.limits)
        if change.method_name is not None:
            text = change.method_name.encode() + b"\n"
            write_atomic(disk, os.path.join(folder, "hash_method"), [text])
    return None


def _check(site: Site, disk: Disk, change: DomainChange) -> Refused | None:
    owner = owner_of_domain(disk, site.places.users_dir, change.domain)
    if owner is None:
        return Refused(f"{change.domain}: domain does not exist", 1)
    if owner == 0:
        return Refused(f"domain {change.domain} with uid 0", 100)
    name = change.method_name
    if name is not None and method_named(name) is None:
        return Refused(f"wrong hash method {name}: {' '.join(METHODS)}", 100)
    if change.limits is False and not _has_limits(site, disk, change.domain):
        return Refused(f"{change.domain}: domain limits are not on", 1)
    return None if change.instruction is None else _check_instruction(change.instruction)


def _check_instruction(text: str) -> Refused | None:
    match find_fault(text):
        case None:
            return None
        case Fault.NO_MAILDIR:
            return Refused(f"{text}: not a Maildir", 1)
        case Fault.NO_FORM:
            what = f"Invalid SMTPROUTE/QMTPROUTE Specification [{text}]"
            return Refused(f"{what}: expected {EXPECTED}", 1)


def _write_instruction(
    site: Site, disk: Disk, change: DomainChange, instruction: str
) -> Refused | None:
    path = os.path.join(site.domain_dir(change.domain), ".qmail-default")
    text = default = default_line(site.places.root, instruction)
    if not change.program and disk.exists(path):
        kept = with_instruction(disk.read(path).decode("utf-8", "surrogateescape"), instruction)
        if kept is None:
            what = "found no line of vdelivermail or vfilter whose program could stay"
            return Refused(f"{path}: {what}; -f 0 makes the file {default.strip()}", 1)
        text = kept
    # Commit point: the next mail goes by the new line, also after a power cut.
    write_atomic(disk, path, [text.encode("utf-8", "surrogateescape")], 0o600)
    return None


def _has_limits(site: Site, disk: Disk, domain: str) -> bool:
    return disk.exists(os.path.join(site.domain_dir(domain), LIMITS))


def _switch_limits(disk: Disk, path: str, on: bool) -> None:
    if on:
        write_atomic(disk, path, [b""])
    else:
        disk.unlink(path)
        disk.sync_directory(os.path.dirname(path))
