"""A change: kept before its first write, done again from its beginning, never beside another."""

import os
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.port import Account, AliasLine, Arrival, Flag, LastEvent
from indimail.mail.errors import InstanceBusy
from indimail.mail.secret import Secret
from indimail.manage.aliasdomains import plan_alias
from indimail.manage.change import FAIL_AFTER, KINDS, carry_out, complete, pending, unfit
from indimail.manage.domains import NewDomain
from indimail.manage.file_writes import (
    AddLine,
    MakeLink,
    MoveTree,
    PostMail,
    RemoveFile,
    RemoveTree,
    SetMode,
    SettleTree,
    WriteFile,
)
from indimail.manage.removal import plan_domain_removal, plan_user_removal
from indimail.manage.rename import plan_domain_rename, plan_user_rename
from indimail.manage.row_writes import SetCount
from indimail.manage.site import Refused, Site, alone, journal, locked
from indimail.manage.trees import move_tree, settle_tree
from indimail.manage.users import NewUser
from indimail.manage.writes import Stores, Write
from manage.site_tree import QuickDisk, add_domain, add_user, carried_out, make_site

ALICE = Account(
    "alice", "example.com", Secret("hash"), uid=1, flags=Flag.NO_POP, scram=Secret("x"), quota="5M"
)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return make_site(str(tmp_path / "i"))


def stores_of(site: Site, disk: QuickDisk) -> Stores:
    return Stores(site, MemoryAccounts(), disk, lambda _: None)


def sample(kind: type[Write]) -> Write:
    """Return a write with a value of its type in each field."""
    values: dict[str, object] = {
        "str": "/a \udcff\n\u00fc",
        "int": 7,
        "bool": True,
        "Flag": Flag.NO_POP | Flag.NO_IMAP,
        "Account": ALICE,
        "Secret": Secret("hash"),
        "tuple[tuple[str, str], ...]": (("/a", "/b"), ("/c", "/d")),
        "tuple[str, ...]": ("/a", "/b"),
        "tuple[indimail.accounts.port.AliasLine, ...]": (AliasLine("a", "example.com", "&b"),),
        "tuple[indimail.accounts.port.Arrival, ...]": (
            Arrival(ALICE, (LastEvent("pop3", 7, "192.0.2.1"),), 9),
        ),
        "tuple[indimail.accounts.port.Account, ...]": (ALICE, replace(ALICE, name="bob")),
        "tuple[tuple[str, int], ...]": (("maxaliases", 7), ("diskquota", 0)),
    }
    return kind(**{field.name: values[_name(field.type)] for field in fields(kind)})


def _name(annotation: object) -> str:
    return getattr(annotation, "__name__", "") if isinstance(annotation, type) else str(annotation)


class Kept(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_write_is_kept_as_it_is(site: Site, kind: type[Write]) -> None:
    done = []

    class Spy(QuickDisk):
        def rename(self, source: str, target: str) -> None:
            super().rename(source, target)
            raise Kept

    write, stores = sample(kind), stores_of(site, Spy())
    with pytest.raises(Kept):
        carry_out(stores, "a change", [write])
    assert pending(site) == "a change"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kind, "do", lambda self, _: done.append(self))
        assert complete(stores_of(site, QuickDisk())) == "a change"
    assert done == [write]
    assert pending(site) == ""


def test_the_list_is_on_disk_before_the_first_write(site: Site, tmp_path: Path) -> None:
    seen = []

    class Spy(QuickDisk):
        def sync_file(self, path: str) -> None:
            seen.append(f"sync {os.path.basename(path).partition(str(os.getpid()))[0]}")

        def sync_directory(self, path: str) -> None:
            seen.append(f"sync {os.path.basename(path)}")

        def unlink(self, path: str) -> None:
            super().unlink(path)
            seen.append(f"unlink {os.path.basename(path)}")

        def rename(self, source: str, target: str) -> None:
            super().rename(source, target)
            seen.append(f"rename {os.path.basename(target)}")

    carry_out(stores_of(site, Spy()), "a change", [WriteFile(f"{tmp_path}/x", "text")])
    assert seen == [
        "sync .change.json.", "rename change.json", "sync db",
        "sync .x.", "rename x", f"sync {tmp_path.name}",
        "unlink change.json", "sync db",
    ]  # fmt: skip


def test_a_process_ends_at_once_after_the_write_that_a_test_names(
    site: Site, tmp_path: Path
) -> None:
    """1: the list is kept; then each write; at last the list is gone; behind that nothing ends."""
    writes = [WriteFile(f"{tmp_path}/first", "1"), WriteFile(f"{tmp_path}/second", "2")]
    left = []
    for number in range(1, 6):
        failing = replace(site, variables={FAIL_AFTER: str(number)})
        pid = os.fork()
        if pid == 0:
            carry_out(stores_of(failing, QuickDisk()), "a change", writes)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        paths = [tmp_path / "first", tmp_path / "second", Path(journal(site))]
        left.append((code, *(path.exists() for path in paths)))
        for path in paths:
            path.unlink(missing_ok=True)
    assert left == [
        (-9, False, False, True), (-9, True, False, True), (-9, True, True, True),
        (-9, True, True, False), (0, True, True, False),
    ]  # fmt: skip


def test_a_number_that_no_table_can_hold_is_refused_before_anything_is_kept(site: Site) -> None:
    stores = stores_of(site, QuickDisk())
    most = (1 << 63) - 1
    assert unfit(stores, [SetCount("/", "A2E", "example.com", most, "")]) is None
    refused = Refused("count: a number that the database's tables cannot hold", 100)
    for number in (most + 1, -most - 2):
        assert unfit(stores, [SetCount("/", "A2E", "example.com", number, "")]) == refused


def test_what_fails_is_done_by_who_comes_next(site: Site, tmp_path: Path) -> None:
    folder = tmp_path / "later"
    writes = [WriteFile(f"{tmp_path}/first", "1"), WriteFile(f"{folder}/second", "2")]
    stores = stores_of(site, QuickDisk())
    with pytest.raises(FileNotFoundError):
        carry_out(stores, "a change", writes)
    with pytest.raises(InstanceBusy), alone(site):
        pass
    with pytest.raises(FileNotFoundError):
        complete(stores)
    folder.mkdir()
    assert complete(stores) == "a change"
    assert (folder / "second").read_text() == "2"
    with alone(site):
        assert complete(stores) == ""


def test_a_change_that_is_being_made_is_not_completed_by_another(site: Site) -> None:
    stores = stores_of(site, QuickDisk())
    with locked(site, "vdeluser alice@example.com", 0):
        Path(journal(site)).write_text("{}")
        with pytest.raises(InstanceBusy, match=r"vdeluser alice@example.com \(process \d+\)"):
            complete(stores)


def test_a_tree_that_is_no_tree_is_left(site: Site, tmp_path: Path) -> None:
    """A link in its place leads nowhere."""
    (tmp_path / "precious").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "precious")
    RemoveTree(f"{tmp_path}/home").do(stores_of(site, QuickDisk()))
    assert (tmp_path / "precious").is_dir()


@pytest.mark.parametrize(("write", "synced"), [
    (RemoveFile("{0}/file"), ["{0}"]),
    (SetMode("{0}/file", 0o600), ["{0}/file"]),
    (MakeLink("{0}/link", "file"), ["{0}"]),
    (RemoveTree("{0}/tree"), ["{0}"]),
    (MoveTree("{0}/tree", "{0}/above/new"), ["{0}", "{0}/above"]),
    (SettleTree("{0}/tree", "{0}/above"), ["{0}", "{0}/above"]),
    (PostMail("{0}/file", "{0}/M", "1.x"), ["{0}/M/new", "{0}/M/tmp/1.x"]),
], ids=lambda value: "" if isinstance(value, list) else type(value).__name__)  # fmt: skip
def test_a_write_is_on_disk_when_it_returns(
    site: Site, tmp_path: Path, write: Write, synced: list[str]
) -> None:
    seen: set[str] = set()

    class Spy(QuickDisk):
        def sync_file(self, path: str) -> None:
            seen.add(path)

        sync_directory = sync_filesystem = sync_file

    (tmp_path / "file").write_text("text")
    for folder in ("tree/new", "above", "M/new", "M/cur", "M/tmp"):
        (tmp_path / folder).mkdir(parents=True)
    paths = {
        field.name: str(getattr(write, field.name)).format(tmp_path)
        for field in fields(write)
        if isinstance(getattr(write, field.name), str)
    }
    replace(write, **paths).do(stores_of(site, Spy()))
    assert seen == {path.format(tmp_path) for path in synced}


class TwoDisks(QuickDisk):
    """Where a directory named `far` begins, another file system does."""

    def device(self, path: str) -> int:
        return int("/far" in path)

    def sync_filesystem(self, path: str) -> None:
        self.before()


@pytest.mark.parametrize("place", ["near", "far"])
def test_mail_that_came_to_the_old_home_follows_and_none_comes_twice(
    tmp_path: Path, place: str
) -> None:
    disk, old, new = TwoDisks(), tmp_path / "old", tmp_path / place / "new"
    for folder in (old / "Maildir" / "new", old / "Maildir" / "cur", tmp_path / place):
        folder.mkdir(parents=True)
    (old / "Maildir/new/1.a").write_text("first")
    (old / "Maildir/cur/2.b:2,").write_text("second")
    move_tree(disk, str(old), str(new))
    move_tree(disk, str(old), str(new))
    os.rename(new / "Maildir/new/1.a", new / "Maildir/cur/1.a:2,S")  # its reader has the new place
    (old / "Maildir/new").mkdir(parents=True, exist_ok=True)
    (old / "Maildir/new/3.c").write_text("third")
    settle_tree(disk, str(old), str(new))
    settle_tree(disk, str(old), str(new))
    assert not old.exists()
    found = {str(p.relative_to(new)): p.read_text() for p in new.rglob("*") if p.is_file()}
    assert found == {
        "Maildir/cur/1.a:2,S": "first",
        "Maildir/cur/2.b:2,": "second",
        "Maildir/new/3.c": "third",
    }


def test_a_home_that_is_copied_is_on_disk_before_it_has_its_name(tmp_path: Path) -> None:
    seen = []

    class Spy(TwoDisks):
        def sync_filesystem(self, path: str) -> None:
            seen.append(f"sync {os.path.basename(path)}")

        def rename(self, source: str, target: str) -> None:
            super().rename(source, target)
            seen.append(f"rename {os.path.basename(target)}")

    for folder in ("old", "far"):
        (tmp_path / folder).mkdir()
    move_tree(Spy(), f"{tmp_path}/old", f"{tmp_path}/far/new")
    assert seen == ["sync new.moving", "rename new"]


# -- others keep what they have ------------------------------------------------------------------

DOMAINS = ("a.example", "xa.example", "a.example.org", "new.a.example")
USERS = ("al", "alice", "a.l", "zoe")


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(st.integers(0, 4), *[st.integers(0, 3)] * 3), max_size=8))
def test_whatever_is_done_to_a_domain_another_keeps_its_users_and_mail(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, int, int]]
) -> None:
    """With names that begin or end like the other's."""
    site = make_site(str(tmp_path_factory.mktemp("sites") / "i"))
    accounts, disk = MemoryAccounts(), QuickDisk()
    for domain in ("kept.a.example", *DOMAINS[:2]):
        add_domain(site, accounts, disk, NewDomain(domain, Secret("x")))
        for name in USERS[:3]:
            add_user(site, accounts, disk, NewUser(name, domain, Secret("x")))
    before = told(site, accounts)
    assert len(before) > 10
    for action, first, second, third in steps:
        writes = planned(site, accounts, action, DOMAINS[first], USERS[second], third)
        carried_out(site, accounts, disk, writes)
        assert told(site, accounts) == before


def planned(
    site: Site, accounts: MemoryAccounts, action: int, domain: str, name: str, new: int
) -> list[Write] | Refused:
    disk = QuickDisk()
    match action:
        case 0:
            return plan_user_removal(site, accounts, disk, name, domain)
        case 1:
            return plan_user_rename(site, accounts, disk, name, USERS[new], domain)
        case 2:
            return plan_domain_removal(site, accounts, disk, domain)
        case 3:
            return plan_domain_rename(site, accounts, disk, domain, DOMAINS[new])
        case _:
            return plan_alias(site, accounts, disk, DOMAINS[new], domain)


def told(site: Site, accounts: MemoryAccounts) -> list[str]:
    domain = "kept.a.example"
    found = [str(user) for user in accounts.users(domain)]
    found += [str(alias) for alias in accounts.domain_aliases(domain)]
    for folder, _, names in os.walk(site.places.root):
        found += [os.path.join(folder, name) for name in names if f"/{domain}" in folder]
        found += [folder] if f"/{domain}" in folder else []
    for name in ("rcpthosts", "virtualdomains"):
        lines = Path(site.control(name)).read_text().splitlines()
        found += [line for line in lines if line.partition(":")[0] == domain]
    return sorted(found)


def test_a_line_is_added_once(site: Site) -> None:
    write = AddLine(site.control("rcpthosts"), "example.com")
    for _ in range(2):
        write.do(stores_of(site, QuickDisk()))
    assert Path(site.control("rcpthosts")).read_text() == "mx.example.org\nexample.com\n"
