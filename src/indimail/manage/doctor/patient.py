"""The instance under examination: what several checks look at, read once.

    patient = Patient(site, accounts, SystemDisk(), now, tell)
    patient.domains                 -> {'example.com': AssignEntry(...)}
    patient.users["example.com"]    -> [Account(...), ...]

Lines that no parser understands are left out here: they are findings of their own.  `accounts` is
None where the database is not to be asked (its schema is not this program's).

Raises `AccountsUnavailable`, OSError.  Not here: the checks.
"""

import os
from collections.abc import Callable, Iterator
from functools import cached_property
from stat import S_IMODE

from indimail.accounts.port import Account, Accounts, AliasLine
from indimail.control.cdb import read_cdb
from indimail.control.files import read_control
from indimail.delivery.assign import Assign, AssignEntry, parse_assign
from indimail.durable.disk import Disk
from indimail.mail.errors import ConfigErrors
from indimail.mail.line import Line
from indimail.mail.match import DomainTable, parse_domain_rules
from indimail.mail.verdict import Rule
from indimail.manage.doctor.finding import Finding, Give, who
from indimail.manage.file_writes import SetMode
from indimail.manage.site import Site
from indimail.schedule.route import FILES, Routing, parse_routing

SHOWN = 500  # users between two words about the progress


class Patient:
    """`now` is the wall time; `tell` hears what is being looked at."""

    def __init__(
        self,
        site: Site,
        accounts: Accounts | None,
        disk: Disk,
        now: float,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.site = site
        self.disk = disk
        self.now = now
        self.tell = tell
        self._accounts = accounts
        self._inside = site.places.root.rstrip("/") + "/"

    @property
    def accounts(self) -> Accounts:
        """The user database, for the checks that need it."""
        assert self._accounts is not None
        return self._accounts

    @property
    def has_accounts(self) -> bool:
        """Whether the user database may be asked."""
        return self._accounts is not None

    def shown(self, path: str) -> str:
        """Return a path as operators are told it."""
        return path.removeprefix(self._inside)

    # -- files -----------------------------------------------------------------------------------

    def lines(self, name: str) -> tuple[Line, ...]:
        """Return the lines of a control file."""
        return read_control(self.site.control(name), f"control/{name}")[0].lines

    @cached_property
    def assign(self) -> Assign:
        """users/assign."""
        found, _ = read_control(self.site.places.assign, "users/assign")
        return parse_assign(found.lines)[0]

    @cached_property
    def domains(self) -> dict[str, AssignEntry]:
        """The domains that users/assign has, alias domains too."""
        prefixes = self.assign.prefixes.items()
        return {key[:-1]: entry for key, entry in prefixes if key == f"{entry.user.lower()}-"}

    @cached_property
    def domain_homes(self) -> frozenset[str]:
        """The directories of domains."""
        return frozenset(entry.home for entry in self.domains.values())

    @cached_property
    def routing(self) -> Routing:
        """What decides where a recipient goes."""
        found = {name: read_control(self.site.control(name), f"control/{name}") for name in FILES}
        me = next((line.text for line in self.lines("me")), "localhost")
        return parse_routing({n: file.lines for n, (file, _) in found.items() if file.exists}, me)[
            0
        ]

    @cached_property
    def received(self) -> DomainTable:
        """The domains whose mail is taken from everybody."""
        rules = dict(parse_domain_rules(self.lines("rcpthosts"), suffixes=True)[0])
        more, _ = parse_domain_rules(self.lines("morercpthosts"), suffixes=True)
        path = self.site.control("morercpthosts")
        if is_older(path, f"{path}.cdb"):
            more = {key: more.get(key, Rule("control/morercpthosts.cdb")) for key in keys_of(path)}
        rules = {**more, **rules}
        return DomainTable(rules.get)

    # -- rows ------------------------------------------------------------------------------------

    @cached_property
    def users(self) -> dict[str, list[Account]]:
        """The accounts of every domain that has rows, by name; one in both tables comes twice."""
        return {domain: self.accounts.users(domain) for domain in self.accounts.domains()}

    @cached_property
    def alias_lines(self) -> dict[str, list[AliasLine]]:
        """The alias lines of every domain that has rows, sorted."""
        return {domain: self.accounts.domain_aliases(domain) for domain in self.users}

    @cached_property
    def alias_rows(self) -> dict[str, str]:
        """The rows of alias domains: the domain that each stands for."""
        return {name: d for d in self.users for name in self.accounts.alias_domains(d)}

    @cached_property
    def taken(self) -> frozenset[str]:
        """The addresses that have an account, active or not, or alias lines."""
        accounts = (user.address for users in self.users.values() for user in users)
        lines = (f"{line.name}@{d}" for d, found in self.alias_lines.items() for line in found)
        return frozenset([*accounts, *lines])

    def each_user(self, doing: str) -> Iterator[Account]:
        """Yield every account of the domains that are ours, and tell of the progress."""
        ours = [user for domain in sorted(self.domains) for user in self.users.get(domain, ())]
        for number, user in enumerate(ours):
            if number % SHOWN == 0:
                self.tell(f"{doing}: {number} of {len(ours)}")
            yield user

    # -- owners and modes ------------------------------------------------------------------------

    def judge(
        self, path: str, most: int, least: int, uid: int | None = None, *, also_root: bool = False
    ) -> Iterator[Finding]:
        """Compare owner and permission bits: none beyond `most`, all of `least`.

        `uid` is whose it has to be, the service account's by default; `also_root`: or root's.
        Bits can be mended by the owner alone, and the writes are made as the service account.
        """
        state = os.stat(path)
        mode, wanted_uid = S_IMODE(state.st_mode), self.site.uid if uid is None else uid
        if state.st_uid != wanted_uid and not (also_root and state.st_uid == 0):
            gid = self.site.gid if wanted_uid == self.site.uid else state.st_gid
            yield Finding(
                "owner", self.shown(path), f"owner {who(state.st_uid)}", who(wanted_uid),
                give=Give(path, wanted_uid, gid),
            )  # fmt: skip
        wanted = mode & (most | ~0o777) | least
        if wanted != mode:
            mends = (SetMode(path, wanted),) if state.st_uid == self.site.uid else ()
            yield Finding(
                "mode", self.shown(path), f"mode {mode:04o}", f"{wanted:04o}", writes=mends
            )


def is_older(text: str, base: str) -> bool:
    """Tell whether a data base is there, and no older than its text: then it is what counts."""
    try:
        changed = os.stat(base).st_mtime_ns
    except OSError:
        return False
    try:
        return os.stat(text).st_mtime_ns <= changed
    except FileNotFoundError:
        return True


def keys_of(path: str) -> list[str]:
    """Return the keys of ``path.cdb``; none where it is broken."""
    try:
        base = read_cdb(f"{path}.cdb", os.path.basename(path))
        return [key.decode("utf-8", "backslashreplace") for key, _ in base.items()]
    except (ConfigErrors, OSError):
        return []
