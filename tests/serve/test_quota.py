"""Deliveries to mailboxes with a quota: spec/delivery.md 5.3a, 5.5 (3 to 5), 5.6, 5.7, 8.3, 8.4."""

import os
import shlex
from pathlib import Path
from typing import Any

import pytest

from indimail.accounts.port import Account, Flag
from indimail.delivery.blackhole import BlackHole
from indimail.delivery.daily import DailyLimits
from indimail.delivery.plan import Command, Deliver, Discard, Fail, Forward, Run
from indimail.delivery.program import Ended
from indimail.mail.errors import AccountsUnavailable
from indimail.mail.foreseen import Foreseen
from indimail.mail.ids import QueueId
from indimail.mail.secret import Secret
from indimail.mail.verdict import Rule
from indimail.mailbox.maildirsize import Counting
from indimail.queue.port import Accepted, QueuedMessage, Staged, Step
from indimail.serve.snapshot import LocalSettings, QuotaSettings
from indimail.testing.clock import START
from indimail.testing.disk import Kind
from serve.delivering import ALICE, BLOCK, MAILDIR, ONE, RULE, TO_ALICE, Delivering
from serve.sending import BrittleQueue

FILE = f"{MAILDIR}/maildirsize"
HEADER = b"Subject: x\n\n"
AHEAD = len(BLOCK)


def sized(octets: int) -> bytes:
    """Return a mail that takes so many octets in the Maildir."""
    return HEADER + b"x" * (octets - AHEAD - len(HEADER) - 1) + b"\n"


class Mailbox(Delivering):
    """Alice's Maildir, her account, and mails that come one after the other."""

    def __init__(self, limit: str, store: BrittleQueue | None = None, **settings: Any) -> None:
        self.limit = limit
        self.number = 0
        super().__init__(store)
        self.disk.now = self.clock.now
        self.quota = QuotaSettings(**settings)
        self.accounts.add(Account("alice", "example.com", Secret("x"), quota=limit))
        for part in ("cur", "new", "tmp"):
            self.disk.make_directories(f"{MAILDIR}/{part}")

    def start(self) -> Any:
        found = super().start()
        self.plan(Deliver(MAILDIR, RULE, ALICE, limit=self.limit))
        return found

    def send_mail(self, octets: int) -> None:
        """Accept a mail that takes so many octets; nothing more happens yet."""
        self.number += 1
        body = sized(octets)
        message = QueuedMessage(QueueId(self.number), START, "eve@example.net", len(body), body)
        self.send.accept(message, (TO_ALICE,), lambda _: None)
        self.commit()

    def take(self, *sizes: int) -> list[str]:
        """Deliver mails one after the other; return what became of each."""
        for octets in sizes:
            self.send_mail(octets)
            self.rest()
        return [record.verdict for record in self.trace.told("delivery")][-len(sizes) :]

    def held(self) -> list[str]:
        return self.disk.read(FILE).decode().splitlines()

    @property
    def account(self) -> Account:
        found = self.accounts.find("alice", "example.com")
        assert found is not None
        return found

    @property
    def is_locked(self) -> bool:
        return Flag.BOUNCE_MAIL in self.account.flags


# -- what fits -------------------------------------------------------------------------------------


def test_mails_are_delivered_until_one_does_not_fit() -> None:
    world = Mailbox("3000")
    assert world.take(1400, 1400, 1400) == ["delivered", "delivered", "failed"]
    figures = "1400/2800:2/0:3000"
    assert world.outcome[1] == f"{ALICE} has insufficient quota. {figures}. indimail (#5.1.4)"
    assert len(world.new()) == 2
    assert not world.is_locked


def test_a_number_of_mails_is_a_quota_too() -> None:
    assert Mailbox("0,2").take(1400, 1400, 1400) == ["delivered", "delivered", "failed"]


def test_a_copy_is_counted_right_after_its_rename() -> None:
    world = Mailbox("10000")
    world.take(1400)
    world.steps.clear()
    world.take(1500)
    at = next(at for at, told in enumerate(world.steps) if told.startswith("rename"))
    assert world.steps[at + 1 :] == ["write maildirsize", "sync_directory new", "commit Finished"]
    assert world.held() == ["10000S", "1400 1", "1500 1"]


def test_what_was_held_is_told_on_the_record() -> None:
    world = Mailbox("10000,100")
    world.take(1400, 1500)
    told = world.trace.told("delivery")[-1].facts
    assert (told["held"], told["quota"]) == ("1400S,1C", "10000S,100C")


def test_of_mails_at_once_only_those_fit_that_fit_together() -> None:
    world = Mailbox("3000")
    world.take(1400)
    for _ in range(3):
        world.send_mail(1400)
    world.rest()
    verdicts = [record.verdict for record in world.trace.told("delivery")]
    assert sorted(verdicts) == ["delivered", "delivered", "failed", "failed"]
    assert len(world.new()) == 2


def test_of_mails_that_were_counted_for_at_once_only_those_fit_that_fit_together() -> None:
    world = Mailbox("2000")
    for _ in range(2):
        world.send_mail(1400)
    world.threads.work_all()
    world.rest()
    verdicts = [record.verdict for record in world.trace.told("delivery")]
    assert sorted(verdicts) == ["delivered", "failed"]


def test_a_folder_counts_in_its_inbox() -> None:
    world = Mailbox("3000")
    world.plan(Deliver(f"{MAILDIR}/.Lists", RULE, ALICE, limit="3000"))
    assert world.take(1400, 1400, 1400) == ["delivered", "delivered", "failed"]
    assert world.held()[0] == "3000S"


def test_a_copy_that_did_not_come_takes_no_room() -> None:
    world = Mailbox("3000")
    world.take(1400)
    world.disk.fail(Kind.SYNC_FILE, "/tmp/")
    assert world.take(1400) == ["deferred"]
    assert world.take(1400) == ["delivered"]


def test_a_copy_that_was_taken_away_before_its_rename_is_not_counted() -> None:
    world = Mailbox("3000")
    world.take(1400)
    world.send_mail(1400)
    world.syncs.step()
    for name in world.disk.names(f"{MAILDIR}/tmp"):
        world.disk.unlink(f"{MAILDIR}/tmp/{name}")
    world.rest()
    assert world.outcome[0] == "deferred"
    assert world.held() == ["3000S", "1400 1"]


def test_without_a_quota_nothing_is_counted_anew_and_a_file_that_is_there_is_kept() -> None:
    world = Mailbox("NOQUOTA")
    world.take(1400)
    assert not world.disk.exists(FILE)
    world.disk.write_new(FILE, (b"0S\n",))
    assert world.take(1400) == ["delivered"]
    assert world.held() == ["0S", "1400 1"]
    assert "quota" not in world.trace.told("delivery")[-1].facts


def test_a_maildir_that_a_line_names_obeys_its_own_file() -> None:
    world = Mailbox("")
    world.plan(Deliver(MAILDIR, RULE, text="catch-all", limit=""))
    assert world.take(1400) == ["delivered"]
    world.disk.write_new(FILE, (b"3000S\n1400 1\n",))
    assert world.take(1400, 1400) == ["delivered", "failed"]
    assert world.outcome[1].startswith(f"{MAILDIR} has insufficient quota. 1400/2800:2/0:3000.")


def test_a_line_of_qmail_local_knows_no_quota() -> None:
    world = Mailbox("")
    world.plan(Deliver(MAILDIR, RULE))
    world.disk.write_new(FILE, (b"10S\n",))
    assert world.take(1400) == ["delivered"]
    assert world.held() == ["10S"]


def test_a_copy_that_a_crash_left_is_not_counted_by_its_recovery() -> None:
    """It was, or a recount finds it: twice would be wrong for ever with FAST_QUOTA."""
    name = "999999990.Q1R0.0.mx.example.com,S=5"
    store = BrittleQueue()
    store.apply([Accepted(QueuedMessage(ONE, START, "", 5, b"hello"), (TO_ALICE,))])
    store.apply([Staged(ONE, Step(0, 0, MAILDIR, name, "this boot", START - 10))])

    class Crashed(Mailbox):
        def start(self) -> Any:
            for part in ("cur", "new", "tmp"):
                self.disk.make_directories(f"{MAILDIR}/{part}")
            self.disk.write_new(f"{MAILDIR}/tmp/{name}", (b"hello",))
            self.disk.write_new(FILE, (b"3000S\n",))
            return super().start()

    world = Crashed("3000", store)
    world.rest()
    assert world.new() == [name]
    assert world.held() == ["3000S"]


def test_a_forward_beside_a_full_mailbox_is_not_sent() -> None:
    world = Mailbox("2000")
    world.plan(Deliver(MAILDIR, RULE, ALICE, limit="2000"), Forward("bob@example.org", RULE))
    world.mail(sized(2500))
    world.rest()
    assert world.outcome[0] == "failed"
    assert world.forwarded == []


def test_a_maildir_that_cannot_be_read_keeps_the_mail() -> None:
    world = Mailbox("3000")
    world.take(1400)
    world.disk.unlink(FILE)
    world.disk.write_new(FILE, (b"3000S\n1400 1\n",))
    world.disk.fail(Kind.READ, "maildirsize")
    assert world.take(1400) == ["deferred"]
    assert world.outcome[1].startswith("Unable to read quota. (#4.3.0)")


def test_settings_that_change_are_obeyed_from_the_next_mail_on() -> None:
    world = Mailbox("3000")
    world.take(1400)
    world.disk.unlink(FILE)
    world.disk.write_new(FILE, (b"3000S\n2900 1\n",))  # wrong: a recount would tell
    world.quota = QuotaSettings(counting=Counting(fast=True))
    assert world.take(1400) == ["failed"]


# -- small mails, the hold file, the lock ----------------------------------------------------------


def test_a_small_mail_is_delivered_all_the_same_and_the_account_is_locked_then() -> None:
    world = Mailbox("2000")
    assert world.take(1400, 900, 950) == ["delivered"] * 3
    assert world.is_locked  # 2300 octets are there when the third one comes
    assert world.accounts.userquota("alice", "example.com") == 2300


def test_how_small_is_a_setting() -> None:
    world = Mailbox("2000", mailsize=800)
    assert world.take(1400, 900) == ["delivered", "failed"]


@pytest.mark.parametrize("hold", ["", "/etc/hold"])
def test_a_hold_file_makes_the_mail_wait(hold: str) -> None:
    world = Mailbox("2000", hold=hold)
    world.take(1400)
    world.disk.make_directories("/etc")
    world.disk.write_new(hold or f"{MAILDIR}/holdoverquota", ())
    assert world.take(1400) == ["deferred"]
    assert "has insufficient quota" in world.outcome[1]
    world.disk.unlink(hold or f"{MAILDIR}/holdoverquota")
    world.retry()
    assert world.outcome[0] == "failed"


def test_the_delivery_does_not_depend_on_the_lock() -> None:
    world = Mailbox("1000")
    world.take(999)
    world.accounts.fail = True
    assert world.take(900) == ["delivered"]
    world.accounts.fail = False
    assert world.take(1400) == ["failed"]
    assert world.is_locked


# -- daily limits ----------------------------------------------------------------------------------


def test_a_day_takes_so_many_mails_and_the_next_one_again() -> None:
    world = Mailbox("NOQUOTA", limits=DailyLimits(2, 10_000))
    assert world.take(1400, 1400, 1400) == ["delivered", "delivered", "failed"]
    assert "Mail count exceeded. 3/2." in world.outcome[1]
    [line] = world.disk.read(f"{MAILDIR}/deliveryCount").decode().splitlines()
    assert line.endswith(" 2 2800")
    world.clock.advance(86_400.0)
    assert world.take(1400) == ["delivered"]


def test_a_day_takes_so_many_octets() -> None:
    world = Mailbox("100000", limits=DailyLimits(1000, 3000))
    assert world.take(1400, 1400, 1400) == ["delivered", "delivered", "failed"]
    assert "Mail size exceeded. 4200/3000." in world.outcome[1]


# -- the command, and warnings ---------------------------------------------------------------------


@pytest.fixture
def command(tmp_path: Path) -> str:
    program = tmp_path / "overquota.sh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return str(program)


def told(world: Mailbox) -> list[list[str]]:
    """Return the arguments of the commands that were run."""
    return [shlex.split(program.command)[1:] for program in world.programs]


def test_the_command_hears_of_what_was_over_quota(command: str) -> None:
    world = Mailbox("2000", command=command)
    world.take(1400, 1500)
    assert told(world) == [[MAILDIR, "1500", "1400", "1", "2000", "dummy"]]
    assert world.programs[0].environment["SENDER"] == "eve@example.net"


def test_the_command_hears_of_a_day(command: str) -> None:
    world = Mailbox("NOQUOTA", command=command, limits=DailyLimits(1, 5000))
    world.take(1400, 1500)
    assert told(world) == [[MAILDIR, "1500", "1400", "1", "5000,1"]]


def test_the_command_hears_of_a_mail_to_a_locked_account(command: str) -> None:
    world = Mailbox("2000", command=command)
    heard = Command((MAILDIR, "0", "2500", "3", "2000"))
    world.plan(Fail("locked", "5.2.2", Foreseen.LOCKED, RULE, command=heard))
    assert world.take(1400) == ["failed"]
    assert told(world) == [[MAILDIR, "1400", "2500", "3", "2000"]]
    world.plan(Discard("locked", RULE, heard))
    assert world.take(1500) == ["delivered"]
    assert told(world)[1:] == [[MAILDIR, "1500", "2500", "3", "2000"]]


def test_only_an_executable_is_run(command: str) -> None:
    os.chmod(command, 0o644)
    world = Mailbox("2000", command=command)
    world.take(1400, 1500)
    assert world.programs == []


def test_nobody_waits_for_the_command_and_one_mailbox_has_one_at_once(command: str) -> None:
    world = Mailbox("2000", command=command)
    world.hands.run = lambda program, done: world.programs.append(program)  # it does not end
    assert world.take(1400, 1500, 1500) == ["delivered", "failed", "failed"]
    assert len(told(world)) == 1


def test_a_command_that_cannot_be_run_changes_nothing(command: str) -> None:
    world = Mailbox("2000", command=command)
    world.hands.run = lambda program, done: done(AccountsUnavailable("no process"))
    assert world.take(1400, 1500) == ["delivered", "failed"]


def test_a_mailbox_that_fills_is_warned_about_once_in_seven_days(command: str) -> None:
    world = Mailbox("10000", command=command, percents=(50, 90))
    world.take(4000)
    assert told(world) == []
    world.take(1500)
    assert told(world) == [[ALICE, MAILDIR, "5500", "2", "10000", "0", "50"]]
    assert world.disk.exists(f"{MAILDIR}/QuotaWarn")
    world.take(4000)
    assert len(told(world)) == 1
    world.clock.advance(7 * 86_400.0 + 1)
    world.take(100 + AHEAD)
    assert told(world)[1][-1] == "90"


def test_a_bounce_is_warned_about_too(command: str) -> None:
    world = Mailbox("2000", command=command, percents=(60,), counting=Counting(fast=True))
    world.disk.write_new(FILE, (b"2000S\n1300 1\n",))
    assert world.take(1200, 1200) == ["failed", "failed"]
    over = [MAILDIR, "1200", "1300", "1", "2000", "dummy"]
    assert told(world) == [over, [ALICE, MAILDIR, "1300", "1", "2000", "0", "60"], over]


def test_a_mail_goes_into_the_folder_of_its_day_and_counts_in_the_inbox() -> None:
    world = Mailbox("3000")
    world.plan(Deliver(MAILDIR, RULE, ALICE, limit="3000", dateformat="%b-%Y"))
    assert world.take(1400, 1400, 1400) == ["delivered", "delivered", "failed"]
    assert len(world.disk.names(f"{MAILDIR}/.Sep-2001/new")) == 2
    assert world.disk.exists(f"{MAILDIR}/.Sep-2001/maildirfolder")
    assert world.new() == []
    assert world.held() == ["3000S", "2800 2"]


def test_a_copy_in_a_folder_of_a_day_is_not_made_again_on_the_next() -> None:
    world = Mailbox("NOQUOTA")
    later = Run("later", RULE)
    world.plan(Deliver(MAILDIR, RULE, ALICE, limit="NOQUOTA", dateformat="%d"), later)
    world.ends["later"] = Ended(111)
    world.mail()
    world.rest()
    assert world.outcome[0] == "deferred"
    world.ends.clear()
    world.clock.advance(86_400.0)
    world.retry()
    assert world.outcome[0] == "delivered"
    days = [name for name in world.disk.names(MAILDIR) if name.startswith(".")]
    assert len(days) == 1 and len(world.disk.names(f"{MAILDIR}/{days[0]}/new")) == 1


# -- DISCARD_BOUNCE --------------------------------------------------------------------------------


def test_what_does_not_fit_is_discarded_and_never_made_again() -> None:
    world = Mailbox("2000")
    world.local_settings = LocalSettings(discard_bounce=True)
    world.plan(Deliver(MAILDIR, RULE, ALICE, limit="2000"), Run("late", RULE), virtual=False)
    world.ends["late"] = Ended(111)
    assert world.take(2500) == ["deferred"]
    world.limit = "9000"
    world.plan(Deliver(MAILDIR, RULE, ALICE, limit="9000"), Run("late", RULE), virtual=False)
    world.ends.clear()
    world.retry()
    assert world.outcome[0] == "delivered"
    assert world.new() == []


# -- what is not read ------------------------------------------------------------------------------


def test_a_sender_in_the_black_hole_is_discarded() -> None:
    world = Mailbox("NOQUOTA")
    rule = Rule("control/blackholedsender", 1)
    world.black_hole = BlackHole({"eve@example.net": rule})
    assert world.take(1400) == ["delivered"]
    said = "vdelivermail: Discarding BlackHoled Address [eve@example.net]\ndid 0+0+1"
    assert (world.outcome[1], world.trace.told("outcome")[-1].rule) == (said, rule)
    assert world.new() == []


def test_the_black_hole_is_vdelivermails_alone() -> None:
    world = Mailbox("NOQUOTA")
    world.black_hole = BlackHole({"eve@example.net": RULE})
    world.plan(Deliver(MAILDIR, RULE), virtual=False)
    assert world.take(1400) == ["delivered"]
    assert len(world.new()) == 1
