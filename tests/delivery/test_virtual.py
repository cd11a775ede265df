from dataclasses import replace

import pytest

from indimail.delivery.instruction import (
    BounceNoMailbox,
    Delete,
    Instruction,
    ToAddress,
    ToHost,
    ToMaildir,
    parse_instruction,
)
from indimail.delivery.plan import Defer, Deliver, Discard, Fail, Plan, Redirect, foresee, outcome
from indimail.delivery.virtual import AccountFacts, VirtualFacts, decide_virtual, virtual_user
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
LOCKED = replace(HERE, account=replace(ALICE, locked=True, usage=2048, quota="1024S"))
ALICE_ROW = Rule("indimail", key="alice@example.com")
ALICE_ALIAS = Rule("valias", key="alice@example.com")
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
    assert decide_virtual(facts) == Deliver(f"{HOME}/Maildir", RULE)


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
            ),
        ),
        (
            INACTIVE,
            Fail(
                "account alice@example.com is inactive. indimail(#5.1.3)",
                "5.1.3",
                Foreseen.INACTIVE,
                RULE,
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
            ),
        ),
        (
            LOCKED,
            Fail(
                "account alice@example.com locked/overquota 2048/1024S. indimail (#5.1.1)",
                "5.1.1",
                Foreseen.LOCKED,
                ALICE_ROW,
            ),
        ),
        (
            replace(HERE, user=""),
            Fail("vdelivermail: invalid user []", "5.1.3", Foreseen.ABSENT, RULE),
        ),
    ],
)
def test_what_bounces_is_refused_at_rcpt(facts: VirtualFacts, plan: Fail) -> None:
    assert decide_virtual(facts) == plan
    assert foresee(plan) is plan.foreseen
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
    plan = decide_virtual(facts)
    assert plan == Discard(text, rule)
    assert foresee(plan) is Foreseen.DELIVERABLE
    assert outcome(Discard(text, rule)) == Delivered(text, rule)


WAITS = "domains/example.com/.qmail-default:1: found {}, expected delete or bounce-no-mailbox"


@pytest.mark.parametrize(
    ("facts", "said", "rule"),
    [
        (replace(ABSENT, domain_known=False), "vdelivermail: No such domain example.com", RULE),
        (
            replace(ABSENT, instruction=INSTRUCTIONS[2]),
            WAITS.format("/srv/lost"),
            RULE,
        ),
        (
            replace(INACTIVE, instruction=INSTRUCTIONS[3]),
            WAITS.format("lost@example.com"),
            RULE,
        ),
        (
            replace(ABSENT, instruction=INSTRUCTIONS[4]),
            WAITS.format("example.com:192.0.2.1:25"),
            RULE,
        ),
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
            replace(HERE, account=replace(ALICE, has_dotqmail=True)),
            f"{HOME}/.qmail: a user's own .qmail is not supported yet",
            Rule(f"{HOME}/.qmail"),
        ),
        (replace(HERE, aliases=("&a@x", "&b@x")), "valias[alice@example.com]: found", ALICE_ALIAS),
        (replace(HERE, aliases=("|/bin/true",)), "found |/bin/true, expected", ALICE_ALIAS),
        (replace(HERE, aliases=("/srv/a@b/",)), "found /srv/a@b/, expected", ALICE_ALIAS),
        (replace(HERE, aliases=("./Maildir/",)), "found ./Maildir/, expected", ALICE_ALIAS),
        (replace(HERE, aliases=("alice@example.com",)), "expected one address", ALICE_ALIAS),
        (replace(HERE, aliases=("&bob@x",), alias="c@x"), "expected one address", ALICE_ALIAS),
        (
            replace(ABSENT, domain="example.org", domain_known=False, alias="abuse@example.com"),
            "valias[abuse@example.com]: found alice@example.org, expected a mailbox here",
            Rule("valias", key="abuse@example.com"),
        ),
    ],
)
def test_what_cannot_be_done_yet_waits_and_is_accepted(
    facts: VirtualFacts, said: str, rule: Rule
) -> None:
    plan = decide_virtual(facts)
    assert isinstance(plan, Defer)
    assert said in plan.text
    assert plan.rule == rule
    assert foresee(plan) is Foreseen.DELIVERABLE
    assert outcome(plan) == Deferred(plan.text, rule)


@pytest.mark.parametrize("row", ["&postmaster@example.com", "Postmaster@Example.com"])
@pytest.mark.parametrize("facts", [HERE, ABSENT], ids=["beside an account", "alone"])
def test_an_alias_of_one_mailbox_is_followed(row: str, facts: VirtualFacts) -> None:
    plan = decide_virtual(replace(facts, aliases=(row,)))
    assert plan == Redirect("postmaster", "example.com", "alice@example.com", ALICE_ALIAS)
    assert foresee(plan) is Foreseen.DELIVERABLE


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        (replace(LOCKED, aliases=("&bob@example.com",)), Fail),
        (replace(INACTIVE, aliases=("&bob@example.com",)), Fail),
        (replace(HERE, aliases=("|x",), account=replace(ALICE, is_group=True)), Defer),
    ],
    ids=["locked before aliases", "inactive before aliases", "aliases before group"],
)
def test_the_order_of_the_questions(facts: VirtualFacts, kind: type[Plan]) -> None:
    assert isinstance(decide_virtual(facts), kind)


@pytest.mark.parametrize(
    ("ext", "user"),
    [("Alice", "alice"), ('"Alice"', "alice"), ("", "postmaster"), ('""', ""), ("a-b", "a-b")],
)
def test_the_user_of_an_extension(ext: str, user: str) -> None:
    assert virtual_user(ext) == user


def test_the_table_has_a_mistake_in_it() -> None:
    assert isinstance(INSTRUCTIONS[5], Mistake)
