"""A healthy instance on which a test plants one fault, is told of it, and has it mended.

clinic.open_to_all("db"); clinic.told() == ["mode db: found mode 0777, expected 0700"]
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

from indimail.accounts.memory import MemoryAccounts
from indimail.mail.secret import Secret
from indimail.manage.aliasdomains import plan_alias
from indimail.manage.assign import compile_assign
from indimail.manage.change import carry_out
from indimail.manage.doctor.examine import Examination, examine, plan
from indimail.manage.doctor.owners import give_away
from indimail.manage.doctor.patient import Patient
from indimail.manage.domains import NewDomain
from indimail.manage.layout import mount_point
from indimail.manage.site import Site
from indimail.manage.users import NewUser
from indimail.manage.writes import Stores
from manage.site_tree import QuickDisk, add_domain, add_user, carried_out, make_site

HASH = Secret("hash")
NOW = time.time()
OWN = os.geteuid() or 555


class Clinic:
    """An instance with example.com, its users alice, bob and postmaster, and the alias example.net."""

    def __init__(self, root: Path, **variables: str) -> None:
        self.root = root
        self.site: Site = make_site(str(root), **variables)
        self.accounts = MemoryAccounts()
        self.disk = QuickDisk()
        assert (
            add_domain(self.site, self.accounts, self.disk, NewDomain("example.com", HASH)) is None
        )
        for name in ("alice", "bob"):
            self.add("example.com", name)
        alias = plan_alias(self.site, self.accounts, self.disk, "example.net", "example.com")
        assert carried_out(self.site, self.accounts, self.disk, alias) is None
        self.own()

    def add(self, domain: str, name: str, quota: str = "") -> None:
        """Add a user."""
        add_user(self.site, self.accounts, self.disk, NewUser(name, domain, HASH, quota=quota))

    def count(self, group: str, homes: int, bucket: str = "") -> bool:
        """Set a counter of homes."""
        self.accounts.set_homes(self.filesystem, group, "example.com", homes, bucket)
        return True

    @property
    def filesystem(self) -> str:
        """Where the homes are mounted."""
        return mount_point(self.site.places.mail)

    def own(self) -> None:
        """Give everything to the service account, whoever made it."""
        if os.geteuid() != OWN:
            for folder, folders, names in os.walk(self.root):
                for name in (".", *folders, *names):
                    os.lchown(os.path.join(folder, name), OWN, OWN)

    def path(self, name: str) -> Path:
        """Return the path of a part of the instance."""
        return self.root / name

    def home(self, name: str = "alice") -> Path:
        """Return a user's home."""
        account = self.accounts.find(name, "example.com")
        assert account is not None
        return Path(account.directory)

    def write(self, name: str, text: str | bytes, mode: int = 0o644) -> Path:
        """Write a file as the service account would."""
        path = self.path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        path.chmod(mode)
        self.own()
        return path

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a file, as an editor does, and what is compiled of users/assign."""
        path = self.path(name)
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        if name == "users/assign":
            compile_assign(self.disk, self.site.places.users_dir)
            self.own()

    def patient(self) -> Patient:
        """Return what is examined."""
        return Patient(self.site, self.accounts, self.disk, NOW)

    def examine(self) -> Examination:
        """Make all checks."""
        return examine(self.patient())

    def told(self) -> list[str]:
        """Return every finding with its code."""
        lines = (f"{finding.code} {finding}" for finding in self.examine().findings)
        counter = f"dir_control {self.filesystem} "
        return [
            line.replace(str(self.root), "ROOT").replace(counter, "dir_control DISK ")
            for line in lines
        ]

    def mend(self) -> list[str]:
        """Mend what is safe; return what was done."""
        findings = self.examine().findings
        gives = [finding.give for finding in findings if finding.give is not None]
        assert [give_away(str(self.root), give) for give in gives] == [""] * len(gives)
        writes = plan(self.examine().findings)
        carry_out(Stores(self.site, self.accounts, self.disk, lambda _: None), "mending", writes)
        self.own()
        return [str(write).replace(str(self.root), "ROOT") for write in (*gives, *writes)]


Plant = Callable[[Clinic], object]


def check(clinic: Clinic, plant: Plant, told: list[str], mended: bool) -> None:
    """Plant a fault, compare what is told of it, and mend it where that is safe."""
    plant(clinic)
    assert clinic.told() == told
    if mended:
        clinic.mend()
        assert clinic.told() == []
    elif told:
        assert clinic.examine().findings[0].mends == () or "mode" in told[0]
