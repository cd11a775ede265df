"""Make a virtual domain: its files, its postmaster, its place in the control files.

    outcome = add_domain(site, accounts, disk, NewDomain("example.com", Secret(hashed)), now)
    outcome     -> Added(aliases=("abuse", "mailer-daemon")), or Refused(...)

The order is that of use: what a delivery reads is there before mail is routed to it
(virtualdomains), and that before mail from outside is taken (rcpthosts).  **The last line of a
control file is the commit point**: after a crash the same command completes what is missing, and
once all is there it says that the domain exists.

Sources: spec/delivery.md 2.1 steps 1 to 9.
Not here: the training aliases, prefilt and postfilt with their filters (2.1 step 10, they come
with vfilter), alias domains, the cluster's tables.
"""

import os
from dataclasses import dataclass
from typing import Final

from indimail.accounts.port import Accounts, LastEvent
from indimail.control.cdb import read_cdb, write_cdb
from indimail.control.files import (
    add_line,
    parse_lines,
    read_control,
    remove_line,
    write_atomic,
)
from indimail.durable.disk import Disk
from indimail.mail.errors import ConfigErrors
from indimail.mail.secret import Secret
from indimail.manage.assign import add_entry, compile_assign, domain_entry, has_domain
from indimail.manage.instruction import EXPECTED, default_line, find_fault
from indimail.manage.layout import DOMAIN, make_group_dirs
from indimail.manage.names import check_domain
from indimail.manage.site import Refused, Site, alone
from indimail.manage.users import NewUser, add_user

POSTMASTER: Final = "postmaster"
BOUNCE: Final = "bounce-no-mailbox"
ALIASES: Final = ("abuse", "mailer-daemon")
RCPTHOSTS_LINES: Final = 50  # from here on domains go into morercpthosts


@dataclass(frozen=True, slots=True)
class NewDomain:
    """What is to be made; `password` and `scram` are what is stored for postmaster.

    Empty text and 0 mean the default; `recipient_check` enters it into chkrcptdomains;
    `instruction` is for mail to users who do not exist.
    """

    domain: str
    password: Secret
    scram: Secret = Secret("")
    quota: str = ""
    base: str = ""
    users_per_level: int = 0
    method_name: str = ""
    recipient_check: bool = False
    compile_cdb: bool = True
    instruction: str = BOUNCE


@dataclass(frozen=True, slots=True)
class Added:
    """The domain is live; `aliases` go to postmaster."""

    domain: str
    aliases: tuple[str, ...] = ALIASES


def add_domain(
    site: Site, accounts: Accounts, disk: Disk, new: NewDomain, now: float
) -> Added | Refused:
    """Make a domain, or complete one that a crash left half made."""
    refused = check_domain(
        new.domain, site.variables.get("CHECK_DOMAIN_REGEXP", "")
    ) or check_catch_all(new.instruction)
    if refused is not None:
        return refused
    with alone(site):
        refused = check_absent(site, disk, new.domain)
        if refused is not None:
            return refused
        refused = _make_files(site, disk, new) or _make_users(site, accounts, disk, new, now)
        if refused is not None:
            return refused
        _make_live(site, disk, new)
    return Added(new.domain)


def check_catch_all(instruction: str) -> Refused | None:
    """Refuse an instruction for absent users that no delivery would understand."""
    if find_fault(instruction) is None:
        return None
    return Refused(f"Invalid bounce email address {instruction}: expected {EXPECTED}", 100)


def check_absent(site: Site, disk: Disk, domain: str) -> Refused | None:
    """Refuse a domain that is whole; one that a crash left half made is as good as absent."""
    exists = Refused(f"adddomain: domain {domain} exists", 255)
    if os.path.islink(site.domain_dir(domain)):  # an alias domain
        return exists
    for line in _control_lines(site, "virtualdomains"):
        key, _, target = line.partition(":")
        if key.lower() == domain and target.lower() != domain:
            return Refused(
                f"adddomain: control/virtualdomains: {line}: {domain} is routed elsewhere", 255
            )
    if not has_domain(disk, site.places.users_dir, domain):
        return None
    is_live = (
        f"{domain}:{domain}" in _lowered(site, "virtualdomains")
        and domain not in _lowered(site, "locals")
        and _is_received(site, domain)
    )
    return exists if is_live else None


def _make_files(site: Site, disk: Disk, new: NewDomain) -> Refused | None:
    """Make the domain's own directory and the groups of its homes."""
    folder = site.domain_dir(new.domain)
    disk.make_directories(folder, DOMAIN)
    disk.make_directories(os.path.join(folder, "bulk_mail"), DOMAIN)
    refused = _write_instruction(site, disk, folder, new.instruction)
    if refused is not None:
        return refused
    for name, text in (
        (".base_path", new.base),
        (".users_per_level", str(new.users_per_level or "")),
        ("hash_method", new.method_name),
    ):
        if text:
            write_atomic(disk, os.path.join(folder, name), [text.encode() + b"\n"])
    make_group_dirs(disk, new.base or site.places.mail, new.domain)
    return None


def _write_instruction(site: Site, disk: Disk, folder: str, instruction: str) -> Refused | None:
    """Write `.qmail-default`; the same one is from an earlier attempt, another is somebody's."""
    path = os.path.join(folder, ".qmail-default")
    line = default_line(site.places.root, instruction).encode()
    try:
        if disk.read(path) == line:
            return None
    except FileNotFoundError:
        write_atomic(disk, path, [line], 0o600)
        return None
    return Refused(f"adddomain: open: {path}: File exists", 255)


def _make_users(
    site: Site, accounts: Accounts, disk: Disk, new: NewDomain, now: float
) -> Refused | None:
    """Add postmaster and the aliases that RFC 2142 and RFC 5321 4.5.1 want answered."""
    found = accounts.find(POSTMASTER, new.domain)
    if found is None:
        user = NewUser(
            name=POSTMASTER,
            domain=new.domain,
            password=new.password,
            scram=new.scram,
            gecos="Postmaster",
            quota=new.quota,
            base=new.base,
            users_per_level=new.users_per_level,
        )
        added = add_user(site, accounts, disk, user, now)
        if isinstance(added, Refused):
            return added
    else:  # of an earlier attempt: the password of this one holds
        accounts.set_password(POSTMASTER, new.domain, new.password, new.scram)
        accounts.record_event(found, LastEvent("pass", int(now), ""))
    for alias in ALIASES:
        accounts.add_alias(alias, new.domain, f"&{POSTMASTER}@{new.domain}")
    return None


def _make_live(site: Site, disk: Disk, new: NewDomain) -> None:
    domain, users_dir = new.domain, site.places.users_dir
    entry = domain_entry(domain, site.uid, site.gid, site.domain_dir(domain))
    add_entry(disk, users_dir, entry)
    if new.compile_cdb:
        compile_assign(disk, users_dir)
    if new.recipient_check:
        add_line(disk, site.control("chkrcptdomains"), domain)
    add_line(disk, site.control("virtualdomains"), f"{domain}:{domain}")
    _remove_from_locals(site, disk, domain)
    # Commit point: from here on the domain's mail is taken, and the command is done.
    _receive(site, disk, domain)


def _remove_from_locals(site: Site, disk: Disk, domain: str) -> None:
    """Without the file the name in `me` is local: then an empty one has to say that it is not."""
    path = site.control("locals")
    if disk.exists(path):
        for line in _control_lines(site, "locals"):
            if line.lower() == domain:
                remove_line(disk, path, line)
    elif domain in _lowered(site, "me")[:1]:
        write_atomic(disk, path, [b""])


def _receive(site: Site, disk: Disk, domain: str) -> None:
    hosts, more = site.control("rcpthosts"), site.control("morercpthosts")
    listed = _lowered(site, "rcpthosts")
    if domain in listed:
        return
    if len(listed) < RCPTHOSTS_LINES:
        add_line(disk, hosts, domain)
        return
    add_line(disk, more, domain)
    lines, _ = parse_lines(disk.read(more), "control/morercpthosts")
    keys = dict.fromkeys(line.text.lower().encode() for line in lines)
    write_cdb(disk, f"{more}.cdb", [(key, b"") for key in keys])


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


def _lowered(site: Site, name: str) -> list[str]:
    return [line.lower() for line in _control_lines(site, name)]


def _control_lines(site: Site, name: str) -> list[str]:
    found, _ = read_control(site.control(name), f"control/{name}")
    return [line.text for line in found.lines]
