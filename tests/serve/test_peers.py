"""Connections to a next hop: how many, which hosts, and what becomes of the mail when one fails."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from indimail.delivery.mx import Candidate, Choice, Hosts
from indimail.mail.address import Address
from indimail.mail.envelope import Envelope, ForwardPath, ReversePath
from indimail.mail.errors import ConfigErrors, Mistake
from indimail.mail.outcome import Deferred, Delivered, Failed, Outcome
from indimail.mail.verdict import Rule
from indimail.net.tls import ClientTls
from indimail.schedule.deadhosts import DeadHosts
from indimail.schedule.nexthop import NextHop
from indimail.serve.letter import Kept, Spooled
from indimail.serve.peer import DEADLINE, Letter, Owner, Peer
from indimail.serve.peers import ENOUGH, IDLE, TURN, Note, Peers
from indimail.smtp.client import SmtpClient
from indimail.smtp.client_event import Settled
from indimail.smtp.hop import Hop
from indimail.testing.clock import FakeClock
from serve.scripted import HANG, RESET, Server, Wire, aside, run

HOP = NextHop("example.com", "", 25, False, 3600, 120, Rule("control/smtproutes"))
RULE = Rule("DNS", key="MX example.com")
NOT_BEGUN = Deferred("not begun")


@dataclass
class Post:
    """A delivery that remembers its end."""

    name: str
    envelope: Envelope = Envelope(
        ReversePath(Address.parse("ana@example.net")), (ForwardPath(Address.parse("bo@a.example")),)
    )
    body: Callable[[], Letter] = lambda: Kept(b"a line\n")
    tries: int = 0
    is_void: bool = False
    outcomes: list[Outcome] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def letter(self) -> Letter:
        return self.body()

    def began(self, _peer: Peer, notes: Sequence[Note]) -> None:
        self.notes += notes

    def ended(self, settled: Settled) -> None:
        self.outcomes += settled.outcomes

    def not_begun(self) -> None:
        self.outcomes.append(NOT_BEGUN)

    def all_ended(self, outcome: Outcome, notes: Sequence[Note]) -> None:
        self.outcomes.append(outcome)
        self.notes += notes


class World:
    """Servers by address; who is not there refuses the connection."""

    def __init__(self, per_host: int = 2, **servers: Server) -> None:
        self.clock, self.dead = FakeClock(), DeadHosts()
        self.servers = {name.replace("_", "."): server for name, server in servers.items()}
        self.wires: list[tuple[str, Wire]] = []
        self.choice: Choice = Hosts(
            tuple(
                Candidate(name, 25, f"mx.{name}", 10, f"MX 10 mx.{name}") for name in self.servers
            ),
            RULE,
        )
        self.down: set[str] = set()
        self.wanted: set[str] = set()  # hosts that others wait for
        self.terms = "old rules"
        self.wrong: ConfigErrors | None = None
        self.peers = Peers(HOP, self, self.clock, self.dead, per_host)

    async def find(self) -> Choice:
        return self.choice

    async def connect(
        self, owner: Owner, candidate: Candidate, rule: Rule, *, in_clear: bool
    ) -> Peer:
        if self.wrong is not None:
            raise self.wrong
        if candidate.address in self.down:
            raise ConnectionRefusedError(111, "Connection refused")
        client = SmtpClient(Hop(candidate.address, "client.example.net", rule=rule))
        peer = Peer(client, owner, self.clock, aside, ClientTls(), candidate)
        peer.terms = self.terms
        self.wires.append((candidate.address, Wire(peer, self.servers[candidate.address])))
        return peer

    def is_wanted(self, peer: Peer) -> bool:
        return peer.candidate.address in self.wanted

    def fits(self, peer: Peer) -> bool:
        return peer.terms == self.terms

    def post(self, name: str = "mail", **more: Any) -> Post:
        post = Post(name, **more)
        self.peers.deliver(post)
        return post

    async def settle(self) -> None:
        for _ in range(300):
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.peers.tick(self.clock.steady())
        await self.settle()


# -- how many ------------------------------------------------------------------------------------


@run
async def test_one_connection_carries_mail_after_mail() -> None:
    world = World(a=Server())
    for number in range(5):
        post = world.post(str(number))
        await world.settle()
        assert [type(outcome) for outcome in post.outcomes] == [Delivered]
    assert len(world.wires) == 1
    assert len(world.servers["a"].mails) == 5


@run
async def test_much_mail_opens_as_many_connections_as_may_be() -> None:
    world = World(per_host=3, a=Server())
    posts = [world.post(str(number)) for number in range(10)]
    await world.settle()
    assert [len(post.outcomes) for post in posts] == [1] * 10
    assert len(world.wires) == 3


@run
async def test_an_idle_connection_takes_leave() -> None:
    world = World(a=Server())
    world.post()
    await world.settle()
    await world.pass_time(IDLE)
    assert not world.peers.is_over
    await world.pass_time(1)
    assert world.servers["a"].heard[-1] == "QUIT"
    assert world.peers.is_over


@run
async def test_a_connection_that_was_made_under_other_rules_gets_no_more_mail() -> None:
    world = World(a=Server(), per_host=1)
    world.post()
    await world.settle()  # it is idle now
    world.terms = "new rules"
    world.post()
    world.post()
    await world.settle()
    assert [len(wire.server.mails) for _, wire in world.wires] == [3, 3]
    assert world.wires[0][1].closed
    world.post()
    world.post()
    world.terms = "newer rules"  # while it is busy
    await world.settle()
    assert (len(world.wires), len(world.servers["a"].mails)) == (3, 5)


@run
async def test_a_connection_that_others_wait_for_is_left_after_its_turn() -> None:
    world = World(per_host=1, a=Server())
    for _ in range(TURN + 5):
        world.post()
    world.wanted = {"a"}
    await world.settle()
    assert (len(world.wires), len(world.servers["a"].mails)) == (2, TURN + 5)
    assert world.peers.is_over  # and at once where there is no more mail


@run
async def test_an_idle_connection_that_others_wait_for_takes_leave() -> None:
    world = World(a=Server())
    world.post()
    await world.settle()
    world.wanted = {"a"}
    await world.pass_time(1)
    assert world.peers.is_over


@run
async def test_a_server_that_takes_fewer_connections_gets_fewer() -> None:
    world = World(per_host=3, a=Server(greeting=["220 hello", "421 too many", "421 too many"]))
    posts = [world.post(str(number)) for number in range(6)]
    await world.settle()
    assert [type(outcome) for post in posts for outcome in post.outcomes] == [Delivered] * 6
    assert len(world.wires) == 3
    for _ in range(4):
        world.post()
    await world.settle()
    assert len(world.wires) == 3  # it is believed
    await world.pass_time(ENOUGH)
    for _ in range(4):
        world.post()
    await world.settle()
    assert len(world.wires) > 3


@run
async def test_a_server_that_takes_fewer_connections_is_not_taken_for_silent() -> None:
    world = World(per_host=2, a=Server(greeting=["220 hello", *["421 too many"] * 9]))
    for _ in range(60):
        world.post()
        world.post()
        await world.settle()
        await world.pass_time(4)  # what is idle stays open
    assert len(world.wires) > 2
    assert list(world.dead.entries()) == []


@run
async def test_at_the_end_what_is_under_way_goes_on_and_the_rest_is_given_back() -> None:
    world = World(per_host=1, a=Server(data=[HANG]))
    posts = [world.post(str(number)) for number in range(3)]
    await world.settle()
    world.peers.close()
    assert [post.outcomes for post in posts] == [[], [NOT_BEGUN], [NOT_BEGUN]]
    world.wires[0][1]._say("354 go on")
    await world.settle()
    assert [type(outcome) for outcome in posts[0].outcomes] == [Delivered]
    assert world.servers["a"].heard[-1] == "QUIT"
    assert world.peers.is_over


@run
async def test_what_nobody_wants_sent_any_longer_is_not_sent() -> None:
    world = World(per_host=1, a=Server())
    posts = [world.post(str(number)) for number in range(3)]
    posts[1].is_void = True
    await world.settle()
    assert [len(post.outcomes) for post in posts] == [1, 0, 1]
    assert len(world.servers["a"].mails) == 2


@run
async def test_a_domain_of_many_silent_hosts_ends_in_time() -> None:
    world = World(**{name: Server(greeting=[HANG]) for name in "abcd"})
    post = world.post()
    for _ in range(3):
        await world.settle()
        await world.pass_time(301)
    (outcome,) = post.outcomes
    assert isinstance(outcome, Deferred)
    assert [note.verdict for note in post.notes] == ["failed", "failed", "skipped"]
    assert post.notes[2].text.endswith("the others took too long")


# -- which host ----------------------------------------------------------------------------------


@run
async def test_the_next_host_is_tried_and_the_first_is_told_of() -> None:
    world = World(a=Server(), b=Server(greeting=["450 not now"]), c=Server())
    world.down = {"a"}
    post = world.post()
    await world.settle()
    assert [type(outcome) for outcome in post.outcomes] == [Delivered]
    assert len(world.servers["c"].mails) == 1
    assert [(note.verdict, note.text.split(":")[0]) for note in post.notes] == [
        ("failed", "MX 10 mx.a [a] port 25"),
        ("failed", "MX 10 mx.b [b] port 25"),
    ]
    assert "connection refused" in post.notes[0].text
    assert "450 not now" in post.notes[1].text
    assert post.notes[0].rule == RULE


@run
async def test_where_nobody_is_there_all_that_waits_is_deferred() -> None:
    world = World(a=Server(), b=Server())
    world.down = {"a", "b"}
    posts = [world.post(str(number)) for number in range(5)]
    await world.settle()
    for post in posts:
        (outcome,) = post.outcomes
        assert isinstance(outcome, Deferred)
        assert outcome.text == (
            "Sorry, I wasn't able to establish a SMTP connection for example.com to a b port 25."
            " (#4.4.1)"
        )
        assert outcome.rule == RULE
    assert world.peers.is_over


@run
async def test_what_dns_says_is_the_end_of_all_that_waits() -> None:
    world = World(a=Server())
    world.choice = Failed("no such host (#5.1.2)", RULE)
    post = world.post()
    await world.settle()
    assert post.outcomes == [world.choice]


@run
async def test_a_host_that_did_not_answer_is_left_alone_for_a_while() -> None:
    world = World(a=Server(), b=Server())
    world.down = {"a"}
    for _ in range(3):
        post = world.post()
        await world.settle()
        await world.pass_time(200)
        assert [type(outcome) for outcome in post.outcomes] == [Delivered]
    skipped = post.notes[0]
    assert (skipped.verdict, skipped.rule) == ("skipped", RULE)
    assert skipped.text.startswith(
        "MX 10 mx.a [a] port 25: no answer 2 times, last 200 s ago; not tried for "
    )


@run
async def test_a_mistake_of_ours_is_no_fault_of_the_host() -> None:
    world = World(a=Server())
    world.wrong = ConfigErrors([Mistake("certs/clientcert.pem", None, "nothing", "a key")])
    post = world.post()
    await world.settle()
    assert post.outcomes == [
        Deferred("Unable to deliver: certs/clientcert.pem: found nothing, expected a key. (#4.3.5)")
    ]
    assert list(world.dead.entries()) == []


@run
async def test_a_host_that_speaks_for_the_domain_fails_the_mail() -> None:
    world = World(a=Server(greeting=["554 go away"]), b=Server())
    post = world.post()
    await world.settle()
    assert [type(outcome) for outcome in post.outcomes] == [Failed]
    assert world.servers["b"].heard == []


# -- what can happen meanwhile -------------------------------------------------------------------


@pytest.mark.parametrize("word", ["MAIL", "RCPT", "DATA", "END"])
@pytest.mark.parametrize("what", [HANG, RESET, "450 no", "550 no", "junk", "999"])
def test_every_mail_has_one_end(word: str, what: str) -> None:
    async def story() -> None:
        world = World(per_host=1, a=Server(**{word: [what]}))
        posts = [world.post(str(number)) for number in range(3)]
        await world.settle()
        for _ in range(3):
            await world.pass_time(1300)
        assert [len(post.outcomes) for post in posts] == [1, 1, 1]
        assert isinstance(posts[0].outcomes[0], Failed if what == "550 no" else Deferred)
        assert isinstance(posts[2].outcomes[0], Delivered)
        await world.pass_time(IDLE + 1)
        assert world.peers.is_over

    asyncio.run(story())


@pytest.mark.parametrize("word", ["GREETING", "EHLO"])
@pytest.mark.parametrize("what", [HANG, RESET, "450 no", "junk", "999"])
def test_a_server_with_which_no_conversation_begins_ends_all_that_waits(
    word: str, what: str
) -> None:
    async def story() -> None:
        world = World(per_host=1, a=Server(**{word: [what]}))
        posts = [world.post(str(number)) for number in range(3)]
        await world.settle()
        await world.pass_time(1300)
        assert [[type(o) for o in post.outcomes] for post in posts] == [[Deferred]] * 3
        last = world.post()
        await world.settle()
        assert [type(outcome) for outcome in last.outcomes] == [Delivered]

    asyncio.run(story())


@run
async def test_a_connection_that_had_gone_is_opened_anew_once() -> None:
    world = World(per_host=1, a=Server(mail=["250 ok", RESET, RESET]))
    first = world.post()
    await world.settle()
    second = world.post()
    await world.settle()
    assert isinstance(first.outcomes[0], Delivered)
    assert [type(outcome) for outcome in second.outcomes] == [Deferred]
    assert len(world.wires) == 2


@run
async def test_a_large_mail_goes_in_pieces_and_waits_for_a_slow_server() -> None:
    world = World(a=Server())
    pieces = [b"x" * 70_000 + b"\n" for _ in range(3)]
    post = world.post(body=lambda: Spooled(iter(pieces), 210_003, aside))
    await asyncio.sleep(0)
    while not world.wires:
        await asyncio.sleep(0)
    peer = world.wires[0][1].peer
    peer.pause_writing()
    await world.settle()
    before = world.wires[0][1].written
    assert before < 1000
    peer.resume_writing()
    await world.settle()
    assert [type(outcome) for outcome in post.outcomes] == [Delivered]
    assert world.servers["a"].mails == [b"".join(pieces)]


@run
async def test_a_body_that_cannot_be_read_defers() -> None:
    def unreadable() -> Any:
        yield b"first\n"
        yield b"second\n"
        raise OSError(5, "EIO")

    def failing(work: Callable[[], object], then: Callable[[object], None]) -> None:
        def turn() -> None:
            try:
                result = work()
            except OSError as error:
                result = error
            then(result)

        asyncio.get_running_loop().call_soon(turn)

    world = World(a=Server())
    post = world.post(body=lambda: Spooled(unreadable(), 20, failing))
    await world.settle()
    assert [type(outcome) for outcome in post.outcomes] == [Deferred]
    assert "Unable to read message" in post.outcomes[0].text
    assert world.servers["a"].mails == []


@run
async def test_a_transaction_has_an_end_however_lively_it_is() -> None:
    world = World(per_host=1, a=Server(end=[HANG]))
    post = world.post()
    await world.settle()
    peer = world.wires[0][1].peer
    for _ in range(40):
        peer.since = world.clock.steady() + 100  # it says something all the time
        await world.pass_time(100)
        if post.outcomes:
            break
    assert world.clock.steady() > DEADLINE
    assert isinstance(post.outcomes[0], Deferred)
    assert "Possible duplicate!" in post.outcomes[0].text
