"""A bounce made of what strangers wrote: addresses, reasons, DSN parameters and the message.

Invariant: the header has the fields we write and no other, there are three parts of the types we
declare, the report has one group for each recipient and the fields we write, and the text one
paragraph for each; octets above 127 are declared, and none is a control character but LF.
"""

import email
import re
from dataclasses import replace
from email.message import Message
from email.policy import default

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from indimail.delivery.bounce import Addressed, BounceSettings, addressed, compose, enclosed
from indimail.delivery.reported import ReportedMessage, ReportedRecipient
from indimail.mail.dsn import Dsn
from indimail.mail.outcome import Peer

pytestmark = pytest.mark.fuzz

BOUNDARY = "=_bounce_7_0_"
WORDS = [
    *["\n", "\r\n", "\r", "\n\n", " ", "\t", "\0", "\x85", "\u2028", "\udcff", "é", "@", ";", ":"],
    *["<", ">:", '"', "\\", "(#5.1.1)", "+0A", r"\x{0A}", "rfc822;", "utf-8;", "-", "--", "=?"],
    *[f"\n--{BOUNDARY}\n", f"\n--{BOUNDARY}--\n", BOUNDARY, "=_bounce_7_1_", "x" * 300],
    *["Bcc: eve@example.org\n", "\nStatus: 2.0.0\n", "\n\nFinal-Recipient: rfc822; eve@x\n"],
    "\n<eve@example.org>:\n",
]
TEXTS = st.lists(st.sampled_from(WORDS) | st.text(max_size=4), max_size=8).map("".join)
PEERS = st.none() | st.builds(Peer, TEXTS, TEXTS, TEXTS)
RECIPIENTS = st.builds(ReportedRecipient, TEXTS, TEXTS, st.just(1.0), TEXTS, PEERS)
DSNS = st.sampled_from(Dsn)
MESSAGES = st.builds(
    ReportedMessage, TEXTS.map(lambda text: text or "bob@x"), st.just(1.0), st.booleans(),
    st.sampled_from(["", "FULL", "HDRS"]), TEXTS,
)  # fmt: skip
BODIES = st.lists(
    st.sampled_from(WORDS).map(lambda text: text.encode("utf-8", "surrogateescape"))
    | st.binary(max_size=4),
    max_size=12,
)
SETTINGS = st.builds(
    BounceSettings, bouncesubject=TEXTS, doublebouncesubject=TEXTS,
    bouncemessage=st.lists(TEXTS, max_size=2).map(tuple),
    bouncemaxbytes=st.sampled_from([0, 1, 30, 1000]),
)  # fmt: skip
HEADER = [
    "Date", "X-Bounced-Address", "From", "To", "MIME-Version", "Content-Type", "Subject",
    "Auto-Submitted", "Message-ID",
]  # fmt: skip
OF_MESSAGE = ["Original-Envelope-Id", "Reporting-MTA", "Arrival-Date"]
OF_RECIPIENT = [
    "Original-Recipient", "Final-Recipient", "Action", "Status", "Remote-MTA", "Diagnostic-Code",
    "Last-Attempt-Date", "Will-Retry-Until",
]  # fmt: skip
OPTIONAL = {
    "Original-Envelope-Id", "Original-Recipient", "Remote-MTA", "Diagnostic-Code",
    "Will-Retry-Until",
}  # fmt: skip
CONTROLS = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]")


def groups(body: bytes, boundary: str) -> list[list[str]]:
    """Return the names of the report's fields, by plain reading of lines."""
    report = body.split(f"--{boundary}".encode())[2].partition(b"\n\n")[2]
    return [
        [line.partition(b": ")[0].decode() for line in group.split(b"\n") if line[:1] != b" "]
        for group in report.strip(b"\n").split(b"\n\n")
    ]


def boundary(whole: bytes) -> str:
    found = email.message_from_bytes(whole).get_boundary()
    assert found is not None
    return found


def fields(wanted: list[str], got: list[str]) -> bool:
    return [name for name in wanted if name in got or name not in OPTIONAL] == got


def payload(message: Message) -> list[Message]:
    found = message.get_payload()
    assert isinstance(found, list)
    return [part for part in found if isinstance(part, Message)]


@given(MESSAGES, st.lists(RECIPIENTS, min_size=1, max_size=3), BODIES, SETTINGS, DSNS)
@example(
    ReportedMessage("", 1.0), [ReportedRecipient("a@b", "", 1.0)], [b"\r--x"], BounceSettings(),
    Dsn.FAILED,
)  # fmt: skip
def test_nothing_adds_a_field_or_a_part(
    message: ReportedMessage, failed: list[ReportedRecipient], pieces: list[bytes],
    settings: BounceSettings, dsn: Dsn,
) -> None:  # fmt: skip
    failed = [replace(one, dsn=dsn) for one in failed]
    envelope = addressed(message.reverse_path, settings)
    if not isinstance(envelope, Addressed):
        return
    copy = enclosed(iter(pieces), message, settings, 7, dsn)
    bounce = compose(envelope, settings, message, failed, copy, 7, 2.0)
    copied = b"".join(pieces)[: bounce.copied]
    whole = bounce.head + copied + bounce.tail
    assert bounce.eight_bit is not (bounce.head + copied + bounce.tail).isascii()
    assert CONTROLS.search(bounce.head + bounce.tail) is None
    bounce.head.decode()  # UTF-8, and no half of a character

    read = email.message_from_bytes(whole, policy=default)
    own = [name for name in HEADER if dsn is Dsn.FAILED or name != "X-Bounced-Address"]
    assert [name for name in read if name != "Content-Transfer-Encoding"] == own
    kinds = [(part.get_content_maintype(), part.get_content_subtype()) for part in payload(read)]
    assert len(kinds) == 3
    assert kinds[0] == ("text", "plain")
    assert kinds[1][1] in {"delivery-status", "global-delivery-status"}
    assert kinds[2][1] in {"rfc822", "rfc822-headers", "global", "global-headers"}
    body = whole.partition(b"\n\n")[2]
    assert body.count(boundary(whole).encode()) == 4

    first, *others = groups(body, boundary(whole))
    assert fields(OF_MESSAGE, first)
    assert len(others) == len(failed)
    assert all(fields(OF_RECIPIENT, group) for group in others)

    text = body.split(f"--{boundary(whole)}".encode())[1].partition(b"\n\n")[2].decode()
    paragraphs = text.strip("\n").split("\n\n")
    assert len(paragraphs) == len(failed) + 2
    assert all(re.match(r"<.*>:\n", paragraph) for paragraph in paragraphs[1:-1])
    assert all(line[:1] not in {"<", "-"} for p in paragraphs[1:-1] for line in p.split("\n")[1:])
    assert paragraphs[-1].startswith("--- Enclosed is ")
