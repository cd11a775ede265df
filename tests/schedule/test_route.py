"""Where a recipient goes: the order of spec/queue.md 1.3."""

import pytest

from indimail.mail.address import Address
from indimail.mail.channel import Channel
from indimail.mail.line import Line
from indimail.schedule.route import Route, Routing, parse_routing, route

ME = "mx.example.com"


def routing(**files: list[str]) -> Routing:
    found, mistakes = parse_routing(numbered(files), ME)
    assert mistakes == []
    return found


def numbered(files: dict[str, list[str]]) -> dict[str, list[Line]]:
    return {
        name: [Line(f"control/{name}", number, text) for number, text in enumerate(texts, 1)]
        for name, texts in files.items()
    }


FULL = routing(
    locals=["Mx.example.com", "local.example", "both.example"],
    virtualdomains=[
        "example.com:example.com",  # 1
        "ana@example.com:ana-own",  # 2
        ".example.com:sub",  # 3
        "mail.example.com:",  # 4: an exception
        ".deep.example.com:deep",  # 5
        "both.example:never",  # 6
        "bob@local.example:never",  # 7
        "Bücher.example:books",  # 8
        "not@example.com:",  # 9: an exception
        "example.com:second",  # 10: the first counts
    ],
    percenthack=["hack.example", "local.example"],
    envnoathost=["noat.example"],
)
VIRTUAL = "control/virtualdomains"


@pytest.mark.parametrize(
    ("address", "channel", "target", "rule"),
    [
        ("ana", "remote", "noat.example", VIRTUAL),
        ("ana@MX.example.com", "local", "ana@mx.example.com", "control/locals:1"),
        ("bob@local.example", "local", "bob@local.example", "control/locals:2"),
        ("bob@both.example", "local", "bob@both.example", "control/locals:3"),
        ("Bob@Example.COM", "local", "example.com-Bob@example.com", f"{VIRTUAL}:1"),
        ("ANA@example.com", "local", "ana-own-ANA@example.com", f"{VIRTUAL}:2"),
        ("ana-x@example.com", "local", "example.com-ana-x@example.com", f"{VIRTUAL}:1"),
        ("bob@a.example.com", "local", "sub-bob@a.example.com", f"{VIRTUAL}:3"),
        ("bob@a.b.example.com", "local", "sub-bob@a.b.example.com", f"{VIRTUAL}:3"),
        ("bob@mail.example.com", "remote", "mail.example.com", f"{VIRTUAL}:4"),
        ("bob@a.mail.example.com", "local", "sub-bob@a.mail.example.com", f"{VIRTUAL}:3"),
        ("bob@a.deep.example.com", "local", "deep-bob@a.deep.example.com", f"{VIRTUAL}:5"),
        ("bob@xn--bcher-kva.example", "local", "books-bob@xn--bcher-kva.example", f"{VIRTUAL}:8"),
        ("bob@bücher.example", "local", "books-bob@bücher.example", f"{VIRTUAL}:8"),
        ("not@example.com", "remote", "example.com", f"{VIRTUAL}:9"),
        ("bob@elsewhere.example", "remote", "elsewhere.example", VIRTUAL),
        ("bob@exämple.net", "remote", "xn--exmple-cua.net", VIRTUAL),
        ("bob%example.com@hack.example", "local", "example.com-bob@example.com", f"{VIRTUAL}:1"),
        ("bob%a%local.example@hack.example", "remote", "a", VIRTUAL),
        ("bob%local.example@hack.example", "local", "bob@local.example", "control/locals:2"),
        ("bob%elsewhere.example@other.example", "remote", "other.example", VIRTUAL),
        ("bob%@hack.example", "remote", "hack.example", VIRTUAL),
        ("bob@hack.example", "remote", "hack.example", VIRTUAL),
    ],
)
def test_a_route_and_the_line_that_decided(
    address: str, channel: str, target: str, rule: str
) -> None:
    found = route(Address.parse(address), FULL)
    assert (found.channel.value, found.target, str(found.rule)) == (channel, target, rule)


def test_a_lone_box_gets_our_name_where_envnoathost_is_missing() -> None:
    found = route(Address.parse("postmaster"), routing())
    postmaster = Address("postmaster", ME)
    assert found == Route(Channel.LOCAL, f"postmaster@{ME}", postmaster, found.rule)
    assert str(found.rule) == "control/me"


def test_the_rewritten_address_is_kept_for_the_log() -> None:
    assert route(Address.parse("u%d.example@hack.example"), FULL).address == Address(
        "u", "d.example"
    )


@pytest.mark.parametrize(
    ("address", "target"),
    [("a@anything.example", "all-a@anything.example"), ("a@except.example", "except.example")],
)
def test_the_empty_key_catches_all_but_exceptions(address: str, target: str) -> None:
    found = routing(locals=[], virtualdomains=[":all", "except.example:"])
    assert route(Address.parse(address), found).target == target


def test_a_missing_locals_is_me_and_an_empty_one_is_nothing() -> None:
    ours = Address("ana", ME)
    assert route(ours, routing()).channel is Channel.LOCAL
    assert route(ours, routing(locals=[])).channel is Channel.REMOTE


def test_every_mistake_is_told_and_the_other_lines_count() -> None:
    found, mistakes = parse_routing(
        numbered({
            "locals": ["local.example", ".local.example", "a b"],
            "virtualdomains": ["example.com", "a b:c", "x@.example:c", "@x.example:c", "d.example:e f",
                               "example.net:net", "user@host@example.org:x"],
            "percenthack": ["u@d"],
            "envnoathost": ["no host"],
        }), ME,
    )  # fmt: skip
    assert [(m.file, m.line) for m in mistakes] == [
        ("control/locals", 2),
        ("control/locals", 3),
        *((VIRTUAL, number) for number in (1, 2, 3, 4, 5)),
        ("control/percenthack", 1),
        ("control/envnoathost", 1),
    ]
    assert found.envnoathost == ME
    assert route(Address.parse("a@example.net"), found).target == "net-a@example.net"
    assert route(Address.parse("a@local.example"), found).channel is Channel.LOCAL
