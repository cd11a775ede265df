import pytest

from indimail.delivery.dotqmail import (
    VDeliver,
    find_dotqmail_names,
    missing_dotqmail,
    read_dotqmail,
)
from indimail.delivery.instruction import BounceNoMailbox, Delete, ToAddress
from indimail.delivery.plan import Defer, Fail
from indimail.mail.errors import Mistake
from indimail.mail.foreseen import Foreseen
from indimail.mail.verdict import Rule

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
        ("", "", [".qmail", ".qmaildefault"]),
    ],
)
def test_the_search_order(dash: str, ext: str, names: list[str]) -> None:
    assert list(find_dotqmail_names(dash, ext)) == names


def test_no_file_bounces_for_an_extension_and_waits_for_the_user_itself() -> None:
    text = "Sorry, no mailbox here by that name. (#5.1.1)"
    assert missing_dotqmail("-") == Fail(text, "5.1.1", Foreseen.ABSENT)
    assert isinstance(missing_dotqmail(""), Defer)


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
    step = VDeliver(0, BounceNoMailbox(), Rule(FILE, 1))
    assert read_dotqmail(FILE, line) == (step,)
    assert read_dotqmail(FILE, f"{line}\r\n") == (step,)


def test_comments_move_the_line_number_and_not_the_step_number() -> None:
    text = "# who is absent\n\n| /s/vdelivermail '' delete\n#\n/s/vdelivermail '' x@example.org\n"
    assert read_dotqmail(FILE, text) == (
        VDeliver(0, Delete(), Rule(FILE, 3)),
        VDeliver(1, ToAddress("x@example.org"), Rule(FILE, 5)),
    )
    assert read_dotqmail(FILE, "# nothing\n") == ()


def test_a_wrong_instruction_is_kept_for_who_needs_it() -> None:
    steps = read_dotqmail(FILE, "| /s/vdelivermail '' bounce\n")
    assert isinstance(steps, tuple)
    assert isinstance(steps[0].instruction, Mistake)


NOT_YET = "expected a line | .../vdelivermail '' INSTRUCTION (other lines: not yet)"
PLAIN = "expected '' and a delivery instruction, in plain words"


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", None, "empty file means the default delivery"),
        ("\n| /s/vdelivermail '' delete\n", 1, "first line of .qmail file is blank. (#4.2.1)"),
        (" \n", 1, "first line of .qmail file is blank. (#4.2.1)"),
        ("| /s/vfilter '' delete\n", 1, NOT_YET),
        ("| vdelivermail '' delete\n", 1, NOT_YET),
        ("| /s/vdelivermail '' delete\n./Maildir/\n", 2, f":2: found ./Maildir/, {NOT_YET}"),
        ("#\n&bob@example.com\n", 2, f":2: found &bob@example.com, {NOT_YET}"),
        ("|\n", 1, NOT_YET),
        ("| /s/vdelivermail '' 'delete\n", 1, NOT_YET),
        ("/s/vdelivermail\n", 1, PLAIN),
        ("| /s/vdelivermail delete\n", 1, PLAIN),
        ("| /s/vdelivermail '' delete now\n", 1, PLAIN),
        ("| /s/vdelivermail '' $EXT@example.org\n", 1, PLAIN),
        ("| /s/vdelivermail '' delete>/dev/null\n", 1, PLAIN),
        ("| /s/vdelivermail '' delete;reboot\n", 1, PLAIN),
    ],
)
def test_every_other_file_waits_and_says_why(text: str, line: int | None, said: str) -> None:
    deferred = read_dotqmail(FILE, text)
    assert isinstance(deferred, Defer)
    assert said in deferred.text
    assert deferred.rule == Rule(FILE, line)
