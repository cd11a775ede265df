"""Dovecot's Maildir++ quota and ours on one Maildir: each reads what the other wrote."""

import os
import pwd
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from indimail.delivery.quota import Quota, Usage
from indimail.durable.disk import SystemDisk
from indimail.mailbox.maildirsize import MaildirSizes
from indimail.testing.clock import FakeClock
from live import place
from support import needs, needs_root

pytestmark = pytest.mark.interop

QUOTA = Quota(10_240_000, 50)
SETTINGS = """
base_dir = {folder}/run
mail_location = maildir:{folder}/Maildir
mail_home = {folder}
mail_uid = nobody
mail_gid = nogroup
first_valid_uid = 1
mail_plugins = quota
plugin {{
  quota = maildir:User quota
  quota_rule = Trash:ignore
}}
"""  # it takes the limits from the first line of maildirsize


class Counting(SystemDisk):
    """Tells how often folders were listed: what a recount does."""

    lists = 0

    def names(self, path: str) -> list[str]:
        self.lists += 1
        return super().names(path)


@dataclass
class Both:
    """A Maildir, Dovecot, and us."""

    folder: str
    disk: Counting
    sizes: MaildirSizes
    clock: FakeClock

    @property
    def maildir(self) -> str:
        return f"{self.folder}/Maildir"

    def deliver(self, number: int, size: int) -> None:
        """Deliver as the mail path does."""
        assert not QUOTA.is_over(self.sizes.measure(self.maildir, QUOTA, size), size)
        self.sizes.expect(self.maildir, size)
        self.disk.write_new(f"{self.maildir}/new/{number}.x,S={size}", (b"\n" * size,))
        self.sizes.add(self.maildir, size)
        self.give()

    def give(self) -> None:
        """Let Dovecot's user own what we wrote as root."""
        nobody = pwd.getpwnam("nobody")
        for path, folders, files in os.walk(self.folder):
            for name in (".", *folders, *files):
                os.chown(f"{path}/{name}", nobody.pw_uid, nobody.pw_gid)

    def dovecot(self, *command: str, given: str = "") -> str:
        done = subprocess.run(
            [needs("doveadm"), "-c", f"{self.folder}/dovecot.conf", *command],
            input=given, env={**os.environ, "HOME": self.folder, "USER": "alice"},
            capture_output=True, text=True, check=True, timeout=30,
        )  # fmt: skip
        return done.stdout

    def dovecots_usage(self) -> list[tuple[int, int]]:
        """Return value and limit of STORAGE (in KiB) and MESSAGE."""
        told = self.dovecot("-f", "tab", "quota", "get")
        return [(int(used), int(limit)) for used, limit in re.findall(r"\t(\d+)\t(\d+)\t", told)]

    def ours(self) -> Usage | None:
        return self.sizes.known(self.maildir, QUOTA)


@pytest.fixture
def both() -> Iterator[Both]:
    needs("doveadm")
    needs_root()  # Dovecot reads as nobody
    with place() as folder:
        disk, clock = Counting(), FakeClock(os.stat(folder).st_mtime)
        for part in ("cur", "new", "tmp"):
            disk.make_directories(f"{folder}/Maildir/{part}")
        disk.write_new(f"{folder}/dovecot.conf", (SETTINGS.format(folder=folder).encode(),), 0o644)
        yield Both(folder, disk, MaildirSizes(disk, clock), clock)


def test_dovecot_reads_what_we_counted(both: Both) -> None:
    both.deliver(1, 20_480)  # into a Maildir without the file
    both.deliver(2, 30_720)  # counted, then appended
    both.deliver(3, 1024)
    assert both.dovecots_usage() == [(51, 10_000), (3, 50)]


def test_we_follow_what_dovecot_adds_and_removes_and_count_nothing_anew(both: Both) -> None:
    both.deliver(1, 2048)
    both.deliver(2, 1024)
    both.disk.lists = 0
    before = both.ours()
    assert before == Usage(3072, 2)
    both.dovecot("save", given="Subject: hello\n\nworld\n")
    after = both.ours()
    assert after is not None
    assert after.messages == 3
    assert 3072 < after.octets < 3172
    both.dovecot("expunge", "mailbox", "INBOX", "all")
    assert both.ours() == Usage(0, 0)
    both.deliver(3, 512)
    assert both.ours() == Usage(512, 1)
    assert both.dovecots_usage()[1] == (1, 50)
    assert both.disk.lists == 0


def test_both_count_the_same_and_we_see_the_file_that_dovecot_put_there(both: Both) -> None:
    both.deliver(1, 2048)
    for folder, name, size in ((".Sent", "4.x,S=100", 100), (".Trash", "5.x,S=7", 7)):
        for part in ("cur", "new", "tmp"):
            both.disk.make_directories(f"{both.maildir}/{folder}/{part}")
        both.disk.write_new(f"{both.maildir}/{folder}/cur/{name}:2,S", (b"\n" * size,))
    both.give()
    both.dovecot("quota", "recalc")
    dovecots = both.ours()
    ours = both.sizes.recount(both.maildir, QUOTA)
    assert ours == Usage(2148, 2)
    assert dovecots == ours
