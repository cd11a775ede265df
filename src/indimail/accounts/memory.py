"""The user database in memory: for tests, and the port's plainest reading.

MemoryAccounts().add(account)

`fail` makes every call raise, as a database that is down would.
"""

from dataclasses import replace

from indimail.accounts.layout import bucket_after, counter_table
from indimail.accounts.port import Account, LastEvent
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
        self._events: dict[tuple[str, str], dict[str, LastEvent]] = {}

    def find(self, name: str, domain: str) -> Account | None:
        """Return the account, active or not."""
        self._check()
        return self._accounts.get((name, domain))

    def aliases(self, name: str, domain: str) -> list[str]:
        """Return the alias lines, sorted."""
        self._check()
        return sorted(self._aliases.get((name, domain), ()))

    def real_domain(self, domain: str) -> str:
        """Return the domain that an alias domain stands for; any other as it is."""
        self._check()
        return self._alias_domains.get(domain, domain)

    def users(self, domain: str) -> list[Account]:
        """Return all accounts of a domain, by name."""
        self._check()
        found = (a for a in self._accounts.values() if a.domain == domain)
        return sorted(found, key=lambda account: account.name)

    def add(self, account: Account) -> bool:
        """Add a user; False where the name is taken."""
        self._check()
        key = (account.name, account.domain)
        return self._accounts.setdefault(key, account) is account

    def modify(self, account: Account) -> bool:
        """Replace every field but the names; False: absent."""
        self._check()
        if (account.name, account.domain) not in self._accounts:
            return False
        self._accounts[account.name, account.domain] = account
        return True

    def set_password(self, name: str, domain: str, password: Secret, scram: Secret) -> bool:
        """Replace both credentials; False where there is no such user."""
        found = self.find(name, domain)
        return found is not None and self.modify(replace(found, password=password, scram=scram))

    def add_alias(self, name: str, domain: str, line: str) -> bool:
        """Add an alias line; False where it was there."""
        self._check()
        lines = self._aliases.setdefault((name, domain), [])
        if line in lines:
            return False
        lines.append(line)
        return True

    def add_alias_domain(self, alias: str, domain: str) -> bool:
        """Let `alias` stand for `domain`; False where it stands for one already."""
        self._check()
        if alias in self._alias_domains:
            return False
        self._alias_domains[alias] = domain
        return True

    def next_directory(self, filesystem: str, group: str, domain: str, users_per_level: int) -> str:
        """Count one more home of the group and return its bucket."""
        self._check()
        key = (counter_table(filesystem, group), domain)
        count, bucket = self._homes.get(key, (0, ""))
        bucket = bucket_after(count + 1, bucket, users_per_level)
        self._homes[key] = (count + 1, bucket)
        return bucket

    def record_event(self, account: Account, event: LastEvent) -> None:
        """Keep `event` as the last one of its service."""
        self._check()
        self._events.setdefault((account.name, account.domain), {})[event.service] = event

    def events(self, name: str, domain: str) -> list[LastEvent]:
        """Return the last event of each service, by service."""
        self._check()
        found = self._events.get((name, domain), {})
        return [found[service] for service in sorted(found)]

    def _check(self) -> None:
        if self.fail:
            raise AccountsUnavailable("the accounts in memory were told to fail")
