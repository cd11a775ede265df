from dataclasses import replace

import pytest

from indimail.delivery.dotqmail import DotQmail
from indimail.delivery.instruction import (
    BounceNoMailbox,
    Delete,
    Instruction,
    ToAddress,
    ToHost,
    ToMaildir,
    parse_instruction,
)
from indimail.delivery.plan import (
    Action,
    Command,
    Defer,
    Deliver,
    Discard,
    Fail,
    Forward,
    Mbox,
    Plan,
    Relay,
    Run,
    foresee,
    outcome,
)
from indimail.delivery.quota import Usage
from indimail.delivery.virtual import (
    AccountFacts,
    VirtualFacts,
    base_user,
    decide_virtual,
    virtual_user,
)
from indimail.mail.errors import Mistake
from indimail.mail.foreseen import Foreseen
from indimail.mail.outcome import Deferred, Delivered, Failed
from indimail.mail.verdict import Rule

RULE = Rule("domains/example.com/.qmail-default", 1)
HOME = "/srv/mail/A2E/example.com/alice"
ALICE = AccountFacts(HOME)
HERE = VirtualFacts("alice", "example.com", ALICE, BounceNoMailbox(), RULE)
ABSENT = replace(HERE, account=None)
INACTIVE = replace(HERE, account=replace(ALICE, active=False))
LOCKED = replace(HERE, account=replace(ALICE, locked=True, usage=Usage(2048), quota="1024S"))
ALICE_ROW = Rule("indimail", key="alice@example.com")
MAILBOX = Deliver(f"{HOME}/Maildir", RULE, "alice@example.com", limit="NOQUOTA")
INSTRUCTIONS = (
    Delete(),
    BounceNoMailbox(),
    ToMaildir("/srv/lost"),
    ToAddress("lost@example.com"),
    ToHost("example.com", "192.0.2.1", 25),
    parse_instruction("bounce", RULE),
)


@pytest.mark.parametrize("instruction", INSTRUCTIONS, ids=str)
def test_an_account_gets_its_mail_whatever_the_instruction(
    instruction: Instruction | Mistake,
) -> None:
    facts = replace(HERE, instruction=instruction)
    assert decide_virtual(facts) == (
        Deliver(f"{HOME}/Maildir", RULE, "alice@example.com", limit="NOQUOTA"),
    )


@pytest.mark.parametrize(
    ("facts", "plan"),
    [
        (
            ABSENT,
            Fail(
                "no account alice@example.com here by that name. indimail (#5.1.5)",
                "5.1.5",
                Foreseen.ABSENT,
                RULE,
                instruction="bounce-no-mailbox",
            ),
        ),
        (
            INACTIVE,
            Fail(
                "account alice@example.com is inactive. indimail(#5.1.3)",
                "5.1.3",
                Foreseen.INACTIVE,
                RULE,
                instruction="bounce-no-mailbox",
            ),
        ),
        (
            replace(INACTIVE, instruction=ToHost("example.com", "192.0.2.1", 25)),
            Fail(
                "account alice@example.com is inactive delivering to example.com:192.0.2.1:25."
                " indimail(#5.1.7)",
                "5.1.7",
                Foreseen.INACTIVE,
                RULE,
                instruction="example.com:192.0.2.1:25",
            ),
        ),
        (
            LOCKED,
            Fail(
                "account alice@example.com locked/overquota 2048/1024S. indimail (#5.1.1)",
                "5.2.1",  # disabled: the lock is the administrator's
                Foreseen.LOCKED,
                ALICE_ROW,
                command=Command((f"{HOME}/Maildir", "0", "2048", "0", "1024S")),
            ),
        ),
        (
            replace(HERE, user=""),
            Fail("vdelivermail: invalid user []", "5.1.3", Foreseen.ABSENT, RULE),
        ),
    ],
)
def test_what_bounces_is_refused_at_rcpt(facts: VirtualFacts, plan: Fail) -> None:
    assert decide_virtual(facts) == (plan,)
    assert foresee(Plan((plan,))) is plan.foreseen
    assert outcome(plan) == Failed(plan.text, plan.rule)


@pytest.mark.parametrize(
    ("facts", "text", "rule"),
    [
        (
            replace(ABSENT, instruction=Delete()),
            "no account alice@example.com, discarded (delete)",
            RULE,
        ),
        (
            replace(INACTIVE, instruction=Delete()),
            "account alice@example.com is inactive, discarded (delete)",
            RULE,
        ),
        (
            replace(HERE, account=replace(ALICE, is_group=True)),
            "Mail delivery to group is avoided",
            RULE,
        ),
    ],
)
def test_what_is_discarded_is_accepted(facts: VirtualFacts, text: str, rule: Rule) -> None:
    step = Discard(text, rule)
    assert decide_virtual(facts) == (step,)
    assert foresee(Plan((step,))) is Foreseen.DELIVERABLE
    assert outcome(Discard(text, rule)) == Delivered(text, rule)


LOST = "/srv/lost/Maildir"
MISSING = Defer("address /srv/lost: no Maildir there", RULE)


@pytest.mark.parametrize(
    ("facts", "step"),
    [
        (
            replace(ABSENT, instruction=INSTRUCTIONS[2], maildir=LOST),
            Deliver(
                LOST,
                RULE,
                limit="",
                text="no account alice@example.com - delivering to /srv/lost. indimail (#5.1.6)",
            ),
        ),
        (
            replace(INACTIVE, instruction=INSTRUCTIONS[2], maildir=LOST),
            Deliver(
                LOST,
                RULE,
                limit="",
                text="account alice@example.com is inactive delivering to /srv/lost."
                " indimail(#5.1.7)",
            ),
        ),
        (
            replace(ABSENT, instruction=INSTRUCTIONS[3]),
            Forward(
                "lost@example.com",
                RULE,
                "no account alice@example.com - delivering to lost@example.com. indimail (#5.1.6)",
            ),
        ),
        (
            replace(ABSENT, instruction=INSTRUCTIONS[4]),
            Relay(
                "alice@example.com",
                "example.com:192.0.2.1:25",
                RULE,
                "no account alice@example.com - delivering to example.com:192.0.2.1:25."
                " indimail (#5.1.6)",
            ),
        ),
    ],
)
def test_mail_for_who_is_absent_goes_where_the_instruction_says(
    facts: VirtualFacts, step: Action
) -> None:
    assert decide_virtual(facts) == (step,)
    assert foresee(Plan((step,))) is Foreseen.DELIVERABLE


@pytest.mark.parametrize(
    ("facts", "said", "rule"),
    [
        (replace(ABSENT, domain_known=False), "vdelivermail: No such domain example.com", RULE),
        (replace(ABSENT, instruction=INSTRUCTIONS[2], maildir=MISSING), "address /srv/lost", RULE),
        (
            replace(ABSENT, instruction=INSTRUCTIONS[5]),
            "Invalid SMTPROUTE Specification [bounce]. indimail (#5.1.8) "
            "domains/example.com/.qmail-default:1: found bounce, expected delete, bounce-no-mailbox",
            RULE,
        ),
        (
            replace(HERE, account=replace(ALICE, locked=True, holds_overquota=True)),
            "account alice@example.com locked/overquota 0/NOQUOTA. indimail (#5.1.1)",
            ALICE_ROW,
        ),
        (
            replace(HERE, aliases=("&", "&b@x")),
            "valias[alice@example.com]:1: found &, expected an address",
            Rule("valias[alice@example.com]", 1),
        ),
        (
            replace(HERE, aliases=("| /s/vdelivermail '' delete",)),
            "found vdelivermail, expected a line that is not vdelivermail's again",
            Rule("valias[alice@example.com]", 1),
        ),
    ],
)
def test_what_cannot_be_done_waits_and_is_accepted(
    facts: VirtualFacts, said: str, rule: Rule
) -> None:
    [step] = decide_virtual(facts)
    assert isinstance(step, Defer)
    assert said in step.text
    assert step.rule == rule
    assert foresee(Plan((step,))) is Foreseen.DELIVERABLE
    assert outcome(step) == Deferred(step.text, rule)


def row(number: int) -> Rule:
    return Rule("valias[alice@example.com]", number)


OWN = "/srv/mail/A2E/example.com/alice/.qmail"


@pytest.mark.parametrize("facts", [HERE, ABSENT], ids=["beside an account", "alone"])
def test_aliases_take_the_place_of_the_mailbox(facts: VirtualFacts) -> None:
    rows = ("&bob@example.org", "|sort", "/srv/all", "/srv/more/", "alice@example.com", "# note")
    assert decide_virtual(replace(facts, aliases=rows)) == (
        Forward("bob@example.org", row(1)),
        Run("sort", row(2), skip=2, block=True, home=facts.account.home if facts.account else "/"),
        Deliver("/srv/all", row(3), limit="", is_row=True),
        Deliver("/srv/more", row(4), limit="", is_row=True),
    )


def test_who_is_alias_of_nobody_else_keeps_the_mailbox() -> None:
    assert decide_virtual(replace(HERE, aliases=("Alice@example.com",))) == (MAILBOX,)
    own = DotQmail(OWN, "# on holiday\n&alice@example.com\n", HOME)
    assert decide_virtual(replace(HERE, account=replace(ALICE, dotqmail=own))) == (MAILBOX,)


def test_the_users_own_file_takes_the_place_of_the_mailbox() -> None:
    own = DotQmail(OWN, "./Maildir/\n|sort\n./box\n&bob@example.org\n", HOME)
    assert decide_virtual(replace(HERE, account=replace(ALICE, dotqmail=own))) == (
        Deliver(f"{HOME}/Maildir", Rule(OWN, 1), limit=""),
        Run("sort", Rule(OWN, 2), skip=2, block=True, home=HOME),
        Mbox(f"{HOME}/box", Rule(OWN, 3)),
        Forward("bob@example.org", Rule(OWN, 4)),
    )
    empty = replace(ALICE, dotqmail=DotQmail(OWN, "", HOME))
    [step] = decide_virtual(replace(HERE, account=empty))
    assert isinstance(step, Discard)


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        (replace(LOCKED, aliases=("&bob@example.com",)), Fail),
        (replace(INACTIVE, aliases=("&bob@example.com",)), Fail),
        (replace(HERE, aliases=("|x",), account=replace(ALICE, is_group=True)), Run),
        (
            replace(HERE, aliases=("|x",), account=replace(ALICE, dotqmail=DotQmail(OWN, "", "/"))),
            Run,
        ),
    ],
    ids=["locked before aliases", "inactive before aliases", "aliases before group", "and own"],
)
def test_the_order_of_the_questions(facts: VirtualFacts, kind: type[Action]) -> None:
    [step] = decide_virtual(facts)
    assert isinstance(step, kind)


@pytest.mark.parametrize(
    ("ext", "user"),
    [("Alice", "alice"), ('"Alice"', "alice"), ("", "postmaster"), ('""', ""), ("a-b", "a-b")],
)
def test_the_user_of_an_extension(ext: str, user: str) -> None:
    assert virtual_user(ext) == user


@pytest.mark.parametrize(
    ("user", "base"),
    [("alice-x", "alice"), ("alice-x-y", "alice"), ("alice-", "alice"), ("alice", ""), ("-x", "")],
)
def test_who_stands_in_for_an_absent_user(user: str, base: str) -> None:
    assert base_user(user) == base


def test_who_has_the_mail_of_another_says_so() -> None:
    [step] = decide_virtual(replace(HERE, extended="alice-x"))
    text = "no account alice-x@example.com - delivering to alice@example.com (QMAIL_EXT)"
    assert step == replace(MAILBOX, text=text)


def test_the_table_has_a_mistake_in_it() -> None:
    assert isinstance(INSTRUCTIONS[5], Mistake)
