import pytest

from indimail.delivery.dotforward import Forward, read_forward
from indimail.mail.addresses import Hosts, Mailbox

HOSTS = Hosts("mx.example.org", "example.org", "example.org")


def is_own(mailbox: Mailbox) -> bool:
    return str(mailbox).lower() in {"joe", "joe@example.com"}


# As Debian's dot-forward 0.71 says with -n; that drops no second address.
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("bob@a.b\n", Forward(("bob@a.b",))),
        ("bob (Bob, the postmaster) @a.b", Forward(("bob@a.b",))),
        ("bob, fred@x, susan\nJoe <shmoe@a.b>\n",
         Forward(("bob@mx.example.org", "fred@x.example.org", "susan@mx.example.org", "shmoe@a.b"))),
        ("\\joe, a@b.c\n", Forward(("a@b.c",), is_direct=True)),
        ("JOE@example.COM\nbob@b.c", Forward(("bob@b.c",), is_direct=True)),
        ('"|vacation bob", bob@b.c\n', Forward(("bob@b.c",), ("vacation bob",))),
        ('"|x \\"y\\"", \n\nz@z.z', Forward(("z@z.z",), ('x "y"',))),
        ("|vacation bob\n", Forward(("bob@mx.example.org",), ("vacation",))),
        ("|a@b.c\n", Forward(("|a@b.c",))),
        ('"a b"@c.d, a@[192.0.2.4]\n', Forward(("a b@c.d", "a@[192.0.2.4]"))),
        ("/var/mail/x\n", Forward(files=("/var/mail/x",))),
        (":include:/x\n", Forward(files=("/x",))),
        ("a@b.c, a@b.c\na@b.c", Forward(("a@b.c",))),
        ("# x\n", None),
        ("\n\n", None),
        ("", None),
    ],
)  # fmt: skip
def test_what_a_file_says(text: str, found: Forward | None) -> None:
    assert read_forward(text, is_own, HOSTS.qualify) == found
