"""An automatic reply: it begins when all is there, and ends before anything goes."""

from indimail.accounts.memory import MemoryAccounts
from indimail.app.instance import Instance
from indimail.manage.autoreply import INSTRUCTIONS, no_reply_writes, reply_writes
from indimail.manage.site import Site
from indimail.manage.writes import Stores
from indimail.testing.disk import SimulatedDisk

HOME = "/srv/mail/alice"
FILE = f"{HOME}/{INSTRUCTIONS}"


def home_with(instructions: bytes) -> SimulatedDisk:
    """Return a disk with a .qmail that outlives a power cut."""
    disk = SimulatedDisk()
    disk.make_directories(HOME)
    disk.write_new(FILE, (instructions,))
    disk.sync_file(FILE)
    for folder in ("/", "/srv", "/srv/mail", HOME):
        disk.sync_directory(folder)
    return disk


def end_replies(disk: SimulatedDisk) -> None:
    """Do what makes them end."""
    stores = Stores(Site(Instance("/"), {}, 555, 555), MemoryAccounts(), disk, lambda _: None)
    for write in no_reply_writes(disk, HOME):
        write.do(stores)


def test_replies_begin_when_the_text_is_there_and_end_before_it_goes() -> None:
    told = [str(write) for write in reply_writes(HOME, b"I am away.\n")]
    assert [line.partition(": ")[0].rpartition("/")[2] for line in told] == [
        ".vacation.dir", ".vacation.msg", ".qmail",
    ]  # fmt: skip
    ended = no_reply_writes(home_with(b"|autoresponder .vacation.msg x\n"), HOME)
    assert str(ended[0]) == f"file {FILE}: remove"


def test_what_is_taken_away_is_gone_after_a_power_cut() -> None:
    disk = home_with(b"| autoresponder -q .vacation.msg .vacation.dir\n")
    end_replies(disk)
    disk.cut_power()
    assert not disk.restart().exists(FILE)


def test_what_says_something_else_stays() -> None:
    disk = home_with(b"|sort\n")
    end_replies(disk)
    assert disk.read(FILE) == b"|sort\n"
