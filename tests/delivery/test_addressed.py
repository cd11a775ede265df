import pytest

from indimail.delivery.addressed import addressed
from indimail.mail.header import split_header

HEADER = (
    b'To: "Ann, A." <Ann@Example.com>, "b b"@example.org,\n (x@y) team: c@example.net;\r\n'
    b"Cc: joe\nX-To: d@example.com\nTO: e\xff@example.com\n"
)
FIELDS = split_header(HEADER)[0]


@pytest.mark.parametrize(
    ("names", "address", "found"),
    [
        ({"to"}, "ann@example.COM", True),
        ({"to"}, "b b@example.org", True),
        ({"to"}, "c@example.net", True),
        ({"to"}, "@EXAMPLE.net", True),
        ({"to"}, "e\udcff@example.com", True),
        ({"to", "cc"}, "joe", True),
        ({"x-to"}, "d@example.com", True),
        ({"to"}, "joe", False),
        ({"to"}, "x@y", False),
        ({"to"}, "@ple.com", False),
        ({"cc"}, "@", False),
        ({"to"}, "nn@example.com", False),
        ({"to", "cc"}, "d@example.com", False),
    ],
)
def test_a_field_has_an_address(names: set[str], address: str, found: bool) -> None:
    assert addressed(FIELDS, names, ["nobody@nowhere.example", address]) is found
