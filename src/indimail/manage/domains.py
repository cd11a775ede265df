"""Make a virtual domain: its files, its postmaster, its place in the control files.

    plan_domain(site, accounts, disk, NewDomain("example.com", Secret(hashed)), now)
        -> [MakeDirectory(...), ..., AddLine(...)], or Refused(...)

The order is that of use: what a delivery reads is there before mail is routed to it
(virtualdomains), and that before mail from outside is taken (rcpthosts).

Sources: spec/delivery.md 2.1 steps 1 to 9.
Not here: the training aliases, prefilt and postfilt with their filters (2.1 step 10, they come
with vfilter), alias domains, the cluster's tables.
"""

import os
from dataclasses import dataclass
from typing import Final

from indimail.accounts.layout import GROUPS
from indimail.accounts.port import Accounts
from indimail.durable.disk import Disk
from indimail.mail.secret import Secret
from indimail.manage.file_writes import AddLine, MakeDirectory, WriteFile
from indimail.manage.homes import check_base, check_writable
from indimail.manage.instruction import EXPECTED, default_line, find_fault
from indimail.manage.layout import DOMAIN, PASSED, PRIVATE
from indimail.manage.names import check_domain
from indimail.manage.routing import begin_writes, is_live, own_entry, routed_elsewhere
from indimail.manage.row_writes import AddAlias, SetPassword
from indimail.manage.site import Refused, Site
from indimail.manage.users import NewUser, user_writes
from indimail.manage.writes import TellAccount, TellControls, Write

POSTMASTER: Final = "postmaster"
BOUNCE: Final = "bounce-no-mailbox"
ALIASES: Final = ("abuse", "mailer-daemon")


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


def plan_domain(
    site: Site, accounts: Accounts, disk: Disk, new: NewDomain, now: float
) -> list[Write] | Refused:
    """Return what makes a domain, or completes one whose lines somebody took out."""
    refused = (
        check_domain(new.domain, site.variables.get("CHECK_DOMAIN_REGEXP", ""))
        or check_catch_all(new.instruction)
        or check_absent(site, disk, new.domain)
        or _check_instruction(site, disk, new)
        or (check_base(new.base) or check_writable(new.base) if new.base else None)
    )
    if refused is not None:
        return refused
    postmaster = _postmaster(site, accounts, disk, new, now)
    if isinstance(postmaster, Refused):
        return postmaster
    checked = [AddLine(site.control("chkrcptdomains"), new.domain)] if new.recipient_check else []
    return [
        *_files(site, new),
        *postmaster,
        *(AddAlias(name, new.domain, f"&{POSTMASTER}@{new.domain}") for name in ALIASES),
        *checked,
        *begin_writes(site, new.domain, compile_cdb=new.compile_cdb),
        TellControls(),
        TellAccount("", new.domain),
    ]


def check_catch_all(instruction: str) -> Refused | None:
    """Refuse an instruction for absent users that no delivery would understand."""
    if find_fault(instruction) is None:
        return None
    return Refused(f"Invalid bounce email address {instruction}: expected {EXPECTED}", 100)


def check_absent(site: Site, disk: Disk, domain: str) -> Refused | None:
    """Refuse a domain that is whole."""
    exists = Refused(f"adddomain: domain {domain} exists", 255, os.EX_CANTCREAT)
    if os.path.islink(site.domain_dir(domain)):  # an alias domain
        return exists
    entry = own_entry(site, disk, domain, exists)
    if isinstance(entry, Refused) and entry is not exists:  # there is one, of another's
        return entry
    line = routed_elsewhere(site, domain)
    if line:
        return Refused(
            f"adddomain: control/virtualdomains: {line}: {domain} is routed elsewhere",
            255,
            os.EX_CANTCREAT,
        )
    return exists if is_live(site, disk, domain) else None


def _check_instruction(site: Site, disk: Disk, new: NewDomain) -> Refused | None:
    """Refuse a `.qmail-default` of somebody else."""
    path = os.path.join(site.domain_dir(new.domain), ".qmail-default")
    line = default_line(site.places.root, new.instruction).encode()
    if not disk.exists(path) or disk.read(path) == line:
        return None
    return Refused(f"adddomain: open: {path}: File exists", 255, os.EX_CANTCREAT)


def _files(site: Site, new: NewDomain) -> list[Write]:
    """Return what makes the domain's own directory and the groups of its homes."""
    folder = site.domain_dir(new.domain)
    settings = (
        (".base_path", new.base),
        (".users_per_level", str(new.users_per_level or "")),
        ("hash_method", new.method_name),
    )
    instruction = default_line(site.places.root, new.instruction)
    return [
        MakeDirectory(folder, DOMAIN),
        MakeDirectory(os.path.join(folder, "bulk_mail"), DOMAIN),
        WriteFile(os.path.join(folder, ".qmail-default"), instruction),
        *(
            WriteFile(os.path.join(folder, name), f"{text}\n", 0o644)
            for name, text in settings
            if text
        ),
        *home_folders(new.base or site.places.mail, new.domain),
    ]


def home_folders(base: str, domain: str) -> list[MakeDirectory]:
    """Return what makes the directories that are missing for the homes of a domain's users."""
    groups = [os.path.join(base, group) for group in GROUPS]
    wanted = [
        MakeDirectory(base, PASSED),
        *(MakeDirectory(group, PASSED) for group in groups),
        *(MakeDirectory(os.path.join(group, domain), PRIVATE) for group in groups),
    ]
    return [write for write in wanted if not os.path.isdir(write.path)]


def _postmaster(
    site: Site, accounts: Accounts, disk: Disk, new: NewDomain, now: float
) -> list[Write] | Refused:
    """Return what adds postmaster; one that is there gets the password."""
    if accounts.find(POSTMASTER, new.domain) is not None:
        return [SetPassword(POSTMASTER, new.domain, new.password, new.scram, int(now))]
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
    return user_writes(site, accounts, disk, user, now)
