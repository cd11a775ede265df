"""Random commands, one after the other: the same on each database, and as a small model says.

The model is dictionaries.  After each command every instance has what the model has, said the same
and ended with the same code; at the end all files are equal, and once all domains are removed every
file and row is as before the first command.

Here a few sequences; `python -m pytest tests/cli/test_model.py --hypothesis-seed=N` repeats others,
and `SEQUENCES=200` makes more.
"""

import contextlib
import io
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from importlib import import_module

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from crash.stage import files_of
from databases import NAMES, database
from indimail.accounts.sql import SqlAccounts
from indimail.cli.main import Parser

pytestmark = [pytest.mark.slow, pytest.mark.interop]

SEQUENCES = int(os.environ.get("SEQUENCES") or 5)
HASH = "$1$salt$JSoV9KyWZPjFlhLkLRO.J1"
DOMAINS = ["a.example", "b.example", "c.example"]
USERS = ["alice", "bob", "zoe"]
LINES = ["&alice@a.example", "&bob@b.example", "zoe@a.example", "&far@elsewhere.example"]


# -- the model -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class User:
    gecos: str
    quota: str = "50"
    active: bool = True


@dataclass
class Domain:
    users: dict[str, User] = field(default_factory=dict)
    lines: set[tuple[str, str]] = field(default_factory=set)


class Model:
    """What an administrator believes that the commands do; each returns whether it is done."""

    def __init__(self) -> None:
        self.domains: dict[str, Domain] = {}
        self.links: dict[str, str] = {}

    def vadddomain(self, domain: str) -> bool:
        if domain in self.domains or domain in self.links:
            return False
        lines = {(name, f"&postmaster@{domain}") for name in ("abuse", "mailer-daemon")}
        self.domains[domain] = Domain({"postmaster": User("Postmaster", "NOQUOTA")}, lines)
        return True

    def vdeldomain(self, domain: str) -> bool:
        if self.links.pop(domain, None):
            return True
        gone = self.domains.pop(domain, None)
        if gone is None:
            return False
        self.links = {alias: real for alias, real in self.links.items() if real != domain}
        self._leads(lambda address: "" if address.endswith(f"@{domain}") else address)
        return True

    def vaddaliasdomain(self, alias: str, domain: str) -> bool:
        real = self.links.get(domain, domain)
        if real not in self.domains or alias in self.domains or alias in self.links:
            return False
        self.links[alias] = real
        return True

    def vrenamedomain(self, old: str, new: str) -> bool:
        if new in self.domains or new in self.links:
            return False
        if old in self.links:
            self.links[new] = self.links.pop(old)
            return True
        if old not in self.domains:
            return False
        self.domains[new] = self.domains.pop(old)
        self.links = {a: new if real == old else real for a, real in self.links.items()}
        self._leads(lambda address: re.sub(f"@{old}$", f"@{new}", address))
        return True

    def vadduser(self, name: str, domain: str) -> bool:
        found = self._domain(domain)
        if found is None or name in found.users:
            return False
        found.users[name] = User(name)
        return True

    def vdeluser(self, name: str, domain: str) -> bool:
        found = self._domain(domain)
        if found is None or name not in found.users:
            return False
        del found.users[name]
        found.lines = {(alias, line) for alias, line in found.lines if alias != name}
        gone = f"{name}@{self.links.get(domain, domain)}"
        self._leads(lambda address: "" if address == gone else address)
        return True

    def vrenameuser(self, name: str, domain: str, new: str) -> bool:
        found = self._domain(domain)
        if found is None or name not in found.users or new in found.users:
            return False
        found.users[new] = found.users.pop(name)
        found.lines = {(new if a == name else a, line) for a, line in found.lines}
        real = self.links.get(domain, domain)
        self._leads(lambda address: f"{new}@{real}" if address == f"{name}@{real}" else address)
        return True

    def vmoduser(self, name: str, domain: str, gecos: str) -> bool:
        return self._change(name, domain, gecos=gecos)

    def vsetuserquota(self, name: str, domain: str, quota: str) -> bool:
        return self._change(name, domain, quota=quota)

    def turn(self, name: str, domain: str) -> bool:
        """vmoduser -n."""
        found = self._domain(domain)
        was = found is not None and name in found.users and found.users[name].active
        return self._change(name, domain, active=not was)

    def add_line(self, name: str, domain: str, line: str) -> bool:
        """valias -i."""
        found = self._domain(domain)
        if found is None or (name, line) in found.lines:
            return False
        found.lines.add((name, line))
        return True

    def remove_line(self, name: str, domain: str, line: str) -> bool:
        """valias -d."""
        found = self._domain(domain)
        if found is None or (name, line) not in found.lines:
            return False
        found.lines.remove((name, line))
        return True

    def _domain(self, domain: str) -> Domain | None:
        return self.domains.get(self.links.get(domain, domain))

    def _change(self, name: str, domain: str, **to: object) -> bool:
        found = self._domain(domain)
        if found is None or name not in found.users:
            return False
        found.users[name] = replace(found.users[name], **to)  # type: ignore[arg-type]
        return True

    def _leads(self, where: Callable[[str], str]) -> None:
        """Let all lines lead to what `where` makes of their addresses; nowhere: they go."""
        for found in self.domains.values():
            lines = {(alias, line, line.removeprefix("&")) for alias, line in found.lines}
            found.lines = {
                (alias, line.replace(address, where(address)))
                for alias, line, address in lines
                if where(address)
            }


COMMANDS = {
    "vadddomain": lambda domain: ["vadddomain", "-e", domain, HASH],
    "vdeldomain": lambda domain: ["vdeldomain", domain],
    "vaddaliasdomain": lambda alias, domain: ["vaddaliasdomain", alias, domain],
    "vrenamedomain": lambda old, new: ["vrenamedomain", old, new],
    "vadduser": lambda name, domain: ["vadduser", "-q", "50", "-e", f"{name}@{domain}", HASH],
    "vdeluser": lambda name, domain: ["vdeluser", f"{name}@{domain}"],
    "vrenameuser": lambda name, domain, new: ["vrenameuser", f"{name}@{domain}", f"{new}@{domain}"],
    "vmoduser": lambda name, domain, gecos: ["vmoduser", "-c", gecos, f"{name}@{domain}"],
    "vsetuserquota": lambda name, domain, quota: ["vsetuserquota", f"{name}@{domain}", quota],
    "turn": lambda name, domain: ["vmoduser", "-n", f"{name}@{domain}"],
    "add_line": lambda name, domain, line: ["valias", "-i", line, f"{name}@{domain}"],
    "remove_line": lambda name, domain, line: ["valias", "-d", line, f"{name}@{domain}"],
}

domain, user, line = (st.sampled_from(given) for given in (DOMAINS, USERS, LINES))
command = st.one_of(
    st.tuples(st.just("vadddomain"), domain),
    st.tuples(st.just("vdeldomain"), domain),
    st.tuples(st.sampled_from(["vaddaliasdomain", "vrenamedomain"]), domain, domain),
    st.tuples(st.just("vadduser"), user, domain),
    st.tuples(st.sampled_from(["vdeluser", "turn"]), user, domain),
    st.tuples(st.just("vrenameuser"), user, domain, user),
    st.tuples(st.just("vmoduser"), user, domain, st.sampled_from(["Ann", "Bö"])),
    st.tuples(st.just("vsetuserquota"), user, domain, st.sampled_from(["70", "NOQUOTA"])),
    st.tuples(st.sampled_from(["add_line", "remove_line"]), user, domain, line),
)


# -- the instances -------------------------------------------------------------------------------


class Instance:
    """An instance with its accounts in one kind of database."""

    def __init__(self, folder: str, kind: str, url: str) -> None:
        self.kind = kind
        self.root = f"{folder}/{kind[0]}"  # of one length: it stands in data bases
        self.url = url or f"sqlite:///{self.root}/db/indimail.db"
        where = ["--database", url] if url else []
        assert self.run(["init", "--me", "mx.example.org", *where])[0] == 0
        self.run(COMMANDS["vadddomain"]("kept.example"))
        self.accounts = SqlAccounts(self.url)
        self.empty = self.tree()

    def run(self, words: list[str]) -> tuple[int, str]:
        """Run a command; return its exit code and what it printed, without paths and times."""
        module = import_module(f"indimail.cli.{words[0]}")
        parser = Parser(prog=words[0])
        module.add_arguments(parser)
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = module.run(parser.parse_args([*words[1:], "--root", self.root]))
        return code, self._without_place(said.getvalue())

    def tree(self) -> list[str]:
        """Return every file, but for the database and what names it."""
        lines = [self._without_place(line) for line in files_of(self.root)]
        return [line for line in lines if not re.match(r"ROOT/(db/|indimail\.toml)", line)]

    def _without_place(self, text: str) -> str:
        return text.replace(self.root, "ROOT")

    def model(self) -> dict[str, tuple[object, ...]]:
        """Return what the database says of each domain, in the model's words."""
        return {domain: self._domain(domain) for domain in DOMAINS}

    def _domain(self, domain: str) -> tuple[object, ...]:
        ask = self.accounts
        users = {u.name: User(u.gecos, u.quota, u.active) for u in ask.users(domain)}
        lines = {(row.name, row.line) for row in ask.domain_aliases(domain)}
        return users, lines, ask.alias_domains(domain), ask.real_domain(domain)


@pytest.fixture(scope="module")
def instances() -> Iterator[list[Instance]]:
    folder = tempfile.mkdtemp(prefix="indimail-test-")
    os.chmod(folder, 0o711)
    with contextlib.ExitStack() as stack:
        urls = {"sqlite": ""} | {kind: stack.enter_context(database(kind)) for kind in NAMES}
        made = [Instance(folder, kind, url) for kind, url in urls.items()]
        yield made
        for instance in made:
            instance.accounts.close()
        shutil.rmtree(folder)


@settings(max_examples=SEQUENCES, deadline=None, phases=[Phase.generate])  # shrinking takes minutes
@given(commands=st.lists(command, min_size=8, max_size=16))
def test_every_database_does_what_the_model_does(
    instances: list[Instance], commands: list[tuple[str, ...]]
) -> None:
    model = Model()
    try:
        for name, *arguments in [("vadddomain", "a.example"), *commands]:
            words = COMMANDS[name](*arguments)
            is_done = getattr(model, name)(*arguments)
            ended = {instance.kind: instance.run(words) for instance in instances}
            assert len(set(ended.values())) == 1, ended
            assert (ended["sqlite"][0] == 0) == is_done, (words, ended["sqlite"])
            for instance in instances:
                assert instance.model() == of_model(model), (instance.kind, words)
        assert instances[0].tree() == instances[1].tree() == instances[2].tree()
    finally:
        for domain in DOMAINS:
            for instance in instances:
                instance.run(["vdeldomain", domain])
    for instance in instances:
        assert instance.tree() == instance.empty


def of_model(model: Model) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for domain in DOMAINS:
        here = model.domains.get(domain, Domain())
        aliases = sorted(alias for alias, real in model.links.items() if real == domain)
        found[domain] = (here.users, here.lines, aliases, model.links.get(domain, domain))
    return found
