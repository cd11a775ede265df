"""The line of .qmail-default, written so that the delivery reads what was meant."""

from pathlib import Path

import pytest

from indimail.delivery.dotqmail import DotQmail, VDeliver, read_dotqmail
from indimail.delivery.instruction import Instruction
from indimail.mail.errors import Mistake
from indimail.manage.instruction import Fault, default_line, find_fault, with_instruction


def make_maildir(path: Path) -> str:
    for part in ("cur", "new", "tmp"):
        (path / part).mkdir(parents=True)
    return str(path)


def instruction_of(line: str) -> Instruction | Mistake:
    steps = read_dotqmail(DotQmail("f", line, "/var/indimail"))
    assert isinstance(steps, tuple)
    [(_, step)] = steps
    assert isinstance(step, VDeliver)
    return step.instruction


@pytest.mark.parametrize("text", [
    "delete", "bounce-no-mailbox", "lost@example.com", "o#brien!@example.com",
    "example.com:192.0.2.1:25", "example.com:mx.example.net:2525",
])  # fmt: skip
def test_each_form_is_read_by_the_delivery_as_it_was_written(text: str) -> None:
    assert find_fault(text) is None
    assert str(instruction_of(default_line("/var/indimail", text))) == text


@pytest.mark.parametrize("name", ["lost", "lost and found"])
def test_a_maildir_is_itself_or_the_one_in_it(tmp_path: Path, name: str) -> None:
    home = tmp_path / name
    home.mkdir()
    assert find_fault(str(home)) is Fault.NO_MAILDIR
    make_maildir(home / "Maildir")
    for path in (str(home), f"{home}/Maildir", f"{home}/Maildir/"):
        assert find_fault(path) is None
        assert str(instruction_of(default_line("/var/indimail", path))) == path.rstrip("/")


@pytest.mark.parametrize("text", [
    "", "bounce", "Maildir", "./Maildir/", "@example.com", "a b@example.com", "example.com",
    "example.com:192.0.2.1", "example.com:192.0.2.1:0", "example.com:192.0.2.1:65536", "a:b:c:25",
    "`id`@example.com", "a|b@example.com", "$HOME@example.com", "/x\n| id", "/tmp;id/Maildir",
    "delete\n&eve@example.net",
])  # fmt: skip
def test_anything_else_is_none_of_the_five(text: str) -> None:
    assert find_fault(text) is Fault.NO_FORM


@pytest.mark.parametrize(("before", "after"), [
    ("| /usr/sbin/vdelivermail '' bounce-no-mailbox\n", "| /usr/sbin/vdelivermail '' delete\n"),
    ("/usr/sbin/vdelivermail '' bounce-no-mailbox", "/usr/sbin/vdelivermail '' delete\n"),
    ("|/usr/sbin/vfilter '' a@b.c\n", "|/usr/sbin/vfilter '' delete\n"),
    ("# ours\n| /x/vfilter '' a@b.c\n&bob@example.com\n",
     "# ours\n| /x/vfilter '' delete\n&bob@example.com\n"),
    ("| /x/vdelivermail\n", "| /x/vdelivermail '' delete\n"),
    ("| /x/vdelivermail2 '' delete\n", None),
    ("# /x/vdelivermail '' delete\n", None),
    ("&bob@example.com\n", None),
    ("", None),
])  # fmt: skip
def test_the_program_and_the_other_lines_stay(before: str, after: str | None) -> None:
    assert with_instruction(before, "delete") == after
