"""vmoddomain's effects (spec/delivery.md 2, 2.4)."""

import os
import stat
import threading
from pathlib import Path

import pytest

from indimail.accounts.memory import MemoryAccounts
from indimail.mail.secret import Secret
from indimail.manage.assign import add_entry, domain_entry
from indimail.manage.domain_change import DomainChange, plan_domain_change
from indimail.manage.domains import NewDomain
from indimail.manage.site import Refused, Site, alone
from manage.site_tree import QuickDisk, add_domain, carried_out, make_site

DOMAIN = "example.com"
EXPECTED = "delete, bounce-no-mailbox, the full path of a Maildir, user@domain or domain:ip:port"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = make_site(str(tmp_path / "i"))
    add_domain(site, MemoryAccounts(), QuickDisk(), NewDomain(DOMAIN, Secret("x")))
    return site


def default(site: Site) -> Path:
    return Path(site.domain_dir(DOMAIN), ".qmail-default")


def change(site: Site, **what: object) -> Refused | None:
    return changed(site, QuickDisk(), DomainChange(DOMAIN, **what))  # type: ignore[arg-type]


def changed(site: Site, disk: QuickDisk, change: DomainChange) -> Refused | None:
    return carried_out(site, MemoryAccounts(), disk, plan_domain_change(site, disk, change))


def test_all_five_forms_and_again(site: Site, tmp_path: Path) -> None:
    for part in ("cur", "new", "tmp"):
        (tmp_path / "lost" / "Maildir" / part).mkdir(parents=True)
    for text in (
        "delete",
        f"{tmp_path}/lost/Maildir/",
        f"{tmp_path}/lost",
        "lost@example.org",
        "example.com:192.0.2.1:25",
        "bounce-no-mailbox",
        "bounce-no-mailbox",
    ):
        assert change(site, instruction=text) is None
        line = f"| {site.places.root}/sbin/vdelivermail '' {text}\n"
        assert default(site).read_text() == line
        assert stat.S_IMODE(default(site).stat().st_mode) == 0o600
        assert default(site).stat().st_uid == os.geteuid()
    assert sorted(os.listdir(tmp_path / "lost" / "Maildir")) == ["cur", "new", "tmp"]


def test_without_f_the_line_keeps_its_program(site: Site) -> None:
    default(site).write_text("# filtered\n| /usr/sbin/vfilter '' delete\n")
    assert change(site, instruction="lost@example.org") is None
    assert default(site).read_text() == "# filtered\n| /usr/sbin/vfilter '' lost@example.org\n"
    assert change(site, instruction="delete", program="vdelivermail") is None
    assert default(site).read_text() == f"| {site.places.root}/sbin/vdelivermail '' delete\n"


def test_a_file_without_such_a_line_is_not_overwritten_unasked(site: Site) -> None:
    default(site).write_text("&bob@example.org\n")
    refused = change(site, instruction="delete")
    assert refused is not None
    assert refused.code == 1
    assert refused.text.startswith(f"{default(site)}: found no line of vdelivermail or vfilter")
    assert default(site).read_text() == "&bob@example.org\n"
    assert change(site, instruction="delete", program="vdelivermail") is None
    assert "vdelivermail '' delete" in default(site).read_text()


def test_a_missing_file_is_made(site: Site) -> None:
    default(site).unlink()
    assert change(site, instruction="delete") is None
    assert "vdelivermail '' delete" in default(site).read_text()
    assert stat.S_IMODE(default(site).stat().st_mode) == 0o600


def test_what_is_refused_changes_nothing(site: Site) -> None:
    before = default(site).read_text()
    for text, reason in (
        ("/nowhere", "/nowhere: not a Maildir"),
        ("bounce", f"Invalid SMTPROUTE/QMTPROUTE Specification [bounce]: expected {EXPECTED}"),
        ("a:b", f"Invalid SMTPROUTE/QMTPROUTE Specification [a:b]: expected {EXPECTED}"),
    ):
        assert change(site, instruction=text, method_name="MD5", limits=True) == Refused(reason, 1)
    refused = change(site, instruction="delete", method_name="ROT13")
    assert refused is not None
    assert (refused.text[:25], refused.code) == ("wrong hash method ROT13: ", 100)
    assert default(site).read_text() == before
    assert sorted(os.listdir(site.domain_dir(DOMAIN))) == [".qmail-default", "bulk_mail"]


def test_a_domain_that_is_not_there(site: Site) -> None:
    change = DomainChange("example.net", instruction="delete")
    assert plan_domain_change(site, QuickDisk(), change) == Refused(
        "example.net: domain does not exist", 1, 68
    )
    add_entry(QuickDisk(), site.places.users_dir, domain_entry("root.example", 0, 0, "/d"))
    change = DomainChange("root.example", instruction="delete")
    assert plan_domain_change(site, QuickDisk(), change) == Refused(
        "domain root.example with uid 0", 100, 77
    )


@pytest.mark.parametrize("name", ["SHA-512", "3", "yescrypt"])
def test_a_hash_method_by_name_or_number(site: Site, name: str) -> None:
    assert change(site, method_name=name) is None
    assert Path(site.domain_dir(DOMAIN), "hash_method").read_text() == f"{name}\n"


def test_limits_are_switched(site: Site) -> None:
    flag = Path(site.domain_dir(DOMAIN), ".domain_limits")
    off = Refused("example.com: domain limits are not on", 1)
    assert change(site, limits=False) == off
    for _ in range(2):
        assert change(site, limits=True) is None
        assert flag.read_bytes() == b""
    assert change(site, limits=False) is None
    assert not flag.exists()
    assert change(site, limits=False) == off


def test_limits_that_were_switched_off_are_off_after_a_power_cut(site: Site) -> None:
    assert change(site, limits=True) is None
    disk = QuickDisk()
    assert changed(site, disk, DomainChange(DOMAIN, limits=False)) is None
    assert site.domain_dir(DOMAIN) in disk.synced


def test_no_other_command_changes_the_domain_meanwhile(site: Site) -> None:
    with alone(site):
        waiting = threading.Thread(target=lambda: change(site, instruction="delete"))
        waiting.start()
        waiting.join(0.05)
        assert waiting.is_alive()
        assert "delete" not in default(site).read_text()
    waiting.join()
    assert "delete" in default(site).read_text()
