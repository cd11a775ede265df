"""Messages of name servers, as anybody may send them.

Invariant: what cannot be parsed is refused with dnspython's error; the rest is an answer whose
records have the types and spellings of `mail.dns`, or no answer with its reason.
"""

import dns.exception
import dns.message
import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.mail.dns import Exchanger, Found
from indimail.mail.ip import ip_of
from indimail.net.resolver import read

pytestmark = pytest.mark.fuzz

LINES = [
    "example.com. 60 IN CNAME w.example.com.",
    "w.example.com. 60 IN CNAME example.com.",
    "w.example.com. 5 IN A 192.0.2.1",
    "w.example.com. 5 IN AAAA ::ffff:192.0.2.1",
    "example.com. 0 IN MX 65535 \\000\\.x.Example.com.",
    "example.com. 2147483647 IN MX 0 .",
    "example.com. 900 IN SOA ns.example.com. root.example.com. 1 2 3 4 600",
    "com. 900 IN NS ns.com.",
]


@st.composite
def octets(draw: st.DrawFn) -> bytes:
    """A response of some records, and some of its octets changed."""
    query = dns.message.make_query("example.com", draw(st.sampled_from(["A", "AAAA", "MX"])), id=1)
    made = dns.message.make_response(query)
    for section in (made.answer, made.authority):
        for line in draw(st.lists(st.sampled_from(LINES), max_size=4)):
            name, ttl, klass, kind, data = line.split(maxsplit=4)
            section.append(dns.rrset.from_text(name, int(ttl), klass, kind, data))
    made.flags = draw(st.integers(0, 0xFFFF))
    whole = bytearray(made.to_wire())
    for place, octet in draw(
        st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)))
    ):
        whole[place] = octet
    return bytes(whole[: draw(st.integers(0, len(whole)) | st.just(len(whole)))])


@given(octets() | st.binary(max_size=60))
def test_a_message_is_an_answer_or_is_refused(message: bytes) -> None:
    try:
        response = dns.message.from_wire(message)
    except dns.exception.DNSException:
        return
    answer, _ = read(response)
    assert bool(answer.records) is (answer.found is Found.RECORDS)
    assert bool(answer.reason) is (answer.found is Found.FAILED)
    assert answer.ttl >= 0
    for record in answer.records:
        if isinstance(record, Exchanger):
            assert record.host == record.host.lower()
            assert not record.host.endswith(".") or record.host.endswith("\\.")
        else:
            assert ip_of(record) == record
