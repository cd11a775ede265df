"""Remote delivery in a simulated world: a queue, DNS, other hosts with scripted replies, and time."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as changed

from indimail.mail.channel import Channel
from indimail.mail.ids import QueueId
from indimail.mail.line import Line
from indimail.mail.verdict import NO_RULE
from indimail.queue.port import QueuedMessage, QueuedRecipient
from indimail.schedule.deadhosts import DeadHosts
from indimail.schedule.nexthop import Routes
from indimail.schedule.outgoing import Outgoing
from indimail.schedule.smtproutes import parse_smtproutes
from indimail.serve.outside import Outside
from indimail.serve.peertls import PeerTls
from indimail.serve.remote import RemoteDelivery
from indimail.serve.snapshot import RemoteSettings
from indimail.testing.clock import FakeClock
from indimail.testing.dns import Zones
from serve.scripted import HANG, RESET, Server, Wire, aside
from serve.sending import Sending

ZONES = """
    quick.example    MX  10 mx.quick.example
    mx.quick.example A   192.0.2.1
    tarpit.example   MX  10 mx.tarpit.example
    mx.tarpit.example A  192.0.2.66
    other.example    MX  10 mx.quick.example
"""


class Net(asyncio.SelectorEventLoop):
    """Connections lead to servers in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.servers: dict[str, Server] = {}
        self.wires: list[tuple[str, Wire]] = []

    async def create_connection(self, factory: Any, host: str, *_: Any, **__: Any) -> Any:  # type: ignore[override]
        server = self.servers.get(host)
        if server is None:
            raise ConnectionRefusedError(111, "Connection refused")
        self.wires.append((host, Wire(factory(), server)))


class World:
    """One queue whose mail goes out."""

    def __init__(self, routes: Sequence[str] = (), **servers: Server) -> None:
        net = asyncio.get_running_loop()
        assert isinstance(net, Net)
        self.net = net
        net.servers = {
            {"quick": "192.0.2.1", "tarpit": "192.0.2.66"}[name]: server
            for name, server in servers.items()
        }
        table, mistakes = parse_smtproutes(
            [Line("control/smtproutes", number, text) for number, text in enumerate(routes, 1)]
        )
        assert mistakes == []
        self.settings = RemoteSettings(
            routes=Routes((table,)), outgoing=Outgoing(("mx.example.com", NO_RULE)), per_host=4
        )
        self.clock = FakeClock()
        self.zones = Zones(ZONES)
        outside = Outside(
            lambda: self.settings, self.zones, frozenset(), PeerTls("/nowhere"), self.clock, aside
        )
        self.remote = RemoteDelivery(outside, DeadHosts())
        self.sending = Sending(remote=self.remote, clock=self.clock, concurrencyremote=100)
        self._next = 1

    def accept(self, *addresses: str, **message: Any) -> int:
        """Queue a mail; return its number."""
        number, self._next = self._next, self._next + 1
        made = QueuedMessage(QueueId(number), self.clock.now(), "eve@example.net", 2, b"x\n")
        recipients = tuple(
            QueuedRecipient(n, address, Channel.REMOTE, address.partition("@")[2])
            for n, address in enumerate(addresses)
        )
        self.sending.send.accept(changed(made, **message), recipients, self.sending.told.append)
        return number

    async def settle(self) -> None:
        """Let all happen that needs no time."""
        for _ in range(100):
            while self.sending.rounds.waiting:
                self.sending.commit()
            await asyncio.sleep(0)

    async def pass_time(self, seconds: float) -> None:
        self.sending.pass_time(seconds)
        self.remote.tick(self.clock.steady())
        await self.settle()

    def told(self, event: str, number: int) -> list[str]:
        return [r.verdict for r in self.sending.trace.told(event) if r.id == number]


def in_net(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    def inner() -> None:
        with asyncio.Runner(loop_factory=Net) as runner:
            runner.run(test())

    inner.__name__ = test.__name__
    return inner


@in_net
async def test_ten_thousand_mails_for_a_tarpit_do_not_delay_another_host_by_a_second() -> None:
    world = World(quick=Server(), tarpit=Server(data=[HANG] * 100))
    for number in range(10_000):
        world.accept("a@tarpit.example")
        if number % 100 == 0:
            await world.settle()
    last = world.accept("a@quick.example")
    await world.settle()
    await world.pass_time(1.0)
    assert world.told("delivery", last) == ["delivered"]
    assert sum(host == "192.0.2.66" for host, _ in world.net.wires) == 4


@in_net
async def test_each_recipient_of_a_mail_has_one_outcome_over_one_connection_for_each_host() -> None:
    quick = Server(rcpt=["250 ok", "450 later", "550 no"])
    world = World(quick=quick)
    number = world.accept(
        "a@quick.example", "b@quick.example", "c@quick.example", "d@tarpit.example"
    )
    await world.settle()
    assert sorted(world.told("delivery", number)) == ["deferred", "deferred", "delivered", "failed"]
    assert sorted(world.told("outcome", number)) == ["delivered", "failed"]
    assert [line.split(":")[0] for line in quick.heard].count("RCPT TO") == 3
    assert len(world.net.wires) == 1
    for _ in range(3):
        await world.pass_time(500.0)
    assert sorted(world.told("outcome", number)) == ["delivered", "delivered", "failed"]


@in_net
async def test_a_connection_that_is_lost_behind_the_message_is_tried_again_and_counted() -> None:
    world = World(quick=Server(end=["reset"]))
    number = world.accept("a@quick.example", "b@quick.example")
    await world.settle()
    assert (world.told("delivery", number), world.remote.unknown) == (["deferred"] * 2, 2)
    await world.pass_time(402.0)
    assert world.told("outcome", number) == ["delivered"] * 2
    assert world.remote.unknown == 2


@in_net
async def test_domains_with_one_relay_share_its_connections() -> None:
    world = World([":192.0.2.1"], quick=Server())
    for domain in ("one.example", "two.example", "three.example"):
        world.accept(f"a@{domain}")
        await world.settle()
    assert len(world.net.wires) == 1


@in_net
async def test_a_host_has_no_more_connections_for_many_domains_than_for_one() -> None:
    """Two hundred domains with one mail each, and one with many, at one host."""
    quick = Server()
    world = World(quick=quick)
    names = [f"d{number}.example" for number in range(200)]
    for name in names:
        world.zones.add(f"{name} MX 10 mx.quick.example")
    for _ in range(100):
        world.accept("a@quick.example")
    for name in names:
        world.accept(f"a@{name}")
    open_at_once = 0
    for _ in range(300):
        await world.settle()
        await world.pass_time(1.0)
        open_at_once = max(open_at_once, sum(not wire.closed for _, wire in world.net.wires))
    assert len(quick.mails) == 300
    assert open_at_once <= world.settings.per_host
    assert world.remote.is_idle


@in_net
async def test_what_is_told_to_another_host_of_a_mail() -> None:
    quick = Server()
    world = World(quick=quick)
    world.accept("a@quick.example", smtputf8=True)  # it has no octet above 127
    world.accept("a@quick.example", reverse_path="#@[]")
    world.accept("a@quick.example", reverse_path="list-@example.com-@[]")
    await world.settle()
    assert [line for line in quick.heard if line.startswith("MAIL")] == [
        "MAIL FROM:<eve@example.net>", "MAIL FROM:<>", "MAIL FROM:<list-a=quick.example@example.com>",
    ]  # fmt: skip


@in_net
async def test_what_nobody_thought_of_keeps_no_slot() -> None:
    world = World(quick=Server())
    world.settings = replace(world.settings, outgoing=None)  # type: ignore[arg-type]
    number = world.accept("a@quick.example")
    await world.settle()
    assert world.told("delivery", number) == ["deferred"]
    assert world.sending.send.running == 0


WORDS = ("greeting", "ehlo", "helo", "mail", "rcpt", "data", "end", "rset", "quit")
REPLIES = (HANG, RESET, "250 ok", "354 go on", "220 hi", "421 bye", "450 no", "550 no", "junk")


@settings(max_examples=25, deadline=None)
@given(
    st.fixed_dictionaries({word: st.lists(st.sampled_from(REPLIES), max_size=3) for word in WORDS}),
    st.lists(st.integers(1, 4), min_size=1, max_size=4),
)
def test_each_recipient_ends_once_whatever_the_server_says(
    replies: dict[str, list[str]], mails: list[int]
) -> None:
    """A server that misbehaves for a while, and a week of retries."""

    async def story() -> None:
        world = World(quick=Server(**replies))
        wanted = [(world.accept(*["a@quick.example"] * count), count) for count in mails]
        await world.settle()
        for _ in range(7 * 24):
            if not world.sending.store.counts().remote:
                break
            await world.pass_time(3_600.0)
        ends = [(r.id, r.facts["number"]) for r in world.sending.trace.told("outcome")]
        assert sorted(ends) == [(mail, n) for mail, count in wanted for n in range(count)]
        for _ in range(3):
            await world.pass_time(2_000.0)
        assert (world.sending.send.running, world.remote.is_idle) == (0, True)

    with asyncio.Runner(loop_factory=Net) as runner:
        runner.run(story())
