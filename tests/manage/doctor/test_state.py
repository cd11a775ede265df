"""Faults of quota files, of data bases, and of the instance as a whole."""

import os
import socket
from dataclasses import replace

import pytest

from indimail.control.cdb import write_cdb
from indimail.manage.site import journal, locked
from manage.doctor.clinic import NOW, Clinic, Plant, check

MAILDIRSIZE = "mail/A2E/example.com/alice/Maildir/maildirsize"


def old(clinic: Clinic, name: str, age: float) -> None:
    clinic.write(name, "x", 0o600)
    os.utime(clinic.path(name), (NOW - age, NOW - age))


def killed(clinic: Clinic) -> None:
    clinic.write("run/serve.pid", "1\n")
    with socket.socket(socket.AF_UNIX) as sock:  # its name outlives it
        here = os.getcwd()
        os.chdir(clinic.path("run"))
        sock.bind("control.sock")
        os.chdir(here)
    clinic.own()


QUOTAS: list[tuple[Plant, list[str], bool]] = [
    (lambda c: c.write(MAILDIRSIZE, "5242880S\n"),
     [f"quota {MAILDIRSIZE}: found the quota 5242880S, expected no file"], True),
    (lambda c: (c.add("example.com", "carol", "5242880"), c.write(
        MAILDIRSIZE.replace("alice", "carol"), "1048576S\n100 1\n")),
     [f"quota {MAILDIRSIZE.replace('alice', 'carol')}: found the quota 1048576S, expected the quota "
      "5242880S of the row"], True),
    (lambda c: (c.add("example.com", "carol", "5242880"), c.write(
        MAILDIRSIZE.replace("alice", "carol"), "5242880S\n1000000 200\n")),
     [f"quota {MAILDIRSIZE.replace('alice', 'carol')}: found 1000000S,200C, expected 0S,0C"], True),
    (lambda c: (c.add("example.com", "carol", "5242880"), c.write(
        MAILDIRSIZE.replace("alice", "carol"), "5242880S\n1000 2\n")), [], True),
    (lambda c: (c.add("example.com", "carol", "5242880"), c.write(
        MAILDIRSIZE.replace("alice", "carol"), "no quota\n")),
     [f"quota {MAILDIRSIZE.replace('alice', 'carol')}: found what nobody understands, expected a "
      "quota and lines of two numbers"], True),
    (lambda c: c.accounts.modify("alice", "example.com", lambda row: replace(row, quota="much")),
     ["quota-row alice@example.com: found quota 'much', expected 50M, 50M,1000 or NOQUOTA"], False),
]  # fmt: skip


def newer(clinic: Clinic, name: str, than: str) -> None:
    os.utime(clinic.path(than), (NOW - 60, NOW - 60))
    os.utime(clinic.path(name), (NOW, NOW))


def more_hosts(clinic: Clinic, *keys: bytes) -> None:
    clinic.write("control/morercpthosts", "example.com\n")
    write_cdb(clinic.disk, str(clinic.path("control/morercpthosts.cdb")), [(k, b"") for k in keys])
    clinic.own()


def rules(clinic: Clinic, text: str) -> None:
    clinic.write("tcp/tcp.smtp", text)
    write_cdb(clinic.disk, str(clinic.path("tcp/tcp.smtp.cdb")), [(b"192.0.2.1", b"D\0")])
    clinic.own()


BASES: list[tuple[Plant, list[str], bool]] = [
    (lambda c: c.path("users/cdb").unlink(),
     ["cdb users/cdb: found no file, expected what is made of assign"], True),
    (lambda c: c.write("users/cdb", b"short"),
     ["cdb users/cdb: found 5 octets, expected a whole constant data base (make it again from its "
      "text)"], True),
    (lambda c: write_cdb(c.disk, str(c.path("users/cdb")), [(b"!x", b""), (b"", b"x")]),
     ["cdb users/cdb: found 2 records missing, 1 too many, 1 that say something else, expected what "
      "assign says"], True),
    (lambda c: newer(c, "users/assign", "users/cdb"), [], True),
    (lambda c: (more_hosts(c, b"example.com"), newer(c, "control/morercpthosts",
                                                     "control/morercpthosts.cdb")), [], True),
    (lambda c: (more_hosts(c), newer(c, "control/morercpthosts", "control/morercpthosts.cdb")),
     ["cdb control/morercpthosts.cdb: found 1 records missing, 0 too many, 0 that say something "
      "else, expected what morercpthosts says"], True),
    (lambda c: (more_hosts(c), newer(c, "control/morercpthosts.cdb", "control/morercpthosts")),
     ["cdb control/morercpthosts.cdb: found 1 records missing, 0 too many, 0 that say something "
      "else, and newer: it counts, expected what morercpthosts says, or no text"], False),
    (lambda c: (rules(c, "192.0.2.1:allow\n"), newer(c, "tcp/tcp.smtp", "tcp/tcp.smtp.cdb")),
     ["cdb tcp/tcp.smtp.cdb: found 0 records missing, 0 too many, 1 that say something else, "
      "expected what tcp.smtp says"], True),
    (lambda c: (rules(c, "192.0.2.1:deny\n"), newer(c, "tcp/tcp.smtp", "tcp/tcp.smtp.cdb")),
     [], True),
]  # fmt: skip

STATE: list[tuple[Plant, list[str], bool]] = [
    (lambda c: c.write("db/change.json", '{"title": "vdeluser bob@example.com", "writes": []}', 0o600),
     ["interrupted db/change.json: found a change: vdeluser bob@example.com, expected nothing; any "
      "command that changes something completes it"], True),
    (killed,
     ["killed run/serve.pid: found a server that did not end by itself, expected a server that "
      "runs, or no file; the next start replaces it"], False),
    (lambda c: old(c, "mail/A2E/example.com/alice/Maildir/tmp/1.a", 200_000),
     ["left mail/A2E/example.com/alice/Maildir/tmp: found 1 files, expected none older than 36 "
      "hours; look at them, and remove them"], False),
    (lambda c: old(c, "mail/A2E/example.com/alice/Maildir/tmp/1.a", 100_000), [], True),
]  # fmt: skip

FAULTS = QUOTAS + BASES + STATE


@pytest.mark.parametrize(("plant", "told", "mended"), FAULTS, ids=[
    told[0].split(":")[0].replace("/", "-") if told else "nothing" for _, told, _ in FAULTS
])  # fmt: skip
def test_a_fault_is_told_and_mended_where_that_is_safe(
    clinic: Clinic, plant: Plant, told: list[str], mended: bool
) -> None:
    check(clinic, plant, told, mended)


def test_full_disks_are_told(tmp_path_factory: pytest.TempPathFactory) -> None:
    clinic = Clinic(tmp_path_factory.mktemp("full") / "i", MIN_FREE=str(1 << 60))
    (finding,) = clinic.examine().findings
    assert (finding.code, finding.subject, finding.mends) == ("disk", "queue", ())


def test_a_change_that_is_being_made_is_none_of_its_faults(clinic: Clinic) -> None:
    clinic.write("db/change.json", '{"title": "vdeluser", "writes": []}', 0o600)
    with locked(clinic.site, "vdeluser", 1.0):
        clinic.own()
        assert clinic.told() == []
    assert os.path.exists(journal(clinic.site))
