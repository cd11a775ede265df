"""vmoduser's effects (spec/delivery.md 1.3, 2.3)."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.port import Account, Flag, LastEvent
from indimail.mail.secret import Secret
from indimail.manage.domains import NewDomain
from indimail.manage.site import Refused, Site
from indimail.manage.user_change import UserChange, plan_user_change
from indimail.manage.users import NewUser
from indimail.manage.writes import Write
from manage.site_tree import QuickDisk, add_domain, add_user, carried_out, make_site

NOW = 1_795_000_000


class World:
    """An instance with alice@example.com, who has two flags, SCRAM, an alias and a mail."""

    def __init__(self, root: str) -> None:
        self.site: Site = make_site(root)
        self.accounts = MemoryAccounts()
        disk = QuickDisk()
        add_domain(self.site, self.accounts, disk, NewDomain("example.com", Secret("x")))
        new = NewUser("alice", "example.com", Secret("old"), quota="52428800,1000")
        add_user(self.site, self.accounts, disk, new, 0.0)
        self.change(UserChange(given=Flag.NO_POP | Flag.V_OVERRIDE))
        self.accounts.add_alias("alice", "example.com", "&bob@example.com")
        Path(self.maildir, "new/1.x,S=2048").touch()

    @property
    def alice(self) -> Account:
        found = self.accounts.find("alice", "example.com")
        assert found is not None
        return found

    @property
    def maildir(self) -> str:
        return f"{self.alice.directory}/Maildir"

    def change(self, change: UserChange, name: str = "alice") -> Refused | None:
        writes = self.planned(change, name)
        return carried_out(self.site, self.accounts, QuickDisk(), writes)

    def planned(self, change: UserChange, name: str = "alice") -> list[Write] | Refused:
        return plan_user_change(
            self.site, self.accounts, QuickDisk(), name, "example.com", change, NOW + 0.5
        )

    def plan(self, change: UserChange) -> list[Write]:
        writes = self.planned(change)
        assert isinstance(writes, list)
        return writes


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(str(tmp_path / "i"))


@pytest.mark.parametrize(("change", "flags"), [
    (UserChange(), 0x2002),
    (UserChange(given=Flag.BOUNCE_MAIL), 0x2012),
    (UserChange(given=Flag.NO_POP), 0x2002),
    (UserChange(given=Flag.NO_POP | Flag.NO_IMAP, toggle=True), 0x2008),
    (UserChange(clear=True), 0),
    (UserChange(clear=True, given=Flag.NO_IMAP), 0x8),
    (UserChange(clear=True, given=Flag.NO_IMAP, toggle=True), 0x8),
])  # fmt: skip
def test_flags_are_set_turned_over_and_cleared(
    world: World, change: UserChange, flags: int
) -> None:
    assert world.change(change) is None
    assert world.alice.flags == flags


@pytest.mark.parametrize(("change", "left"), [
    (UserChange(given=Flag.BOUNCE_MAIL), 0),  # now it is the administrator's
    (UserChange(given=Flag.BOUNCE_MAIL, toggle=True), 0),
    (UserChange(clear=True), 0),
    (UserChange(given=Flag.NO_IMAP), 52_428_900),  # nobody spoke of it
    (UserChange(quota="NOQUOTA"), 52_428_900),
])  # fmt: skip
def test_a_lock_of_the_quota_becomes_the_administrators(
    world: World, change: UserChange, left: int
) -> None:
    assert world.accounts.lock_for_quota("alice", "example.com", 52_428_900)
    world.change(change)
    assert world.accounts.userquota("alice", "example.com") == left


def test_a_quota_goes_into_the_row_and_into_maildirsize(world: World) -> None:
    world.change(UserChange(quota="+5M"))
    assert world.alice.quota == "57671680,1000"
    assert Path(world.maildir, "maildirsize").read_text() == "57671680S,1000C\n2048 1\n"
    world.change(UserChange(quota="NOQUOTA"))
    assert world.alice.quota == "NOQUOTA"
    assert not os.path.exists(f"{world.maildir}/maildirsize")


def test_a_name_and_a_password(world: World) -> None:
    world.accounts.set_password("alice", "example.com", Secret("old"), Secret("of the old one"))
    world.change(UserChange(gecos="Alice B."))
    assert (world.alice.gecos, world.alice.scram) == ("Alice B.", Secret("of the old one"))
    world.change(UserChange(password=Secret("new")))
    assert (world.alice.gecos, world.alice.password) == ("Alice B.", Secret("new"))
    assert world.alice.scram == Secret("")
    world.change(UserChange(password=Secret("newer"), scram=Secret("of the newer one")))
    assert world.alice.scram == Secret("of the newer one")
    assert LastEvent("pass", NOW, "") in world.accounts.events("alice", "example.com")
    world.change(UserChange(gecos=""))
    assert (world.alice.gecos, world.alice.password) == ("", Secret("newer"))


def test_an_inactive_user_keeps_everything_and_comes_back(world: World) -> None:
    before = world.alice
    world.change(UserChange(switch=True))
    assert not world.alice.active
    assert os.listdir(f"{world.maildir}/new") == ["1.x,S=2048"]
    assert world.accounts.aliases("alice", "example.com") == ["&bob@example.com"]
    assert LastEvent("INAC", NOW, "") in world.accounts.events("alice", "example.com")
    world.change(UserChange(switch=True))
    assert world.alice == before
    assert LastEvent("ACTI", NOW, "") in world.accounts.events("alice", "example.com")


def test_who_becomes_active_has_a_maildir(world: World) -> None:
    world.change(UserChange(switch=True))
    shutil.rmtree(world.alice.directory)
    world.change(UserChange(switch=True))
    assert sorted(os.listdir(world.maildir)) == ["cur", "new", "tmp"]


def test_postmaster_stays_active(world: World) -> None:
    outcome = world.change(UserChange(switch=True), "postmaster")
    assert outcome == Refused("RFC Ids cannot be made inactive", 255, 77)
    found = world.accounts.find("postmaster", "example.com")
    assert found is not None
    assert found.active


def test_folders_by_date(world: World) -> None:
    path = Path(world.maildir, "folder.dateformat")
    for _ in range(2):
        world.change(UserChange(date_format="%b-%Y"))
        assert path.read_text() == "%b-%Y"
    for _ in range(2):
        world.change(UserChange(date_format=""))
        assert not path.exists()


def test_folders_by_date_that_were_ended_are_ended_after_a_power_cut(world: World) -> None:
    world.change(UserChange(date_format="%b-%Y"))
    disk, ended = QuickDisk(), UserChange(date_format="")
    writes = plan_user_change(world.site, world.accounts, disk, "alice", "example.com", ended, NOW)
    carried_out(world.site, world.accounts, disk, writes)
    assert world.maildir in disk.synced


def test_an_automatic_reply_is_two_lines_a_text_and_a_directory(world: World) -> None:
    home = Path(world.alice.directory)
    home.joinpath(".qmail").write_text("&bob@example.com\n")
    for text in (b"I am away.\n", b"I am still away.\n"):
        world.change(UserChange(autoreply=text))
        assert home.joinpath(".vacation.msg").read_bytes() == text
        assert home.joinpath(".vacation.dir").is_dir()
        program = f"| autoresponder -q {home}/.vacation.msg {home}/.vacation.dir"
        assert home.joinpath(".qmail").read_text() == f"{program}\n{home}/Maildir/\n"
    home.joinpath(".vacation.dir/1.2.bob@example.org").touch()
    for _ in range(2):
        world.change(UserChange(autoreply=b""))
        assert os.listdir(home) == ["Maildir"]


def test_who_has_no_automatic_reply_keeps_the_instructions(world: World) -> None:
    file = Path(world.alice.directory, ".qmail")
    file.write_text("&bob@example.com\n")
    world.change(UserChange(autoreply=b""))
    assert file.read_text() == "&bob@example.com\n"


@pytest.mark.parametrize(("change", "text"), [
    (UserChange(quota="much"), "invalid quota [much] for alice@example.com, which has "
     "[52428800,1000]: expected 50M, 50M,1000, NOQUOTA; +5M or -5M where there is a limit"),
    (UserChange(quota="-50M"), "invalid quota [-50M] for alice@example.com, which has "
     "[52428800,1000]: expected 50M, 50M,1000, NOQUOTA; +5M or -5M where there is a limit"),
    (UserChange(gecos="a:b"),
     "invalid name 'a:b': expected printable characters, and ':' not allowed in names"),
    (UserChange(gecos="a" * 49), "Name too long: expected at most 48 characters"),
    (UserChange(password=Secret("x" * 129)), "Password too long"),
    (UserChange(date_format="../%Y"), "invalid date format [../%Y]: expected a folder's name with "
     "the letters of strftime, like %Y-%m"),
])  # fmt: skip
def test_what_is_refused_changes_nothing(world: World, change: UserChange, text: str) -> None:
    before = world.alice
    assert world.change(change) == Refused(text, 100)
    assert world.alice == before
    assert sorted(os.listdir(world.maildir)) == ["cur", "new", "tmp"]


def test_an_absent_user(world: World) -> None:
    assert world.change(UserChange(clear=True), "bob") == Refused(
        "no such user bob@example.com", 1, 67
    )


def test_a_row_without_a_home_makes_no_directory_anywhere(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.accounts.modify("alice", "example.com", lambda row: replace(row, directory=""))
    monkeypatch.chdir(tmp_path)
    refused = Refused("alice@example.com: found [], expected the full path of a home", 1)
    for change in (
        UserChange(switch=True), UserChange(quota="1M"), UserChange(date_format="%Y"),
        UserChange(autoreply=b"away"), UserChange(autoreply=b""),
    ):  # fmt: skip
        assert world.change(change) == refused
    assert os.listdir(tmp_path) == ["i"]
    assert world.change(UserChange(given=Flag.NO_POP)) is None


def test_who_becomes_active_has_a_home_before_its_row_says_so(world: World) -> None:
    world.change(UserChange(switch=True))
    told = [str(write) for write in world.plan(UserChange(switch=True))]
    assert told == [
        f"directory {world.maildir}: make",
        "rows alice@example.com: active",
        "server: forget alice@example.com",
    ]


def test_what_the_server_sets_between_the_plan_and_its_writes_stays(world: World) -> None:
    writes = world.plan(UserChange(given=Flag.NO_IMAP, quota="50M"))
    world.accounts.lock_for_quota("alice", "example.com", 777)
    carried_out(world.site, world.accounts, QuickDisk(), writes)
    assert world.alice.flags == Flag.NO_POP | Flag.V_OVERRIDE | Flag.NO_IMAP | Flag.BOUNCE_MAIL
    assert world.accounts.userquota("alice", "example.com") == 777
    cleared = world.plan(UserChange(clear=True))
    carried_out(world.site, world.accounts, QuickDisk(), world.plan(UserChange(clear=True)))
    world.accounts.lock_for_quota("alice", "example.com", 777)
    carried_out(world.site, world.accounts, QuickDisk(), cleared)
    assert world.alice.flags == Flag(0)
