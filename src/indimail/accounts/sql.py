"""The user database in SQL: SQLite, MariaDB or PostgreSQL.

    accounts = SqlAccounts("sqlite:////var/indimail/db/indimail.db")
    accounts.find("alice", "example.com")

Tables are made at first use, so an empty database is a valid start.  An adapter belongs to one
process: make it after a fork, not before (`accounts.database`).

This is a list of contents: what each method does stands in the port, and how in the module that
it names.
"""

from collections.abc import Callable, Mapping, Sequence

from indimail.accounts import changes, lists, lookups, moves
from indimail.accounts.database import Database
from indimail.accounts.port import (
    Account,
    AliasLine,
    Arrival,
    FileSystem,
    Known,
    LastEvent,
    Limits,
    RelayLogin,
    is_storable,
)
from indimail.accounts.scram import Form
from indimail.mail.secret import Secret


def sqlite_url(path: str) -> str:
    """Return the URL of a SQLite file."""
    return f"sqlite:///{path}"


class SqlAccounts:
    """The port `Accounts` on a database."""

    def __init__(self, url: str, *, exists: bool = False) -> None:
        """Import what the database needs; it is asked at the first call (`Database`)."""
        self.database = Database(url, exists=exists)

    def make_tables(self) -> None:
        """Make what is missing now, not at the first question; on a server the database too."""
        self.database.make_tables()

    def close(self) -> None:
        """Give back the connections."""
        self.database.close()

    # -- what the mail path asks -----------------------------------------------------------------

    def find(self, name: str, domain: str) -> Account | None:
        return self.database.ask(lookups.find, name, domain)

    def aliases(self, name: str, domain: str) -> list[str]:
        return self.database.ask(lookups.aliases, name, domain)

    def known(self, name: str, domain: str) -> Known:
        return self.database.ask(lookups.known, name, domain)

    def known_all(self, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Known]:
        return self.database.ask(lookups.known_all, names)

    def real_domain(self, domain: str) -> str:
        return self.database.ask(lookups.real_domain, domain)

    def userquota(self, name: str, domain: str) -> int:
        return self.database.ask(lookups.userquota, name, domain)

    def limits(self, name: str, domain: str) -> Limits | None:
        return self.database.ask(lookups.limits, name, domain)

    def relay_logins(self, name: str, domain: str) -> tuple[RelayLogin, ...]:
        return self.database.ask(lookups.relay_logins, name, domain)

    def relay_logins_from(self, ip: str) -> tuple[RelayLogin, ...]:
        return self.database.ask(lookups.relay_logins_from, ip)

    # -- what commands ask -----------------------------------------------------------------------

    def can_hold(self, text: str) -> bool:
        if text.isascii() or not is_storable(text):
            return is_storable(text)
        return self.database.ask(lists.can_hold, text)

    def users(self, domain: str) -> list[Account]:
        return self.database.ask(lists.users, domain)

    def addresses(self, beginning: str, most: int) -> list[str]:
        return self.database.ask(lists.addresses, beginning, most)

    def credential_forms(self) -> Form:
        return self.database.ask(lists.credential_forms)

    def domains(self) -> list[str]:
        return self.database.ask(lists.domains)

    def domain_aliases(self, domain: str) -> list[AliasLine]:
        return self.database.ask(lists.domain_aliases, domain)

    def aliases_to(self, address: str) -> list[AliasLine]:
        return self.database.ask(lists.aliases_to, address)

    def alias_domains(self, domain: str) -> list[str]:
        return self.database.ask(lists.alias_domains, domain)

    def address_domains(self) -> list[tuple[str, str]]:
        return self.database.ask(lists.address_domains)

    def housed(self, path: str) -> list[Account]:
        return self.database.ask(lists.housed, path)

    def homes(self, filesystem: str, group: str, domain: str) -> tuple[int, str]:
        return self.database.ask(lists.homes, filesystem, group, domain)

    def events(self, name: str, domain: str) -> list[LastEvent]:
        return self.database.ask(lists.events, name, domain)

    def filesystems(self) -> list[FileSystem]:
        return self.database.ask(lists.filesystems)

    def all_relay_logins(self) -> list[RelayLogin]:
        return self.database.ask(lists.all_relay_logins)

    def bulletins(self, name: str, domain: str) -> list[str]:
        return self.database.ask(lists.bulletins, name, domain)

    # -- changes of a row or two -----------------------------------------------------------------

    def add(self, account: Account) -> bool:
        return self.database.change(changes.add, account)

    def add_users(self, accounts: Sequence[Account], time: int) -> None:
        return self.database.change(changes.add_users, accounts, time)

    def add_arrivals(self, arrivals: Sequence[Arrival], lines: Sequence[AliasLine]) -> None:
        return self.database.change(changes.add_arrivals, arrivals, lines)

    def modify(
        self, name: str, domain: str, change: Callable[[Account], Account]
    ) -> Account | None:
        return self.database.change(changes.modify, name, domain, change)

    def set_password(
        self, name: str, domain: str, password: Secret, scram: Secret, *, old: Secret | None = None
    ) -> bool:
        return self.database.change(changes.set_password, name, domain, password, scram, old=old)

    def set_userquota(self, name: str, domain: str, octets: int) -> None:
        return self.database.change(changes.set_userquota, name, domain, octets)

    def lock_for_quota(self, name: str, domain: str, octets: int) -> bool:
        return self.database.change(changes.lock_for_quota, name, domain, octets)

    def lift_quota_lock(self, name: str, domain: str) -> bool:
        return self.database.change(changes.lift_quota_lock, name, domain)

    def add_alias(self, name: str, domain: str, line: str) -> bool:
        return self.database.change(changes.add_alias, name, domain, line)

    def remove_alias(self, name: str, domain: str, line: str) -> bool:
        return self.database.change(changes.remove_alias, name, domain, line)

    def add_alias_domain(self, alias: str, domain: str) -> bool:
        return self.database.change(changes.add_alias_domain, alias, domain)

    def remove_alias_domain(self, alias: str) -> bool:
        return self.database.change(changes.remove_alias_domain, alias)

    def map_address(self, address: str, domain: str) -> None:
        return self.database.change(changes.map_address, address, domain)

    def set_homes(self, filesystem: str, group: str, domain: str, count: int, bucket: str) -> None:
        return self.database.change(changes.set_homes, filesystem, group, domain, count, bucket)

    def add_bulletins(self, addresses: Sequence[str], filename: str) -> None:
        return self.database.change(changes.add_bulletins, addresses, filename)

    def remove_bulletin(self, name: str, domain: str, filename: str) -> bool:
        return self.database.change(changes.remove_bulletin, name, domain, filename)

    def put_filesystem(self, filesystem: FileSystem) -> None:
        return self.database.change(changes.put_filesystem, filesystem)

    def remove_filesystem(self, path: str) -> bool:
        return self.database.change(changes.remove_filesystem, path)

    def set_limits(self, name: str, domain: str, values: Mapping[str, int]) -> None:
        return self.database.change(changes.set_limits, name, domain, values)

    def remove_limits(self, name: str, domain: str) -> bool:
        return self.database.change(changes.remove_limits, name, domain)

    def put_relay_login(self, login: RelayLogin) -> None:
        return self.database.change(changes.put_relay_login, login)

    def expire_relay_logins(self, until: int) -> int:
        return self.database.change(changes.expire_relay_logins, until)

    def record_event(self, account: Account, event: LastEvent) -> None:
        return self.database.change(changes.record_event, account, event)

    # -- changes of all rows of a user or a domain -----------------------------------------------

    def remove_user(self, name: str, domain: str) -> bool:
        return self.database.change(moves.remove_user, name, domain)

    def move_user(self, name: str, domain: str, new_name: str, directory: str) -> bool:
        return self.database.change(moves.move_user, name, domain, new_name, directory)

    def remove_domain(self, domain: str) -> None:
        return self.database.change(moves.remove_domain, domain)

    def rename_domain(self, domain: str, new: str, folders: Sequence[tuple[str, str]]) -> None:
        return self.database.change(moves.rename_domain, domain, new, folders)
