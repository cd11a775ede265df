"""A cache in front of the user database, for the mail path.

    cache = CachedLookup(accounts, SystemClock())
    cache.find("alice", "example.com")
    cache.invalidate("alice", "example.com")

An answer, also "no such user", is given again for `expiry` seconds, so that a change made in the
database by others is seen within that time; one made by our commands is followed by `invalidate`
and seen at once.  While the database is down, an answer is given for `grace` seconds more.  At
most `size` answers are kept, the least recently used goes first.

Calls may come from several threads; the database is asked outside of the lock, and an answer that
was on its way when something was invalidated is not kept.

Source: DESIGN.md 5 (who sees a change when).
"""

from collections.abc import Callable, Mapping, Sequence
from threading import Lock
from typing import Final, cast

from indimail.accounts.port import Account, Known, Limits, Lookup, RelayLogin
from indimail.mail.clock import Clock
from indimail.mail.errors import AccountsUnavailable

EXPIRY: Final = 5.0
SIZE: Final = 20_000  # a kilobyte each: 20 MB at most

FROM: Final = "relay_logins_from"

_Key = tuple[str, str, str]  # the question, name, domain


class CachedLookup:
    """`Lookup` that remembers.  `hits` and `misses` only grow."""

    def __init__(
        self,
        accounts: Lookup,
        clock: Clock,
        *,
        expiry: float = EXPIRY,
        grace: float = 0.0,
        size: int = SIZE,
    ) -> None:
        self.hits = 0
        self.misses = 0
        self._accounts = accounts
        self._steady = clock.steady
        self._expiry = expiry
        self._grace = grace
        self._size = size
        self._kept: dict[_Key, tuple[float, object]] = {}  # oldest use first; time it was asked
        self._lock = Lock()
        self._epoch = 0  # of invalidations
        self._asked_from: set[_Key] = set()

    def find(self, name: str, domain: str) -> Account | None:
        """Return the account, active or not."""
        return self.known(name, domain).account

    def aliases(self, name: str, domain: str) -> list[str]:
        """Return the alias lines, sorted."""
        return list(self.known(name, domain).aliases)

    def known(self, name: str, domain: str) -> Known:
        """Return both; whoever asks for one will ask for the other."""
        answer = self._get(("known", name, domain), lambda: self._accounts.known(name, domain))
        return cast("Known", answer)

    def known_all(self, names: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Known]:
        """Return `known` of many."""
        self.fetch(names)
        return {(name, domain): self.known(name, domain) for name, domain in names}

    def fetch(self, names: Sequence[tuple[str, str]]) -> None:
        """Ask for what is not known of these users, of all with one question."""
        now = self._steady()
        with self._lock:
            epoch = self._epoch
            kept = {name: self._kept.get(("known", *name)) for name in names}
        missing = [n for n, k in kept.items() if k is None or now >= k[0] + self._expiry]
        if not missing:
            return
        self.misses += len(missing)
        answers = self._accounts.known_all(missing)
        with self._lock:
            if epoch == self._epoch:
                for (name, domain), answer in answers.items():
                    self._keep(("known", name, domain), now, answer)

    def real_domain(self, domain: str) -> str:
        """Return the domain that an alias domain stands for; any other as it is."""
        answer = self._get(("real_domain", "", domain), lambda: self._accounts.real_domain(domain))
        return cast("str", answer)

    def userquota(self, name: str, domain: str) -> int:
        """Return the octets that the quota's lock was set with."""
        key = ("userquota", name, domain)
        return cast("int", self._get(key, lambda: self._accounts.userquota(name, domain)))

    def limits(self, name: str, domain: str) -> Limits | None:
        """Return the limits of a user's own, or with an empty name those of the domain."""
        answer = self._get(("limits", name, domain), lambda: self._accounts.limits(name, domain))
        return cast("Limits | None", answer)

    def relay_logins(self, name: str, domain: str) -> tuple[RelayLogin, ...]:
        """Return the newest logins of a user, one from each address."""
        key = ("relay_logins", name, domain)
        answer = self._get(key, lambda: self._accounts.relay_logins(name, domain))
        return cast("tuple[RelayLogin, ...]", answer)

    def relay_logins_from(self, ip: str) -> tuple[RelayLogin, ...]:
        """Return the newest logins from an address, one of each user."""
        key = (FROM, ip, "")
        answer = self._get(key, lambda: self._accounts.relay_logins_from(ip))
        with self._lock:
            self._asked_from.add(key)
        return cast("tuple[RelayLogin, ...]", answer)

    def invalidate(self, name: str, domain: str) -> None:
        """Forget a user; with an empty name all of the domain, without a domain everything."""
        if not name and not domain:
            self.invalidate_all()
            return
        with self._lock:
            self._epoch += 1
            for key in self._asked_from:  # any user's login may be one of them
                self._kept.pop(key, None)
            self._asked_from.clear()
            if name:
                for question in ("known", "userquota", "limits", "relay_logins"):
                    self._kept.pop((question, name, domain), None)
            else:
                for key in [key for key in self._kept if key[2] == domain]:
                    del self._kept[key]

    def invalidate_all(self) -> None:
        """Forget everything."""
        with self._lock:
            self._epoch += 1
            self._kept.clear()

    def __len__(self) -> int:
        return len(self._kept)

    def _get(self, key: _Key, ask: Callable[[], object]) -> object:
        now = self._steady()
        with self._lock:
            kept = self._kept.pop(key, None)
            if kept is not None:
                self._kept[key] = kept  # now the most recently used
                if now < kept[0] + self._expiry:
                    self.hits += 1
                    return kept[1]
            self.misses += 1
            epoch = self._epoch
        try:
            answer = ask()
        except AccountsUnavailable:
            if kept is not None and now < kept[0] + self._expiry + self._grace:
                return kept[1]
            raise
        with self._lock:
            if epoch == self._epoch:
                self._keep(key, now, answer)
        return answer

    def _keep(self, key: _Key, now: float, answer: object) -> None:
        self._kept.pop(key, None)
        if len(self._kept) >= self._size:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = (now, answer)
