import pytest

from indimail.mail.address import NULL, Address, domain_key, parents


@pytest.mark.parametrize(
    ("text", "local", "domain"),
    [
        ("Alice@Example.COM", "Alice", "example.com"),
        ("a@b@example.com", "a@b", "example.com"),
        ("postmaster", "postmaster", ""),
        ("", "", ""),
        ("@example.com", "", "example.com"),
        ("x@[192.0.2.1]", "x", "[192.0.2.1]"),
    ],
)
def test_an_address_is_split_at_its_last_at(text, local, domain) -> None:
    found = Address.parse(text)
    assert (found.local, found.domain) == (local, domain)


def test_only_the_null_path_is_nothing() -> None:
    assert not NULL
    assert Address.parse("x")
    assert Address.parse("@example.com")
    assert str(Address.parse("Alice@Example.COM")) == "Alice@example.com"
    assert str(NULL) == ""


@pytest.mark.parametrize(
    ("domain", "key"),
    [
        ("Example.COM", "example.com"),
        ("b\u00fccher.example", "xn--bcher-kva.example"),
        ("B\u00dcCHER.example", "xn--bcher-kva.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("\u2603..x", "\u2603..x"),  # no IDN: as it is
    ],
)
def test_a_domain_has_one_key_however_it_is_written(domain, key) -> None:
    assert domain_key(domain) == key


def test_a_mailbox_is_looked_up_without_regard_to_case() -> None:
    assert Address.parse("Al.Ice@B\u00dcCHER.example").mailbox_key == "al.ice@xn--bcher-kva.example"


def test_only_ascii_can_be_sent_without_smtputf8() -> None:
    assert Address.parse("a@example.com").is_ascii
    assert not Address.parse("\u00fc@example.com").is_ascii
    assert not Address.parse("u@b\u00fccher.example").is_ascii


def test_parents_are_the_suffixes_longest_first() -> None:
    assert parents("a.b.example.com") == [".b.example.com", ".example.com", ".com"]
    assert parents("com") == []
