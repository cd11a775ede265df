"""What the control files and `users/assign` say of a domain: the writes that begin and end it.

    begin_writes(site, "example.com")      -> [AddEntry(...), ..., AddLine(...)]
    end_writes(site, "example.com")        -> [RemoveLine(...), ..., CompileAssign(...)]

A domain begins in the order of use: what a delivery reads is there before mail is routed to it
(virtualdomains), and that before mail from outside is taken (rcpthosts); it ends the other way.

Source: spec/delivery.md 2.1 steps 4 and 5.
"""

import os
from typing import Final

from indimail.control.cdb import read_cdb
from indimail.control.files import read_control
from indimail.durable.disk import Disk
from indimail.mail.errors import ConfigErrors
from indimail.manage.assign import (
    Entry,
    domain_entry,
    entry_of_domain,
    has_domain,
    owner_of_domain,
)
from indimail.manage.file_writes import (
    AddEntry,
    AddLine,
    CompileAssign,
    CompileHosts,
    RemoveEntries,
    RemoveLine,
    WriteFile,
)
from indimail.manage.site import Refused, Site
from indimail.manage.writes import Write

RCPTHOSTS_LINES: Final = 50  # from here on domains go into morercpthosts
# One domain a line, and what the spam filters' lists call a domain.
_LISTS: Final = ("chkrcptdomains", "etrnhosts")
_AT_LISTS: Final = ("spamignore", "nodnscheck")


def begin_writes(
    site: Site, domain: str, owner: Entry | None = None, *, compile_cdb: bool = True
) -> list[Write]:
    """Return what makes a domain live, in the order of use; `owner`: the line of another's name."""
    users_dir = site.places.users_dir
    uid, gid = (site.uid, site.gid) if owner is None else owner[:2]
    entry = domain_entry(domain, uid, gid, site.domain_dir(domain))
    return [
        AddEntry(users_dir, entry),
        *([CompileAssign(users_dir)] if compile_cdb else []),
        AddLine(site.control("virtualdomains"), f"{domain}:{domain}"),
        *_not_local(site, domain),
        *_received(site, domain),
    ]


def end_writes(site: Site, domain: str) -> list[Write]:
    """Return what ends a domain, the refusal of its mail first."""
    users_dir, more = site.places.users_dir, site.control("morercpthosts")
    gone_from_more = _lines_of(site, "morercpthosts", domain)
    return [
        *_lines_of(site, "rcpthosts", domain),
        *gone_from_more,
        *([CompileHosts(more)] if gone_from_more else []),
        *(write for name in _LISTS for write in _lines_of(site, name, domain)),
        *(write for name in _AT_LISTS for write in _lines_of(site, name, f"@{domain}")),
        *_lines_of(site, "virtualdomains", domain),
        RemoveEntries(users_dir, domain),
        CompileAssign(users_dir),
    ]


def own_entry(site: Site, disk: Disk, domain: str, missing: Refused) -> Entry | Refused:
    """Return a domain's line; refuse where it is `missing`, root's, or of another directory."""
    entry = entry_of_domain(disk, site.places.users_dir, domain)
    if entry is None:
        return missing
    if entry.uid == 0:
        return _of_root(domain)
    if os.path.normpath(entry.home) != site.domain_dir(domain):
        what = f"lies in {entry.home}, expected {site.domain_dir(domain)}"
        return Refused(f"domain {domain} {what}", 1, os.EX_CONFIG)
    return entry


def check_owner(site: Site, disk: Disk, domain: str, missing: Refused | None) -> Refused | None:
    """Refuse a domain that is root's; return `missing` where the domain is none."""
    uid = owner_of_domain(disk, site.places.users_dir, domain)
    if uid is None:
        return missing
    return _of_root(domain) if uid == 0 else None


def check_domain_exists(site: Site, disk: Disk, domain: str) -> Refused | None:
    """Refuse a domain that is none of ours, or root's."""
    missing = Refused(f"{domain}: domain does not exist", 1, os.EX_NOHOST)
    return check_owner(site, disk, domain, missing)


def _of_root(domain: str) -> Refused:
    return Refused(f"domain {domain} with uid 0", 100, os.EX_NOPERM)


def lists_of(site: Site, domain: str) -> list[str]:
    """Return the control files that list a domain beside those that make it live."""
    return [name for name in _LISTS if domain in _lowered(site, name)]


def is_live(site: Site, disk: Disk, domain: str) -> bool:
    """Tell whether mail for a domain is taken, routed and delivered."""
    return (
        has_domain(disk, site.places.users_dir, domain)
        and f"{domain}:{domain}" in _lowered(site, "virtualdomains")
        and domain not in _lowered(site, "locals")
        and _is_received(site, domain)
    )


def is_named(site: Site, disk: Disk, domain: str) -> bool:
    """Tell whether anything of the instance is called like this."""
    return (
        os.path.lexists(site.domain_dir(domain))
        or has_domain(disk, site.places.users_dir, domain)
        or any(_lines_of(site, name, domain) for name in ("rcpthosts", "morercpthosts"))
        or bool(_lines_of(site, "virtualdomains", domain))
    )


def routed_elsewhere(site: Site, domain: str) -> str:
    """Return the line of virtualdomains that gives a domain to another one; empty: none."""
    for line in _control_lines(site, "virtualdomains"):
        key, _, target = line.partition(":")
        if key.lower() == domain and target.lower() != domain:
            return line
    return ""


def _not_local(site: Site, domain: str) -> list[Write]:
    """Without the file the name in `me` is local: then an empty one has to say that it is not."""
    path = site.control("locals")
    if os.path.exists(path):
        return list(_lines_of(site, "locals", domain))
    return [WriteFile(path, "", 0o644)] if domain in _lowered(site, "me")[:1] else []


def _received(site: Site, domain: str) -> list[Write]:
    listed = _lowered(site, "rcpthosts")
    if domain in listed or len(listed) < RCPTHOSTS_LINES:
        return [AddLine(site.control("rcpthosts"), domain)] if domain not in listed else []
    more = site.control("morercpthosts")
    return [AddLine(more, domain), CompileHosts(more)]


def _is_received(site: Site, domain: str) -> bool:
    if domain in _lowered(site, "rcpthosts"):
        return True
    if domain not in _lowered(site, "morercpthosts"):
        return False
    try:
        base = read_cdb(site.control("morercpthosts.cdb"), "control/morercpthosts.cdb")
        return base.get(domain.encode()) is not None
    except (ConfigErrors, FileNotFoundError):  # made again from the text
        return False


def _lines_of(site: Site, name: str, domain: str) -> list[RemoveLine]:
    """Return what removes the lines of a file that are of a domain, however they are written."""
    path = site.control(name)
    lines = dict.fromkeys(_control_lines(site, name))
    return [RemoveLine(path, line) for line in lines if line.partition(":")[0].lower() == domain]


def _lowered(site: Site, name: str) -> list[str]:
    return [line.lower() for line in _control_lines(site, name)]


def _control_lines(site: Site, name: str) -> list[str]:
    found, _ = read_control(site.control(name), f"control/{name}")
    return [line.text for line in found.lines]
