"""The user database as a port: what the mail path asks, and what the commands change.

    accounts.find("alice", "example.com")      -> Account(...) or None
    accounts.aliases("abuse", "example.com")   -> ["&postmaster@example.com"]

Names and domains are given in lower case, and the domain is a real one (`real_domain` maps an
alias domain).  An absent user is a value, None; every method raises `AccountsUnavailable` where
the database does not answer, which is never a "no".

Sources: spec/cluster-users.md 1.2 (lengths), 1.4 (columns), 1.5 (flags), spec/delivery.md 1.3.
Not here: the cache of the mail path (`accounts.cache`), hashes (`accounts.passwords`), where homes
lie (`accounts.layout`), the checks of a new name (`manage.users`).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import IntFlag
from typing import Final, NamedTuple, Protocol

from indimail.accounts.scram import Form
from indimail.mail.secret import Secret

NAME_LENGTH: Final = 40
DOMAIN_LENGTH: Final = 67
ALIAS_DOMAIN_LENGTH: Final = 64
PASSWORD_LENGTH: Final = 128
GECOS_LENGTH: Final = 48
DIRECTORY_LENGTH: Final = 156
QUOTA_LENGTH: Final = 30
ALIAS_LINE_LENGTH: Final = 190
BULLETIN_LENGTH: Final = 64
FILESYSTEM_LENGTH: Final = 64
MOST_LOGINS: Final = 100

GROUP_MARK: Final = "MailGroup "  # what the name of a distribution list begins with

# Always active, and asked about before they are deleted (spec/delivery.md 1.3).
RFC_IDS: Final = frozenset(
    {
        "abuse",
        "mailer-daemon",
        "nonspam",
        "postfilt",
        "postmaster",
        "prefilt",
        "register-nonspam",
        "register-spam",
        "spam",
    }
)


class Flag(IntFlag):
    """The bits of the column pw_gid, which is no Unix gid (spec/cluster-users.md 1.5)."""

    NO_PASSWD_CHNG = 0x01
    NO_POP = 0x02
    NO_WEBMAIL = 0x04
    NO_IMAP = 0x08
    BOUNCE_MAIL = 0x10
    NO_RELAY = 0x20
    NO_DIALUP = 0x40
    QA_ADMIN = 0x80
    NO_SMTP = 0x100
    V_USER0 = 0x200
    V_USER1 = 0x400
    V_USER2 = 0x800
    V_USER3 = 0x1000
    V_OVERRIDE = 0x2000


@dataclass(frozen=True, slots=True)
class Account:
    """A row of `indimail` (active) or `indibak` (inactive).

    `uid` is the cluster's state of the row, no Unix uid; `quota` the text of pw_shell
    (``NOQUOTA``, ``52428800``, ``50000000S,1000C``); `directory` the home, without Maildir.
    """

    name: str
    domain: str
    password: Secret
    uid: int = 0
    flags: Flag = Flag(0)
    gecos: str = ""
    directory: str = ""
    quota: str = "NOQUOTA"
    active: bool = True
    scram: Secret = field(default=Secret(""))

    @property
    def address(self) -> str:
        """The mailbox as users write it."""
        return f"{self.name}@{self.domain}"

    @property
    def is_group(self) -> bool:
        """Tell whether this is a distribution list: mail goes to its alias lines alone."""
        return self.gecos.startswith(GROUP_MARK)


@dataclass(frozen=True, slots=True)
class LastEvent:
    """When a service last saw the user: seconds since the epoch, and from where."""

    service: str  # pop3 imap webm deli add pass ACTI INAC
    time: int
    remote_ip: str


@dataclass(frozen=True, order=True, slots=True)
class AliasLine:
    """A row of `valias`: mail for name@domain goes where the line says."""

    name: str
    domain: str
    line: str


@dataclass(frozen=True, order=True, slots=True)
class RelayLogin:
    """A row of `relay`: a user's last login by POP3 or IMAP from an address.

    `email` is name@domain, the real one, in lower case; `ip` in the spelling of `mail.ip`; `time`
    seconds since the epoch.
    """

    email: str
    ip: str
    time: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """An account that comes from elsewhere, with what was known of it there.

    `userquota` as the port's method of this name has it.
    """

    account: Account
    events: tuple[LastEvent, ...] = ()
    userquota: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """A row of `vlimits`: of a domain, or with a name of one user (``user@domain`` in the column).

    The fields are the columns.  Times are seconds since the epoch, -1: never; counts -1: any;
    octets and messages 0: any.  `defaultquota` 0 is HARD_QUOTA, `NO_DEFAULT` no quota.  Each
    ``disable_`` is 0 or 1, each ``perm_`` has bits that deny: 1 create, 2 modify, 4 delete;
    `perm_maillist` three times: of lists, of their users, of their moderators.
    """

    name: str
    domain: str
    domain_expiry: int = -1
    passwd_expiry: int = -1
    maxpopaccounts: int = -1
    maxaliases: int = -1
    maxforwards: int = -1
    maxautoresponders: int = -1
    maxmailinglists: int = -1
    diskquota: int = 0
    maxmsgcount: int = 0
    defaultquota: int = 0
    defaultmaxmsgcount: int = 0
    disable_pop: int = 0
    disable_imap: int = 0
    disable_dialup: int = 0
    disable_passwordchanging: int = 0
    disable_webmail: int = 0
    disable_relay: int = 0
    disable_smtp: int = 0
    perm_account: int = 0
    perm_alias: int = 0
    perm_forward: int = 0
    perm_autoresponder: int = 0
    perm_maillist: int = 0
    perm_quota: int = 0
    perm_defaultquota: int = 0

    @property
    def subject(self) -> str:
        """What the column `domain` has."""
        return limited(self.name, self.domain)


@dataclass(frozen=True, slots=True)
class FileSystem:
    """A row of `fstab`: a directory where homes of this host may lie, and how much lies there.

    `octets` are those of the users' quotas; what is 0 is not known.  The two most are information.
    """

    path: str
    is_online: bool = True
    most_users: int = 0
    most_octets: int = 0
    users: int = 0
    octets: int = 0


LIMITS: Final = tuple(field.name for field in fields(Limits))[2:]
NO_DEFAULT: Final = (1 << 63) - 1  # the most that every database holds; IndiMail wrote all bits


def limited(name: str, domain: str) -> str:
    """Return what stands for a domain, or with a name for a user."""
    return f"{name}@{domain}" if name else domain


class Known(NamedTuple):
    """What delivery wants to know of a name: its account, active or not, and its alias lines."""

    account: Account | None
    aliases: tuple[str, ...]


def is_lock_changed(before: Account, after: Account) -> bool:
    """Tell whether a change set BOUNCE_MAIL, or took it away."""
    return Flag.BOUNCE_MAIL in after.flags ^ before.flags


def above(path: str) -> list[str]:
    """Return a directory and those that hold it, but for the root of all."""
    found = []
    while path not in ("", "/"):
        found.append(path)
        path = path.rpartition("/")[0]
    return found


def moved_path(path: str, folders: Sequence[tuple[str, str]]) -> str:
    """Return where a path is after directories were renamed, old -> new."""
    for old, new in folders:
        if path == old or path.startswith(f"{old}/"):
            return new + path[len(old) :]
    return path


def moved_line(line: str, addresses: dict[str, str], folders: Sequence[tuple[str, str]]) -> str:
    """Return an alias line after addresses and directories were renamed, old -> new."""
    address = line.removeprefix("&")
    if address in addresses:
        return line.removesuffix(address) + addresses[address]
    for old, new in folders:
        line = new.join(re.split(rf"(?<![^\s|]){re.escape(old)}(?=[/\s]|$)", line))
    return line


def is_storable(text: str) -> bool:
    """Tell whether any database could hold the text; what none can hold names nothing in one."""
    try:
        text.encode()
    except UnicodeEncodeError:  # octets that were no UTF-8
        return False
    return "\0" not in text


class Lookup(Protocol):
    """What the mail path asks."""

    def find(self, name: str, domain: str) -> Account | None:
        """Return the account, active or not; an active row wins."""

    def aliases(self, name: str, domain: str) -> list[str]:
        """Return the alias lines (``&user@domain``, ``/path/``, ``| program``), sorted."""

    def known(self, name: str, domain: str) -> Known:
        """Return what `find` and `aliases` do, at the price of one."""

    def known_all(self, names: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Known]:
        """Return `known` of many names and their domains, at the price of little more than one."""

    def real_domain(self, domain: str) -> str:
        """Return the domain that an alias domain stands for; any other as it is."""

    def userquota(self, name: str, domain: str) -> int:
        """Return the octets that the quota's lock was set with; 0: no lock of the quota's."""

    def limits(self, name: str, domain: str) -> Limits | None:
        """Return the limits of a user's own, or with an empty name those of the domain."""

    def relay_logins(self, name: str, domain: str) -> tuple[RelayLogin, ...]:
        """Return the last login of a user from each address; the newest, at most `MOST_LOGINS`."""

    def relay_logins_from(self, ip: str) -> tuple[RelayLogin, ...]:
        """Return the last login of each user from an address; the newest, as above."""


class Accounts(Lookup, Protocol):
    """What the commands ask and change.  Each change is durable when the call returns."""

    def can_hold(self, text: str) -> bool:
        """Tell whether a row may have the text; a character set may lack some of its characters."""

    def users(self, domain: str) -> list[Account]:
        """Return all accounts of a domain, by name."""

    def addresses(self, beginning: str, most: int) -> list[str]:
        """Return addresses of all domains that begin so, sorted; the first `most` of them."""

    def credential_forms(self) -> Form:
        """Return what is stored of at least one active user's password besides the hash."""

    def domains(self) -> list[str]:
        """Return the real domains that have users, alias lines or alias domains, sorted."""

    def add(self, account: Account) -> bool:
        """Add a user; False where the name is taken, active or not."""

    def add_users(self, accounts: Sequence[Account], time: int) -> None:
        """Add users with the time of their making, all in one change.

        A name that is taken keeps its row, and gets the time alone.  Some hundreds at once.
        """

    def add_arrivals(self, arrivals: Sequence[Arrival], lines: Sequence[AliasLine]) -> None:
        """Add accounts and alias lines, all in one change.  Some hundreds at once.

        What is there stays as it is: an account whose name is taken comes with nothing.
        """

    def modify(
        self, name: str, domain: str, change: Callable[[Account], Account]
    ) -> Account | None:
        """Replace the row by what `change` makes of it, and return that; None where it is absent.

        Nobody changes the row meanwhile.  The names stay; where `active` changed the row moves.
        What `change` raises ends it, and nothing is changed.  A BOUNCE_MAIL that comes by it is
        the administrator's lock, and with one that goes its reason goes: no userquota stays.
        """

    def set_password(
        self, name: str, domain: str, password: Secret, scram: Secret, *, old: Secret | None = None
    ) -> bool:
        """Replace both credentials; False where there is no such user.

        Given what the password was when it was read (`old`), False too where it is that no longer.
        """

    def set_userquota(self, name: str, domain: str, octets: int) -> None:
        """Say whose a lock is: 0, the administrator's; else the quota's."""

    def lock_for_quota(self, name: str, domain: str, octets: int) -> bool:
        """Set BOUNCE_MAIL with the usage that led to it, in one change.

        False, and nothing changed: no such user, or it is locked already (whoever did).
        """

    def lift_quota_lock(self, name: str, domain: str) -> bool:
        """Clear BOUNCE_MAIL and its userquota, in one change, and no other flag.

        False, and nothing changed: no such user, no lock, or the administrator's.
        """

    def add_alias(self, name: str, domain: str, line: str) -> bool:
        """Add an alias line; False where it was there."""

    def remove_alias(self, name: str, domain: str, line: str) -> bool:
        """Remove an alias line; False where it was not there."""

    def domain_aliases(self, domain: str) -> list[AliasLine]:
        """Return all alias lines of a domain, sorted."""

    def aliases_to(self, address: str) -> list[AliasLine]:
        """Return the lines of all domains that forward to the address, sorted."""

    def add_alias_domain(self, alias: str, domain: str) -> bool:
        """Let `alias` stand for `domain`; False where it stands for one already."""

    def housed(self, path: str) -> list[Account]:
        """Return the accounts of all domains whose homes are a directory, lie in it or hold it."""

    def homes(self, filesystem: str, group: str, domain: str) -> tuple[int, str]:
        """Return how many homes the group has, and the bucket of the last one.

        The counter is a hint for spreading homes, no more.
        """

    def set_homes(self, filesystem: str, group: str, domain: str, count: int, bucket: str) -> None:
        """Say how many homes the group has, and the bucket of the next one."""

    def remove_user(self, name: str, domain: str) -> bool:
        """Remove all rows of a user, and the alias lines of all domains that forward to it.

        False, and nothing removed but such lines: no such user.
        """

    def move_user(self, name: str, domain: str, new_name: str, directory: str) -> bool:
        """Let all rows of a user say another name (or the same) and home.

        The lines of all domains follow that forward to the user, or name a path in the old home.
        False, and nothing changed: no such user.
        """

    def remove_domain(self, domain: str) -> None:
        """Remove all rows of a domain; the lines of others that forward to its users too."""

    def rename_domain(self, domain: str, new: str, folders: Sequence[tuple[str, str]]) -> None:
        """Let all rows of a domain say another one, and the lines of others that forward to it.

        `folders` are old and new directories: what lies in an old one is now in the new one.
        """

    def alias_domains(self, domain: str) -> list[str]:
        """Return the alias domains that stand for a domain, sorted."""

    def remove_alias_domain(self, alias: str) -> bool:
        """Let `alias` stand for nothing; False where it did not."""

    def address_domains(self) -> list[tuple[str, str]]:
        """Return local IP address and default domain (table ip_alias_map), sorted."""

    def map_address(self, address: str, domain: str) -> None:
        """Give a local IP address a default domain; an empty one takes it away."""

    def bulletins(self, name: str, domain: str) -> list[str]:
        """Return the files of `bulk_mail` that a user gets at the next login, sorted."""

    def add_bulletins(self, addresses: Sequence[str], filename: str) -> None:
        """Let users get a file of `bulk_mail` at their next login, all in one change."""

    def remove_bulletin(self, name: str, domain: str, filename: str) -> bool:
        """Tell that a user got a bulletin; False: it was not waited for."""

    def filesystems(self) -> list[FileSystem]:
        """Return where homes of this host may lie, by path."""

    def put_filesystem(self, filesystem: FileSystem) -> None:
        """Say all of a file system, new or not."""

    def remove_filesystem(self, path: str) -> bool:
        """Take a file system away; False: it was none."""

    def set_limits(self, name: str, domain: str, values: Mapping[str, int]) -> None:
        """Set some of the limits of a user, or with an empty name of a domain, by their columns.

        Where there were none, what is not given is as `Limits` has it.
        """

    def remove_limits(self, name: str, domain: str) -> bool:
        """Remove the limits of a user, or with an empty name of a domain; False: there were none."""

    def all_relay_logins(self) -> list[RelayLogin]:
        """Return all rows of `relay`, sorted."""

    def put_relay_login(self, login: RelayLogin) -> None:
        """Keep a login, in place of an earlier one from the same address."""

    def expire_relay_logins(self, until: int) -> int:
        """Remove the logins of that second and before; return how many there were."""

    def record_event(self, account: Account, event: LastEvent) -> None:
        """Keep `event` as the last one of its service (table lastauth)."""

    def events(self, name: str, domain: str) -> list[LastEvent]:
        """Return the last event of each service, by service."""
