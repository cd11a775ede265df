import pytest

from indimail.delivery.failure import FailedMessage, FailedRecipient
from indimail.delivery.report import address_in_ascii, delivery_status
from indimail.mail.dates import header_date

BORN, AT = 1_763_000_000.0, 1_763_000_600.0
PLAIN = FailedMessage("bob@example.org", BORN)
GLOBAL = FailedMessage("bob@example.org", BORN, smtputf8=True)


def fields(message: FailedMessage, failed: FailedRecipient) -> dict[str, str]:
    text = delivery_status(message, [failed], "mx.example.com").replace("\n ", " ")
    return dict(line.split(": ", 1) for line in text.splitlines() if line)


def final(message: FailedMessage, address: str) -> str:
    return fields(message, FailedRecipient(address, "", AT))["Final-Recipient"]


def original(message: FailedMessage, orcpt: str) -> str | None:
    return fields(message, FailedRecipient("a@x", "", AT, orcpt)).get("Original-Recipient")


def test_the_fields_of_a_message_and_of_each_recipient() -> None:
    message = FailedMessage("bob@example.org", BORN, envid="QQ+2B314")
    failed = [
        FailedRecipient("ana@example.com", "Over quota.\n (#5.2.2)", AT, "rfc822;Ana+2B@EXAMPLE"),
        FailedRecipient("eve@example.net", "Sorry.\n550 5.1.1 no Eve", AT, peer="mx.example.net"),
        FailedRecipient("x@example.net", "", AT),
    ]
    assert delivery_status(message, failed, "mx.example.com") == (
        f"""\
Original-Envelope-Id: QQ+314
Reporting-MTA: dns; mx.example.com
Arrival-Date: {header_date(BORN)}

Original-Recipient: rfc822; Ana+@EXAMPLE
Final-Recipient: rfc822; ana@example.com
Action: failed
Status: 5.2.2
Diagnostic-Code: X-IndiMail; Over quota. (#5.2.2)
Last-Attempt-Date: {header_date(AT)}

Final-Recipient: rfc822; eve@example.net
Action: failed
Status: 5.1.1
Remote-MTA: dns; mx.example.net
Diagnostic-Code: smtp; 550 5.1.1 no Eve
Last-Attempt-Date: {header_date(AT)}

Final-Recipient: rfc822; x@example.net
Action: failed
Status: 5.0.0
Last-Attempt-Date: {header_date(AT)}
"""
    )


@pytest.mark.parametrize(
    ("address", "plain", "unicode"),
    [
        ("a@x", "rfc822; a@x", "rfc822; a@x"),
        ("a b;c@x", 'rfc822; "a b;c"@x', 'rfc822; "a b;c"@x'),
        ("é+=\\@ü.x", r'utf-8; "\x{E9}\x{2B}\x{3D}\x{5C}\x{5C}"@\x{FC}.x', r'utf-8; "é+=\\"@ü.x'),
        ("\N{GRINNING FACE}@x", r"utf-8; \x{1F600}@x", "utf-8; \N{GRINNING FACE}@x"),
        ("a\r\nAction: delivered@x", 'rfc822; "a  Action: delivered"@x', ""),
        ("a\udcff@x", "rfc822; a_@x", "rfc822; a_@x"),
    ],
)
def test_a_final_recipient(address: str, plain: str, unicode: str) -> None:
    assert final(PLAIN, address) == plain
    assert final(GLOBAL, address) == (unicode or plain)


@pytest.mark.parametrize(
    ("orcpt", "plain", "unicode"),
    [
        ("", None, None),
        ("nothing", None, None),
        ("rf c;a@x", None, None),
        ("rfc822;a+3Db@x", "rfc822; a=b@x", "rfc822; a=b@x"),
        ("rfc822;a+0D+0AX: y+FF+7F", "rfc822; a+0D+0AX: y+FF+7F", "rfc822; a+0D+0AX: y+FF+7F"),
        ("x400;/c=de/", "x400; /c=de/", "x400; /c=de/"),
        (r"utf-8;\x{E9}\x{2B}@x", r"utf-8; \x{E9}\x{2B}@x", "utf-8; é+@x"),
        (r"utf-8;\x{0A}\x{FFFFFF}\x{D800}", r"utf-8; \x{0A}\x{FFFFFF}\x{D800}", None),
        ("UTF-8;é@x", r"UTF-8; \x{E9}@x", "UTF-8; é@x"),
        ("rfc822;a\r\nStatus: 2.0.0", "rfc822; a  Status: 2.0.0", "rfc822; a  Status: 2.0.0"),
    ],
)
def test_an_original_recipient(orcpt: str, plain: str | None, unicode: str | None) -> None:
    assert original(PLAIN, orcpt) == plain
    assert original(GLOBAL, orcpt) == (unicode if unicode or not plain else plain)


@pytest.mark.parametrize(
    ("envid", "shown"),
    [
        ("a+20b", "a b"),
        ("a+0D+0AX:+20y", "a+0D+0AX: y"),
        ("a+E9", "a+E9"),
    ],
)
def test_an_envelope_id_is_decoded_as_far_as_it_prints(envid: str, shown: str) -> None:
    message = FailedMessage("bob@example.org", BORN, envid=envid)
    assert fields(message, FailedRecipient("a@x", "", AT))["Original-Envelope-Id"] == shown


@pytest.mark.parametrize(
    ("text", "peer", "diagnostic"),
    [
        ("550 5.1.1 no", "", "X-IndiMail; 550 5.1.1 no"),
        ("550 5.1.1 no", "mx", "smtp; 550 5.1.1 no"),
        ("I asked.\nRemote host said: 550-a\n550 b\n", "mx", "smtp; 550-a 550 b"),
        ("timed out (#4.4.2)", "mx", "X-IndiMail; timed out (#4.4.2)"),
        ("a\n\n b\0\tc", "", "X-IndiMail; a b_ c"),
        ("débordé", "", "X-IndiMail; d?bord?"),
        ("x" * 500, "", f"X-IndiMail; {'x' * 199} {'x' * 200} {'x' * 101}"),
        ("", "", None),
    ],
)
def test_a_diagnostic_code(text: str, peer: str, diagnostic: str | None) -> None:
    got = fields(PLAIN, FailedRecipient("a@x", text, AT, peer=peer))
    assert got.get("Diagnostic-Code") == diagnostic
    assert got.get("Remote-MTA") == (f"dns; {peer}" if peer else None)


def test_a_long_reason_is_folded_and_an_address_is_not() -> None:
    address = "a" * 300 + "@x"
    text = delivery_status(GLOBAL, [FailedRecipient(address, "élan " * 500, AT)], "mx")
    assert max(map(len, text.encode().splitlines())) < 998
    assert f"Final-Recipient: rfc822; {address}\n" in text


def test_an_address_for_where_ascii_alone_may_stand() -> None:
    assert address_in_ascii("ana@example.com") == "ana@example.com"
    assert address_in_ascii("é b\n@x") == r'"\x{E9}\x{20}b\x{20}"@x'
