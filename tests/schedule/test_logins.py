"""remote_auth: which credentials belong to an address."""

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.control.cdb import Cdb, build_cdb
from indimail.mail.line import Line
from indimail.mail.secret import Secret
from indimail.mail.verdict import Rule
from indimail.schedule.logins import Logins, logins_from_records, parse_logins
from indimail.schedule.smtproutes import Login

FILE = "control/remote_auth"
TEXTS = (
    "=Ana@example.com:ana secret:",  # 1
    "+an:short secret:",  # 2
    "+ana:long sec:ret AUTH_SMTP=PLAIN:",  # 3
    "=smarthost:word secret:",  # 4
    "=ana@example.com:second secret:",  # 5: the first counts
    "+bob@:bob secret A=b,C=d:",  # 6
    ".",
    "no more of it",
)
RECORDS = [
    (b"", b"n@"),
    (b"!ana@example.com\0", b"ana secret"),
    (b"!an", b"short secret"),
    (b"!ana", b"long sec:ret AUTH_SMTP=PLAIN:"),
    (b"!smarthost\0", b"word secret\0"),
    (b"!bob@", b"bob secret A=b,C=d"),
]


def lines(*texts: str) -> list[Line]:
    return [Line(FILE, number, text) for number, text in enumerate(texts, 1)]


@pytest.fixture(params=["text", "data base"])
def logins(request: pytest.FixtureRequest) -> Logins:
    base = Cdb(build_cdb(RECORDS), f"{FILE}.cdb")
    found, mistakes = (
        parse_logins(lines(*TEXTS))
        if request.param == "text"
        else logins_from_records(base.items(), f"{FILE}.cdb")
    )
    assert mistakes == []
    return found


@pytest.mark.parametrize(
    ("key", "user", "line", "record"),
    [
        ("ana@example.com", "ana", 1, "ana@example.com"),
        ("ANA@Example.com", "ana", 1, "ana@example.com"),
        ("ana@example.org", "long", 3, "ana"),
        ("anb@example.org", "short", 2, "an"),
        ("smarthost", "word", 4, "smarthost"),
        ("bob@example.org", "bob", 6, "bob@"),
    ],
)
def test_the_exact_line_wins_then_the_longest_prefix(
    logins: Logins, key: str, user: str, line: int, record: str
) -> None:
    login, _, rule = logins.find(key) or pytest.fail(key)
    assert login.user == user
    assert rule in (Rule(FILE, line), Rule(f"{FILE}.cdb", key=record))


def test_an_entry_is_user_password_and_variables(logins: Logins) -> None:
    login, variables, _ = logins.find("bob@x") or pytest.fail("bob@x")
    assert (login, variables) == (Login("bob", Secret("secret")), (("A", "b"), ("C", "d")))
    assert (logins.find("ana@x") or pytest.fail("ana@x"))[0].password == Secret("sec:ret")
    assert "secret" not in repr(logins.find("bob@x"))
    assert pickle.loads(pickle.dumps(logins)).find("bob@x") == logins.find("bob@x")


@pytest.mark.parametrize("key", ["bob", "x@example.com", "smarthost2", "a", ""])
def test_who_has_no_credentials(logins: Logins, key: str) -> None:
    assert logins.find(key) is None


def test_an_empty_prefix_is_for_everybody() -> None:
    found, _ = parse_logins(lines("+:all secret:"))
    assert (found.find("x@y") or pytest.fail("x@y"))[0].user == "all"


@pytest.mark.parametrize(
    "text",
    ["ana@example.com:ana topsecret:", "=ana@example.com:ana topsecret", "=a:ana:", "=:ana topsecret:",
     "=a:ana topsecret more:", "=a:ana topsecret A=b c:", "=a ana topsecret", "=a:", "x"],
)  # fmt: skip
def test_what_is_wrong_is_told_without_a_password(text: str) -> None:
    found, mistakes = parse_logins(lines("=ok@example.com:ok secret:", text))
    assert [(m.file, m.line) for m in mistakes] == [(FILE, 2)]
    assert "topsecret" not in str(mistakes[0])
    assert found.find("ok@example.com")


def test_a_broken_record_is_told_by_its_key() -> None:
    records = [(b"ana", b"ana topsecret"), (b"!bob\0", b"topsecret"), (b"!\0", b"u p")]
    _, mistakes = logins_from_records(records, f"{FILE}.cdb")
    assert [m.file for m in mistakes] == [f"{FILE}.cdb[{key}]" for key in ("na", "bob", "")]
    assert "topsecret" not in str(mistakes)


@given(st.lists(st.text("=+ab:@. é\0", max_size=20), max_size=4))
def test_whatever_stands_there_is_an_entry_or_a_mistake(texts: list[str]) -> None:
    _, mistakes = parse_logins(lines(*texts))
    assert len(mistakes) <= len(texts)


@given(st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=20)), max_size=4))
def test_whatever_a_record_is_it_is_an_entry_or_a_mistake(
    records: list[tuple[bytes, bytes]],
) -> None:
    _, mistakes = logins_from_records(records, f"{FILE}.cdb")
    assert len(mistakes) <= len(records)
