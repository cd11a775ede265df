import pytest

from indimail.mail.address import Address
from indimail.mail.dsn import Dsn
from indimail.mail.envelope import Envelope, ForwardPath, ReversePath
from indimail.mail.outcome import Delivered, Failed
from indimail.smtp.hop import Hop
from indimail.smtp.offer import Offer
from indimail.smtp.report import UNSENDABLE
from indimail.smtp.transfer import Transfer

HOP = Hop("192.0.2.1", "client.example.net")
NOTHING = Offer()
ANA = Address("ana", "example.net")


def transfer(recipient, sender=ANA, offer=NOTHING):
    envelope = Envelope(ReversePath(sender), (ForwardPath(recipient),))
    return Transfer(envelope, offer, HOP, authenticated=False)


WRITTEN = [
    (Address("bo", "example.com"), b"bo@example.com"),
    (Address("Bo.Bi", "example.com"), b"Bo.Bi@example.com"),
    (Address("bo", ""), b"bo"),
    (Address("b o", "example.com"), b'"b o"@example.com'),
    (Address("bo@home", "example.com"), b'"bo@home"@example.com'),
    (Address('b"o\\', "example.com"), b'"b\\"o\\\\"@example.com'),
    (Address("bo", "[192.0.2.9]"), b"bo@[192.0.2.9]"),
    (Address("bo", "[ipv6:2001:db8::1]"), b"bo@[ipv6:2001:db8::1]"),
    (Address("bo", "m\u00fcller.example"), b"bo@xn--mller-kva.example"),
    (Address("x" * 880, "example.com"), b"x" * 880 + b"@example.com"),
]


@pytest.mark.parametrize(("address", "written"), WRITTEN)
def test_an_address_is_written_as_a_path(address, written):
    assert transfer(address).rcpts == [b"RCPT TO:<" + written + b">\r\n"]
    assert transfer(ANA, address).mail == b"MAIL FROM:<" + written + b">\r\n"


# A program of ours may have queued anything: none of it may end a command, or be another address.
UNWRITABLE = [
    Address("bo\r\nDATA", "example.com"),
    Address("bo", "example.com>\r\nDATA"),
    Address("bo", "example.com> NOTIFY=NEVER"),
    Address("b\0o", "example.com"),
    Address("b\x7fo", "example.com"),
    Address("\udcff", "example.com"),
    Address("bo", "\udcff.example"),
    Address("bo", "two words"),
    Address("bo", "a..b"),
    Address("bo", "x" * 256),
    Address("x" * 900, "example.com"),
    Address("", "example.com"),
]


@pytest.mark.parametrize("address", UNWRITABLE, ids=ascii)
@pytest.mark.parametrize("smtputf8", [False, True])
def test_what_cannot_be_written_fails_before_anything_is_sent(address, smtputf8):
    for sent in (
        transfer(address, offer=Offer(smtputf8=smtputf8)),
        transfer(ANA, address, Offer(smtputf8=smtputf8)),
    ):
        assert (sent.rcpts, sent.mail, sent.is_over) == ([], b"", True)
        assert sent.settle() == (Failed(UNSENDABLE),)


def test_no_recipient_has_two_outcomes():
    sent = transfer(Address("bo", "example.com"))
    sent.end(500, "first")
    sent.end(200, "second")
    assert sent.settle() == (Failed("first", peer=HOP.peer()),)


@pytest.mark.parametrize(("offer", "dsn"), [(NOTHING, Dsn.RELAYED), (Offer(dsn=True), None)])
def test_a_server_with_dsn_answers_for_success_itself(offer, dsn):
    sent = transfer(Address("bo", "example.com"), offer=offer)
    sent.end(250, "taken", "250 ok")
    assert sent.settle() == (Delivered("taken", HOP.rule, dsn, HOP.peer("250 ok")),)
