"""An import from its beginning to its end: what is changed, domain by domain, and what is copied.

    importing = Importing(site, accounts, disk, source, tree, ways, report)
    importing.begin(now)
    for subject, plan in importing.changes():
        ...carry out plan()                     # a change each, whole or not at all
    for copy in importing.mailboxes(): copy.do(stores)

Killed anywhere and begun again it comes to the same end; begun again after its end it has nothing
to do.  What is read is the source, what is written is ours.

Not here: reading the source (`manage.importing.vpopmail`, `.indimail`), the order of a domain's own
writes (`manage.importing.domain`).
"""

import os
from collections.abc import Callable, Iterator

from indimail.accounts.port import Accounts
from indimail.durable.disk import Disk
from indimail.manage.importing.clients import clients_writes
from indimail.manage.importing.controls import ControlPlan
from indimail.manage.importing.domain import DomainPlan, refusal
from indimail.manage.importing.dotqmail import Moved, Rewriting
from indimail.manage.importing.files import FileWrites
from indimail.manage.importing.maildirs import CopyMaildir, others
from indimail.manage.importing.report import Report, State
from indimail.manage.importing.source import FoundDomain, Source
from indimail.manage.importing.system import system_writes
from indimail.manage.importing.tree import Tree
from indimail.manage.importing.users import TakenUser, TakenUsers, take_users
from indimail.manage.importing.ways import Mail, Ways
from indimail.manage.site import Site
from indimail.manage.writes import TellControls, Write

Change = tuple[str, Callable[[], list[Write]]]


class Importing:
    """One import; `with_system`: also of what is of no domain."""

    def __init__(
        self,
        site: Site,
        accounts: Accounts,
        disk: Disk,
        source: Source,
        tree: Tree,
        ways: Ways,
        report: Report,
        *,
        with_system: bool = True,
    ) -> None:
        self._site = site
        self._accounts = accounts
        self._disk = disk
        self._source = source
        self._tree = tree
        self._ways = ways
        self._report = report
        self._with_system = with_system
        self._taken: list[tuple[FoundDomain, TakenUsers]] = []

    def begin(self, now: float) -> None:
        """Decide on all users: a .qmail file may name the home of any of them."""
        for domain in self._source.domains:
            why = refusal(self._site, domain)
            if why:
                what = f"{domain.name} with {len(domain.users)} users"
                self._report.note(State.LEFT, domain.where, what, why)
                continue
            taken = take_users(
                self._site, self._accounts, self._disk, domain, self._ways, self._report, now
            )
            self._taken.append((domain, taken))
        self._tell_of_owners()

    def changes(self) -> Iterator[Change]:
        """Yield the changes; each is planned when it is its turn."""
        rewriting = Rewriting(self._site.places.root, self._moved(), self._ways.programs)
        files = FileWrites(self._disk, self._ways, rewriting, self._report)
        plan = DomainPlan(self._site, self._accounts, files)
        for domain, taken in self._taken:
            yield domain.name, lambda d=domain, t=taken: plan.writes(d, t)  # type: ignore[misc]
        if self._with_system:
            yield "control files", lambda: self._system(files)

    def _system(self, files: FileWrites) -> list[Write]:
        """Return what takes over that which is of no domain."""
        domains = self._source.domains
        names = {name for domain, _ in self._taken for name in (domain.name, *domain.aliases)}
        named = {name for domain in domains for name in (domain.name, *domain.aliases)}
        writes = [
            *ControlPlan(self._site, files).writes(
                self._source.controls, named | self._source.named
            ),
            *clients_writes(self._site, files, self._source.clients),
            *system_writes(self._site, self._accounts, files, self._source, names),
        ]
        return [*writes, TellControls()] if writes else []

    def mailboxes(self) -> Iterator[CopyMaildir]:
        """Yield the copies of mailboxes, each once."""
        if self._ways.mail is not Mail.COPY:
            return
        done = set()
        for user in self._users():
            home = user.found.home
            source = os.path.join(home, "Maildir")
            target = os.path.join(user.account.directory, "Maildir")
            is_here = home == os.path.realpath(user.account.directory)
            if not home or is_here or target in done:
                continue
            done.add(target)
            for name in others(source):
                where = self._tree.shown(os.path.join(source, name))
                self._report.note(State.LEFT, where, "", "no mail folder")
            account = user.account
            yield CopyMaildir(
                source, target, user.found.owner, account.name, account.domain, self._ways.link
            )

    def _users(self) -> Iterator[TakenUser]:
        for _, taken in self._taken:
            yield from taken.users

    def _moved(self) -> Moved:
        """Return where homes are that are not where they were."""
        homes: dict[str, str] = {}
        for user in self._users():
            if user.found.directory.startswith("/"):
                old, new = user.found.directory.rstrip("/"), user.account.directory
                homes.setdefault(os.path.normpath(old), new)
        return Moved({old: new for old, new in homes.items() if old != new})

    def _tell_of_owners(self) -> None:
        """Tell of homes that stay where they are, and that we may not write to."""
        if self._ways.mail is not Mail.IN_PLACE:
            return
        owner = f"{self._site.uid}:{self._site.gid}"
        for user in self._users():
            home = user.found.home
            if home and user.found.owner != self._site.uid:
                why = f"is not ours yet: chown -R {owner} {home}"
                self._report.note(State.MEND, user.found.where, home, why)
