"""What is believed of a server's response, and which server is asked next."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import dns.update
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.mail.dns import Answer, Exchanger, Found, Type
from indimail.net.dns import Server
from indimail.net.resolver import AVOIDED, Resolver, read
from indimail.testing.clock import FakeClock
from support import in_loop

Script = Callable[[dns.message.Message], Sequence[dns.message.Message | bytes]]
SOA = "example.com. 900 IN SOA ns.example.com. root.example.com. 1 2 3 4 600"


def response(
    answer: Sequence[str] = (), authority: Sequence[str] = (), flags: str = "QR RD RA",
    rcode: str = "NOERROR", name: str = "example.com", kind: str = "MX",
) -> dns.message.Message:  # fmt: skip
    """Return a response as it arrives."""
    made = answering(dns.message.make_query(name, kind), answer, authority, flags, rcode)
    return dns.message.from_wire(made.to_wire())


def answering(
    query: dns.message.Message, answer: Sequence[str] = (), authority: Sequence[str] = (),
    flags: str = "QR RD RA", rcode: str = "NOERROR",
) -> dns.message.Message:  # fmt: skip
    made = dns.message.make_response(query)
    made.flags = dns.flags.from_text(flags)
    for section, lines in ((made.answer, answer), (made.authority, authority)):
        for line in lines:
            name, ttl, klass, kind, data = line.split(maxsplit=4)
            section.append(dns.rrset.from_text(name, int(ttl), klass, kind, data))
    made.set_rcode(dns.rcode.from_text(rcode))
    return made


FAILED = Found.FAILED
REFERRAL = Answer(FAILED, reason="a referral (the server does not look further)")
MX = "example.com. 300 IN MX 10 MX1.example.com."
MX_ANSWER = Answer(Found.RECORDS, (Exchanger(10, "mx1.example.com"),), 300.0, "example.com")


@pytest.mark.parametrize(
    ("of", "answer"),
    [
        (response([MX]), MX_ANSWER),
        (response([MX], flags="QR AA"), MX_ANSWER),
        (response(["example.com. 5 IN MX 0 ."]),
         Answer(Found.RECORDS, (Exchanger(0, ""),), 5.0, "example.com")),
        (response(["example.com. 5 IN AAAA ::ffff:192.0.2.1"], kind="AAAA"),
         Answer(Found.RECORDS, ("192.0.2.1",), 5.0, "example.com")),
        (response(["Example.com. 60 IN CNAME w.example.com.", "w.example.com. 5 IN A 192.0.2.1"],
                  kind="A"), Answer(Found.RECORDS, ("192.0.2.1",), 5.0, "w.example.com")),
        # negative, with the SOA's word and without
        (response(authority=[SOA]), Answer(Found.NONE, ttl=600.0, name="example.com")),
        (response(), Answer(Found.NONE, name="example.com")),
        (response(authority=[SOA], rcode="NXDOMAIN"),
         Answer(Found.NO_NAME, ttl=600.0, name="example.com")),
        (response(rcode="NXDOMAIN"), Answer(Found.NO_NAME, name="example.com")),
        (response(["example.com. 60 IN CNAME nowhere.example.com."], [SOA], rcode="NXDOMAIN"),
         Answer(Found.NO_NAME, ttl=60.0, name="nowhere.example.com")),
        # no answers at all
        (response(rcode="SERVFAIL"), Answer(FAILED, reason="SERVFAIL")),
        (response(rcode="REFUSED"), Answer(FAILED, reason="REFUSED")),
        (response(flags="QR RD"), REFERRAL),
        (response(authority=["com. 300 IN NS a.gtld.example."], flags="QR RD"), REFERRAL),
        (response([MX], rcode="NXDOMAIN"),
         Answer(FAILED, reason="the rcode is nxdomain but an answer was found.")),
        (response(["example.com. 5 IN CNAME example.com."]),
         Answer(FAILED, reason="the cname chain is too long.")),
        (response([MX], flags="RD RA"), Answer(FAILED, reason="message is not a response to a query.")),
    ],
)  # fmt: skip
def test_what_a_response_says(of: dns.message.Message, answer: Answer) -> None:
    found, target = read(of)
    assert (found.found, found.records, found.ttl, found.name, target) == (
        answer.found, answer.records, answer.ttl, answer.name, None,
    )  # fmt: skip
    assert found.reason == answer.reason


def test_a_chain_that_the_server_breaks_off_is_left_open() -> None:
    _, target = read(response(["example.com. 5 IN CNAME mail.example.org."]))
    assert str(target) == "mail.example.org."


def test_an_update_is_no_answer() -> None:
    update = dns.message.make_response(dns.update.UpdateMessage("example.com"))
    parsed = dns.message.from_wire(update.to_wire())
    assert read(parsed)[0].found is FAILED


WHOLE = response(["example.com. 60 IN CNAME w.example.com.", "w.example.com. 5 IN A 192.0.2.1"],
                 [SOA], kind="A").to_wire()  # fmt: skip


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=8))
def test_a_broken_message_is_read_or_refused(changes: list[tuple[int, int]]) -> None:
    octets = bytearray(WHOLE)
    for place, octet in changes:
        octets[place] = octet
    try:
        message = dns.message.from_wire(bytes(octets))
    except dns.exception.DNSException:
        return
    assert isinstance(read(message)[0], Answer)


# -- servers ---------------------------------------------------------------------------------------


class Fake(asyncio.DatagramProtocol):
    """A server of a test: answers by UDP what its script says, `delay` seconds later."""

    def __init__(self, script: Script, delay: float) -> None:
        self.asked: list[dns.message.Message] = []
        self.most = 0  # questions that waited at once
        self._script = script
        self._delay = delay
        self._waiting = 0

    @classmethod
    @asynccontextmanager
    async def serve(cls, script: Script, delay: float = 0.0) -> "AsyncIterator[Fake]":
        loop = asyncio.get_running_loop()
        transport, fake = await loop.create_datagram_endpoint(
            lambda: cls(script, delay), local_addr=("127.0.0.1", 0)
        )
        fake.server = Server(*transport.get_extra_info("sockname")[:2])
        try:
            yield fake
        finally:
            transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        query = dns.message.from_wire(data)
        self.asked.append(query)
        self._waiting += 1
        self.most = max(self.most, self._waiting)
        asyncio.get_running_loop().call_later(self._delay, self._answer, query, addr)

    def _answer(self, query: dns.message.Message, addr: object) -> None:
        self._waiting -= 1
        for made in self._script(query):
            octets = made if isinstance(made, bytes) else made.to_wire()
            self._transport.sendto(octets, addr)


def resolver(
    *fakes: Fake, clock: FakeClock | None = None, rounds: Sequence[float] = (5.0,)
) -> Resolver:
    servers = [fake.server for fake in fakes]
    return Resolver(lambda: servers, clock or FakeClock(), rounds=rounds)


def with_mx(query: dns.message.Message) -> Sequence[dns.message.Message]:
    return [answering(query, [MX])]


def silent(query: dns.message.Message) -> Sequence[dns.message.Message]:
    return []


def failing(query: dns.message.Message) -> Sequence[dns.message.Message]:
    return [answering(query, rcode="SERVFAIL")]


@in_loop
async def test_a_question_has_no_search_list_and_asks_for_recursion() -> None:
    async with Fake.serve(with_mx) as fake:
        for name in ("example.com", "EXAMPLE.com."):
            assert await resolver(fake).look_up(name, Type.MX) == MX_ANSWER
        question = fake.asked[0].question[0]
        assert str(question).lower() == "example.com. in mx"
        assert fake.asked[0].flags & dns.flags.RD
        assert (fake.asked[0].edns, fake.asked[0].payload) == (0, 1232)
        assert fake.asked[0].id != fake.asked[1].id


@in_loop
async def test_forged_and_broken_datagrams_are_passed_over() -> None:
    def forging(query: dns.message.Message) -> Sequence[dns.message.Message | bytes]:
        other = answering(query, ["example.com. 300 IN MX 10 evil.example."])
        other.id ^= 1
        elsewhere = answering(
            dns.message.make_query("example.org", "MX", id=query.id),
            ["example.org. 300 IN MX 10 evil.example."],
        )
        return [b"", b"\0" * 11, other, elsewhere, answering(query, [MX])]

    async with Fake.serve(forging) as fake:
        assert await resolver(fake).look_up("example.com", Type.MX) == MX_ANSWER
        assert len(fake.asked) == 1


@in_loop
async def test_a_name_that_cannot_be_is_not_asked_for() -> None:
    async with Fake.serve(with_mx) as fake:
        for name in (
            "a" * 64 + ".example",
            "a..example",
            ".".join(["a" * 60] * 5),
            "a\\999.example",
        ):
            answer = await resolver(fake).look_up(name, Type.MX)
            assert answer.found is Found.NO_NAME
        assert fake.asked == []


@in_loop
async def test_the_next_server_is_asked_where_one_has_no_answer() -> None:
    async with Fake.serve(failing) as bad, Fake.serve(silent) as mute, Fake.serve(with_mx) as good:
        asking = resolver(bad, mute, good, rounds=(0.2, 5))
        assert await asking.look_up("example.com", Type.MX) == MX_ANSWER
        assert [len(fake.asked) for fake in (bad, mute, good)] == [1, 1, 1]


@in_loop
async def test_a_silent_server_comes_last_for_a_while() -> None:
    clock = FakeClock()
    async with Fake.serve(silent) as mute, Fake.serve(with_mx) as good:
        asking = resolver(mute, good, clock=clock, rounds=(0.2, 5))
        for _ in range(2):
            await asking.look_up("example.com", Type.MX)
        assert [len(mute.asked), len(good.asked)] == [1, 2]
        clock.advance(AVOIDED + 1)
        await asking.look_up("example.com", Type.MX)
        assert [len(mute.asked), len(good.asked)] == [2, 3]


@in_loop
async def test_a_silent_server_is_asked_twice_and_the_reason_names_all() -> None:
    async with Fake.serve(failing) as bad, Fake.serve(silent) as mute:
        answer = await resolver(bad, mute, rounds=(0.3, 0.4)).look_up("example.com", Type.MX)
        assert answer.found is FAILED
        assert answer.reason == (
            f"{bad.server}: SERVFAIL; {mute.server}: no answer in 0.3 s;"
            f" {mute.server}: no answer in 0.4 s"
        )
        assert [len(bad.asked), len(mute.asked)] == [1, 2]


@in_loop
async def test_where_nobody_listens_it_is_known_at_once() -> None:
    async with Fake.serve(silent) as gone:
        pass
    answer = await resolver(gone).look_up("example.com", Type.MX)
    assert answer == Answer(FAILED, name="example.com", reason=f"{gone.server}: connection refused")
    assert (await Resolver(lambda: [], FakeClock()).look_up("example.com", Type.A)).reason == (
        "no server to ask"
    )


@in_loop
async def test_a_server_without_edns_is_asked_without() -> None:
    def old(query: dns.message.Message) -> Sequence[dns.message.Message]:
        if query.edns < 0:
            return with_mx(query)
        bare = dns.message.make_query("example.com", "MX", id=query.id, use_edns=False)
        return [answering(bare, rcode="FORMERR")]

    async with Fake.serve(old) as fake:
        assert await resolver(fake).look_up("example.com", Type.MX) == MX_ANSWER
        assert [query.edns for query in fake.asked] == [0, -1]


@in_loop
async def test_an_open_chain_is_followed_to_its_end_or_given_up() -> None:
    def chain(query: dns.message.Message) -> Sequence[dns.message.Message]:
        name = str(query.question[0].name)
        if name == "mx.example.org.":
            return [answering(query, ["mx.example.org. 300 IN A 192.0.2.1"])]
        if name == "loop.example.":
            return [answering(query, ["loop.example. 7 IN CNAME loop2.example."])]
        if name == "loop2.example.":
            return [answering(query, ["loop2.example. 7 IN CNAME loop.example."])]
        return [answering(query, [f"{name} 60 IN CNAME mx.example.org."])]

    async with Fake.serve(chain) as fake:
        assert await resolver(fake).look_up("a.example.com", Type.A) == Answer(
            Found.RECORDS, ("192.0.2.1",), 60.0, "mx.example.org"
        )
        answer = await resolver(fake).look_up("loop.example", Type.A)
        assert (answer.found, len(fake.asked)) == (FAILED, 2 + 8)


@in_loop
async def test_so_many_questions_are_on_their_way_and_no_more() -> None:
    async with Fake.serve(failing, delay=0.05) as slow:
        asking = Resolver(lambda: [slow.server], FakeClock(), at_once=3)
        await asyncio.gather(*(asking.look_up(f"{n}.example", Type.A) for n in range(7)))
        assert (len(slow.asked), slow.most) == (7, 3)
