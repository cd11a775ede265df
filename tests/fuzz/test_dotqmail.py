"""dot-qmail files and lines of .qmail-default, as users and administrators may write them.

Invariant: a file gives steps, or waits and names one of its lines; no path is relative or ends in a
slash, no address has a blank or a control character, a jump leaves out no more than there is; an
instruction for a user who does not exist gives one step, and what is none keeps the mail.
"""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.delivery.dotqmail import DotQmail, Step, VDeliver, read_dotqmail
from indimail.delivery.plan import (
    Defer,
    Deliver,
    Discard,
    Fail,
    Forward,
    Jump,
    Mbox,
    Plan,
    Relay,
    Run,
    foresee,
    join,
)
from indimail.delivery.virtual import AccountFacts, VirtualFacts, decide_virtual
from indimail.mail.errors import Mistake
from indimail.mail.foreseen import Foreseen

pytestmark = pytest.mark.fuzz

FILE = "domains/example.com/.qmail-default"
VDELIVERMAIL = "/var/indimail/sbin/vdelivermail"
WORDS = [
    *["\n", "\r", "\r\n", " ", "\t", "\0", "\x85", "\u2028", "\udcff", "é", "x" * 300],
    *[
        "#",
        "|",
        "&",
        "./",
        "/",
        ".",
        "../",
        "?",
        ":",
        "+list\n",
        "%",
        "'",
        '"',
        "\\",
        "$",
        "`",
        "@",
    ],
    *["./Maildir/\n", "/x\n", "&bob@example.org\n", "|sort\n", "?end sort\n", "?end\n", ":end\n"],
    *[VDELIVERMAIL, f"{VDELIVERMAIL} '' ", "''", "/vfilter ", "delete", "bounce-no-mailbox"],
    *["example.com:192.0.2.1:25", ":25", "bob@example.org", "alice@example.com\n"],
]
TEXTS = st.lists(st.sampled_from(WORDS) | st.text(max_size=4), max_size=12).map("".join)
MODES = st.sampled_from([0o600, 0o644, 0o700, 0o602])


@given(TEXTS.filter(bool), MODES, st.booleans())
def test_a_file(text: str, mode: int, is_virtual: bool) -> None:
    steps = read_dotqmail(DotQmail(FILE, text, "/home/bob", mode, is_virtual))
    if isinstance(steps, Defer):
        assert steps.rule.file == FILE
        assert steps.rule.line is None or 0 < steps.rule.line <= text.count("\n") + 1
        return
    numbers = [number for number, _ in steps]
    assert numbers == sorted(numbers)
    for _, step in steps:
        check(step)
    plain = [(n, s if isinstance(s, Jump) else (s,)) for n, s in steps if not is_vdeliver(s)]
    actions = join(plain)  # type: ignore[arg-type]
    for at, action in enumerate(actions):
        assert not isinstance(action, Run) or 0 <= action.skip < len(actions) - at
    assert foresee(Plan(actions)) is Foreseen.DELIVERABLE


def is_vdeliver(step: Step) -> bool:
    return isinstance(step, VDeliver)


def check(step: Step) -> None:
    match step:
        case Deliver(maildir=path) | Mbox(path):
            assert path.startswith("/") or not path
            assert not path.endswith("/")
        case Forward(address):
            assert address
            assert address.isprintable()
            assert " " not in address
        case VDeliver(instruction):
            assert str(instruction)


@given(TEXTS)
def test_a_line_of_the_default_file(words: str) -> None:
    line = f"{VDELIVERMAIL} '' {words}"
    steps = read_dotqmail(DotQmail(FILE, line, "/domain"))
    if isinstance(steps, Defer):
        return
    for _, step in steps:
        if isinstance(step, VDeliver):
            facts = VirtualFacts("alice", "example.com", None, step.instruction, step.rule)
            [action] = decide_virtual(facts)
            assert isinstance(action, Deliver | Forward | Relay | Discard | Fail | Defer)
            if isinstance(step.instruction, Mistake):
                assert isinstance(action, Defer)
                assert re.search(rf"{re.escape(FILE)}:\d+: found ", action.text)


@given(TEXTS, st.lists(TEXTS, max_size=3), st.booleans())
def test_a_users_own_file_and_the_rows_of_an_alias(own: str, rows: list[str], active: bool) -> None:
    file = DotQmail("own", own, "/home/alice")
    account = AccountFacts("/home/alice", active=active, dotqmail=file)
    mistake = Mistake(FILE, 1, "x", "y")
    for found in (account, None):
        facts = VirtualFacts("alice", "example.com", found, mistake, aliases=tuple(rows))
        for action in decide_virtual(facts):
            assert not isinstance(action, Forward) or action.address != "alice@example.com"
