"""Addresses in a header field."""

from email import policy
from email.headerregistry import Address
from email.parser import BytesParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.mail.addresses import Hosts, Mailbox, complete, parse_addresses, quoted

HOSTS = Hosts("mx.example.org", "example.org", "plus.example")

LISTS = [
    ("", []),
    ("joe", ["joe"]),
    ("joe, ann@b", ["joe", "ann@b"]),
    ("a@b,,c@d,", ["a@b", "c@d"]),
    ("Joe Blow <j@x>", ["j@x"]),
    ("John. Q. Public <j@x>", ["j@x"]),
    ("j@x.example <j@x>", ["j@x"]),
    ('"Ann, A." <ann@example.com>, bob@example.net (Bob)', ["ann@example.com", "bob@example.net"]),
    ("a@b (c (d) \\) e), f@g", ["a@b", "f@g"]),
    ("a @ b . c", ["a@b.c"]),
    ("a@b,\n\tc@d", ["a@b", "c@d"]),
    ("A Group: x@y, <z@w>;, last@d", ["x@y", "z@w", "last@d"]),
    ("undisclosed-recipients:;", []),
    ("undisclosed recipients: ;", []),
    ("<@a,@b:c@d>, e@f", ["c@d", "e@f"]),
    ('"a\\"b c"@d', ['a"b c@d']),
    ('"a\n b"@d', ["a b@d"]),
    ('"a@b"@d', ["a@b@d"]),
    ("x@[127.0.0.1]", ["x@[127.0.0.1]"]),
    ("<>", []),
    ("<> a@b", ["a@b"]),
    ("djb fred@x joe", ["djb", "fred@x", "joe"]),
    ("a <b@c> d <e@f>", ["b@c", "e@f"]),
    ("<a@b", ["a@b"]),
    ("<a@b, c@d", ["a@b", "c@d"]),
    ("<a@b <c@d>", ["c@d"]),
    ("@x", []),
    ("joe@", ["joe"]),
    ("ü@ö.example", ["ü@ö.example"]),
    (")", []),
    ('"', []),
    (".", []),
]


@pytest.mark.parametrize(("text", "found"), LISTS)
def test_addresses_are_found_in_every_form(text: str, found: list[str]) -> None:
    assert [str(m) for m in parse_addresses(text).mailboxes] == found


@pytest.mark.parametrize(
    ("text", "completed"),
    [
        ("joe", "joe@mx.example.org"),
        ("joe@", "joe@mx.example.org"),
        ("Joe <joe@host> (at work)", "Joe <joe@host.example.org> (at work)"),
        ("joe@host+", "joe@host.plus.example"),
        ("joe@host.", "joe@host.example.org"),
        ("joe@[192.0.2.1]", "joe@[192.0.2.1]"),
        ("joe @ a . b (c),\n\td@e.f", "joe @ a . b (c),\n\td@e.f"),
        ("djb fred@x.y joe", "djb@mx.example.org, fred@x.y, joe@mx.example.org"),
        ("<a@b.c> <d@e.f>", "<a@b.c>, <d@e.f>"),
        ("X <@r.s,@t.u:a@b.c>", "X <a@b.c>"),
        ('"a b"@host', '"a b"@host.example.org'),
        ('"a\\\r"@host', "a_@host.example.org"),
        ("Group: joe, <>;", "Group: joe@mx.example.org, <>;"),
        ("recipient list not shown: ;", "recipient list not shown: ;"),
    ],
)
def test_an_address_gets_its_host_and_nothing_else_changes(text: str, completed: str) -> None:
    assert complete(text, HOSTS.qualify).text == completed
    assert complete(completed, HOSTS.qualify).text == completed


@pytest.mark.slow
def test_many_addresses_cost_no_more_each() -> None:
    text = "a b@c, " * 50_000
    assert len(complete(text, HOSTS.qualify).mailboxes) == 100_000


@pytest.mark.parametrize(
    ("local", "written"),
    [("a.b", "a.b"), ("a b", '"a b"'), ('a"\\', '"a\\"\\\\"'), ("a\nb: c", '"a_b: c"'), ("", "")],
)
def test_a_local_part_is_quoted_where_it_has_to_be(local: str, written: str) -> None:
    assert quoted(local) == written


# -- against a parser that nobody here wrote, and against everybody ---------------------------------

ATOM = st.text("abcXYZ019!#$%&'*+-/=?^_`{|}~", min_size=1, max_size=8)
DOT_ATOM = st.lists(ATOM, min_size=1, max_size=3).map(".".join)
QUOTED = st.text('ab ,;:<>@()."\\', min_size=1, max_size=8).map(
    lambda s: '"' + s.replace("\\", "\\\\").replace('"', '\\"') + '"'
)
DOMAIN = st.lists(st.text("abcxyz0-9", min_size=1, max_size=6), min_size=1, max_size=3).map(
    ".".join
)
BLANK = st.sampled_from(["", " ", "\n ", "\n\t"])
COMMENT = st.sampled_from(["", " (c)", " (a (b) , c@d <e> \\) f)"])
ADDR_SPEC = st.tuples(st.one_of(DOT_ATOM, QUOTED), DOMAIN).map("@".join)
NAME = st.one_of(ATOM, QUOTED, st.lists(ATOM, min_size=2, max_size=3).map(" ".join))
MAILBOX = st.one_of(
    st.tuples(ADDR_SPEC, COMMENT).map("".join),
    st.tuples(NAME, BLANK, ADDR_SPEC, COMMENT).map(lambda t: f"{t[0]}{t[1]}<{t[2]}>{t[3]}"),
)
GROUP = st.tuples(NAME, st.lists(MAILBOX, max_size=3)).map(lambda t: f"{t[0]}: {', '.join(t[1])};")
LIST = st.lists(st.one_of(MAILBOX, GROUP), min_size=1, max_size=4).map(",\n ".join)


@given(LIST)
def test_well_formed_lists_are_read_as_python_s_email_reads_them(text: str) -> None:
    message = BytesParser(policy=policy.default).parsebytes(f"To: {text}\n\n".encode())
    theirs: list[Address] = list(message["to"].addresses)
    ours = parse_addresses(text)
    assert [(m.local, m.domain) for m in ours.mailboxes] == [(a.username, a.domain) for a in theirs]
    assert ours.missing_commas == ()


@given(st.text('ab@.,;:<>()"\\[] +\r\n\t\0', max_size=40))
def test_nothing_raises_and_what_is_complete_stays(text: str) -> None:
    completed = complete(text, HOSTS.qualify)
    assert completed.text.count("\n") <= text.count("\n")
    for mailbox in completed.mailboxes:
        assert isinstance(mailbox, Mailbox)
        assert mailbox.local
        assert mailbox.domain
    if not set('"\\([') & set(text):  # what is left open may swallow what was put in
        again = complete(completed.text, HOSTS.qualify)
        assert len(again.mailboxes) == len(completed.mailboxes)
