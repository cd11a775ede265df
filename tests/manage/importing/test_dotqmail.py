"""Lines of .qmail files: what is rewritten, what is told."""

import os
from pathlib import Path

import pytest

from indimail.manage.importing.dotqmail import Moved, Rewriting
from indimail.manage.importing.report import Report, State
from indimail.manage.importing.source import FoundFile

OLD, NEW = "/home/vpopmail/domains/example.com/alice", "/srv/i/mail/A2E/example.com/alice"
DOMAIN = "/home/vpopmail/domains/example.com"
REWRITING = Rewriting(
    "/srv/i", Moved({OLD: NEW}), frozenset({"autoresponder", "vacation", "forward"})
)


def rewritten(line: str) -> tuple[str, list[tuple[State, str]]]:
    report = Report()
    text = REWRITING.line(line, "x:1", DOMAIN, report)
    return text, [(note.state, note.what) for note in report.notes]


@pytest.mark.parametrize("line", [
    "", "# comment", "&bob@example.com", "bob@example.com", ":label", "+list", "./Maildir/",
    "| exit 0", "|forward bob@example.com", "| vacation", "? vacation", "?label vacation",
    "| PATH=/bin:/usr/bin; test -e x",
])  # fmt: skip
def test_what_means_the_same_here_stays(line: str) -> None:
    assert rewritten(line) == (line, [])


@pytest.mark.parametrize(("line", "expected"), [
    (f"{OLD}/Maildir/", f"{NEW}/Maildir/"),
    ("./alice/Maildir/", f"{NEW}/Maildir/"),
    ("./alice/Maildir/.Sent/", f"{NEW}/Maildir/.Sent/"),
    (f"| /usr/bin/autoresponder -q {OLD}/.vacation.msg {OLD}/.vacation.dir",
     f"| autoresponder -q {NEW}/.vacation.msg {NEW}/.vacation.dir"),
    ("| /var/indimail/bin/vacation", "| vacation"),
    ("?away /usr/sbin/vacation x", "?away vacation x"),
    ("| /home/vpopmail/bin/vdelivermail '' bounce-no-mailbox",
     "| /srv/i/sbin/vdelivermail '' bounce-no-mailbox"),
    ("/var/indimail/sbin/vdelivermail '' delete", "| /srv/i/sbin/vdelivermail '' delete"),
    (f"| /home/vpopmail/bin/vdelivermail '' {OLD}", f"| /srv/i/sbin/vdelivermail '' {NEW}"),
    (f"|/usr/sbin/vdelivermail '' {OLD}/Maildir/", f"| /srv/i/sbin/vdelivermail '' {NEW}/Maildir"),
    ("| /usr/sbin/vdelivermail '' lost@example.com", "| /srv/i/sbin/vdelivermail '' lost@example.com"),
    ("| /usr/sbin/vdelivermail '' example.com:192.0.2.1:25",
     "| /srv/i/sbin/vdelivermail '' example.com:192.0.2.1:25"),
])  # fmt: skip
def test_paths_and_programs_are_those_of_here(line: str, expected: str) -> None:
    text, [(state, what)] = rewritten(line)
    assert text == expected
    assert (state, what) == (State.CHANGED, line)


@pytest.mark.parametrize(("line", "what"), [
    ("| /usr/local/bin/ezmlm/ezmlm-send /home/vpopmail/domains/example.com/list",
     "/usr/local/bin/ezmlm/ezmlm-send"),
    ("| no-such-program-here", "no-such-program-here"),
    ("| sh", "sh"),
    (f"| vacation {DOMAIN}/other", f"{DOMAIN}/other"),
    ("/var/mail/archive", "/var/mail/archive"),
    ("| /usr/sbin/vdelivermail '' /srv/elsewhere", "/srv/elsewhere"),
    ("| /usr/sbin/vdelivermail ''", "| /usr/sbin/vdelivermail ''"),
    ("| /usr/sbin/vdelivermail '' bounce", "| /usr/sbin/vdelivermail '' bounce"),
])  # fmt: skip
def test_what_has_to_be_looked_at_is_told(line: str, what: str) -> None:
    _, notes = rewritten(line)
    assert (State.MEND, what) in notes


def test_a_file_of_the_home_that_was_not_copied_is_told() -> None:
    text, notes = rewritten(f"| {OLD}/filter.sh")
    assert text == f"| {NEW}/filter.sh"
    assert (State.MEND, f"{NEW}/filter.sh") in notes


def test_vfilter_becomes_vdelivermail_and_its_filters_wait() -> None:
    text, notes = rewritten("| /usr/sbin/vfilter '' delete")
    assert text == "| /srv/i/sbin/vdelivermail '' delete"
    assert notes == [(State.WAITS, "| /usr/sbin/vfilter '' delete")]


def test_a_path_is_moved_whole_or_not_at_all() -> None:
    moved = Moved({OLD: NEW})
    assert moved.path(f"{OLD}2/Maildir/") == f"{OLD}2/Maildir/"
    assert moved.path(OLD) == NEW
    assert moved.path(f"{OLD}/") == f"{NEW}/"


def test_a_file_keeps_its_octets_and_says_where_it_was_changed() -> None:
    report = Report()
    octets = b"# \xff\n" + f"&bob@example.com\n{OLD}/Maildir/".encode()
    file = FoundFile(".qmail-x", "domains/example.com/.qmail-x", octets)
    text = REWRITING.text(file, DOMAIN, report)
    assert os.fsencode(text) == octets.replace(OLD.encode(), NEW.encode())
    assert [note.where for note in report.notes] == ["domains/example.com/.qmail-x:3"]


@pytest.mark.parametrize("text", ["\n&bob@example.com\n", "two words\n"])
def test_a_file_that_would_keep_mail_waiting_is_told(text: str) -> None:
    report = Report()
    REWRITING.text(FoundFile(".qmail-x", "x", text.encode()), DOMAIN, report)
    assert [(note.state, note.what) for note in report.notes] == [(State.MEND, "its mail waits")]


def test_a_program_that_is_there_runs_as_the_owner_which_is_told(tmp_path: Path) -> None:
    program = tmp_path / "filter"
    program.touch()
    _, notes = rewritten(f"| {program}")
    assert notes == [(State.MEND, str(program))]
