"""A domain is found by its own name, or by a suffix that begins with a dot."""

import pytest

from indimail.mail.line import Line
from indimail.mail.match import EMPTY, DomainTable, key_of, parse_domains
from indimail.mail.verdict import Rule

FILE = "control/rcpthosts"


def lines(*texts: str) -> list[Line]:
    return [Line(FILE, number, text) for number, text in enumerate(texts, 1)]


TABLE = lines("example.com", ".example.org", "Upper.Example", ".deep.example.org", "exämple.net",
              ".xn--bcher-kva.example", "[192.0.2.1]", "example.com")  # fmt: skip


@pytest.mark.parametrize(
    ("domain", "line"),
    [
        ("example.com", 1),
        ("EXAMPLE.com", 1),
        ("a.example.com", None),
        ("notexample.com", None),
        ("example.org", None),
        ("a.example.org", 2),
        ("a.b.example.org", 2),
        ("a.deep.example.org", 4),
        ("deep.example.org", 2),
        ("upper.example", 3),
        ("exämple.net", 5),
        ("xn--exmple-cua.net", 5),
        ("a.bücher.example", 6),
        ("[192.0.2.1]", 7),
        ("", None),
        (".example.org", None),
        ("org", None),
    ],
)
def test_a_domain_is_found_by_its_name_or_a_dotted_suffix(domain: str, line: int | None) -> None:
    table, mistakes = parse_domains(TABLE)
    assert mistakes == []
    assert table.find(domain) == (Rule(FILE, line) if line else None)
    assert (domain in table) == (line is not None)


@pytest.mark.parametrize(
    "text",
    ["ana@example.com", "example.com:example.com", "example .com", '"example.com"',
     "\u201cexample.com\u201d", "*.example.com", "!example.com", ".", "..example.com",
     "example.com.", "a..b", "[192.0.2.1", "192.0.2.0/24"],
)  # fmt: skip
def test_a_line_that_is_no_domain_is_a_mistake_and_the_others_count(text: str) -> None:
    table, mistakes = parse_domains(lines("one.example", text, "two.example", "also bad"))
    assert [(m.file, m.line) for m in mistakes] == [(FILE, 2), (FILE, 4)]
    assert mistakes[0].expected == "a domain, or .domain for its sub-domains"
    assert str(mistakes[1]) == (
        "control/rcpthosts:4: found 'also bad', expected a domain, or .domain for its sub-domains"
    )
    assert "one.example" in table
    assert "two.example" in table


def test_an_empty_table_has_nothing() -> None:
    assert "example.com" not in EMPTY
    assert "example.com" not in parse_domains([])[0]


def test_a_table_may_look_its_keys_up_where_they_are() -> None:
    """As in a cdb: the rule is the key."""
    keys = {"example.com", ".example.org"}
    table = DomainTable(lambda key: Rule("control/x.cdb", key=key) if key in keys else None)
    assert str(table.find("a.EXAMPLE.org")) == "control/x.cdb[.example.org]"
    assert str(table.find("example.com")) == "control/x.cdb[example.com]"
    assert table.find("example.org") is None


def test_a_key_has_one_spelling() -> None:
    assert key_of(".Bücher.Example") == ".xn--bcher-kva.example"
    assert key_of("a b") is None
