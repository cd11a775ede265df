import pytest

from indimail.delivery.fastforward import Forwarding, forwarding_of

# As setforward 0.51 (Debian) writes:
#   Alice@Example.com: bob@example.net, &carol@example.org;
#   @example.org: all@example.net;
#   joe@: joe@example.net, |prog\ x, !bang;
#   list@example.com: ?owner@example.net, a@b.c, loop@example.com, A@b.c;
#   loop@example.com: list@example.com, d@e.f, a@b.c;
BASE = {
    b":alice@example.com": b"&bob@example.net\0&carol@example.org\0",
    b":@example.org": b"&all@example.net\0",
    b":joe@": b"&joe@example.net\0|prog x\0!bang\0",
    b"?list@example.com": b"owner@example.net",
    b":list@example.com": b"&a@b.c\0&loop@example.com\0&A@b.c\0",
    b":loop@example.com": b"&list@example.com\0&d@e.f\0&a@b.c\0",
    b":one@example.com": b"&Two@example.com\0",
    b":two@example.com": b"&one@example.com\0",
    b":three@example.com": b"&two@example.com\0&a@b.c\0",
    b":wild@example.com": b"&zoe@example.org\0",
    b":file@example.com": b"./list\0/list\0",
    b":nobody@example.com": b"",
}


@pytest.mark.parametrize(
    ("recipient", "found"),
    [
        ("ALICE@example.COM", Forwarding(("bob@example.net", "carol@example.org"))),
        ("zoe@example.org", Forwarding(("all@example.net",))),
        ("joe@example.com", Forwarding(("joe@example.net",), ("|prog x", "!bang"))),
        ("joe@example.org", Forwarding(("all@example.net",))),
        ("list@example.com", Forwarding(("a@b.c", "list@example.com", "d@e.f", "A@b.c"),
                                        owner="owner@example.net")),
        ("loop@example.com", Forwarding(("list@example.com", "d@e.f", "a@b.c"))),
        ("one@example.com", Forwarding((), leads_nowhere=True)),
        ("three@example.com", Forwarding(("a@b.c",))),
        ("wild@example.com", Forwarding(("zoe@example.org",))),
        ("file@example.com", Forwarding((), lists=("./list", "/list"))),
        ("nobody@example.com", Forwarding(())),
        ("zoe@example.com", None),
        ("alice", None),
        ("", None),
        ("\udcff@example.com", None),
    ],
)  # fmt: skip
def test_who_gets_it(recipient: str, found: Forwarding | None) -> None:
    assert forwarding_of(BASE.get, recipient) == found
