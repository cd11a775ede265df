import pytest

from indimail.delivery.disposition import asker, notification

NAME = "Disposition-Notification-To"


@pytest.mark.parametrize(
    ("values", "sender", "asks"),
    [
        ([b"eve@example.net"], "eve@example.net", True),
        ([b" Eve <@relay.example:eve@EXAMPLE.net> (me)"], "eve@example.net", True),
        ([b'"e\\ve"@example.net, eve@example.net'], "eve@example.net", True),
        ([b"Eve@example.net"], "eve@example.net", False),
        ([b"eve@example.net, bob@example.net"], "eve@example.net", False),
        ([b"bob@example.net"], "eve@example.net", False),
        ([b"eve@example.net", b"eve@example.net"], "eve@example.net", False),
        ([b""], "", False),
        ([b"<>"], "", False),
        ([], "eve@example.net", False),
    ],
)
def test_only_the_envelope_sender_is_told(values: list[bytes], sender: str, asks: bool) -> None:
    fields = [b"disposition-notification-to:" + value + b"\n" for value in values]
    assert asker([b"To: eve@example.net\n", *fields], NAME, sender) is asks


@pytest.mark.parametrize(("importance", "asks"), [(b"optional", True), (b"Required", False)])
def test_what_is_required_is_not_understood(importance: bytes, asks: bool) -> None:
    options = b"Disposition-Notification-Options: x = " + importance + b", y\n"
    fields = [b"Disposition-Notification-To: eve@example.net\n", options]
    assert asker(fields, NAME, "eve@example.net") is asks


@pytest.mark.parametrize(
    ("recipient", "message_id", "report"),
    [
        ("a b@example.com", "<1@x>",
         'Final-Recipient: rfc822;"a b"@example.com\nOriginal-Message-ID: <1@x>\n'),
        ("a\nTo: x@example.com", "", 'Final-Recipient: rfc822;"a To: x"@example.com\n'),
        ("\u00fc@example.com", "", "Final-Recipient: utf-8;\\x{FC}@example.com\n"),
    ],
)  # fmt: skip
def test_no_address_can_add_a_field(recipient: str, message_id: str, report: str) -> None:
    whole = b"".join(notification(recipient, message_id, [b"x"], "message/rfc822", "=_1")).decode()
    _, _, part, original, end = whole.split("--=_1")
    assert part == (
        f"\nContent-Type: message/disposition-notification\n\n{report}"
        "Disposition: automatic-action/MDN-sent-automatically;processed\n\n"
    )
    assert original.endswith("\n\nx\n")
    assert end == "--\n"
