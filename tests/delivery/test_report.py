import pytest

from indimail.delivery.report import address_in_ascii, delivery_status
from indimail.delivery.reported import ReportedMessage, ReportedRecipient
from indimail.mail.dates import header_date
from indimail.mail.dsn import Dsn
from indimail.mail.outcome import Peer

BORN, AT = 1_763_000_000.0, 1_763_000_600.0
UNTIL = BORN + 604_800
EVES = Peer("mx.example.net", "192.0.2.1", "550 5.1.1 no Eve")
PLAIN = ReportedMessage("bob@example.org", BORN)
GLOBAL = ReportedMessage("bob@example.org", BORN, smtputf8=True)


def fields(message: ReportedMessage, failed: ReportedRecipient) -> dict[str, str]:
    text = delivery_status(message, [failed], "mx.example.com").replace("\n ", " ")
    return dict(line.split(": ", 1) for line in text.splitlines() if line)


def final(message: ReportedMessage, address: str) -> str:
    return fields(message, ReportedRecipient(address, "", AT))["Final-Recipient"]


def original(message: ReportedMessage, orcpt: str) -> str | None:
    return fields(message, ReportedRecipient("a@x", "", AT, orcpt)).get("Original-Recipient")


def test_the_fields_of_a_message_and_of_each_recipient() -> None:
    message = ReportedMessage("bob@example.org", BORN, envid="QQ+2B314")
    failed = [
        ReportedRecipient("ana@example.com", "Over quota.\n (#5.2.2)", AT, "rfc822;Ana+2B@EXAMPLE"),
        ReportedRecipient("eve@example.net", "Sorry.\n550 5.1.1 no Eve", AT, "", EVES),
        ReportedRecipient("x@example.net", "", AT),
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
Remote-MTA: dns; mx.example.net (192.0.2.1)
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
    message = ReportedMessage("bob@example.org", BORN, envid=envid)
    assert fields(message, ReportedRecipient("a@x", "", AT))["Original-Envelope-Id"] == shown


@pytest.mark.parametrize(
    ("text", "peer", "diagnostic", "remote"),
    [
        ("550 5.1.1 no", None, "X-IndiMail; 550 5.1.1 no", None),
        ("no", Peer("mx", "::1", "550 5.1.1 no"), "smtp; 550 5.1.1 no", "dns; mx (::1)"),
        ("no", Peer("192.0.2.1", "192.0.2.1", "550-a\n550 b"), "smtp; 550-a 550 b",
         "dns; 192.0.2.1"),
        ("timed out (#4.4.2)", Peer("mx", "::1"), "X-IndiMail; timed out (#4.4.2)",
         "dns; mx (::1)"),
        ("no", Peer("mx", "::1", "550 " + "y" * 5000), f"smtp; 550 {'y' * 199}", "dns; mx (::1)"),
        ("a\n\n b\0\tc", None, "X-IndiMail; a b_ c", None),
        ("débordé", None, "X-IndiMail; d?bord?", None),
        ("x" * 500, None, f"X-IndiMail; {'x' * 199} {'x' * 200} {'x' * 101}", None),
        ("", None, None, None),
    ],
)  # fmt: skip
def test_a_diagnostic_code(
    text: str, peer: Peer | None, diagnostic: str | None, remote: str | None
) -> None:
    got = fields(PLAIN, ReportedRecipient("a@x", text, AT, peer=peer))
    assert (got.get("Diagnostic-Code") or "").startswith(diagnostic or "")
    assert len(got.get("Diagnostic-Code") or "") < 2100
    assert ("Diagnostic-Code" in got) is (diagnostic is not None)
    assert got.get("Remote-MTA") == remote


@pytest.mark.parametrize(
    ("dsn", "text", "peer", "expected"),
    [
        (Dsn.DELIVERED, "did 0+0+1", None, {"Action": "delivered", "Status": "2.0.0"}),
        (Dsn.EXPANDED, "did 0+2+0", None, {"Action": "expanded", "Status": "2.0.0"}),
        (Dsn.RELAYED, "192.0.2.1 accepted message", Peer("mx", "192.0.2.1", "250 2.6.0 ok"),
         {"Action": "relayed", "Status": "2.0.0", "Remote-MTA": "dns; mx (192.0.2.1)",
          "Diagnostic-Code": "smtp; 250 2.6.0 ok"}),
        (Dsn.DELAYED, "later (#4.2.1)", None,
         {"Action": "delayed", "Status": "4.2.1", "Diagnostic-Code": "X-IndiMail; later (#4.2.1)",
          "Will-Retry-Until": header_date(UNTIL)}),
    ],
)  # fmt: skip
def test_the_fields_of_a_recipient_that_has_not_failed(
    dsn: Dsn, text: str, peer: Peer | None, expected: dict[str, str]
) -> None:
    message = ReportedMessage("bob@example.org", BORN, until=UNTIL)
    got = fields(message, ReportedRecipient("a@x", text, AT, "", peer, dsn))
    assert got == {
        "Reporting-MTA": "dns; mx.example.com", "Arrival-Date": header_date(BORN),
        "Final-Recipient": "rfc822; a@x", "Last-Attempt-Date": header_date(AT), **expected,
    }  # fmt: skip


def test_a_long_reason_is_folded_and_an_address_is_not() -> None:
    address = "a" * 300 + "@x"
    text = delivery_status(GLOBAL, [ReportedRecipient(address, "élan " * 500, AT)], "mx")
    assert max(map(len, text.encode().splitlines())) < 998
    assert f"Final-Recipient: rfc822; {address}\n" in text


def test_an_address_for_where_ascii_alone_may_stand() -> None:
    assert address_in_ascii("ana@example.com") == "ana@example.com"
    assert address_in_ascii("é b\n@x") == r'"\x{E9}\x{20}b\x{20}"@x'
