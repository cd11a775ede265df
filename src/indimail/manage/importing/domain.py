"""The writes that take one domain over: its directory, its users, its place in the control files.

    plan = DomainPlan(site, accounts, files)
    plan.writes(domain, taken)          -> [MakeDirectory(...), ..., TellControls(), ...]

What is here already is not written again, so a second import of the same has no writes; what is
here and says something else stays (but for `force`, with files).  The order is that of a new
domain: its users are there before mail is routed to it, and that before mail is taken.

Source: spec/delivery.md 2.1.  Not here: which users (`manage.importing.users`), the mail.
"""

import os
from collections.abc import Sequence
from typing import Final

from indimail.accounts.passwords import Method, method_named
from indimail.accounts.port import ALIAS_DOMAIN_LENGTH, Accounts, AliasLine
from indimail.accounts.scram import MECHANISMS
from indimail.manage.aliasdomains import begin_alias, real_domain
from indimail.manage.aliases import check_line
from indimail.manage.assign import Entry
from indimail.manage.domains import BOUNCE, POSTMASTER, home_folders
from indimail.manage.file_writes import MakeDirectory, MakeHomes, WriteFile
from indimail.manage.homes import domain_base
from indimail.manage.importing.files import FileWrites
from indimail.manage.importing.limits import limit_writes
from indimail.manage.importing.report import State
from indimail.manage.importing.source import FoundDomain
from indimail.manage.importing.users import TakenUser, TakenUsers
from indimail.manage.instruction import default_line
from indimail.manage.layout import DOMAIN
from indimail.manage.names import check_domain, check_user
from indimail.manage.room import SWITCH
from indimail.manage.routing import begin_writes, is_live, is_named, routed_elsewhere
from indimail.manage.row_writes import AddArrivals
from indimail.manage.site import Site
from indimail.manage.users import NO_SCRAM
from indimail.manage.writes import TellAccount, TellControls, Write

AT_ONCE: Final = 500  # users in a transaction
_DEFAULT: Final = ".qmail-default"
_WEAK: Final = (Method.DES, Method.MD5)


def refusal(site: Site, domain: FoundDomain) -> str:
    """Say why a domain cannot be taken; empty: it can."""
    refused = check_domain(domain.name, site.variables.get("CHECK_DOMAIN_REGEXP", ""))
    if refused is not None:
        return refused.text
    if os.path.islink(site.domain_dir(domain.name)):
        return "is an alias domain here"
    line = routed_elsewhere(site, domain.name)
    return f"is routed elsewhere here (control/virtualdomains: {line})" if line else ""


class DomainPlan:
    """Plans domains, one after the other, and tells of what is left."""

    def __init__(
        self,
        site: Site,
        accounts: Accounts,
        files: FileWrites,
    ) -> None:
        self._site = site
        self._accounts = accounts
        self._write = files
        self._disk = files.disk
        self._rewriting = files.rewriting
        self._report = files.report

    def writes(self, domain: FoundDomain, taken: TakenUsers) -> list[Write]:
        """Return what takes a domain over, or completes one that was taken."""
        site, name = self._site, domain.name
        was_live = is_live(site, self._disk, name)
        self._report.count("domains") if not was_live else self._already("domains")
        writes = [
            *self._folders(domain),
            *self._files(domain),
            *self._users(domain, taken),
            *taken.counted,
            *self._limits(domain, taken),
            *([] if was_live else begin_writes(site, name)),
            *self._alias_domains(domain),
        ]
        if not any(user.account.name == POSTMASTER for user in taken.users) and (
            self._accounts.find(POSTMASTER, name) is None
        ):
            why = "mail for it is that of a user who does not exist (RFC 5321 4.5.1)"
            self._report.note(State.MEND, domain.where, f"{POSTMASTER}@{name}", why)
        return [*writes, TellControls(), TellAccount("", name)] if writes else []

    def _already(self, what: str, number: int = 1) -> None:
        self._report.here[what] += number

    def _folders(self, domain: FoundDomain) -> list[Write]:
        site, folder = self._site, self._site.domain_dir(domain.name)
        made = [
            MakeDirectory(path, DOMAIN)
            for path in (folder, os.path.join(folder, "bulk_mail"))
            if not os.path.isdir(path)
        ]
        base = domain_base(site, self._disk, domain.name)
        return [*made, *home_folders(base, domain.name)]

    # -- files -----------------------------------------------------------------------------------

    def _files(self, domain: FoundDomain) -> list[Write]:
        folder, report = self._site.domain_dir(domain.name), self._report
        writes: list[Write] = []
        for name, text in domain.settings.items():
            if self._is_setting(domain, name, text):
                path = os.path.join(folder, name)
                writes += self._write.file(path, f"{text}\n", 0o644, f"{domain.name}: {name}")
        for file in domain.bulletins:
            path = os.path.join(folder, "bulk_mail", file.name)
            text = file.octets.decode("utf-8", "surrogateescape")
            writes += self._write.file(path, text, 0o644, file.where)
        files = {file.name: file for file in domain.files}
        if _DEFAULT not in files and not os.path.exists(os.path.join(folder, _DEFAULT)):
            report.note(
                State.CHANGED, domain.where, domain.name, f"had no {_DEFAULT}; now {BOUNCE}"
            )
            text = default_line(self._site.places.root, BOUNCE)
            writes.append(WriteFile(os.path.join(folder, _DEFAULT), text))
        for file in files.values():
            path = os.path.join(folder, file.name)
            writes += self._write.dotqmail(path, file, domain.directory, ".qmail files")
        return writes

    def _is_setting(self, domain: FoundDomain, name: str, text: str) -> bool:
        where = f"{domain.name}: {name}"
        if name == ".users_per_level":
            is_one = text.isdecimal()
        elif name == "hash_method":
            method = method_named(text)
            is_one = method is not None
            if method in _WEAK:
                why = "new passwords are hashed so, which is weak: vmoddomain -H"
                self._report.note(State.MEND, where, text, why)
        else:
            is_one = text.upper() in MECHANISMS or text.lower() == NO_SCRAM
        if not is_one and text:
            self._report.note(State.LEFT, where, text, "not understood")
        return is_one

    # -- rows ------------------------------------------------------------------------------------

    def _users(self, domain: FoundDomain, taken: TakenUsers) -> list[Write]:
        new = [user for user in taken.users if user.is_new]
        for user in new:
            self._report.count("users" if user.account.active else "inactive users")
        self._already("users", len(taken.users) - len(new))
        lines = self._lines(domain)
        homes = dict.fromkeys(
            u.account.directory for u in new if u.account.directory != u.found.home
        )
        chunks = [new[at : at + AT_ONCE] for at in range(0, len(new), AT_ONCE)] or [[]]
        rows = [AddArrivals(tuple(user.arrival for user in chunk), ()) for chunk in chunks[:-1]]
        if chunks[-1] or lines:
            last = tuple(user.arrival for user in chunks[-1])
            rows.append(AddArrivals(last, tuple(lines)))
        return [
            *([MakeHomes(tuple(homes))] if homes else []),
            *(write for user in taken.users for write in self._home_files(user)),
            *rows,
        ]

    def _home_files(self, user: TakenUser) -> list[Write]:
        """Return the files of a new home; tell of those that were brought before, or stay."""
        home = user.account.directory
        if home == user.found.home or not user.is_new:
            for file in user.found.files:
                if file.name == ".qmail":
                    self._write.tell_again(os.path.join(home, ".qmail"), file, user.found.directory)
            return []
        writes: list[Write] = []
        for file in user.found.files:
            path = os.path.join(home, file.name)
            if file.name == ".qmail":
                writes += self._write.dotqmail(
                    path, file, user.found.directory, "users' .qmail files"
                )
            else:
                text = file.octets.decode("utf-8", "surrogateescape")
                writes += self._write.file(path, text, 0o600, file.where)
                writes.append(MakeDirectory(os.path.join(home, ".vacation.dir"), 0o700))
        return writes

    def _lines(self, domain: FoundDomain) -> list[AliasLine]:
        """Return the alias lines that are missing here."""
        here = set(self._accounts.domain_aliases(domain.name))
        wanted: dict[AliasLine, None] = {}
        for found in domain.lines:
            name = found.name.lower()
            line = self._rewriting.line(found.line, found.where, domain.directory, self._report)
            refused = check_user(name, domain.name) or check_line(line)
            if refused is not None:
                self._report.note(State.LEFT, found.where, found.line, refused.text)
            elif not self._accounts.can_hold(line):
                why = "has characters that the database's tables cannot hold"
                self._report.note(State.LEFT, found.where, found.line, why)
            else:
                wanted[AliasLine(name, domain.name, line)] = None
        missing = [line for line in wanted if line not in here]
        self._report.count("alias lines", len(missing))
        self._already("alias lines", len(wanted) - len(missing))
        return missing

    def _limits(self, domain: FoundDomain, taken: TakenUsers) -> list[Write]:
        names = {user.account.name: user for user in taken.users}
        writes = limit_writes(self._accounts, domain, names, self._report)
        if domain.is_limited:
            path = os.path.join(self._site.domain_dir(domain.name), SWITCH)
            writes += self._write.file(path, "", 0o644, f"{domain.name}: {SWITCH}")
        return writes

    # -- alias domains ---------------------------------------------------------------------------

    def _alias_domains(self, domain: FoundDomain) -> list[Write]:
        writes: list[Write] = []
        for alias, where in domain.aliases.items():
            why = self._alias_refusal(alias, domain.name)
            if why is None:
                self._already("alias domains")
            elif why:
                self._report.note(State.LEFT, where, alias, why)
            else:
                owner = Entry(self._site.uid, self._site.gid, self._site.domain_dir(domain.name))
                writes += _without_tells(begin_alias(self._site, alias, domain.name, owner))
                writes.append(TellAccount("", alias))
                self._report.count("alias domains")
        return writes

    def _alias_refusal(self, alias: str, name: str) -> str | None:
        """Say why an alias domain cannot be taken; empty: it can; None: it is here."""
        refused = check_domain(alias, self._site.variables.get("CHECK_DOMAIN_REGEXP", ""))
        if refused is not None or len(alias) > ALIAS_DOMAIN_LENGTH:
            return refused.text if refused else "Name too long"
        real = real_domain(self._site, self._accounts, alias)
        if real != alias:
            return None if real == name else f"stands for {real} here"
        return "is a domain here" if is_named(self._site, self._disk, alias) else ""


def _without_tells(writes: Sequence[Write]) -> list[Write]:
    """Leave out what the server is told: once at the end is enough."""
    return [write for write in writes if not isinstance(write, TellAccount | TellControls)]
