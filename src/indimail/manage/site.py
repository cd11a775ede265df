"""What the use cases need of an instance: where its parts lie, whose it is, what was set.

    site = Site(places=Instance("/var/indimail"), variables={"HARD_QUOTA": "50M"}, uid=555, gid=555)
    with acting_as(site.uid, site.gid): ...      # files made in here are the service account's
    with alone(site, "vdeluser ..."): ...        # no other command changes anything meanwhile

Not here: finding these values (`cli.site`), making an instance (`manage.instance`).
"""

import codecs
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from indimail.accounts.passwords import Method
from indimail.durable.lock import lock_file
from indimail.mail.errors import InstanceBusy

PATIENCE: Final = 30.0  # seconds that a command waits for another one

for _encoding in ("ascii", "latin-1", "utf-8"):
    codecs.lookup(_encoding)  # a module each, which would be imported at its first use: see below


class Places(Protocol):
    """Absolute paths, without a slash at the end; `app.instance.Instance` has them."""

    root: str
    control_dir: str
    tcp_dir: str
    users_dir: str
    certs: str
    domains_dir: str
    mail: str
    queue_base: str
    alias: str
    db: str
    trace: str
    log: str
    run: str
    toml: str

    @property
    def spool(self) -> str: ...
    @property
    def assign(self) -> str: ...
    @property
    def tcp_smtp(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Site:
    """An instance; `uid` and `gid` are the service account, which owns its root.

    `default_method` hashes passwords where nothing names another.
    """

    places: Places
    variables: Mapping[str, str]
    uid: int
    gid: int
    default_method: Method = Method.ARGON2ID

    def domain_dir(self, domain: str) -> str:
        """Return where a domain's files lie."""
        return os.path.join(self.places.domains_dir, domain)

    def control(self, name: str) -> str:
        """Return the path of a control file."""
        return os.path.join(self.places.control_dir, name)


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a command did nothing: the text that IndiMail prints, and its exit code.

    `sysexit` is the exit code of `indimail user` and its like, one of sysexits(3).
    """

    text: str
    code: int
    sysexit: int = os.EX_DATAERR


@contextmanager
def acting_as(uid: int, gid: int) -> Iterator[None]:
    """Make root work as the service account, so that every file belongs to it from its creation.

    Also a guard: a link that the account put into its own directories leads root nowhere.
    Who is not root stays who he is.  Import before what the account may not be able to read.
    """
    umask = os.umask(0o022)
    groups, is_root = os.getgroups(), os.geteuid() == 0
    own_gid = os.getegid()
    try:
        if is_root:
            os.setgroups([gid])
            os.setegid(gid)
            os.seteuid(uid)
        yield
    finally:
        if is_root:
            os.seteuid(0)
            os.setegid(own_gid)
            os.setgroups(groups)
        os.umask(umask)


@contextmanager
def reading_as_root() -> Iterator[None]:
    """Within `acting_as`, let root read what the account may not; nothing is made meanwhile."""
    uid = os.geteuid()
    if uid == 0 or os.getuid() != 0:
        yield
        return
    os.seteuid(0)
    try:
        yield
    finally:
        os.seteuid(uid)


@contextmanager
def locked(site: Site, what: str, patience: float) -> Iterator[None]:
    """Keep other commands from changing the instance meanwhile.

    `what` is told to those who wait in vain.  Raises `InstanceBusy` after `patience` seconds.
    """
    path = os.path.join(site.places.db, "change.lock")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not lock_file(fd, patience):
            holder = os.pread(fd, 1000, 0).decode("utf-8", "replace").strip()
            raise InstanceBusy(f"{holder} is at work; waited {patience:.0f} seconds")
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{what} (process {os.getpid()})\n".encode("utf-8", "replace"), 0)
        yield
    finally:
        os.close(fd)


def journal(site: Site) -> str:
    """Return the path of the change that is being made, or was interrupted (`manage.change`)."""
    return os.path.join(site.places.db, "change.json")


@contextmanager
def alone(site: Site, what: str = "another command") -> Iterator[None]:
    """Keep other commands away, as `locked`, and change nothing on top of half a change.

    Raises `InstanceBusy` for that too.
    """
    with locked(site, what, PATIENCE):
        check_undisturbed(site)
        yield


def check_undisturbed(site: Site) -> None:
    """Raise `InstanceBusy` while a change is half made."""
    if os.path.exists(journal(site)):
        raise InstanceBusy("a change was interrupted; the next command completes it")
