"""`.qmail-NAME` files of a domain and alias lines of its table: made of one another.

    plan_rows(site, disk, "example.com")               -> [AddAlias(...), ..., RemoveFile(...), ...]
    plan_files(site, accounts, disk, "example.com")    -> [WriteFile(...), ..., RemoveAlias(...), ...]

A dot of a name is a colon in the name of its file.  Nothing is done where one file or name could not
be told in the other form; `.qmail-default` and those of `NAME-default` stay files.

Source: spec/delivery.md 2 (vcalias, vcaliasrev).  Not here: what a line does (`delivery`).
"""

import os
from typing import Final

from indimail.accounts.port import Accounts
from indimail.durable.disk import Disk
from indimail.manage.aliases import check_line
from indimail.manage.file_writes import RemoveFile, WriteFile
from indimail.manage.names import check_user
from indimail.manage.routing import check_domain_exists
from indimail.manage.row_writes import AddAlias, RemoveAlias
from indimail.manage.site import Refused, Site
from indimail.manage.writes import TellAccount, Write

_START: Final = ".qmail-"


def plan_rows(site: Site, disk: Disk, domain: str) -> list[Write] | Refused:
    """Return what makes alias lines of the files; a file goes after its lines are there."""
    refused = check_domain_exists(site, disk, domain)
    if refused is not None:
        return refused
    folder = site.domain_dir(domain)
    writes: list[Write] = []
    for file_name in sorted(disk.names(folder)):
        name = file_name.removeprefix(_START).replace(":", ".")
        if not file_name.startswith(_START) or name.split("-")[-1] == "default":
            continue
        path = os.path.join(folder, file_name)
        lines = _lines(disk, path)
        refused = check_user(name, domain) or _check_lines(lines)
        if refused is not None:
            return Refused(f"{path}: {refused.text}", refused.code)
        writes += [AddAlias(name, domain, line) for line in lines]
        writes.append(RemoveFile(path))
    return [*writes, TellAccount("", domain)] if writes else []


def plan_files(site: Site, accounts: Accounts, disk: Disk, domain: str) -> list[Write] | Refused:
    """Return what makes files of the alias lines; the lines go after their file is there."""
    refused = check_domain_exists(site, disk, domain)
    if refused is not None:
        return refused
    writes: list[Write] = []
    lines: dict[str, list[str]] = {}
    for alias in accounts.domain_aliases(domain):
        lines.setdefault(alias.name, []).append(alias.line)
    for name, of_name in lines.items():
        path = os.path.join(site.domain_dir(domain), f"{_START}{name.replace('.', ':')}")
        if "/" in name or disk.exists(path):
            return Refused(f"{path}: exists, or cannot be", 1)
        writes.append(WriteFile(path, "".join(f"{line}\n" for line in of_name)))
        writes += [RemoveAlias(name, domain, line) for line in of_name]
    return [*writes, TellAccount("", domain)] if writes else []


def _check_lines(lines: list[str]) -> Refused | None:
    if not lines:
        return Refused("no line that an alias could have", 1)
    return next(filter(None, map(check_line, lines)), None)


def _lines(disk: Disk, path: str) -> list[str]:
    text = disk.read(path).decode("utf-8", "surrogateescape")
    return [line for line in map(str.rstrip, text.split("\n")) if line and line[0] != "#"]
