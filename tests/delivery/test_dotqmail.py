from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.delivery.dotqmail import (
    DotQmail,
    Step,
    VDeliver,
    check_home,
    find_dotqmail_names,
    missing_dotqmail,
    read_dotqmail,
)
from indimail.delivery.instruction import BounceNoMailbox
from indimail.delivery.plan import Defer, Deliver, Fail, Forward, Jump, Mbox, Run, join
from indimail.mail.errors import Mistake
from indimail.mail.foreseen import Foreseen
from indimail.mail.verdict import Rule

PLAIN = "expected '' and a delivery instruction, in plain words"
FILE = "domains/example.com/.qmail-default"


@pytest.mark.parametrize(
    ("dash", "ext", "names"),
    [
        ("-", "alice", [".qmail-alice", ".qmail-default"]),
        (
            "-",
            "a-b-c",
            [".qmail-a-b-c", ".qmail-a-b-default", ".qmail-a-default", ".qmail-default"],
        ),
        ("-", "a-", [".qmail-a-", ".qmail-a-default", ".qmail-default"]),
        ("-", "", [".qmail-", ".qmail-default"]),
        ("-", "Jo.Doe", [".qmail-jo:doe", ".qmail-default"]),
        ("-", "../../etc/x", [".qmail-::/::/etc/x", ".qmail-default"]),
        ("-", "a\0b", [".qmail-default"]),
        ("-", "a-" + "b" * 300, [".qmail-a-default", ".qmail-default"]),
        ("", "", [".qmail"]),
    ],
)
def test_the_search_order(dash: str, ext: str, names: list[str]) -> None:
    assert [name.file for name in find_dotqmail_names(dash, ext)] == names


def test_no_file_bounces() -> None:
    text = "Sorry, no mailbox here by that name. (#5.1.1)"
    assert missing_dotqmail() == Fail(text, "5.1.1", Foreseen.ABSENT)


def test_a_default_file_tells_which_part_it_stands_for() -> None:
    found = {name.file: name.default for name in find_dotqmail_names("-", "List-Owner-x")}
    assert found == {
        ".qmail-list-owner-x": None,
        ".qmail-list-owner-default": "x",
        ".qmail-list-default": "Owner-x",
        ".qmail-default": "List-Owner-x",
    }


def read(text: str, mode: int = 0o600, *, is_virtual: bool = False):
    return read_dotqmail(DotQmail(FILE, text, "/home/bob", mode, is_virtual))


def at(line: int) -> Rule:
    return Rule(FILE, line)


@pytest.mark.parametrize(
    "line",
    [
        "| /usr/sbin/vdelivermail '' bounce-no-mailbox",
        "|/var/indimail/sbin/vdelivermail '' bounce-no-mailbox",
        "/var/indimail/sbin/vdelivermail '' bounce-no-mailbox",
        '| "/usr/sbin/vdelivermail" "" "bounce-no-mailbox"',
        "|  /usr/sbin/vdelivermail\t''   bounce-no-mailbox  \t",
    ],
)
def test_a_vdelivermail_line(line: str) -> None:
    step = VDeliver(BounceNoMailbox(), at(1))
    assert read(line) == ((1, step),)
    assert read(f"{line}\r\n") == ((1, step),)


@pytest.mark.parametrize(
    ("line", "step"),
    [
        ("./Maildir/", Deliver("/home/bob/Maildir", at(1))),
        (".box/", Deliver("/home/bob/.box", at(1))),
        ("/srv/box/", Deliver("/srv/box", at(1))),
        ("./mbox", Mbox("/home/bob/mbox", at(1))),
        ("/srv/mbox", Mbox("/srv/mbox", at(1))),
        ("&bob@example.org", Forward("bob@example.org", at(1))),
        ("bob@example.org \t", Forward("bob@example.org", at(1))),
        ("bob", Forward("bob", at(1))),
        ("| sort -u", Jump(Run("sort -u", at(1)))),
        ("|", Jump(Run("", at(1)))),
    ],
)
def test_what_a_line_asks_for(line: str, step: Step) -> None:
    assert read(line) == ((1, step),)
    assert read(f"# first\n\n{line}\n") == ((3, moved(step, 3)),)


def moved(step: Step, line: int) -> Step:
    if isinstance(step, Jump):
        return replace(step, run=replace(step.run, rule=at(line)))
    return replace(step, rule=at(line))


def test_for_vdelivermail_every_path_from_the_root_is_a_maildir() -> None:
    assert read("/srv/box\n./box\n", is_virtual=True) == (
        (1, Deliver("/srv/box", at(1))),
        (2, Mbox("/home/bob/box", at(2))),
    )


def test_a_branch_goes_on_at_its_label_and_joined_it_counts_steps() -> None:
    text = "?spam filter\n./Maildir/\n&a@example.org\n:spam\n|note\n./Junk/\n"
    steps = read(text)
    assert not isinstance(steps, Defer)
    assert steps[0] == (1, Jump(Run("filter", at(1)), 4))
    joined = join([(n, s if isinstance(s, Jump) else (s,)) for n, s in steps])
    assert [(a.command, a.skip) for a in joined if isinstance(a, Run)] == [
        ("filter", 2),
        ("note", 1),
    ]


def test_a_branch_without_a_command_always_goes_on_below() -> None:
    assert read("?end\n|rm -rf .\n:end\n./Maildir/\n") == (
        (4, Deliver("/home/bob/Maildir", at(4))),
    )
    assert read("?nowhere\n./Maildir/\n") == ()


def test_a_folder_of_variables_is_for_the_commands_below() -> None:
    steps = read("|a\n% env\n|b\n%/etc/more\n|c\n")
    assert [step.run.envdirs for _, step in steps] == [
        (),
        ("/home/bob/env",),
        ("/home/bob/env", "/etc/more"),
    ]


@pytest.mark.parametrize(
    ("text", "mode", "line", "said"),
    [
        ("\n./Maildir/\n", 0o600, 1, "Uh-oh: first line of .qmail file is blank. (#4.2.1)"),
        ("./Maildir/\n", 0o602, None, "Uh-oh: .qmail file is writable. (#4.7.0)"),
        ("./Maildir/\n", 0o700, 1, "Uh-oh: .qmail has file delivery but has x bit set. (#4.7.0)"),
        ("# x\n|sort\n", 0o700, 2, "Uh-oh: .qmail has prog delivery but has x bit set. (#4.7.0)"),
        ("+list\n./mbox\n", 0o600, 2, "Uh-oh: .qmail has file delivery but has x bit set."),
        ("&a b@example.org\n", 0o600, 1, ":1: found &a b@example.org, expected an address, a path"),
        ("&\n", 0o600, 1, "expected an address"),
        ("| /s/vfilter '' delete\n", 0o600, 1, "expected vdelivermail (vfilter: not yet)"),
        ("/s/vdelivermail\n", 0o600, 1, PLAIN),
        ("| /s/vdelivermail delete\n", 0o600, 1, PLAIN),
        ("| /s/vdelivermail '' delete now\n", 0o600, 1, PLAIN),
        ("| /s/vdelivermail '' $EXT@example.org\n", 0o600, 1, PLAIN),
        ("| /s/vdelivermail '' delete>/dev/null\n", 0o600, 1, PLAIN),
        ("./Maildir/\n| /s/vdelivermail '' delete;reboot\n", 0o600, 2, PLAIN),
    ],
)
def test_a_file_that_cannot_be_obeyed_waits_and_says_why(
    text: str, mode: int, line: int | None, said: str
) -> None:
    deferred = read(text, mode)
    assert isinstance(deferred, Defer)
    assert said in deferred.text
    assert deferred.rule == Rule(FILE, line)


def test_with_the_x_bit_forwards_go_on() -> None:
    assert read("+list\na@example.org\n", 0o700) == ((2, Forward("a@example.org", at(2))),)


@pytest.mark.parametrize(
    ("mode", "said"),
    [
        (0o702, "Uh-oh: home directory is writable. (#4.7.0)"),
        (0o1700, "Home directory is sticky: user is editing his .qmail file. (#4.2.1)"),
        (0o770, None),
    ],
)
def test_a_home_that_others_may_write_or_whose_owner_is_editing(
    mode: int, said: str | None
) -> None:
    assert check_home("/home/bob", mode) == (said and Defer(said, Rule("/home/bob")))


def test_a_wrong_instruction_is_kept_for_who_needs_it() -> None:
    [(_, step)] = read("| /s/vdelivermail '' bounce\n")
    assert isinstance(step.instruction, Mistake)


@given(st.text(), st.integers(0, 0o7777), st.booleans())
def test_any_text_gives_steps_or_a_deferral(text: str, mode: int, is_virtual: bool) -> None:
    found = read(text or "#", mode, is_virtual=is_virtual)
    assert isinstance(found, Defer) or all(
        0 < number <= text.count("\n") + 1 for number, _ in found
    )
