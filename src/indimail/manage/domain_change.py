"""Change what a domain has beside it: its instruction, its hash method, its limits' switch.

    plan_domain_change(site, disk, DomainChange("example.com", instruction="delete"))
        -> [WriteFile(...), TellAccount(...)], or Refused(...)

Source: spec/delivery.md 2 (vmoddomain), 2.4, 10 (2).  Not here: what the limits are (vlimit).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from indimail.accounts.passwords import METHODS, method_named
from indimail.durable.disk import Disk
from indimail.manage.file_writes import RemoveFile, WriteFile
from indimail.manage.instruction import (
    EXPECTED,
    Fault,
    default_line,
    find_fault,
    with_instruction,
)
from indimail.manage.room import SWITCH
from indimail.manage.routing import check_domain_exists
from indimail.manage.site import Refused, Site
from indimail.manage.writes import TellAccount, Write


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

    def __str__(self) -> str:
        """Return what is asked for."""
        told = {
            f"instruction {self.instruction}": self.instruction is not None,
            f"of {self.program}": bool(self.program),
            f"limits {'on' if self.limits else 'off'}": self.limits is not None,
            f"hash {self.method_name}": self.method_name is not None,
        }
        return ", ".join(text for text, is_asked in told.items() if is_asked)


def plan_domain_change(site: Site, disk: Disk, change: DomainChange) -> list[Write] | Refused:
    """Return what changes a domain, given by its real name."""
    refused = _check(site, disk, change)
    if refused is not None:
        return refused
    instruction = _instruction(site, disk, change)
    if isinstance(instruction, Refused):
        return instruction
    return [
        *instruction,
        *_settings(site.domain_dir(change.domain), change),
        TellAccount("", change.domain),
    ]


def _check(site: Site, disk: Disk, change: DomainChange) -> Refused | None:
    refused = check_domain_exists(site, disk, change.domain)
    if refused is not None:
        return refused
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


def _instruction(site: Site, disk: Disk, change: DomainChange) -> list[Write] | Refused:
    instruction = change.instruction
    if instruction is None:
        return []
    path = os.path.join(site.domain_dir(change.domain), ".qmail-default")
    text = default = default_line(site.places.root, instruction)
    if not change.program and disk.exists(path):
        kept = with_instruction(disk.read(path).decode("utf-8", "surrogateescape"), instruction)
        if kept is None:
            what = "found no line of vdelivermail or vfilter whose program could stay"
            return Refused(f"{path}: {what}; -f 0 makes the file {default.strip()}", 1)
        text = kept
    return [WriteFile(path, text)]


def _settings(folder: str, change: DomainChange) -> Iterator[Write]:
    limits = os.path.join(folder, SWITCH)
    if change.limits is not None:
        yield WriteFile(limits, "", 0o644) if change.limits else RemoveFile(limits)
    if change.method_name is not None:
        yield WriteFile(os.path.join(folder, "hash_method"), f"{change.method_name}\n", 0o644)


def _has_limits(site: Site, disk: Disk, domain: str) -> bool:
    return disk.exists(os.path.join(site.domain_dir(domain), SWITCH))
