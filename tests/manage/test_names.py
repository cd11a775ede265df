"""Names of domains and users (spec/delivery.md 2, 2.1, 2.2)."""

import pytest

from indimail.manage.names import check_case, check_domain, check_user, split_address
from indimail.manage.site import Refused

LONG_DOMAIN = "a" * 60 + ".example"


@pytest.mark.parametrize(("domain", "refused"), [
    ("example.com", None),
    ("sub-1.example.co", None),
    ("xn--bcher-kva.example", None),
    ("example.xn--p1ai", None),
    ("1.2.example", None),
    (LONG_DOMAIN[1:], None),
    (LONG_DOMAIN, Refused("adddomain: Name too long", 100)),
    ("localhost", Refused("invalid domain: localhost", 111)),
    ("example.com.", Refused("invalid domain: example.com.", 111)),
    ("example..com", Refused("invalid domain: example..com", 111)),
    ("192.0.2.1", Refused("invalid domain: 192.0.2.1", 111)),
    ("a/../b.com", Refused("invalid domain: a/../b.com", 111)),
    ("a:b.com", Refused("invalid domain: a:b.com", 111)),
    ("example.com\n", Refused("invalid domain: example.com\n", 111)),
    ("", Refused("invalid domain: ", 111)),
    ("my_host.example", Refused("Invalid domain my_host.example", 100)),
    ("-a.example", Refused("Invalid domain -a.example", 100)),
])  # fmt: skip
def test_a_domain_is_labels_and_a_top_level_domain(domain: str, refused: Refused | None) -> None:
    assert check_domain(domain) == refused


def test_an_expression_of_the_operator_replaces_the_first_check_alone() -> None:
    assert check_domain("localhost", "^localhost$") is None
    assert check_domain("example.com", "^localhost$") == Refused("invalid domain: example.com", 111)
    assert check_domain("a/b", ".") == Refused("Invalid domain a/b", 100)


@pytest.mark.parametrize(("name", "text"), [
    ("alice", None),
    ("alice.b-c+d", None),
    ("1st", None),
    ("a" * 40, None),
    ("", "illegal username"),
    (".alice", "illegal username"),
    ("-rf", "illegal username"),
    ("älice", "illegal username"),
    ("a" * 41, "Name too long"),
    ("alice.", "Trailing/Leading periods not allowed"),
    ("al..ice", "successive periods not allowed in local-part See RFC-5322"),
    ("al:ice", "':' not allowed in names"),
    ("al/ice", "[/] not allowed in local-part See RFC-5322"),
    ("al\nice", "[\n] not allowed in local-part See RFC-5322"),
    ("al,ice", "[,] not allowed in local-part See RFC-5322"),
    ("alicë", "[ë] not allowed in local-part See RFC-5322"),
    ("aLice", "user [aLice] has an uppercase character"),
])  # fmt: skip
def test_a_user_name(name: str, text: str | None) -> None:
    assert check_user(name, "example.com") == (Refused(text, 100) if text else None)


def test_allowchars_replaces_the_set() -> None:
    assert check_user("a,b", "example.com", allowed=",") is None
    assert check_user("a-b", "example.com", allowed=",") is not None
    assert check_user("a/b", "example.com", allowed="/") is not None


def test_a_full_name_is_no_longer_than_its_column_and_has_no_colon() -> None:
    assert check_user("a", "example.com", "x" * 48) is None
    assert check_user("a", "example.com", "x" * 49) == Refused("Name too long", 100)
    assert check_user("a", "example.com", "x:y") == Refused("':' not allowed in names", 100)


@pytest.mark.parametrize(("text", "parts"), [
    ("alice@example.com", ("alice", "example.com")),
    ("alice%example.com", ("alice", "example.com")),
    ("alice:example.com", ("alice", "example.com")),
    ("a%b@example.com", ("a%b", "example.com")),
    ("alice", ("alice", "")),
])  # fmt: skip
def test_three_separators_are_understood(text: str, parts: tuple[str, str]) -> None:
    assert split_address(text) == parts


def test_an_upper_case_letter_is_refused() -> None:
    assert check_case("email", "alice@example.com") is None
    assert check_case("email", "Alice@example.com") == Refused(
        "warning: email [Alice@example.com] has an uppercase character", 100
    )


@pytest.mark.parametrize("text", ["\udcff@example.com", "a\n@example.com", "a\0@example.com"])
def test_octets_that_are_no_text_are_refused_before_anything_is_asked(text: str) -> None:
    expected = Refused(f"email [{text!r}]: expected printable characters", 100)
    assert check_case("email", text) == expected
