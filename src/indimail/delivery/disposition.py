"""Message disposition notifications: who gets one, and how its body is written.

    asker(fields, "disposition-notification-to", "bob@example.org")      -> True
    notification("alice@example.com", "<1@example.org>", original, "message/rfc822", boundary)

One is sent without asking the user only to the envelope sender, and if the field has that address and
no other; so nobody is sent what others asked for.

Sources: RFC 8098 2.1, 2.2 (who), 3 (the body), 3.2.6 (disposition); RFC 6533 3, 4.2 (UTF-8); RFC 6522.
Not here: automatic mail (`delivery.autoreply`), the header (`delivery.autoreply`).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from indimail.delivery.headers import quoted
from indimail.delivery.report import address_in_ascii
from indimail.mail.addresses import Mailbox, mailbox_of, parse_addresses
from indimail.mail.header import field_name

OPTIONS: Final = "disposition-notification-options"
DISPOSITION: Final = "automatic-action/MDN-sent-automatically;processed"


def asker(fields: Iterable[bytes], name: str, sender: str) -> bool:
    """Tell whether a mail's envelope sender asks for a notification, in the field of this name."""
    fields = list(fields)
    if any(field_name(field) == OPTIONS and b"required" in field.lower() for field in fields):
        return False  # RFC 8098 2.2: there is no option yet that could be understood
    values = [field for field in fields if field_name(field) == name.lower()]
    asking = {
        _compared(mailbox)
        for field in values
        for mailbox in parse_addresses(_value(field)).mailboxes
    }
    return len(values) == 1 and asking == {_compared(mailbox_of(sender))}


def _compared(mailbox: Mailbox) -> tuple[str, str]:
    """Return what is compared: the domain without regard to case (RFC 8098 2.1)."""
    return mailbox.local, mailbox.domain.lower()


def _value(field: bytes) -> str:
    return field.partition(b":")[2].decode("utf-8", "surrogateescape")


def notification(
    recipient: str, message_id: str, original: Iterable[bytes], part: str, boundary: str
) -> Iterator[bytes]:
    """Yield the fields of MIME, the empty line and the three parts.

    `original` is the mail, or its header; `part` is which: message/rfc822, text/rfc822-headers.
    """
    yield (
        "MIME-Version: 1.0\n"
        "Content-Type: multipart/report; report-type=disposition-notification;\n"
        f' boundary="{boundary}"\n'
        "Content-Transfer-Encoding: 8bit\n\n"
        f"--{boundary}\n"
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n"
        f"The mail you sent to {quoted(recipient)} was delivered to the mailbox.\n"
        "This does not tell whether somebody has read it.\n\n"
        f"--{boundary}\n"
        "Content-Type: message/disposition-notification\n\n"
        f"{_report(recipient, message_id)}\n"
        f"--{boundary}\n"
        f"Content-Type: {part}\nContent-Transfer-Encoding: 8bit\n\n"
    ).encode("utf-8", "surrogateescape")
    yield from original
    yield f"\n--{boundary}--\n".encode()


def _report(recipient: str, message_id: str) -> str:
    address = quoted(recipient)
    kind = "rfc822" if address.isascii() else "utf-8"
    fields: Sequence[tuple[str, str]] = (
        ("Final-Recipient", f"{kind};{address_in_ascii(recipient)}"),
        ("Original-Message-ID", message_id),
        ("Disposition", DISPOSITION),
    )
    return "".join(f"{name}: {value}\n" for name, value in fields if value)
