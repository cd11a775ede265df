import pytest

from indimail.smtp.offer import Offer, parse_offer

OFFERS = [
    (b"250 mx.example.com", Offer()),
    (b"250-mx\n250 PIPELINING", Offer(pipelining=True)),
    (b"250-PIPELINING\n250 8BITMIME", Offer(eight_bit=True)),  # the first line is a name
    (b"250-mx\n250-size 1000\n250 Dsn", Offer(takes_size=True, size=1000, dsn=True)),
    (b"250-mx\n250 SIZE", Offer(takes_size=True)),
    (b"250-mx\n250 SIZE 0", Offer(takes_size=True)),
    (b"250-mx\n250 SIZE=1000", Offer(takes_size=True, size=1000)),
    (b"250-mx\n250 SIZE many", Offer(takes_size=True)),
    (b"250-mx\n250 SIZE -1", Offer(takes_size=True)),
    (b"250-mx\n250 SIZE " + b"9" * 21, Offer(takes_size=True)),
    ("250-mx\n250 SIZE \u0662".encode(), Offer(takes_size=True)),
    (b"250-mx\n250-STARTTLS\n250-SMTPUTF8\n250 CHUNKING",
     Offer(starttls=True, smtputf8=True, chunking=True)),
    (b"250-mx\n250 AUTH plain LOGIN", Offer(auth=("PLAIN", "LOGIN"))),
    (b"250-mx\n250-AUTH=LOGIN\n250 AUTH LOGIN CRAM-MD5", Offer(auth=("LOGIN", "CRAM-MD5"))),
    (b"250-mx\n250 AUTH", Offer(auth=())),
    (b"250-mx\n250-\n250-XPIPELINING\n250 \xff\0", Offer()),
    (b"250-mx\n250-DSN \n250", Offer(dsn=True)),
]  # fmt: skip


@pytest.mark.parametrize(("said", "offer"), OFFERS)
def test_what_is_offered(said, offer):
    assert parse_offer(said) == offer
