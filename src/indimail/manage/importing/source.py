"""What another system has, as a value, whichever system it is.

    found = read_vpopmail(tree, tables)         # or read_indimail
    found.domains[0].users[0].where             -> 'domains/example.com/vpasswd:3'

Names, hashes, quotas and paths stand here as the source has them; what becomes of them is decided
by the plan (`manage.importing.domain`).  Paths (`directory`) are those that the source uses, also
where it was moved since (`manage.importing.tree`).

Not here: what is told of it (`manage.importing.report`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from indimail.accounts.port import LastEvent
from indimail.mail.secret import Secret


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file with its octets and permission bits; `where` names it for the report."""

    name: str
    where: str
    octets: bytes
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class FoundUser:
    """A row or a line of a user.

    `clear` is a password that is stored as it is beside its hash; `flags` are the bits of our
    `Flag`; `usage` is the userquota; `files` are those of the home (.qmail, .vacation.msg).  `home`
    is where the home lies now, empty where there is none, and `owner` whose it is.
    """

    where: str
    name: str
    password: Secret
    flags: int = 0
    gecos: str = ""
    directory: str = ""
    quota: str = ""
    active: bool = True
    scram: Secret = Secret("")
    clear: Secret = Secret("")
    events: tuple[LastEvent, ...] = ()
    usage: int = 0
    files: tuple[FoundFile, ...] = ()
    home: str = ""
    owner: int = 0


@dataclass(frozen=True, slots=True)
class FoundLine:
    """An alias line."""

    where: str
    name: str
    line: str


@dataclass(frozen=True, slots=True)
class FoundLimits:
    """Limits of a domain, or with a name of a user; `values` are our columns."""

    where: str
    name: str
    values: Mapping[str, int]


@dataclass(slots=True)
class FoundDomain:
    """A virtual domain; `directory` is what the source calls it, `files` are its .qmail files.

    `settings` are the first lines of the files that a domain of ours may have (hash_method, ...),
    `bulletins` the files of bulk_mail, `aliases` its alias domains with where they are named;
    `is_limited`: limits count in it.
    """

    name: str
    where: str
    directory: str
    uid: int = 0
    aliases: dict[str, str] = field(default_factory=dict)
    users: list[FoundUser] = field(default_factory=list)
    lines: list[FoundLine] = field(default_factory=list)
    files: list[FoundFile] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    bulletins: list[FoundFile] = field(default_factory=list)
    limits: list[FoundLimits] = field(default_factory=list)
    is_limited: bool = False


@dataclass(slots=True)
class Source:
    """All of it; `named` are all domains and alias domains that it has, also those that are left.

    `entries` are the lines of users/assign that are of no virtual domain.
    `alias` are the .qmail files of qmail's user alias, `addresses` local IP address and domain.
    """

    kind: str
    domains: list[FoundDomain] = field(default_factory=list)
    named: set[str] = field(default_factory=set)
    controls: list[FoundFile] = field(default_factory=list)
    entries: list[tuple[str, str]] = field(default_factory=list)
    alias: list[FoundFile] = field(default_factory=list)
    clients: list[FoundFile] = field(default_factory=list)
    addresses: list[tuple[str, str, str]] = field(default_factory=list)
