"""users/assign: the exact line, then the longest prefix."""

import pytest

from indimail.delivery.assign import Assign, parse_assign, records
from indimail.mail.line import Line

FILE = "users/assign"
ALIAS = "alias:70:71:/var/indimail/alias:-"


def lines(*texts: str) -> list[Line]:
    return [Line(FILE, number, text) for number, text in enumerate(texts, 1)]


def parsed(*texts: str) -> Assign:
    assign, mistakes = parse_assign(lines(*texts))
    assert mistakes == []
    return assign


TABLE = parsed(
    "=Root:admin:500:501:/home/admin:::",  # 1
    "+example.com-:indimail:555:555:/d/example.com:-::",  # 2
    "+example.com-list-:lists:556:556:/d/lists:-:l-:",  # 3
    "=example.com-boss:boss:600:600:/home/boss::exactly:ignored:too",  # 4
    "=root:other:1:1:/x:::",  # 5: the first counts
    f"+:{ALIAS}::",  # 6
    ".",
    "this is not read",
)


@pytest.mark.parametrize(
    ("local", "line", "user", "home", "dash", "ext"),
    [
        ("root", 1, "admin", "/home/admin", "", ""),
        ("ROOT", 1, "admin", "/home/admin", "", ""),
        ("example.com-Ana", 2, "indimail", "/d/example.com", "-", "Ana"),
        ("Example.COM-Ana-X", 2, "indimail", "/d/example.com", "-", "Ana-X"),
        ("example.com-", 2, "indimail", "/d/example.com", "-", ""),
        ("example.com-list-News", 3, "lists", "/d/lists", "-", "l-News"),
        ("example.com-list", 2, "indimail", "/d/example.com", "-", "list"),
        ("example.com-boss", 4, "boss", "/home/boss", "", "exactly"),
        ("example.com-boss-x", 2, "indimail", "/d/example.com", "-", "boss-x"),
        ("example.com", 6, "alias", "/var/indimail/alias", "-", "example.com"),
        ("", 6, "alias", "/var/indimail/alias", "-", ""),
        ("example.com-İx", 2, "indimail", "/d/example.com", "-", "İx"),
    ],
)
def test_the_entry_of_a_local_address(
    local: str, line: int, user: str, home: str, dash: str, ext: str
) -> None:
    found = TABLE.find(local)
    assert found is not None
    assert (found.rule.line, found.user, found.home, found.dash, found.ext) == (
        line, user, home, dash, ext,
    )  # fmt: skip


def test_a_letter_whose_lower_case_is_longer_does_not_move_the_cut() -> None:
    found = parsed("+İ.example-:a:1:2:/h:-::", ".").find("İ.EXAMPLE-Bob")
    assert found is not None
    assert found.ext == "Bob"


def test_ids_are_numbers() -> None:
    found = TABLE.find("root")
    assert found is not None
    assert (found.uid, found.gid) == (500, 501)


def test_without_an_entry_there_is_none() -> None:
    assert parsed("=a:b:1:2:/h:::", ".").find("b") is None
    assert parsed().find("a") is None


@pytest.mark.parametrize(
    "text",
    [
        "=a:b:1:2:/h::",
        "+a:b:1:2:/h",
        "a:b:1:2:/h:::",
        ":b:1:2:/h:::",
        "=:b:1:2:/h:::",
        "=a:b:x:2:/h:::",
        "=a:b:1::/h:::",
        "=a:b:-1:2:/h:::",
        "=a:b:1:4294967295:/h:::",
        "=a\0:b:1:2:/h:::",
    ],
)
def test_a_broken_line_is_a_mistake_and_the_others_count(text: str) -> None:
    assign, mistakes = parse_assign(lines(text, "=good:b:1:2:/h:::", "bad too", "."))
    assert [(m.file, m.line) for m in mistakes] == [(FILE, 1), (FILE, 3)]
    assert "bad format in users/assign" in str(mistakes[0])
    assert assign.find("good") is not None
    assert assign.find("a") is None


def test_a_file_without_its_dot_was_cut_off() -> None:
    assign, mistakes = parse_assign(lines("=a:b:1:2:/h:::"))
    assert [str(m) for m in mistakes] == [
        "users/assign: found no end, expected a line with a dot at the end"
        " (bad format in users/assign)"
    ]
    assert assign.find("a") is not None


def test_records_have_the_format_of_qmail_newu() -> None:
    assert records(TABLE) == [
        (b"!root\0", b"admin\x00500\x00501\x00/home/admin\0\0\0"),
        (b"!example.com-boss\0", b"boss\x00600\x00600\x00/home/boss\0\0exactly\0"),
        (b"!example.com-", b"indimail\x00555\x00555\x00/d/example.com\0-\0\0"),
        (b"!example.com-list-", b"lists\x00556\x00556\x00/d/lists\0-\0l-\0"),
        (b"!", b"alias\x0070\x0071\x00/var/indimail/alias\0-\0\0"),
        (b"", b"-"),
    ]
