"""The user database in memory: for tests, and the port's plainest reading.

MemoryAccounts().add(account)

`fail` makes every call raise, as a database that is down would.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from indimail.accounts.layout import counter_table
from indimail.accounts.port import (
    MOST_LOGINS,
    Account,
    AliasLine,
    Arrival,
    FileSystem,
    Flag,
    Known,
    LastEvent,
    Limits,
    RelayLogin,
    above,
    is_lock_changed,
    is_storable,
    moved_line,
    moved_path,
)
from indimail.accounts.scram import Form, form_of
from indimail.mail.errors import AccountsUnavailable
from indimail.mail.secret import Secret


class MemoryAccounts:
    """Dictionaries under the port `Accounts`."""

    def __init__(self) -> None:
        self.fail = False
        self._accounts: dict[tuple[str, str], Account] = {}
        self._aliases: dict[tuple[str, str], list[str]] = {}
        self._alias_domains: dict[str, str] = {}
        self._homes: dict[tuple[str, str], tuple[int, str]] = {}
        self._userquota: dict[tuple[str, str], int] = {}
        self._events: dict[tuple[str, str], dict[str, LastEvent]] = {}
        self._addresses: dict[str, str] = {}
        self._limits: dict[tuple[str, str], Limits] = {}
        self._bulletins: dict[tuple[str, str], set[str]] = {}
        self._logins: dict[tuple[str, str], dict[str, int]] = {}  # times by address
        self._filesystems: dict[str, FileSystem] = {}

    def find(self, name: str, domain: str) -> Account | None:
        """Return the account, active or not."""
        self._check()
        return self._accounts.get((name, domain))

    def aliases(self, name: str, domain: str) -> list[str]:
        """Return the alias lines, sorted."""
        self._check()
        return sorted(self._aliases.get((name, domain), ()))

    def known(self, name: str, domain: str) -> Known:
        """Return the account and the alias lines."""
        return Known(self.find(name, domain), tuple(self.aliases(name, domain)))

    def known_all(self, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Known]:
        """Return the accounts and the alias lines of many."""
        return {(name, domain): self.known(name, domain) for name, domain in names}

    def real_domain(self, domain: str) -> str:
        """Return the domain that an alias domain stands for; any other as it is."""
        self._check()
        return self._alias_domains.get(domain, domain)

    def userquota(self, name: str, domain: str) -> int:
        """Return the octets that the quota's lock was set with; 0: no lock of the quota's."""
        self._check()
        return self._userquota.get((name, domain), 0)

    def limits(self, name: str, domain: str) -> Limits | None:
        """Return the limits of a user's own, or with an empty name those of the domain."""
        self._check()
        return self._limits.get((name, domain))

    def relay_logins(self, name: str, domain: str) -> tuple[RelayLogin, ...]:
        """Return the newest logins of a user, one from each address."""
        email = f"{name}@{domain}"
        return _newest(login for login in self.all_relay_logins() if login.email == email)

    def relay_logins_from(self, ip: str) -> tuple[RelayLogin, ...]:
        """Return the newest logins from an address, one of each user."""
        return _newest(login for login in self.all_relay_logins() if login.ip == ip)

    def all_relay_logins(self) -> list[RelayLogin]:
        """Return all logins, sorted."""
        self._check()
        return sorted(
            RelayLogin(f"{name}@{domain}", ip, time)
            for (name, domain), times in self._logins.items()
            for ip, time in times.items()
        )

    def put_relay_login(self, login: RelayLogin) -> None:
        """Keep a login, in place of an earlier one from the same address."""
        self._check()
        name, _, domain = login.email.rpartition("@")
        self._logins.setdefault((name, domain), {})[login.ip] = login.time

    def expire_relay_logins(self, until: int) -> int:
        """Remove the logins of that second and before."""
        before = self.all_relay_logins()
        for times in self._logins.values():
            for ip in [ip for ip, time in times.items() if time <= until]:
                del times[ip]
        return len(before) - len(self.all_relay_logins())

    def can_hold(self, text: str) -> bool:
        """Hold whatever a database could."""
        return is_storable(text)

    def users(self, domain: str) -> list[Account]:
        """Return all accounts of a domain, by name."""
        self._check()
        found = (a for a in self._accounts.values() if a.domain == domain)
        return sorted(found, key=lambda account: account.name)

    def addresses(self, beginning: str, most: int) -> list[str]:
        """Return addresses that begin so, sorted; the first `most` of them."""
        self._check()
        found = (account.address for account in self._accounts.values())
        return sorted(address for address in found if address.startswith(beginning))[:most]

    def credential_forms(self) -> Form:
        """Return what is stored of at least one active user's password besides the hash."""
        self._check()
        found = Form(0)
        for account in self._accounts.values():
            if account.active:
                found |= form_of(account.password, account.scram)
        return found

    def domains(self) -> list[str]:
        """Return the real domains that have users, alias lines or alias domains, sorted."""
        self._check()
        lines = {domain for (_, domain), lines in self._aliases.items() if lines}
        users = {domain for _, domain in self._accounts}
        return sorted(users | lines | set(self._alias_domains.values()))

    def add(self, account: Account) -> bool:
        """Add a user; False where the name is taken."""
        self._check()
        key = (account.name, account.domain)
        return self._accounts.setdefault(key, account) is account

    def add_users(self, accounts: Sequence[Account], time: int) -> None:
        """Add users with the time of their making; a name that is taken keeps its row."""
        for account in accounts:
            self.add(account)
            self.record_event(account, LastEvent("add", time, ""))

    def add_arrivals(self, arrivals: Sequence[Arrival], lines: Sequence[AliasLine]) -> None:
        """Add accounts and alias lines; what is there stays."""
        for arrival in arrivals:
            account = arrival.account
            if self.add(account):
                for event in arrival.events:
                    self.record_event(account, event)
                if arrival.userquota:
                    self.set_userquota(account.name, account.domain, arrival.userquota)
        for line in lines:
            self.add_alias(line.name, line.domain, line.line)

    def modify(
        self, name: str, domain: str, change: Callable[[Account], Account]
    ) -> Account | None:
        """Replace an account by what `change` makes of it; None: absent."""
        found = self.find(name, domain)
        if found is None:
            return None
        changed = self._accounts[name, domain] = change(found)
        if is_lock_changed(found, changed):
            self._userquota[name, domain] = 0
        return changed

    def set_password(
        self, name: str, domain: str, password: Secret, scram: Secret, *, old: Secret | None = None
    ) -> bool:
        """Replace both credentials; False: no such user, or the password is not `old`."""
        found = self.find(name, domain)
        if found is None or old not in (None, found.password):
            return False
        self._accounts[name, domain] = replace(found, password=password, scram=scram)
        return True

    def set_userquota(self, name: str, domain: str, octets: int) -> None:
        """Say whose a lock is: 0, the administrator's; else the quota's."""
        self._check()
        self._userquota[name, domain] = octets

    def lock_for_quota(self, name: str, domain: str, octets: int) -> bool:
        """Set BOUNCE_MAIL with the usage that led to it; False: absent, or locked already."""
        found = self.find(name, domain)
        if found is None or Flag.BOUNCE_MAIL in found.flags:
            return False
        self._accounts[name, domain] = replace(found, flags=found.flags | Flag.BOUNCE_MAIL)
        self._userquota[name, domain] = octets
        return True

    def lift_quota_lock(self, name: str, domain: str) -> bool:
        """Clear BOUNCE_MAIL and its userquota; False: absent, no lock, or the administrator's."""
        found = self.find(name, domain)
        if found is None or Flag.BOUNCE_MAIL not in found.flags or not self.userquota(name, domain):
            return False
        self._accounts[name, domain] = replace(found, flags=found.flags & ~Flag.BOUNCE_MAIL)
        self._userquota[name, domain] = 0
        return True

    def add_alias(self, name: str, domain: str, line: str) -> bool:
        """Add an alias line; False where it was there."""
        self._check()
        lines = self._aliases.setdefault((name, domain), [])
        if line in lines:
            return False
        lines.append(line)
        return True

    def remove_alias(self, name: str, domain: str, line: str) -> bool:
        """Remove an alias line; False where it was not there."""
        if line not in self.aliases(name, domain):
            return False
        self._aliases[name, domain].remove(line)
        return True

    def domain_aliases(self, domain: str) -> list[AliasLine]:
        """Return all alias lines of a domain, sorted."""
        return [alias for alias in self._alias_lines() if alias.domain == domain]

    def aliases_to(self, address: str) -> list[AliasLine]:
        """Return the lines of all domains that forward to the address, sorted."""
        return [a for a in self._alias_lines() if a.line.removeprefix("&") == address]

    def add_alias_domain(self, alias: str, domain: str) -> bool:
        """Let `alias` stand for `domain`; False where it stands for one already."""
        self._check()
        if alias in self._alias_domains:
            return False
        self._alias_domains[alias] = domain
        return True

    def housed(self, path: str) -> list[Account]:
        """Return the accounts whose homes are a directory, lie in it or hold it."""
        self._check()
        return [
            account
            for account in self._accounts.values()
            if account.directory in above(path) or path in above(account.directory)
        ]

    def homes(self, filesystem: str, group: str, domain: str) -> tuple[int, str]:
        """Return how many homes the group has, and the bucket of the last one."""
        self._check()
        return self._homes.get((counter_table(filesystem, group), domain), (0, ""))

    def set_homes(self, filesystem: str, group: str, domain: str, count: int, bucket: str) -> None:
        """Say how many homes the group has, and the bucket of the next one."""
        self._check()
        self._homes[counter_table(filesystem, group), domain] = (count, bucket)

    def remove_user(self, name: str, domain: str) -> bool:
        """Remove all rows of a user, and the alias lines that forward to it."""
        for alias in self.aliases_to(f"{name}@{domain}"):
            self.remove_alias(alias.name, alias.domain, alias.line)
        self._forget(lambda key: key == (name, domain))
        return self._accounts.pop((name, domain), None) is not None

    def move_user(self, name: str, domain: str, new_name: str, directory: str) -> bool:
        """Let all rows of a user say another name and home; False: no such user."""
        found = self.find(name, domain)
        if found is None:
            return False
        addresses = {f"{name}@{domain}": f"{new_name}@{domain}"}
        self._rename(lambda key: (new_name, domain) if key == (name, domain) else key)
        del self._accounts[name, domain]
        moved = replace(found, name=new_name, directory=directory)
        self._accounts[new_name, domain] = moved
        self._move_lines(addresses, [(found.directory, directory)])
        return True

    def remove_domain(self, domain: str) -> None:
        """Remove all rows of a domain; the lines of others that forward to its users too."""
        for alias in self._alias_lines():
            if alias.domain == domain or alias.line.endswith(f"@{domain}"):
                self.remove_alias(alias.name, alias.domain, alias.line)
        self._forget(lambda key: key[1] == domain)
        self._accounts = {key: row for key, row in self._accounts.items() if key[1] != domain}
        self._homes = {key: row for key, row in self._homes.items() if key[1] != domain}
        self._alias_domains = {
            alias: real for alias, real in self._alias_domains.items() if real != domain
        }
        self._addresses = {at: real for at, real in self._addresses.items() if real != domain}

    def rename_domain(self, domain: str, new: str, folders: Sequence[tuple[str, str]]) -> None:
        """Let all rows of a domain say another one, and the lines of others that forward to it."""
        lines = [alias.line.removeprefix("&") for alias in self._alias_lines()]
        addresses = {
            line: f"{line.removesuffix(domain)}{new}"
            for line in lines
            if line.endswith(f"@{domain}")
        }
        self._rename(lambda key: (key[0], new) if key[1] == domain else key)
        for account in self.users(domain):
            del self._accounts[account.name, domain]
            self._accounts[account.name, new] = replace(
                account, domain=new, directory=moved_path(account.directory, folders)
            )
        self._homes = {
            (table, new if here == domain else here): row
            for (table, here), row in self._homes.items()
        }
        self._move_lines(addresses, folders)
        for names in (self._alias_domains, self._addresses):
            names.update({name: new for name, real in names.items() if real == domain})

    def alias_domains(self, domain: str) -> list[str]:
        """Return the alias domains that stand for a domain, sorted."""
        self._check()
        return sorted(alias for alias, real in self._alias_domains.items() if real == domain)

    def remove_alias_domain(self, alias: str) -> bool:
        """Let `alias` stand for nothing; False where it did not."""
        self._check()
        return self._alias_domains.pop(alias, None) is not None

    def address_domains(self) -> list[tuple[str, str]]:
        """Return local IP address and default domain, sorted."""
        self._check()
        return sorted(self._addresses.items())

    def map_address(self, address: str, domain: str) -> None:
        """Give a local IP address a default domain; an empty one takes it away."""
        self._check()
        self._addresses.pop(address, None)
        if domain:
            self._addresses[address] = domain

    def bulletins(self, name: str, domain: str) -> list[str]:
        """Return the files of `bulk_mail` that a user gets at the next login, sorted."""
        self._check()
        return sorted(self._bulletins.get((name, domain), ()))

    def add_bulletins(self, addresses: Sequence[str], filename: str) -> None:
        """Let users get a file of `bulk_mail` at their next login."""
        self._check()
        for address in addresses:
            name, _, domain = address.rpartition("@")
            self._bulletins.setdefault((name, domain), set()).add(filename)

    def remove_bulletin(self, name: str, domain: str, filename: str) -> bool:
        """Tell that a user got a bulletin; False: it was not waited for."""
        if filename not in self.bulletins(name, domain):
            return False
        self._bulletins[name, domain].remove(filename)
        return True

    def filesystems(self) -> list[FileSystem]:
        """Return where homes of this host may lie, by path."""
        self._check()
        return [self._filesystems[path] for path in sorted(self._filesystems)]

    def put_filesystem(self, filesystem: FileSystem) -> None:
        """Say all of a file system, new or not."""
        self._check()
        self._filesystems[filesystem.path] = filesystem

    def remove_filesystem(self, path: str) -> bool:
        """Take a file system away; False: it was none."""
        self._check()
        return self._filesystems.pop(path, None) is not None

    def set_limits(self, name: str, domain: str, values: Mapping[str, int]) -> None:
        """Set some of the limits of a user, or with an empty name of a domain."""
        before = self.limits(name, domain) or Limits(name, domain)
        self._limits[name, domain] = replace(before, **values)  # type: ignore[arg-type]  # columns of numbers

    def remove_limits(self, name: str, domain: str) -> bool:
        """Remove the limits of a user, or with an empty name of a domain; False: there were none."""
        self._check()
        return self._limits.pop((name, domain), None) is not None

    def record_event(self, account: Account, event: LastEvent) -> None:
        """Keep `event` as the last one of its service."""
        self._check()
        self._events.setdefault((account.name, account.domain), {})[event.service] = event

    def events(self, name: str, domain: str) -> list[LastEvent]:
        """Return the last event of each service, by service."""
        self._check()
        found = self._events.get((name, domain), {})
        return [found[service] for service in sorted(found)]

    def _alias_lines(self) -> list[AliasLine]:
        self._check()
        return sorted(
            AliasLine(name, domain, line)
            for (name, domain), lines in self._aliases.items()
            for line in lines
        )

    def _forget(self, is_gone: Callable[[tuple[str, str]], bool]) -> None:
        self._rename(lambda key: ("", "") if is_gone(key) else key)
        for rows in (
            self._aliases, self._userquota, self._events, self._limits, self._bulletins, self._logins,
        ):  # fmt: skip
            rows.pop(("", ""), None)

    def _rename(self, named: Callable[[tuple[str, str]], tuple[str, str]]) -> None:
        for rows in (self._userquota, self._events, self._bulletins, self._logins):
            for key in [key for key in rows if named(key) != key]:
                rows[named(key)] = rows.pop(key)  # type: ignore[assignment]  # of one and the same
        for key in [key for key in self._limits if named(key) != key]:
            name, domain = named(key)
            self._limits[name, domain] = replace(self._limits.pop(key), name=name, domain=domain)
        for key in [key for key in self._aliases if named(key) != key]:
            lines = self._aliases.pop(key)
            known = self._aliases.setdefault(named(key), [])
            known += [line for line in lines if line not in known]

    def _move_lines(self, addresses: dict[str, str], folders: Sequence[tuple[str, str]]) -> None:
        for key, lines in self._aliases.items():
            moved = dict.fromkeys(moved_line(line, addresses, folders) for line in lines)
            self._aliases[key] = list(moved)

    def _check(self) -> None:
        if self.fail:
            raise AccountsUnavailable("the accounts in memory were told to fail")


def _newest(logins: Iterable[RelayLogin]) -> tuple[RelayLogin, ...]:
    return tuple(sorted(logins, key=lambda login: -login.time)[:MOST_LOGINS])
