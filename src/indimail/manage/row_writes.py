"""Writes of rows in the user database; all rows of a user or a domain are one transaction.

    RemoveUser("alice", "example.com").do(stores)

Not here: what a write is (`manage.writes`), files (`manage.file_writes`).
"""

from dataclasses import dataclass, replace

from indimail.accounts.port import Account, AliasLine, Arrival, FileSystem, Flag, LastEvent, limited
from indimail.mail.secret import Secret
from indimail.manage.writes import Stores


@dataclass(frozen=True, slots=True)
class AddUser:
    """A user's row, with the time of its making."""

    account: Account
    time: int

    def __str__(self) -> str:
        table = "indimail" if self.account.active else "indibak"
        return f"rows {self.account.address}: add to {table}, lastauth"

    def do(self, stores: Stores) -> None:
        """Add it where it is missing."""
        stores.accounts.add(self.account)
        stores.accounts.record_event(self.account, LastEvent("add", self.time, ""))


@dataclass(frozen=True, slots=True)
class AddUsers:
    """The rows of some hundred users, with the time of their making, in one transaction."""

    accounts: tuple[Account, ...]
    time: int

    def __str__(self) -> str:
        return "\n".join(str(AddUser(account, self.time)) for account in self.accounts)

    def do(self, stores: Stores) -> None:
        """Add those that are missing."""
        stores.accounts.add_users(self.accounts, self.time)


@dataclass(frozen=True, slots=True)
class AddArrivals:
    """Rows of some hundred users and alias lines that come from elsewhere, in one transaction."""

    arrivals: tuple[Arrival, ...]
    lines: tuple[AliasLine, ...]

    def __str__(self) -> str:
        users = [str(AddUser(arrival.account, 0)) for arrival in self.arrivals]
        lines = [str(AddAlias(line.name, line.domain, line.line)) for line in self.lines]
        return "\n".join([*users, *lines])

    def do(self, stores: Stores) -> None:
        """Add what is missing."""
        stores.accounts.add_arrivals(self.arrivals, self.lines)


@dataclass(frozen=True, slots=True)
class SetPassword:
    """A user's password, with its keys for SCRAM and the time of its change."""

    name: str
    domain: str
    password: Secret
    scram: Secret
    time: int

    def __str__(self) -> str:
        return f"rows {self.name}@{self.domain}: password"

    def do(self, stores: Stores) -> None:
        """Replace it."""
        stores.accounts.set_password(self.name, self.domain, self.password, self.scram)
        account = stores.accounts.find(self.name, self.domain)
        if account is not None:
            stores.accounts.record_event(account, LastEvent("pass", self.time, ""))


@dataclass(frozen=True, slots=True)
class SetQuota:
    """A user's quota, as it is stored."""

    name: str
    domain: str
    quota: str

    def __str__(self) -> str:
        return f"row {self.name}@{self.domain}: quota {self.quota}"

    def do(self, stores: Stores) -> None:
        """Set it."""
        stores.accounts.modify(self.name, self.domain, lambda row: replace(row, quota=self.quota))


@dataclass(frozen=True, slots=True)
class SetGecos:
    """A user's full name."""

    name: str
    domain: str
    gecos: str

    def __str__(self) -> str:
        return f"row {self.name}@{self.domain}: name {self.gecos}"

    def do(self, stores: Stores) -> None:
        """Set it."""
        stores.accounts.modify(self.name, self.domain, lambda row: replace(row, gecos=self.gecos))


@dataclass(frozen=True, slots=True)
class SetFlags:
    """Flags that come and flags that go; the others stay as they then are.

    A lock (BOUNCE_MAIL) that comes is the administrator's, also where the quota's was before.
    """

    name: str
    domain: str
    given: Flag
    gone: Flag

    def __str__(self) -> str:
        told = [f"+{flag.name}" for flag in self.given] + [f"-{flag.name}" for flag in self.gone]
        return f"row {self.name}@{self.domain}: flags {' '.join(told)}"

    def do(self, stores: Stores) -> None:
        """Set the ones and clear the others."""
        stores.accounts.modify(
            self.name,
            self.domain,
            lambda row: replace(row, flags=row.flags & ~self.gone | self.given),
        )
        if Flag.BOUNCE_MAIL in self.given:
            stores.accounts.set_userquota(self.name, self.domain, 0)


@dataclass(frozen=True, slots=True)
class RemoveUser:
    """All rows of a user, and the alias lines that lead to it, in one transaction."""

    name: str
    domain: str

    def __str__(self) -> str:
        return f"rows {self.name}@{self.domain}: remove"

    def do(self, stores: Stores) -> None:
        """Remove what is there."""
        stores.accounts.remove_user(self.name, self.domain)


@dataclass(frozen=True, slots=True)
class MoveUser:
    """All rows of a user say another name and home, in one transaction."""

    name: str
    domain: str
    new_name: str
    directory: str

    def __str__(self) -> str:
        new = f"{self.new_name}@{self.domain}, home {self.directory}"
        return f"rows {self.name}@{self.domain}: change to {new}"

    def do(self, stores: Stores) -> None:
        """Change them where they are not changed."""
        stores.accounts.move_user(self.name, self.domain, self.new_name, self.directory)


@dataclass(frozen=True, slots=True)
class SetActive:
    """A user's row is in `indimail` or in `indibak`, with the time of its move."""

    name: str
    domain: str
    active: bool
    time: int

    def __str__(self) -> str:
        return f"rows {self.name}@{self.domain}: {'' if self.active else 'in'}active"

    def do(self, stores: Stores) -> None:
        """Move it where it is in the other table."""
        row = stores.accounts.modify(
            self.name, self.domain, lambda row: replace(row, active=self.active)
        )
        if row is not None:
            service = "ACTI" if self.active else "INAC"
            stores.accounts.record_event(row, LastEvent(service, self.time, ""))


@dataclass(frozen=True, slots=True)
class RemoveDomain:
    """All rows of a domain, in one transaction."""

    domain: str

    def __str__(self) -> str:
        return f"rows @{self.domain}: remove"

    def do(self, stores: Stores) -> None:
        """Remove what is there."""
        stores.accounts.remove_domain(self.domain)


@dataclass(frozen=True, slots=True)
class RenameDomain:
    """All rows of a domain say another one, in one transaction; `folders` are those of homes."""

    domain: str
    new: str
    folders: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"rows @{self.domain}: change to @{self.new}"

    def do(self, stores: Stores) -> None:
        """Change them where they are not changed."""
        stores.accounts.rename_domain(self.domain, self.new, self.folders)


@dataclass(frozen=True, slots=True)
class AddAliasDomain:
    """The row of an alias domain."""

    alias: str
    domain: str

    def __str__(self) -> str:
        return f"row aliasdomain {self.alias}: {self.domain}"

    def do(self, stores: Stores) -> None:
        """Add it where it is missing."""
        stores.accounts.add_alias_domain(self.alias, self.domain)


@dataclass(frozen=True, slots=True)
class RemoveAliasDomain:
    """An alias domain's row goes."""

    alias: str

    def __str__(self) -> str:
        return f"row aliasdomain {self.alias}: remove"

    def do(self, stores: Stores) -> None:
        """Remove it where it is there."""
        stores.accounts.remove_alias_domain(self.alias)


@dataclass(frozen=True, slots=True)
class AddAlias:
    """An alias line."""

    name: str
    domain: str
    line: str

    def __str__(self) -> str:
        return f"row valias {self.name}@{self.domain}: add {self.line}"

    def do(self, stores: Stores) -> None:
        """Add it where it is missing."""
        stores.accounts.add_alias(self.name, self.domain, self.line)


@dataclass(frozen=True, slots=True)
class RemoveAlias:
    """An alias line goes."""

    name: str
    domain: str
    line: str

    def __str__(self) -> str:
        return f"row valias {self.name}@{self.domain}: remove {self.line}"

    def do(self, stores: Stores) -> None:
        """Remove it where it is there."""
        stores.accounts.remove_alias(self.name, self.domain, self.line)


@dataclass(frozen=True, slots=True)
class SetCount:
    """How many homes a group has, and the bucket of the last one."""

    filesystem: str
    group: str
    domain: str
    count: int
    bucket: str

    def __str__(self) -> str:
        where = f"{self.filesystem} {self.group} {self.domain}"
        return f"row dir_control {where}: {self.count} homes, bucket [{self.bucket}]"

    def do(self, stores: Stores) -> None:
        """Set it."""
        stores.accounts.set_homes(self.filesystem, self.group, self.domain, self.count, self.bucket)


@dataclass(frozen=True, slots=True)
class AddBulletins:
    """Users get a file of `bulk_mail` at their next login."""

    addresses: tuple[str, ...]
    filename: str

    def __str__(self) -> str:
        return f"rows bulkmail: {self.filename} for {', '.join(self.addresses)}"

    def do(self, stores: Stores) -> None:
        """Add what is missing."""
        stores.accounts.add_bulletins(self.addresses, self.filename)


@dataclass(frozen=True, slots=True)
class PutFileSystem:
    """All of a row of `fstab`."""

    path: str
    is_online: bool
    most_users: int
    most_octets: int
    users: int
    octets: int

    def __str__(self) -> str:
        state = "online" if self.is_online else "offline"
        return f"row fstab {self.path}: {state}, {self.users} users, {self.octets} octets"

    def do(self, stores: Stores) -> None:
        """Put it."""
        stores.accounts.put_filesystem(
            FileSystem(
                self.path,
                self.is_online,
                self.most_users,
                self.most_octets,
                self.users,
                self.octets,
            )
        )


@dataclass(frozen=True, slots=True)
class RemoveFileSystem:
    """A row of `fstab` goes."""

    path: str

    def __str__(self) -> str:
        return f"row fstab {self.path}: remove"

    def do(self, stores: Stores) -> None:
        """Remove it where it is there."""
        stores.accounts.remove_filesystem(self.path)


@dataclass(frozen=True, slots=True)
class SetLimits:
    """Some limits of a domain, or with a name of a user; `values` are columns and numbers."""

    name: str
    domain: str
    values: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        told = ", ".join(f"{column} {value}" for column, value in self.values)
        return f"row vlimits {limited(self.name, self.domain)}: {told}"

    def do(self, stores: Stores) -> None:
        """Set them."""
        stores.accounts.set_limits(self.name, self.domain, dict(self.values))


@dataclass(frozen=True, slots=True)
class RemoveLimits:
    """The limits of a domain, or with a name of a user, go."""

    name: str
    domain: str

    def __str__(self) -> str:
        return f"row vlimits {limited(self.name, self.domain)}: remove"

    def do(self, stores: Stores) -> None:
        """Remove them where they are there."""
        stores.accounts.remove_limits(self.name, self.domain)


@dataclass(frozen=True, slots=True)
class MapAddress:
    """The default domain of a local IP address; empty: none."""

    address: str
    domain: str

    def __str__(self) -> str:
        return f"row ip_alias_map {self.address}: {self.domain or 'remove'}"

    def do(self, stores: Stores) -> None:
        """Set it."""
        stores.accounts.map_address(self.address, self.domain)
