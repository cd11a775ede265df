import os
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from indimail.accounts.cache import CachedLookup
from indimail.accounts.memory import MemoryAccounts
from indimail.accounts.port import Account, Flag
from indimail.delivery.assign import Assign, AssignEntry
from indimail.delivery.plan import Action, Defer, Deliver, Fail, Forward, Run, foresee
from indimail.durable.disk import SystemDisk
from indimail.mail.errors import AccountsUnavailable
from indimail.mail.foreseen import Foreseen
from indimail.mail.secret import Secret
from indimail.mail.verdict import Rule
from indimail.mailbox.maildirsize import MaildirSizes
from indimail.serve.foresight import KEPT, Foresight, Place
from indimail.serve.home import Home, HomeUnreadable, look
from indimail.serve.locks import QuotaLocks
from indimail.serve.quota import OwnQuotas
from indimail.serve.snapshot import LocalSettings, QuotaSettings
from indimail.testing.clock import FakeClock

ALICE = "example.com-alice@example.com"
BOUNCE = "| /usr/sbin/vdelivermail '' bounce-no-mailbox\n"


@dataclass
class Configured:
    assign: Assign
    generation: int = 1
    default_delivery: str = "./Maildir/"
    quota: QuotaSettings = QuotaSettings()
    local: LocalSettings = LocalSettings()


class Folders:
    """Watches, or says that it cannot: then files are looked at for each mail."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.added: list[str] = []
        self.changed = False
        self.homes: frozenset[int] = frozenset()

    def add(self, folder: str) -> bool:
        if len(self.added) == self.most:
            return False
        self.added.append(folder)
        return True

    def news(self) -> tuple[bool, frozenset[int]]:
        news = self.changed, self.homes
        self.changed, self.homes = False, frozenset()
        return news


class Site:
    """An instance with one virtual domain and one user."""

    def __init__(self, root: Path, watches: int = 0) -> None:
        self.domain = root / "domains" / "example.com"
        self.home = root / "mail" / "alice"
        self.domain.mkdir(parents=True)
        self.home.mkdir(parents=True)
        self.qmail = self.domain / ".qmail-default"
        self.qmail.write_text(BOUNCE)
        entry = AssignEntry(
            "indimail", 555, 555, str(self.domain), "-", "", Rule("users/assign", 1)
        )
        self.config = Configured(Assign({}, {"example.com-": entry}))
        self.accounts = MemoryAccounts()
        self.alice = Account("alice", "example.com", Secret("x"), directory=str(self.home))
        self.accounts.add(self.alice)
        self.folders = Folders(watches)
        self.clock = FakeClock()
        self.told: list[tuple[str, str]] = []
        disk = SystemDisk()
        sizes = MaildirSizes(disk, self.clock)
        own = OwnQuotas(sizes, lambda: self.config.quota, disk, self.clock, lambda *_: None)
        locks = QuotaLocks(
            self.accounts, self.accounts, lambda uid, gid: own,
            lambda name, domain: self.told.append((name, domain)),
        )  # fmt: skip
        self.foresight = Foresight(
            self.accounts, lambda: self.config, self.clock.steady, disk, self.folders,
            Place(str(root), f"{root}/alias", 555, 555), lambda entry: look, locks,
        )  # fmt: skip

    def plan(self, target: str = ALICE) -> Action:
        """Return the only step of a plan."""
        [step] = self.foresight.decide(target).plan.actions
        return step

    def cached(self) -> bool:
        return self.foresight.cached(ALICE) is not None


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


RULE = Rule("domains/example.com/.qmail-default", 1)


def test_a_user_is_delivered_to_a_maildir_by_the_line_that_says_so(site: Site) -> None:
    assert site.plan() == Deliver(
        f"{site.home}/Maildir", RULE, "alice@example.com", limit="NOQUOTA"
    )
    assert site.foresight.decide(ALICE).delivered_to == f"Delivered-To: {ALICE}\n".encode()


def test_what_was_decided_is_kept_for_a_moment(site: Site) -> None:
    assert not site.cached()
    site.plan()
    assert site.cached()
    site.clock.advance(KEPT)
    assert site.cached()
    site.clock.advance(0.1)
    assert not site.cached()


def test_a_failure_is_not_kept(site: Site) -> None:
    site.accounts.fail = True
    with pytest.raises(AccountsUnavailable):
        site.plan()
    assert not site.cached()


class Counted(MemoryAccounts):
    """Counts the questions that would be queries."""

    asked = 0

    def _check(self) -> None:
        self.asked += 1
        super()._check()


def test_a_cached_user_costs_no_question_and_a_change_of_ours_is_seen_at_once(
    site: Site,
) -> None:
    accounts = Counted()
    accounts.add(site.alice)
    cache = CachedLookup(accounts, site.clock, expiry=KEPT + 1)
    site.foresight._accounts = cache
    absent = site.plan("example.com-bob@example.com")
    assert isinstance(site.plan(), Deliver) and isinstance(absent, Fail)
    asked = accounts.asked
    for _ in range(2):
        site.clock.advance(KEPT / 2)
        assert isinstance(site.plan(), Deliver)
        assert site.cached()
    assert accounts.asked == asked
    accounts.add(replace(site.alice, name="bob"))
    accounts.modify("alice", "example.com", lambda alice: replace(alice, active=False))
    for name in ("alice", "bob"):
        cache.invalidate(name, "example.com")
    site.foresight.invalidate()
    assert not site.cached()
    assert isinstance(site.plan("example.com-bob@example.com"), Deliver)
    assert isinstance(site.plan(), Fail)


def edit(site: Site) -> None:
    site.qmail.write_text("| /usr/sbin/vdelivermail '' delete\n")


def touch(site: Site) -> None:
    os.utime(site.qmail, ns=(0, 0))


def remove(site: Site) -> None:
    site.qmail.unlink()


def make_nearer(site: Site) -> None:
    (site.domain / ".qmail-alice").write_text(BOUNCE)


def reload(site: Site) -> None:
    site.config = replace(site.config, generation=2)


def invalidate(site: Site) -> None:
    site.foresight.invalidate()


def write_own(site: Site) -> None:
    (site.home / ".qmail").write_text("./Maildir/\n")


def test_what_is_discarded_instead_of_bounced_is_accepted_at_rcpt(site: Site) -> None:
    target = "example.com-nobody@example.com"
    assert foresee(site.foresight.decide(target).plan) is Foreseen.ABSENT
    site.config = replace(site.config, local=LocalSettings(discard_bounce=True))
    assert foresee(site.foresight.decide(target).plan) is Foreseen.DELIVERABLE


def test_an_inactive_user_gets_mail_where_that_is_allowed(site: Site) -> None:
    site.accounts.modify("alice", "example.com", lambda found: replace(found, active=False))
    assert foresee(site.foresight.decide(ALICE).plan) is Foreseen.INACTIVE
    site.config = replace(site.config, local=LocalSettings(allow_inactive=True))
    assert site.plan().maildir == f"{site.home}/Maildir"


def test_without_aliases_a_user_gets_his_mail_and_who_is_none_stays_an_alias(site: Site) -> None:
    write_own(site)
    for user in ("alice", "sales"):
        site.accounts.add_alias(user, "example.com", "&bob@example.net")
    site.config = replace(site.config, local=LocalSettings(no_alias=True))
    assert site.plan().maildir == f"{site.home}/Maildir"
    sales = site.foresight.decide("example.com-sales@example.com").plan
    assert [type(action) for action in sales.actions] == [Forward]


def test_a_user_who_stands_in_is_looked_at_for_each_mail(site: Site) -> None:
    site.config = replace(site.config, local=LocalSettings(qmail_ext=True))
    target = "example.com-alice-x@example.com"
    assert foresee(site.foresight.decide(target).plan) is Foreseen.DELIVERABLE
    assert site.foresight.cached(target) is not None
    write_own(site)
    assert site.foresight.cached(target) is None


def close_to_others(site: Site) -> None:
    (site.domain / ".localdomains").write_text("")


@pytest.mark.parametrize(
    "change",
    [edit, touch, remove, make_nearer, reload, invalidate, write_own, close_to_others],
)
def test_a_change_is_seen_at_the_next_mail(site: Site, change) -> None:
    site.plan()
    assert site.cached()
    change(site)
    assert not site.cached()
    site.plan()
    assert site.cached()


def test_where_folders_are_watched_their_news_count_and_files_are_not_looked_at(tmp_path) -> None:
    site = Site(tmp_path, watches=2)
    site.plan()
    assert site.folders.added == [str(site.domain), str(site.home)]
    site.qmail.unlink()
    write_own(site)
    assert site.cached()
    site.folders.changed = True
    assert not site.cached()
    assert isinstance(site.plan(), Fail)


def test_the_file_of_a_home_too_many_is_looked_at(tmp_path) -> None:
    site = Site(tmp_path, watches=1)
    site.plan()
    assert site.cached()
    write_own(site)
    assert not site.cached()


def of_another_user(site: Site, *, watched: bool) -> None:
    """Make the domain another user's, at whose home that user's process looks."""
    entry = replace(site.config.assign.prefixes["example.com-"], uid=556)
    site.config = Configured(Assign({}, {"example.com-": entry}))
    site.foresight._look_as = lambda _: lambda *asked: replace(look(*asked), watched=watched)


def test_what_another_user_s_process_saw_is_kept_until_it_tells_of_a_change(site: Site) -> None:
    of_another_user(site, watched=True)
    site.plan()
    site.qmail.unlink()
    site.folders.homes = frozenset({555, 557})
    assert site.cached()
    site.folders.homes = frozenset({556})
    assert not site.cached()
    assert isinstance(site.plan(), Fail)


def test_what_nobody_watches_is_looked_at_for_each_mail(site: Site) -> None:
    of_another_user(site, watched=False)
    site.plan()
    assert not site.cached()


def test_a_home_that_its_user_cannot_look_at_is_tried_again_at_once(site: Site) -> None:
    def fail(*_: object) -> Home:
        raise HomeUnreadable("not now")

    of_another_user(site, watched=True)
    site.foresight._look_as = lambda _: fail
    assert isinstance(site.plan(), Defer)
    assert not site.cached()


def test_a_change_while_it_was_decided_makes_it_old_at_once(site: Site) -> None:
    find = site.accounts.find

    def slow(name: str, domain: str) -> Account | None:
        found = find(name, domain)
        site.foresight.invalidate()
        return found

    site.accounts.find = slow  # type: ignore[method-assign]
    site.plan()
    assert not site.cached()


def locked(site: Site) -> Action:
    changed = replace(site.alice, flags=Flag.BOUNCE_MAIL)
    site.accounts.modify("alice", "example.com", lambda _: changed)
    return site.plan()


def test_the_plan_says_who_decided(site: Site) -> None:
    absent = site.plan("example.com-bob@example.com")
    assert isinstance(absent, Fail)
    assert (absent.foreseen, absent.rule) == (Foreseen.ABSENT, RULE)
    assert site.accounts.add_alias("abuse", "example.com", "&alice@example.com")
    assert site.plan("example.com-abuse@example.com") == Forward(
        "alice@example.com", Rule("valias[abuse@example.com]", 1)
    )
    stop = locked(site)
    assert isinstance(stop, Fail)
    assert stop.foreseen is Foreseen.LOCKED


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("&\n", "domains/example.com/.qmail-default:1"),
        (BOUNCE + "&x y\n", "domains/example.com/.qmail-default:2"),
    ],
)
def test_a_file_that_is_not_understood_keeps_the_mail_and_names_its_line(site, text, said) -> None:
    site.qmail.write_text(text)
    plan = site.plan()
    assert isinstance(plan, Defer)
    assert str(plan.rule) == said
    assert said in plan.text


def test_a_file_that_cannot_be_read_keeps_the_mail(site: Site) -> None:
    if os.geteuid() == 0:
        site.qmail.unlink()
        site.qmail.symlink_to("/proc/self/mem")  # regular, and unreadable for root too
    else:
        site.qmail.chmod(0)
    plan = site.plan()
    assert isinstance(plan, Defer)
    assert plan.text.startswith("Unable to open domains/example.com/.qmail-default: ")


def test_nothing_is_delivered_as_root(site: Site) -> None:
    entry = replace(site.config.assign.prefixes["example.com-"], uid=0)
    site.config = Configured(Assign({}, {"example.com-": entry}), 2)
    step = site.plan()
    assert isinstance(step, Defer)
    assert "Not allowed to perform deliveries as root." in step.text


def test_who_is_nobody_here_is_an_alias(site: Site) -> None:
    alias = site.home.parent.parent / "alias"
    alias.mkdir()
    (alias / ".qmail-info").write_text("|sort\n")
    decided = site.foresight.decide("info@mx.example.com")
    assert decided.plan.actions == (Run("sort", Rule("alias/.qmail-info", 1), skip=0),)
    assert decided.who.home == str(alias)
    [step] = site.foresight.decide("nobody-at-all@mx.example.com").plan.actions
    assert step == Fail("Sorry, no mailbox here by that name. (#5.1.1)", "5.1.1", Foreseen.ABSENT)


def test_a_sticky_home_keeps_the_mail(site: Site) -> None:
    (site.home / "Maildir").mkdir()
    (site.home / "Maildir").chmod(0o1700)
    assert isinstance(site.plan(), Defer)


# -- the locks of a full mailbox -------------------------------------------------------------------


def fill(site: Site, octets: int) -> None:
    for part in ("cur", "new", "tmp"):
        (site.home / "Maildir" / part).mkdir(parents=True, exist_ok=True)
    (site.home / "Maildir" / "new" / f"1.x,S={octets}").touch()


def limited(site: Site, quota: str) -> None:
    site.accounts.modify("alice", "example.com", lambda account: replace(account, quota=quota))


def test_the_quotas_lock_is_lifted_when_there_is_room_and_everybody_hears_of_it(site: Site) -> None:
    limited(site, "2000000")
    assert site.accounts.lock_for_quota("alice", "example.com", 2_100_000)
    fill(site, 975_000)
    step = site.plan()
    assert isinstance(step, Deliver)
    found = site.accounts.find("alice", "example.com")
    assert found is not None and not found.flags
    assert site.told == [("alice", "example.com")]


def test_the_quotas_lock_stays_while_there_is_no_room(site: Site) -> None:
    limited(site, "2000000")
    assert site.accounts.lock_for_quota("alice", "example.com", 2_100_000)
    fill(site, 976_000)
    stop = site.plan()
    assert isinstance(stop, Fail)
    text = "account alice@example.com locked/overquota 976000/2000000. indimail (#5.1.1)"
    assert (stop.text, stop.foreseen, stop.status) == (text, Foreseen.LOCKED, "5.2.2")
    assert stop.command is not None
    assert stop.command.of(50).arguments == (
        f"{site.home}/Maildir", "50", "976000", "1", "2000000",
    )  # fmt: skip
    (site.home / "Maildir" / "holdoverquota").touch()
    held = site.plan()
    assert (isinstance(held, Defer), held.text) == (True, text)
    assert site.told == []


def test_the_administrators_lock_stays_whatever_room_there_is(site: Site) -> None:
    limited(site, "2000000")
    stop = locked(site)
    assert isinstance(stop, Fail)
    assert stop.status == "5.2.1"
    found = site.accounts.find("alice", "example.com")
    assert found is not None and found.flags == Flag.BOUNCE_MAIL


def test_a_lock_that_became_the_administrators_meanwhile_stays(site: Site) -> None:
    limited(site, "2000000")
    assert site.accounts.lock_for_quota("alice", "example.com", 2_100_000)
    site.accounts.lift_quota_lock = lambda name, domain: False  # type: ignore[method-assign]
    assert isinstance(site.plan(), Fail)
    assert site.told == []


def test_folders_by_date_are_the_accounts_own(site: Site) -> None:
    fill(site, 10)
    (site.home / "Maildir" / "folder.dateformat").write_text("%b-%Y")
    step = site.plan()
    assert isinstance(step, Deliver)
    assert step.dateformat == "%b-%Y"


def test_an_empty_box_is_the_postmaster_s_mailbox_and_no_alias(site: Site) -> None:
    postmaster = replace(site.alice, name="postmaster")
    site.accounts.add(postmaster)
    assert site.accounts.add_alias("postmaster", "example.com", "&bob@example.org")
    assert isinstance(site.plan("example.com-@example.com"), Deliver)
    assert isinstance(site.plan("example.com-postmaster@example.com"), Forward)
