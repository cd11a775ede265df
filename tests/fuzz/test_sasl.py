"""SASL fed by a stranger.

Invariant: no response raises; every exchange ends within five of them, in credentials or malformed;
nobody proves to know a password who does not.
"""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.accounts.scram import Mechanism, ScramKeys
from indimail.wire.sasl_server import (
    MECHANISMS,
    Challenge,
    KeysWanted,
    ScramProof,
    Setting,
    start,
)

pytestmark = pytest.mark.fuzz

SETTING = Setting("1896.697", "mx.example.com", {"tls-unique": b"unique"})
KEYS = ScramKeys(Mechanism.SHA256, 4096, bytes(16), bytes(32), bytes(32))
PIECES = [
    *[b"n,,", b"y,,", b"p=tls-unique,,", b"p=x,,", b"n,a=b,", b"n=tim", b",r=x", b"r=x1896.697,"],
    *[b"c=biws,", b"p=YQ==", b"m=", b"=2C", b"=3D", b"=", b",", b"i=1", b"s=YQ==", b"v=", b"e="],
    *[
        b"\0",
        b"\x01",
        b"\xff",
        b" ",
        b"auth=Bearer ",
        b"user=",
        b"host=",
        b"abcdef",
        b"tim",
        b"\xc3\xa9",
    ],
    *["\u2000".encode(), "\u0627\u0031".encode(), "\u00ad".encode(), b"\n", b"A" * 400],
]
RESPONSES = st.lists(
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=4)), max_size=8).map(b"".join),
    max_size=5,
)
FIRST = st.sampled_from([None, b"n,,n=tim,r=x", b"p=tls-unique,,n=tim,r=x", b"\0tim\0pw", b"tim"])


@given(st.sampled_from(list(MECHANISMS)), FIRST, RESPONSES)
def test_every_exchange_ends_and_nobody_gets_in_by_chance(name, first, responses):
    exchange = start(name, SETTING)
    step = exchange.receive(first)
    for response in [*responses, b"", b"", b"", b"", b""]:
        if isinstance(step, KeysWanted):
            assert step.hash in hashlib.algorithms_available
            step = exchange.keys_found(KEYS)
        if not isinstance(step, Challenge):
            break
        step = exchange.receive(response)
    assert not isinstance(step, Challenge | KeysWanted)
    assert not (isinstance(step, ScramProof) and step.is_right)
    if (last := exchange.refused()) is not None:
        assert last.data.isascii()
