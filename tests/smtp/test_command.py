import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from indimail.mail.address import NULL, Address
from indimail.mail.envelope import ForwardPath, ReversePath
from indimail.smtp import command
from indimail.smtp.command import parse_bdat, parse_mail, parse_rcpt
from indimail.smtp.replies import BAD_ADDRESS, BAD_PARAMETER, NEEDS_SMTPUTF8, UNKNOWN_PARAMETER

ANA = Address("Ana", "example.com")
LONG = "a" * (900 - len("@example.com"))


@pytest.mark.parametrize(
    ("argument", "offered"),
    [
        ("FROM:<Ana@Example.COM>", ReversePath(ANA)),
        ("from: <Ana@example.com>", ReversePath(ANA)),
        ("FROM <Ana@example.com>", ReversePath(ANA)),
        ("FROM:Ana@example.com", ReversePath(ANA)),
        ("FROM:Ana@example.com SIZE=1", ReversePath(ANA, size=1)),
        ("FROM:Ana@example.com AUTH=<>", ReversePath(ANA, auth="<>")),
        ("FROM:<>", ReversePath(NULL)),
        ("FROM:<> BODY=7bit", ReversePath(NULL, body="7BIT")),
        ("FROM:<@hop.example:Ana@example.com>", ReversePath(ANA)),
        ("FROM:<@a.example,@b.example:Ana@example.com>", ReversePath(ANA)),
        ('FROM:<"Ana"@example.com>', ReversePath(ANA)),
        (r"FROM:<A\na@example.com>", ReversePath(ANA)),
        ('FROM:<"a>b"@example.com>', ReversePath(Address("a>b", "example.com"))),
        ('FROM:<"a@b"@example.com>', ReversePath(Address("a@b", "example.com"))),
        ("FROM:<a%b!c@example.com>", ReversePath(Address("a%b!c", "example.com"))),
        ("FROM:<ana@[IPv6:2001:db8::1]>", ReversePath(Address("ana", "[ipv6:2001:db8::1]"))),
        ("FROM:<ana>", ReversePath(Address("ana", ""))),
        (f"FROM:<{LONG}@example.com>", ReversePath(Address(LONG, "example.com"))),
        (f"FROM:<{LONG}b@example.com>", BAD_ADDRESS),
        (
            "FROM:<Ana@example.com> SIZE=18446744073709551615 BODY=8BITMIME AUTH=a+40b RET=full"
            ' ENVID=Q"+2B',
            ReversePath(
                ANA,
                body="8BITMIME",
                size=2**63 - 1,
                auth="a+40b",
                ret="FULL",
                envid='Q"+2B',
            ),
        ),
        ("FROM:<anà@exämple.com> SMTPUTF8", ReversePath(Address("anà", "exämple.com"), "", True)),
        ("FROM:<Ana@example.com>  smtputf8 ", ReversePath(ANA, smtputf8=True)),
        ("FROM:<anà@example.com>", NEEDS_SMTPUTF8),
        ("FROM:<anà@example.com> SIZE=1", NEEDS_SMTPUTF8),
        ("FROM:<Ana@example.com> SMTPUTF8=", BAD_PARAMETER),
        ("FROM:<Ana@example.com> SIZE", BAD_PARAMETER),
        ("FROM:<Ana@example.com> SIZE=²", BAD_PARAMETER),
        ("FROM:<Ana@example.com> SIZE=123456789012345678901", BAD_PARAMETER),
        ("FROM:<Ana@example.com> RET=FULL RET=FULL", BAD_PARAMETER),
        ("FROM:<Ana@example.com> ENVID=" + "a" * 101, BAD_PARAMETER),
        ("FROM:<Ana@example.com> BY=1;R", UNKNOWN_PARAMETER),
        ("FROM:<Ana@example.com>SIZE=1", BAD_ADDRESS),
        ("FROM:<Ana@example.com", BAD_ADDRESS),
        ('FROM:<"Ana@example.com>', BAD_ADDRESS),
        ("FROM:<Ana @example.com>", BAD_ADDRESS),
        ("FROM:<Ana@>", BAD_ADDRESS),
        ("FROM:<@example.com>", BAD_ADDRESS),
        ("FROM:<@hop.example:>", BAD_ADDRESS),
        ("FROM:<ana@.example.com>", BAD_ADDRESS),
        ("FROM:<ana@example.com.>", BAD_ADDRESS),
        ("FROM:<ana@exam/ple.com>", BAD_ADDRESS),
        ("FROM:<ana@[192.0.2.1>", BAD_ADDRESS),
        (f"FROM:<ana@{'a.' * 127}com>", BAD_ADDRESS),
        ("FROM:<a\tb@example.com>", BAD_ADDRESS),
        ('FROM:<"a\x7fb"@example.com>', BAD_ADDRESS),
        ("FROM:", BAD_ADDRESS),
        ("TO:<Ana@example.com>", BAD_ADDRESS),
        ("<Ana@example.com>", BAD_ADDRESS),
        ("", BAD_ADDRESS),
    ],
)
def test_mail_from(argument, offered):
    assert parse_mail(argument.encode(), smtputf8=True) == offered


@pytest.mark.parametrize(
    ("argument", "offered"),
    [
        ("TO:<Ana@example.com>", ForwardPath(ANA)),
        ("to:<postmaster>", ForwardPath(Address("postmaster", ""))),
        ("TO:<Ana@example.com> NOTIFY=never", ForwardPath(ANA, "NEVER")),
        (
            "TO:<Ana@example.com> NOTIFY=DELAY,success ORCPT=rfc822;a+2Bb@example.com",
            ForwardPath(ANA, "DELAY,SUCCESS", "rfc822;a+2Bb@example.com"),
        ),
        ("TO:<Ana@example.com> NOTIFY=DELAY,DELAY", BAD_PARAMETER),
        ("TO:<Ana@example.com> ORCPT=rfc822;a+b", BAD_PARAMETER),
        ("TO:<Ana@example.com> ORCPT=rfc822;" + "a" * 500, BAD_PARAMETER),
        ("TO:<Ana@example.com> SIZE=1", UNKNOWN_PARAMETER),
        ("TO:<ané@example.com>", NEEDS_SMTPUTF8),
        ("TO:<Ana@example.com> ORCPT=utf-8;é", NEEDS_SMTPUTF8),
        ("TO:<>", BAD_ADDRESS),
        ("FROM:<Ana@example.com>", BAD_ADDRESS),
    ],
)
def test_rcpt_to(argument, offered):
    assert parse_rcpt(argument.encode(), utf8=False) == offered


def test_smtputf8_is_unknown_where_it_is_not_offered():
    argument = b"FROM:<Ana@example.com> SMTPUTF8"
    assert parse_mail(argument, smtputf8=False) == UNKNOWN_PARAMETER


def test_octets_that_are_no_text_are_no_address():
    assert parse_mail(b"FROM:<\xff@example.com>", smtputf8=True) == BAD_ADDRESS
    assert parse_rcpt(b"TO:<ana@example.com> ORCPT=\xff", utf8=True) == BAD_ADDRESS


@pytest.mark.parametrize(
    ("argument", "chunk"),
    [
        (b"0", (0, False)),
        (b"1000 LAST", (1000, True)),
        (b"7  last", (7, True)),
        (b"", None),
        (b"x", None),
        (b"-1", None),
        (b"+1", None),
        (b"1 FIRST", None),
        (b"1 LAST LAST", None),
        (b"1234567890123456789", None),
        ("²".encode(), None),
    ],
)
def test_bdat(argument, chunk):
    assert parse_bdat(argument) == chunk


_PATHS = st.text('aB.-_@<>:"\\ \t%é[1]/+', max_size=12)


@given(_PATHS)
@example("aB@aB.a")
@example("aB@aB.a> a")
def test_the_short_way_reads_a_path_as_the_long_way(path):
    """Nearly every path goes by one regular expression; what it takes, the grammar reads alike."""
    argument = f"FROM:<{path}>".encode()
    short = command._path(argument, "FROM")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(command._PLAIN, "FROM", lambda _text: None)
        assert command._path(argument, "FROM") == short
