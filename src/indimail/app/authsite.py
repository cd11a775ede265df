"""What logins need to know of a domain besides its rows: how its passwords are stored, its limits.

    site = AuthSite(instance, lambda: follower.current, uid, disk, Method.ARGON2ID)
    site.storing("example.com")      -> Storing(Method.ARGON2ID, Mechanism.SHA256)

What a `hash_method` or `scram_method` file says that is no method counts as if it were not there: a
login does not fail for it.  Reads files, so it is asked on a thread.

Source: spec/cluster-users.md 3.3; docs/adr/0024.
"""

from collections.abc import Callable
from dataclasses import dataclass

from indimail.accounts.login import Storing
from indimail.accounts.passwords import Method
from indimail.app.instance import Instance
from indimail.durable.disk import Disk
from indimail.manage.room import SWITCH
from indimail.manage.site import Refused, Site
from indimail.manage.users import DEFAULT_MECHANISM, method_setting, scram_setting
from indimail.serve.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class AuthSite:
    """The files of the domains; `method` is that of who names none (`default_method`)."""

    instance: Instance
    snapshot: Callable[[], Snapshot]
    uid: int
    disk: Disk
    method: Method

    def storing(self, domain: str) -> Storing:
        """Return how a password of the domain is stored today."""
        site = self._site()
        _, method = method_setting(site, self.disk, domain, "")
        mechanism = scram_setting(site, self.disk, domain, "")
        if isinstance(mechanism, Refused):
            mechanism = DEFAULT_MECHANISM
        return Storing(method or site.default_method, mechanism)

    def has_limits(self, domain: str) -> bool:
        """Tell whether the limits of the domain are on."""
        return self.disk.exists(f"{self._site().domain_dir(domain)}/{SWITCH}")

    def _site(self) -> Site:
        return Site(self.instance, self.snapshot().variables, self.uid, self.uid, self.method)
