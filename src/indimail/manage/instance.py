"""Make an instance: the tree of directories, with owners and modes, and the first files.

    choose_owner("indimail")              -> Owner(uid=555, gid=555)
    make_root(root, owner); make_instance(site, disk, me="mx.example.org")

What is there stays as it is, so the same call completes a half-made instance, and changes nothing
in a whole one.

Mail for postmaster, abuse, mailer-daemon and root at the host's own name goes where the
administrator says, else into `alias/Maildir/`, so that none of it is lost (RFC 5321 4.5.1,
RFC 2142).  For that the host's name is in `control/locals` and in `control/rcpthosts`.

Source: DESIGN.md 6; spec/delivery.md 3 (alias).  Not here: what the files mean.
"""

import os
import pwd
import stat
from dataclasses import dataclass
from typing import Final

from indimail.control.files import write_atomic
from indimail.control.toml import first_text
from indimail.durable.disk import Disk
from indimail.manage.assign import compile_assign
from indimail.manage.site import Refused, Site

SERVICE_ACCOUNT: Final = "indimail"
# Where there is no such account: the first number from here on that nobody has.  It lies above
# the people's accounts of a usual machine and below what systemd and containers give out.
UNNAMED_UID: Final = 5555

ROLES: Final = ("postmaster", "abuse", "mailer-daemon", "root")
OWN_MAILDIR: Final = "./Maildir/\n"

PUBLIC: Final = 0o755
PASSED: Final = 0o711
PRIVATE: Final = 0o700
SPOOL: Final = 0o1733  # every uid may leave a file, none may see another's

TCP_SMTP: Final = """\
# Who may connect, and with which variables: address:allow or deny,VAR="value",!VAR
# The first of these that is here decides: the full address, =host name, a prefix (longest first),
# a network (10.0.0.0/8), =.suffix of a name, the empty address.  Taken before the next connection.
#
# These may send mail to everybody through this server:
#127.0.0.1:allow,RELAYCLIENT=""
#::1:allow,RELAYCLIENT=""
#192.0.2.:allow,RELAYCLIENT=""
#2001:db8::/32:allow,RELAYCLIENT=""
#
# This one may not connect:
#203.0.113.7:deny
"""


@dataclass(frozen=True, slots=True)
class Owner:
    """The service account; `advice` says what an administrator might do better."""

    uid: int
    gid: int
    advice: str = ""


def choose_owner(wanted: str, root: str) -> Owner | Refused:
    """Return whom an instance made by root shall belong to: a name or a number.

    By default: the owner of an existing root, the account `indimail`, an unprivileged number.
    """
    if wanted:
        return _wanted(wanted)
    try:
        found = os.stat(root)
    except FileNotFoundError:
        found = None
    if found is not None and found.st_uid != 0:
        return Owner(found.st_uid, found.st_gid)
    try:
        account = pwd.getpwnam(SERVICE_ACCOUNT)
    except KeyError:
        return _unnamed(root)
    return Owner(account.pw_uid, account.pw_gid)


def _wanted(wanted: str) -> Owner | Refused:
    try:
        account = pwd.getpwuid(int(wanted)) if wanted.isdecimal() else pwd.getpwnam(wanted)
    except (KeyError, OverflowError):
        if not wanted.isdecimal() or not 0 < int(wanted) < 2**32 - 1:
            return Refused(f"{wanted}: no such user", os.EX_NOUSER)
        return Owner(int(wanted), int(wanted))
    if account.pw_uid == 0:
        return Refused(f"{wanted}: mail is never handled as root", os.EX_NOPERM)
    return Owner(account.pw_uid, account.pw_gid)


def _unnamed(root: str) -> Owner:
    uid = UNNAMED_UID
    while _is_taken(uid):
        uid += 1
    command = f"useradd --system --home-dir {root} --no-create-home --shell /usr/sbin/nologin"
    advice = (
        f"there is no account {SERVICE_ACCOUNT}: the instance belongs to the number {uid}; "
        f"to have one, `{command} {SERVICE_ACCOUNT}` and init another directory"
    )
    return Owner(uid, uid, advice)


def _is_taken(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def make_root(root: str, owner: Owner) -> Refused | None:
    """Make the directory itself; refuse one that holds something else."""
    try:
        os.makedirs(os.path.dirname(root), PUBLIC, exist_ok=True)
        os.mkdir(root, PASSED)
    except FileExistsError:
        if not os.path.isdir(root):
            return Refused(f"{root}: not a directory", os.EX_CANTCREAT)
        if os.listdir(root) and not os.path.isdir(os.path.join(root, "control")):
            return Refused(f"{root}: neither empty nor an instance", os.EX_CANTCREAT)
    found = os.stat(root)
    if found.st_uid == owner.uid:
        _set_mode(root, PASSED)
        return None
    if os.geteuid() != 0 or (found.st_uid != 0 and os.listdir(root)):
        return Refused(f"{root}: belongs to uid {found.st_uid}, not {owner.uid}", os.EX_NOPERM)
    os.chown(root, owner.uid, owner.gid)
    _set_mode(root, PASSED)
    return None


def role_files(site: Site) -> list[str]:
    """Return the `.qmail` files of the addresses that every host answers."""
    return [os.path.join(site.places.alias, f".qmail-{role}") for role in ROLES]


def make_instance(
    site: Site, disk: Disk, me: str, postmaster: str = "", database: str = ""
) -> bool:
    """Make what is missing below the root, as the service account; tell whether anything was.

    `postmaster` is the address that gets the mail of `ROLES`, `database` the URL of the accounts.
    """
    changed = make_tree(site, disk)
    for path, text, mode in _files(site, me, postmaster, database):
        if not disk.exists(path):
            write_atomic(disk, path, [text.encode()], mode)
            changed = True
    if not disk.exists(os.path.join(site.places.users_dir, "cdb")):
        compile_assign(disk, site.places.users_dir)
        changed = True
    return changed


def make_tree(site: Site, disk: Disk) -> bool:
    """Make the directories that are missing, as the service account; tell whether any was."""
    return _make_directories(disk, _directories(site))


def _directories(site: Site) -> list[tuple[str, int]]:
    places = site.places
    return [
        (places.control_dir, PUBLIC),
        (places.tcp_dir, PUBLIC),
        (places.users_dir, PUBLIC),
        (places.certs, PRIVATE),
        (places.domains_dir, PASSED),
        (places.alias, PUBLIC),
        *((os.path.join(places.alias, "Maildir", part), PRIVATE) for part in ("cur", "new", "tmp")),
        (places.mail, PASSED),
        (places.queue_base, PASSED),  # passed on the way to the spool; each queue is private
        (places.spool, SPOOL),
        (places.db, PRIVATE),
        (places.trace, PRIVATE),
        (places.log, PRIVATE),
        (places.run, PASSED),
    ]


def _files(site: Site, me: str, postmaster: str, database: str) -> list[tuple[str, str, int]]:
    """Return path, text and mode; `me` comes last of control/, it says that the rest is there."""
    places, roles = site.places, role_files(site)
    return [
        (places.toml, first_text(database), 0o600),  # may hold the database's password
        (places.assign, ".\n", 0o644),
        (places.tcp_smtp, TCP_SMTP, 0o644),
        *((path, f"&{postmaster}\n" if postmaster else OWN_MAILDIR, 0o644) for path in roles),
        (site.control("rcpthosts"), f"{me}\n", 0o644),
        (site.control("virtualdomains"), "", 0o644),
        (site.control("locals"), f"{me}\nlocalhost\n", 0o644),
        (site.control("me"), f"{me}\n", 0o644),
    ]


def _make_directories(disk: Disk, wanted: list[tuple[str, int]]) -> bool:
    """Make what is missing, each with its mode from the first moment; tell whether any was."""
    missing = [(path, mode) for path, mode in wanted if not os.path.isdir(path)]
    umask = os.umask(0)
    try:
        for path, mode in missing:
            disk.make_directories(path, mode)
    finally:
        os.umask(umask)
    return bool(missing)


def _set_mode(path: str, mode: int) -> None:
    if stat.S_IMODE(os.stat(path).st_mode) != mode:
        os.chmod(path, mode)
