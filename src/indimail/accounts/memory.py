"""The user database in memory: for tests, and the port's plainest reading.

MemoryAccounts().add(account)

`fail` makes every call raise, as a database that is down would.
"""

from collections.abc import Callable
from dataclasses import replace

from indimail.accounts.layout import bucket_after, counter_table
from indimail.accounts.port import Account, AliasLine, Flag, LastEvent, is_newly_locked
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

    def userquota(self, name: str, domain: str) -> int:
        """Return the octets that the quota's lock was set with; 0: no lock of the quota's."""
        self._check()
        return self._userquota.get((name, domain), 0)

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

    def modify(
        self, name: str, domain: str, change: Callable[[Account], Account]
    ) -> Account | None:
        """Replace an account by what `change` makes of it; None: absent."""
        found = self.find(name, domain)
        if found is None:
            return None
        changed = self._accounts[name, domain] = change(found)
        if is_newly_locked(found, changed):
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

    def replace_alias(self, name: str, domain: str, old: str, new: str) -> bool:
        """Put a line in another's place; False: no `old`."""
        if not self.remove_alias(name, domain, old):
            return False
        self.add_alias(name, domain, new)
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

    def _alias_lines(self) -> list[AliasLine]:
        self._check()
        return sorted(
            AliasLine(name, domain, line)
            for (name, domain), lines in self._aliases.items()
            for line in lines
        )

    def _check(self) -> None:
        if self.fail:
            raise AccountsUnavailable("the accounts in memory were told to fail")
