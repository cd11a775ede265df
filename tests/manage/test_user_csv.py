"""Users as CSV: what can be read, every mistake with its line, and what was written comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.accounts.port import Account
from indimail.mail.secret import Secret
from indimail.manage.user_csv import COLUMNS, UserRow, read_users, write_users

HEAD = "email,password,hash,name,quota,active\n"
HASH = Secret("$5$x")


@pytest.mark.parametrize(("text", "rows"), [
    ("email,password\na@b.c,secret\n", [UserRow(2, "a@b.c", Secret("secret"))]),
    ("\ufeffemail,hash\r\na@b.c,$5$x\r\n", [UserRow(2, "a@b.c", hash=HASH)]),
    ("hash, name ,email\n\n$5$x,,a@b.c", [UserRow(3, "a@b.c", hash=HASH, name="")]),
    (HEAD + 'a@b.c,"se,""cret",,"B, A.",50M,0\n',
     [UserRow(2, "a@b.c", Secret('se,"cret'), None, "B, A.", "52428800", False)]),
    (HEAD + "a@b.c,,$5$x,Ä,noquota,YES\n", [UserRow(2, "a@b.c", None, HASH, "Ä", "NOQUOTA", True)]),
    (HEAD + "a@b.c,,$5$x,,\"50M,1000\",\n", [UserRow(2, "a@b.c", None, HASH, "", "52428800,1000")]),
    (HEAD + "a@b.c,,$5$x,,\"52428800S,9C\",1\n",
     [UserRow(2, "a@b.c", None, HASH, "", "52428800S,9C", True)]),
    ("email,hash\n", []),
])  # fmt: skip
def test_rows_are_read(text: str, rows: list[UserRow]) -> None:
    assert read_users("f", text.encode()) == (rows, [])


MISTAKES = [
    ("", "f:1: found nothing, expected the columns email and password, or hash"),
    ("email\na@b.c\n", "f:1: found email, expected the columns email and password, or hash"),
    ("password\nx\n", "f:1: found password, expected the columns email and password, or hash"),
    ("email,pass\n", f"f:1: found the column 'pass', expected one of {', '.join(COLUMNS)}"),
    ("email,hash,email\n", "f:1: found the column 'email' twice, expected it once"),
    ("email,hash\na@b.c\n", "f:2: found 1 fields, expected 2 as in the first line"),
    ("email,hash\na@b.c,x,hunter2\n", "f:2: found 3 fields, expected 2 as in the first line"),
    ('email,name,hash\na@b.c,"x\ny",z\n\nb,,c\n',
     "f:2: found the name 'x\\ny', expected at most 48 printable characters without ':'\n"
     "f:5: found the email 'b', expected name@domain in lower case"),
    ("email,hash\nA@b.c,x\n@b.c,x\na@,x\n",
     "f:2: found the email 'A@b.c', expected name@domain in lower case\n"
     "f:3: found the email '@b.c', expected name@domain in lower case\n"
     "f:4: found the email 'a@', expected name@domain in lower case"),
    (HEAD + "a@b.c,hunter2,x,,,\n",
     "f:2: found a password and a hash, expected one of them"),
    (HEAD + "a@b.c,,,,,\n", "f:2: found neither a password nor a hash, expected one of them"),
    (HEAD + f"a@b.c,{'x' * 129},,,,\n", "f:2: found a password of 129 characters, expected at most 128"),
    (HEAD + "a@b.c,x\0y,,,,\n",
     "f:2: found a password with a NUL or the end of a line, expected none"),
    (HEAD + f"a@b.c,,{'x' * 129},,,\n", "f:2: found a hash of 129 characters, expected at most 128"),
    (HEAD + "a@b.c,,é,,,\n", "f:2: found a hash with other characters, expected printable ASCII"),
    (HEAD + "a@b.c,,x,a:b,,\n",
     "f:2: found the name 'a:b', expected at most 48 printable characters without ':'"),
    (HEAD + "a@b.c,,x,,much,\n", "f:2: found the quota 'much', expected 50M, 50M,1000 or NOQUOTA"),
    (HEAD + "a@b.c,,x,,+5M,\n", "f:2: found the quota '+5M', expected 50M, 50M,1000 or NOQUOTA"),
    (HEAD + "a@b.c,,x,,,perhaps\n", "f:2: found active 'perhaps', expected 1 or 0"),
    ('email,hash\na@b.c,"x\n', "f:2: found unexpected end of data, expected CSV (RFC 4180)"),
    ('email,hash\na@b.c,"x"y\n', "f:2: found ',' expected after '\"', expected CSV (RFC 4180)"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "mistakes"), MISTAKES)
def test_every_mistake_is_told_with_its_line_and_no_password(text: str, mistakes: str) -> None:
    rows, found = read_users("f", text.encode())
    assert (rows, "\n".join(map(str, found))) == ([], mistakes)
    assert "hunter2" not in mistakes


def test_a_line_that_is_no_utf_8_is_told() -> None:
    _, (mistake,) = read_users("f", b"email,hash\na@b.c,x\nb@b.c,\xe9\n")
    assert str(mistake) == "f:3: found the octet 0xe9, expected UTF-8"


TEXTS = st.text(
    st.characters(blacklist_categories=("C", "Z"), blacklist_characters=":"), max_size=48
)
NAMES = st.text("abcxyz0189 .!#$%&'*+-=?^_`{|}~\"", min_size=1, max_size=40)


@given(
    st.lists(
        st.builds(
            Account,
            name=NAMES,
            domain=st.just("example.com"),
            password=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=128)
            .map(Secret),
            gecos=TEXTS | st.just('a "b", c') | st.just(" blanks "),
            quota=st.sampled_from(["NOQUOTA", "52428800", "52428800,1000", "52428800S,1000C"]),
            active=st.booleans(),
        )
    )
)  # fmt: skip
def test_what_is_written_is_read_as_it_was(accounts: list[Account]) -> None:
    rows, mistakes = read_users("f", write_users(accounts).encode())
    assert mistakes == []
    assert [(r.email, r.password, r.hash, r.name, r.quota, r.active) for r in rows] == [
        (a.address, None, a.password, a.gecos, a.quota, a.active) for a in accounts
    ]


@given(st.binary() | st.text('aé@.,"\n\r\0;').map(lambda text: (HEAD + text).encode()))
def test_whatever_the_file_holds_it_is_read_or_refused(octets: bytes) -> None:
    rows, mistakes = read_users("f", octets)
    assert all(row.password or row.hash for row in rows)
    assert all(mistake.line for mistake in mistakes)
