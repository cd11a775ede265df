"""An automatic reply that is taken away."""

from indimail.manage.autoreply import INSTRUCTIONS, remove_autoreply
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


def test_what_is_taken_away_is_gone_after_a_power_cut() -> None:
    disk = home_with(b"| autoresponder -q .vacation.msg .vacation.dir\n")
    remove_autoreply(disk, HOME)
    disk.cut_power()
    assert not disk.restart().exists(FILE)


def test_what_says_something_else_stays() -> None:
    disk = home_with(b"|sort\n")
    remove_autoreply(disk, HOME)
    assert disk.read(FILE) == b"|sort\n"
