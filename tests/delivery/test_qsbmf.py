import pytest

from indimail.delivery.qsbmf import LONGEST, Enclosed, in_words, notice
from indimail.delivery.reported import ReportedRecipient

ANA = ReportedRecipient("ana@example.com", "no account here by that name. indimail (#5.1.5)", 0.0)
BOB = ReportedRecipient("bob@example.com", "Over quota.\n\n \nSorry. (#4.2.2)\n", 0.0)


def paragraph(failed: ReportedRecipient) -> list[str]:
    return notice("mx", (), [failed], Enclosed.MESSAGE).split("\n\n")[1].split("\n")


def test_a_bounce_says_what_failed_and_why() -> None:
    assert notice("mx.example.com", (), [ANA, BOB], Enclosed.MESSAGE) == (
        """\
Hi. This is the qmail-send program at mx.example.com.
I'm afraid I wasn't able to deliver your message to the following addresses.
This is a permanent error; I've given up. Sorry it didn't work out.

<ana@example.com>:
There is no such address.
no account here by that name. indimail (#5.1.5)

<bob@example.com>:
The mailbox is full. It could not be delivered in time.
Over quota.
/
/
Sorry. (#4.2.2)

--- Enclosed is a copy of the message.
"""
    )


def test_a_double_bounce_says_so() -> None:
    assert notice("mx.example.com", (), [ANA], Enclosed.BOUNCE) == (
        """\
Hi. This is the qmail-send program at mx.example.com.
I tried to deliver a bounce message to this address, but the bounce bounced!

<ana@example.com>:
There is no such address.
no account here by that name. indimail (#5.1.5)

--- Enclosed is the original bounce.
"""
    )


@pytest.mark.parametrize(
    ("own", "first"),
    [
        (("Sorry.", "", " ", "-"), "Hi. This is the qmail-send program at mx.\nSorry.\n-"),
        (("Hi. This is the post.", "<a>:"), "Hi. This is the post.\n<a>:"),
    ],
)
def test_the_operator_s_text_takes_the_place_of_the_apology(
    own: tuple[str, ...], first: str
) -> None:
    text = notice("mx", own, [ANA], Enclosed.HEADER)
    assert text.split("\n\n")[0] == first
    assert text.endswith("\n\n--- Enclosed is a copy of the message's header.\n")


@pytest.mark.parametrize(
    ("address", "text", "lines"),
    [
        ("a\nb\r@x", "no", ["<a b @x>:", "no"]),
        ("a\0b\x1b@x", "n\0o\x1b[2J", ["<a_b_@x>:", "n_o_[2J"]),
        ("a@x", "\t1\N{NO-BREAK SPACE}Mo\N{RIGHT-TO-LEFT OVERRIDE}", ["<a@x>:", "1 Mo_"]),
        ("é@x", "débordé \udcff", ["<é@x>:", "débordé _"]),
        ("a@x", "a\r\nb\u2028c\x0bd", ["<a@x>:", "a", "b", "c", "d"]),
        ("a@x", "<b@x>:\n --- end", ["<a@x>:", "/ <b@x>:", "/  --- end"]),
        ("a@x", "", ["<a@x>:"]),
        ("a@x", "y" * (LONGEST + 1), ["<a@x>:", "y" * LONGEST, "y"]),
        ("a@x", "y" * LONGEST + "<b@x>:", ["<a@x>:", "y" * LONGEST, "/ <b@x>:"]),
    ],
)
def test_no_address_and_no_text_leaves_its_paragraph(
    address: str, text: str, lines: list[str]
) -> None:
    got = paragraph(ReportedRecipient(address, text, 0.0))
    assert got == [lines[0], "The message could not be delivered.", *lines[1:]]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("5.1.1", "There is no such address."),
        ("5.1.2", "There is no such domain, or it takes no mail."),
        ("5.1.3", "The message could not be delivered."),  # RFC 3463 and IndiMail differ
        ("5.2.2", "The mailbox is full."),
        ("5.3.4", "The message is too large."),
        ("5.4.6", "The message goes round in a circle."),
        ("5.7.26", "The message was refused by a rule of the receiving side."),
        ("5.0.0", "The message could not be delivered."),
        ("4.4.1", "The receiving server could not be reached. It could not be delivered in time."),
        ("4.0.0", "The message could not be delivered. It could not be delivered in time."),
    ],
)
def test_a_code_in_words(status: str, words: str) -> None:
    assert in_words(status) == words
