"""vadddomain's effects (spec/delivery.md 2.1), and what a crash leaves."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from indimail.accounts.memory import MemoryAccounts
from indimail.control.cdb import read_cdb
from indimail.mail.secret import Secret
from indimail.manage.change import complete
from indimail.manage.domains import NewDomain
from indimail.manage.site import Refused, Site
from indimail.manage.writes import Stores
from manage.site_tree import QuickDisk, add_domain, make_site

NEW = NewDomain("example.com", Secret("hash"))
EXISTS = Refused("adddomain: domain example.com exists", 255, 73)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return make_site(str(tmp_path / "i"))


def text(site: Site, name: str) -> str:
    return Path(site.places.root, name).read_text()


def test_a_domain_is_in_every_file_that_needs_it(site: Site) -> None:
    accounts, root = MemoryAccounts(), site.places.root
    assert add_domain(site, accounts, QuickDisk(), NEW) is None
    entry = f"+example.com-:example.com:{site.uid}:{site.gid}:{root}/domains/example.com:-::"
    assert text(site, "users/assign") == f"{entry}\n.\n"
    cdb = read_cdb(f"{root}/users/cdb", "users/cdb")
    assert cdb.get(b"!example.com-") is not None
    assert text(site, "control/rcpthosts") == "mx.example.org\nexample.com\n"
    assert text(site, "control/virtualdomains") == "example.com:example.com\n"
    instruction = "domains/example.com/.qmail-default"
    assert text(site, instruction) == f"| {root}/sbin/vdelivermail '' bounce-no-mailbox\n"
    assert stat.S_IMODE(os.stat(f"{root}/{instruction}").st_mode) == 0o600
    assert sorted(os.listdir(f"{root}/mail")) == ["A2E", "F2K", "L2P", "Q2S", "T2Zsym"]
    assert os.path.isdir(f"{root}/mail/T2Zsym/example.com")
    postmaster = accounts.find("postmaster", "example.com")
    assert postmaster is not None
    assert (postmaster.gecos, postmaster.active, postmaster.quota) == (
        "Postmaster",
        True,
        "NOQUOTA",
    )
    assert postmaster.directory == f"{root}/mail/L2P/example.com/postmaster"
    assert sorted(os.listdir(f"{postmaster.directory}/Maildir")) == ["cur", "new", "tmp"]
    assert len(accounts.users("example.com")) == 1
    for alias in ("abuse", "mailer-daemon"):
        assert accounts.aliases(alias, "example.com") == ["&postmaster@example.com"]


def test_a_domain_exists_once(site: Site) -> None:
    accounts = MemoryAccounts()
    add_domain(site, accounts, QuickDisk(), NEW)
    again = NewDomain("example.com", Secret("another"))
    assert add_domain(site, accounts, QuickDisk(), again) == EXISTS
    postmaster = accounts.find("postmaster", "example.com")
    assert postmaster is not None
    assert postmaster.password == Secret("hash")


def test_the_settings_of_a_domain_are_kept_beside_it(site: Site, tmp_path: Path) -> None:
    accounts = MemoryAccounts()
    new = NewDomain(
        "example.com",
        Secret("hash"),
        quota="NOQUOTA",
        base=str(tmp_path / "homes"),
        users_per_level=1,
        method_name="SHA-512",
        recipient_check=True,
    )
    add_domain(site, accounts, QuickDisk(), new)
    assert text(site, "domains/example.com/.base_path") == f"{tmp_path}/homes\n"
    assert text(site, "domains/example.com/.users_per_level") == "1\n"
    assert text(site, "domains/example.com/hash_method") == "SHA-512\n"
    assert text(site, "control/chkrcptdomains") == "example.com\n"
    postmaster = accounts.find("postmaster", "example.com")
    assert postmaster is not None
    assert postmaster.quota == "NOQUOTA"
    assert postmaster.directory == f"{tmp_path}/homes/L2P/example.com/0/postmaster"


def test_a_local_domain_becomes_virtual(site: Site) -> None:
    Path(site.control("locals")).write_text("Example.com\nlocalhost\n")
    add_domain(site, MemoryAccounts(), QuickDisk(), NEW)
    assert text(site, "control/locals") == "localhost\n"


def test_the_name_in_me_is_local_no_more_without_locals(site: Site) -> None:
    os.unlink(site.control("locals"))
    Path(site.control("me")).write_text("example.com\n")
    add_domain(site, MemoryAccounts(), QuickDisk(), NEW)
    assert text(site, "control/locals") == ""


def test_the_fifty_first_domain_goes_into_morercpthosts(site: Site) -> None:
    hosts = "# ours\n" + "".join(f"d{number}.example\n" for number in range(50))
    Path(site.control("rcpthosts")).write_text(hosts)
    accounts = MemoryAccounts()
    assert add_domain(site, accounts, QuickDisk(), NEW) is None
    assert text(site, "control/rcpthosts") == hosts
    assert text(site, "control/morercpthosts") == "example.com\n"
    cdb = read_cdb(site.control("morercpthosts.cdb"), "control/morercpthosts.cdb")
    assert list(cdb.items()) == [(b"example.com", b"")]
    assert add_domain(site, accounts, QuickDisk(), NEW) == EXISTS


def test_an_instruction_of_somebody_else_is_not_overwritten(site: Site) -> None:
    path = f"{site.domain_dir('example.com')}/.qmail-default"
    os.makedirs(site.domain_dir("example.com"))
    Path(path).write_text("/Maildir/\n")
    outcome = add_domain(site, MemoryAccounts(), QuickDisk(), NEW)
    assert outcome == Refused(f"adddomain: open: {path}: File exists", 255, 73)
    assert Path(path).read_text() == "/Maildir/\n"
    assert text(site, "control/rcpthosts") == "mx.example.org\n"


@pytest.mark.parametrize("instruction", [
    "delete", "bounce-no-mailbox", "lost@example.org", "example.com:192.0.2.1:25",
])  # fmt: skip
def test_the_instruction_for_absent_users_is_written(site: Site, instruction: str) -> None:
    new = replace(NEW, instruction=instruction)
    assert add_domain(site, MemoryAccounts(), QuickDisk(), new) is None
    line = f"| {site.places.root}/sbin/vdelivermail '' {instruction}\n"
    assert text(site, "domains/example.com/.qmail-default") == line
    assert not os.path.exists(f"{site.domain_dir('example.com')}/.qmail_default")


def test_a_bad_instruction_makes_nothing(site: Site) -> None:
    new = replace(NEW, instruction="/nowhere/Maildir")
    outcome = add_domain(site, MemoryAccounts(), QuickDisk(), new)
    assert isinstance(outcome, Refused)
    assert outcome.text.startswith("Invalid bounce email address /nowhere/Maildir: expected delete")
    assert outcome.code == 100
    assert not os.path.exists(site.domain_dir("example.com"))


def test_an_alias_domain_exists(site: Site) -> None:
    os.symlink("other.example", site.domain_dir("example.com"))
    assert add_domain(site, MemoryAccounts(), QuickDisk(), NEW) == EXISTS


def test_a_domain_that_is_routed_elsewhere_is_refused(site: Site) -> None:
    Path(site.control("virtualdomains")).write_text("example.com:autoturn-example.com\n")
    outcome = add_domain(site, MemoryAccounts(), QuickDisk(), NEW)
    assert isinstance(outcome, Refused)
    assert outcome.code == 255


def test_bulk_additions_leave_the_data_base_to_later(site: Site) -> None:
    new = NewDomain("example.com", Secret("hash"), compile_cdb=False)
    before = Path(site.places.users_dir, "cdb").read_bytes()
    add_domain(site, MemoryAccounts(), QuickDisk(), new)
    assert Path(site.places.users_dir, "cdb").read_bytes() == before
    assert "example.com" in text(site, "users/assign")


class Crash(BaseException):
    """The process is gone."""


@pytest.mark.parametrize("hosts", [0, 50], ids=["rcpthosts", "morercpthosts"])
def test_after_a_crash_at_any_step_of_the_disk_the_domain_is_whole_or_absent(
    tmp_path: Path, hosts: int
) -> None:
    """Mail is never taken or routed before what its delivery reads is there."""
    reference = ""
    crashes = completed = 0
    while True:
        site = make_site(str(tmp_path / str(crashes)))
        Path(site.control("rcpthosts")).write_text("".join(f"d{n}.example\n" for n in range(hosts)))
        Path(site.control("locals")).write_text("example.com\n")
        untouched = tree(site)
        left = crashes

        def step() -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Crash

        disk, accounts = QuickDisk(step), MemoryAccounts()
        try:
            add_domain(site, accounts, disk, NEW)
        except Crash:
            disk.before = lambda: None
            assert_use_follows_need(site, accounts)
            if complete(Stores(site, accounts, disk, lambda _: None)):
                completed += 1
                reference = reference or tree(site)
            assert tree(site) in {reference, untouched}
            crashes += 1
        else:
            assert tree(site) == reference
            break
    assert completed > 30


def assert_use_follows_need(site: Site, accounts: MemoryAccounts) -> None:
    has_rows = bool(accounts.aliases("mailer-daemon", "example.com"))
    cdb = read_cdb(f"{site.places.users_dir}/cdb", "users/cdb").get(b"!example.com-") is not None
    is_virtual = "example.com" in text(site, "control/virtualdomains")
    more = Path(site.control("morercpthosts"))
    is_received = "example.com" in text(site, "control/rcpthosts") or (
        more.exists() and "example.com" in more.read_text()
    )
    is_local = "example.com" in text(site, "control/locals")
    assert has_rows or not cdb
    assert cdb or not is_virtual
    assert is_virtual or is_local
    assert not (is_received and (is_local or not is_virtual))


def tree(site: Site) -> str:
    """Return names and contents of all files, with the root's name taken out."""
    found = []
    for folder, _, names in os.walk(site.places.root):
        for name in names:
            if not name.endswith((".tmp", ".lock")):
                path = os.path.join(folder, name)
                content = Path(path).read_bytes() if name != "cdb" else b""
                found.append(f"{path} {content!r}".replace(site.places.root, ""))
        found.append(folder.replace(site.places.root, ""))
    return "\n".join(sorted(found))
