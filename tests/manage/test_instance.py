"""The tree that `indimail init` makes."""

import os
import stat
from pathlib import Path

import pytest

from indimail.app.instance import Instance
from indimail.control.toml import parse_toml
from indimail.manage.instance import Owner, choose_owner, make_instance, make_root
from indimail.manage.site import Refused, Site
from manage.site_tree import QuickDisk

MODES = {
    "": 0o711,
    "alias": 0o755,
    "alias/.qmail-abuse": 0o644,
    "alias/.qmail-mailer-daemon": 0o644,
    "alias/.qmail-postmaster": 0o644,
    "alias/.qmail-root": 0o644,
    "alias/Maildir": 0o700,
    "alias/Maildir/cur": 0o700,
    "alias/Maildir/new": 0o700,
    "alias/Maildir/tmp": 0o700,
    "certs": 0o700,
    "control": 0o755,
    "control/locals": 0o644,
    "control/me": 0o644,
    "control/rcpthosts": 0o644,
    "control/virtualdomains": 0o644,
    "db": 0o700,
    "domains": 0o711,
    "indimail.toml": 0o600,
    "log": 0o700,
    "mail": 0o711,
    "queue": 0o711,
    "queue/spool": 0o1733,
    "run": 0o711,
    "tcp": 0o755,
    "tcp/tcp.smtp": 0o644,
    "trace": 0o700,
    "users": 0o755,
    "users/assign": 0o644,
    "users/cdb": 0o644,
}


def owner() -> Owner:
    return Owner(os.geteuid(), os.getegid())


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(Instance(str(tmp_path / "i")), {}, os.geteuid(), os.getegid())


def modes(root: str) -> dict[str, int]:
    found = {"": stat.S_IMODE(os.stat(root).st_mode)}
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, root)] = stat.S_IMODE(os.stat(path).st_mode)
    return found


def test_the_tree_has_its_modes_whatever_the_umask(site: Site) -> None:
    umask = os.umask(0o077)
    try:
        assert make_root(site.places.root, owner()) is None
        assert make_instance(site, QuickDisk(), "mx.example.org")
    finally:
        os.umask(umask)
    assert modes(site.places.root) == MODES
    assert Path(site.control("me")).read_text() == "mx.example.org\n"
    assert Path(site.control("locals")).read_text() == "mx.example.org\nlocalhost\n"
    assert Path(site.control("rcpthosts")).read_text() == "mx.example.org\n"
    assert Path(site.places.assign).read_text() == ".\n"


def test_the_settings_are_valid_and_refuse_absent_users(site: Site) -> None:
    make_root(site.places.root, owner())
    make_instance(site, QuickDisk(), "mx.example.org")
    setup, mistakes = parse_toml(Path(site.places.toml).read_bytes(), "indimail.toml")
    assert mistakes == []
    assert setup.variables["CHECKRECIPIENT"].value == "1"


@pytest.mark.parametrize(("postmaster", "text"), [
    ("", "./Maildir/\n"), ("alice@example.com", "&alice@example.com\n"),
])  # fmt: skip
def test_mail_for_the_roles_of_the_host_is_never_lost(
    site: Site, postmaster: str, text: str
) -> None:
    make_root(site.places.root, owner())
    make_instance(site, QuickDisk(), "mx.example.org", postmaster)
    for role in ("postmaster", "abuse", "mailer-daemon", "root"):
        assert Path(site.places.alias, f".qmail-{role}").read_text() == text


def test_a_second_time_changes_nothing(site: Site) -> None:
    make_root(site.places.root, owner())
    make_instance(site, QuickDisk(), "mx.example.org")
    Path(site.control("rcpthosts")).write_text("example.com\n")
    os.chmod(site.places.log, 0o750)
    before = modes(site.places.root)
    assert make_root(site.places.root, owner()) is None
    assert not make_instance(site, QuickDisk(), "other.example.org")
    assert modes(site.places.root) == before
    assert Path(site.control("rcpthosts")).read_text() == "example.com\n"
    assert Path(site.control("me")).read_text() == "mx.example.org\n"


class Crash(BaseException):
    """The process is gone."""


def test_after_a_crash_at_any_step_the_same_command_completes(tmp_path: Path) -> None:
    for steps in range(200):
        left = steps

        def step() -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Crash

        site = Site(Instance(str(tmp_path / str(steps))), {}, os.geteuid(), os.getegid())
        make_root(site.places.root, owner())
        try:
            make_instance(site, QuickDisk(step), "mx.example.org")
        except Crash:
            make_instance(site, QuickDisk(), "mx.example.org")
            found = modes(site.places.root)
            assert {n: m for n, m in found.items() if not n.endswith(".tmp")} == MODES
        else:
            assert steps > 40
            return
    pytest.fail("it never ended")


def test_a_directory_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("x")
    before = modes(str(tmp_path))
    assert make_root(str(tmp_path), owner()) == Refused(
        f"{tmp_path}: neither empty nor an instance", os.EX_CANTCREAT
    )
    assert make_root(str(tmp_path / "precious"), owner()) == Refused(
        f"{tmp_path}/precious: not a directory", os.EX_CANTCREAT
    )
    assert modes(str(tmp_path)) == before


def test_who_owns_an_instance(tmp_path: Path) -> None:
    root = str(tmp_path / "i")
    assert choose_owner("0", root) == Refused("0: mail is never handled as root", os.EX_NOPERM)
    assert choose_owner("root", root) == Refused(
        "root: mail is never handled as root", os.EX_NOPERM
    )
    assert choose_owner("no-such-user-here", root) == Refused(
        "no-such-user-here: no such user", os.EX_NOUSER
    )
    assert choose_owner("4294967295", root) == Refused("4294967295: no such user", os.EX_NOUSER)
    assert choose_owner("64321", root) == Owner(64321, 64321)
    chosen = choose_owner("", root)
    assert isinstance(chosen, Owner)
    assert chosen.uid != 0
