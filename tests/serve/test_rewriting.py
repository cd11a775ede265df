"""SRS in a server: senders of forwards are rewritten, and what comes back for them finds the sender."""

from pathlib import Path

import pytest

from indimail.delivery.plan import Fail, Forward, Relay
from indimail.mail.address import Address
from indimail.mail.batv import Batv
from indimail.mail.channel import Channel
from indimail.mail.foreseen import Foreseen
from indimail.mail.line import Line
from indimail.mail.match import parse_domains
from indimail.mail.secret import Secret
from indimail.mail.srs import DAY, Srs
from indimail.mail.verdict import Rule
from indimail.policy.signing import Signing
from indimail.queue.port import QueuedMessage
from indimail.queue.submission import Submission
from indimail.serve.rewriting import rewritten
from indimail.testing.clock import START
from serve.delivering import ALICE, Delivering
from serve.desk import Client, Desk, snapshot
from serve.test_adopt import Worker
from serve.test_bounce import Bouncing
from serve.test_inject import Owner, envelope

SRS_DOMAIN = Rule("control/srs_domain", 1)
SRS = Srs("srs.example.com", (Secret("x"),), SRS_DOMAIN)
ALWAYS = Srs("srs.example.com", (Secret("x"),), SRS_DOMAIN, always=True)
EVE = Address("eve", "example.net")
BOB = Forward("bob@example.org", Rule("users/alice/.qmail", 1))
CAROL = Forward("carol@example.com")
MAIL = b"Subject: x\n\nhello\n"


def path(sender: str, now: float = START) -> str:
    return str(SRS.rewritten(Address.parse(sender), now))


# -- whose -----------------------------------------------------------------------------------------

HERE, AWAY = (Channel.LOCAL,), (Channel.LOCAL, Channel.REMOTE)


@pytest.mark.parametrize(
    ("sender", "channels", "by_default", "always"),
    [
        ("eve@example.net", AWAY, True, True),
        ("eve@example.net", HERE, False, True),
        ("ana@example.com", AWAY, False, True),  # of a domain of ours
        ("list-@example.com-@[]", AWAY, False, False),
        ("x@srs.example.com", AWAY, False, False),
        ("", AWAY, False, False),
        ("#@[]", AWAY, False, False),
        ("root", AWAY, False, False),
    ],
)
def test_senders_of_others_are_rewritten_on_their_way_out(
    sender: str, channels: tuple[Channel, ...], by_default: bool, always: bool
) -> None:
    rules = snapshot()
    assert rewritten(sender, channels, rules, START) == sender
    for srs, changes in ((SRS, by_default), (ALWAYS, always)):
        rules.signing = Signing(srs)
        expected = path(sender) if changes else sender
        assert rewritten(sender, channels, rules, START) == expected


# -- deliveries ------------------------------------------------------------------------------------


def test_a_forward_to_another_host_has_a_rewritten_sender_and_the_story_says_why() -> None:
    world = Delivering()
    world.config.signing = Signing(SRS)
    world.plan(BOB, CAROL, virtual=False)
    world.mail(MAIL)
    world.rest()
    [forward] = world.forwarded
    assert forward.message.reverse_path == path("eve@example.net")
    assert b"X-Forwarded-For: eve@example.net\n" in (forward.message.body or b"")
    step = world.trace.told("step")[-1]
    assert (step.rule, step.verdict) == (SRS_DOMAIN, "done")
    assert step.text == (f"reverse-path <eve@example.net> rewritten to <{path('eve@example.net')}>")


@pytest.mark.parametrize(
    ("plan", "owner", "sender"),
    [
        (CAROL, "", "eve@example.net"),
        (BOB, "alice-owner@example.com", "alice-owner@example.com"),
        (Relay(ALICE, "example.com:192.0.2.9:25"), "", "eve@example.net"),
    ],
)
def test_what_stays_here_and_what_a_list_sends_keeps_its_sender(
    plan: Forward | Relay, owner: str, sender: str
) -> None:
    world = Delivering()
    world.config.signing = Signing(SRS)
    world.plan(plan, owner=owner, virtual=False)
    world.mail(MAIL)
    world.rest()
    [forward] = world.forwarded
    assert forward.message.reverse_path == sender
    assert world.trace.told("step") == []


@pytest.mark.parametrize(
    ("age", "srs", "to"),
    [
        (0, SRS, "eve@example.net"),
        (30, SRS, "eve@example.net"),  # our own row says so, however old it is
        (0, None, path("eve@example.net")),
    ],
)
def test_a_bounce_for_a_rewritten_sender_goes_to_the_sender(
    age: int, srs: Srs | None, to: str
) -> None:
    world = Bouncing()
    world.config.signing = Signing(srs)
    world.plan(Fail("no (#5.1.1)", "5.1.1", Foreseen.ABSENT))
    world.mail(MAIL, sender=path("eve@example.net", START - age * DAY))
    world.rest()
    assert world.bounce.recipients[0].recipient.address == to


# -- programs of deliveries ------------------------------------------------------------------------

FORWARDED = Submission("eve@example.net", ("bob@remote.net",), forwarded=True)
RETURNED = Submission("", (path("eve@example.net", 1_795_477_000.0),))


def check(submission: Submission, message: QueuedMessage, recipient: str) -> None:
    """Compare what was queued with what the program gave."""
    if submission is FORWARDED:
        expected = (path("eve@example.net", message.born), "bob@remote.net")
    else:
        expected = ("", "eve@example.net")
    assert (message.reverse_path, recipient) == expected


@pytest.mark.parametrize("given", [FORWARDED, RETURNED], ids=["forwarded", "returned"])
def test_what_programs_forward_and_return_goes_the_same_way(
    tmp_path: Path, given: Submission
) -> None:
    owner = Owner(tmp_path)
    owner.config.current.signing = Signing(SRS)
    receipt = owner.peer().send(envelope(given), *(b"\0\0\0\5hello", b"\0\0\0\0"))
    assert receipt is not None
    assert receipt.code == 0
    check(given, owner.queue.messages[0], owner.queue.recipients[0][0])
    [changed] = [r for r in owner.trace.records if r.rule == SRS_DOMAIN]
    assert changed.verdict == ("rewritten" if given is FORWARDED else "accept")


@pytest.mark.parametrize("given", [FORWARDED, RETURNED], ids=["forwarded", "returned"])
def test_while_no_server_ran_too(tmp_path: Path, given: Submission) -> None:
    (tmp_path / "spool").mkdir()
    worker = Worker(tmp_path, Owner(tmp_path / "queue1").queue)
    worker.config.current.signing = Signing(SRS)
    worker.leave(mail=given)
    worker.tick()
    check(given, worker.queue.messages[0], worker.queue.recipients[0][0])
    assert SRS_DOMAIN in {record.rule for record in worker.trace.records}


def test_what_a_user_sends_himself_keeps_its_sender(tmp_path: Path) -> None:
    owner = Owner(tmp_path)
    owner.config.current.signing = Signing(SRS)
    owner.peer().send(envelope(Submission("eve@example.net", ("bob@remote.net",))), b"\0\0\0\0")
    assert owner.queue.messages[0].reverse_path == "eve@example.net"


# -- RCPT ------------------------------------------------------------------------------------------


def desk(*tcp: str) -> tuple[Desk, Client]:
    """Return reception with SRS and BATV, and a client of it."""
    found = Desk(*tcp)
    ours = parse_domains([Line("control/rcpthosts", 1, "example.com")])[0]
    batv = Batv(Secret("key"), Rule("control/batvkey", 1), ours=(ours,))
    found.config.current.signing = Signing(SRS, batv)
    return found, found.greeted()


def queued(world: Desk, client: Client) -> tuple[str, list[str]]:
    client.say("DATA", "", ".")
    world.queue.commit()
    [(message, recipients)] = world.queue.accepted
    return message.reverse_path, [recipient.address for recipient in recipients]


def test_a_bounce_for_a_rewritten_sender_needs_no_permission_and_goes_to_the_sender() -> None:
    world, client = desk()
    client.say("MAIL FROM:<>", f"RCPT TO:<{path('eve@example.net')}>")
    assert client.heard() == ["250 2.1.0 ok", "250 2.1.5 ok"]
    [told] = world.trace.told("recipient")
    assert (told.rule, told.text) == (SRS_DOMAIN, "srs")
    assert told.facts["recipient"] == "eve@example.net"
    assert told.facts["offered"] == path("eve@example.net")
    assert queued(world, client) == ("", ["eve@example.net"])


@pytest.mark.parametrize(
    ("recipient", "why"),
    [
        ("SRS0=FAKE=2W=example.net=eve@srs.example.com", "srs: the hash is none of ours"),
        (path("eve@example.net", START - 8 * DAY), "srs: it is 8 days old, and counts for 7"),
    ],
)
def test_a_forged_one_is_refused_even_to_who_may_relay(recipient: str, why: str) -> None:
    world, client = desk(':allow,RELAYCLIENT=""')
    client.say("MAIL FROM:<>", f"RCPT TO:<{recipient}>")
    [_, reply] = client.heard()
    assert reply.startswith("451 4.3.0 failed to decode srs address (#4.3.0)")
    [told] = world.trace.told("recipient")
    assert (told.rule, told.text, told.verdict) == (SRS_DOMAIN, why, "later")


@pytest.mark.parametrize(
    ("sender", "reply"),
    [
        ("x%elsewhere.example@example.net", "550 5.7.1 we don't relay (#5.7.1)"),
        ("eve@elsewhere.example", "250 2.1.5 ok"),
    ],
)
def test_the_sender_behind_it_is_judged_like_any_recipient(sender: str, reply: str) -> None:
    _, client = desk()
    client.say("MAIL FROM:<>", f"RCPT TO:<{path(sender)}>")
    assert client.heard()[1].startswith(reply)


def test_signatures_are_taken_off_and_asked_of_bounces() -> None:
    world, client = desk()
    batv = world.config.current.signing.batv
    assert batv is not None
    alice = Address.parse(ALICE)
    signed = batv.signed(alice, START)
    client.say("MAIL FROM:<>", f"RCPT TO:<{alice}>", "RSET", f"MAIL FROM:<{signed}>")
    client.say(f"RCPT TO:<{signed}>")
    heard = client.heard()
    assert heard[1].startswith("553 5.7.1 Not our message (#5.7.1)")
    assert heard[2:] == ["250 2.0.0 flushed", "250 2.1.0 ok", "250 2.1.5 ok"]
    assert queued(world, client) == (ALICE, [ALICE])


def test_without_srs_and_batv_nothing_of_it_is_looked_at() -> None:
    world = Desk()
    client = world.greeted()
    client.say("MAIL FROM:<>", f"RCPT TO:<prvs=0783000000={ALICE}>")
    assert client.heard()[1] == "250 2.1.5 ok"
