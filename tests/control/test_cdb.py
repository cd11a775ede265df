import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.control.cdb import Cdb, build_cdb, cdb_hash, read_cdb, write_cdb
from indimail.durable.disk import SystemDisk
from indimail.mail.errors import ConfigErrors

MANY = [
    (b"one", b"Hello"),
    (b"two", b"Goodbye"),
    (b"", b"empty key"),
    (b"one", b"again"),
    *[(b"d%d.example" % number, b"") for number in range(300)],
]


def test_one_record_octet_for_octet():
    """Record, then the one table of two slots, of which the hash's second is taken."""
    octets = build_cdb([(b"one", b"Hello")])
    record = "03000000 05000000 6f6e65 48656c6c6f"
    table = "00000000 00000000 815b870b 00080000"
    assert octets[2048:] == bytes.fromhex(record + table)
    assert octets[0x81 * 8 : 0x81 * 8 + 8] == bytes.fromhex("10080000 02000000")


def test_many_records_are_what_another_writer_makes_of_them():
    """The digest is that of the file which pure-cdb 4.0.0 writes for these records."""
    digest = "94cca414ae91031a6a48781b9fed3d241551a0488a46d0947508ade18887f683"
    assert hashlib.sha256(build_cdb(MANY)).hexdigest() == digest


def test_the_hash_of_nothing_is_5381():
    assert cdb_hash(b"") == 5381
    assert cdb_hash(b"a") == (5381 * 33) ^ ord("a")


def test_a_key_is_found_with_all_its_data_in_order():
    base = Cdb(build_cdb(MANY), "x.cdb")
    assert base.get(b"one") == b"Hello"
    assert list(base.get_all(b"one")) == [b"Hello", b"again"]
    assert base.get(b"") == b"empty key"
    assert base.get(b"d299.example") == b""
    assert base.get(b"d300.example") is None
    assert list(base.items()) == MANY


def test_an_empty_base_has_nothing():
    base = Cdb(build_cdb([]), "x.cdb")
    assert (base.get(b""), list(base.items())) == (None, [])


@given(st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=8)), max_size=40))
def test_what_was_written_is_read(records):
    base = Cdb(build_cdb(records), "x.cdb")
    assert list(base.items()) == records
    for key, _ in records:
        assert list(base.get_all(key)) == [data for other, data in records if other == key]


def use(octets):
    base = Cdb(octets, "control/x.cdb")
    for key in (b"one", b"", b"absent"):
        list(base.get_all(key))
    return list(base.items())


def broken(octets):
    with pytest.raises(ConfigErrors) as errors:
        use(octets)
    return str(errors.value)


def test_what_is_too_short_says_so():
    expected = "expected a whole constant data base (make it again from its text)"
    assert broken(b"") == f"control/x.cdb: found 0 octets, {expected}"
    assert "found 2047 octets" in broken(build_cdb(MANY)[:2047])
    assert "a pointer to octet" in broken(build_cdb(MANY)[:2100])


@given(st.integers(0, 2600), st.binary(min_size=1, max_size=8), st.integers(0, 3000))
def test_a_damaged_base_is_read_or_refused(at, damage, end):
    octets = bytearray(build_cdb(MANY[:20])[:end])
    octets[at : at + len(damage)] = damage
    try:
        use(bytes(octets))
    except ConfigErrors as errors:
        assert len(errors.mistakes) == 1


@given(st.binary(max_size=400), st.integers(0, 2100))
def test_any_octets_are_read_or_refused(octets, zeros):
    try:
        use(octets + bytes(zeros) + octets)
    except ConfigErrors as errors:
        assert errors.mistakes[0].file == "control/x.cdb"


def test_a_base_is_replaced_whole(tmp_path):
    path = f"{tmp_path}/x.cdb"
    write_cdb(SystemDisk(), path, MANY)
    write_cdb(SystemDisk(), path, [(b"k", b"v")])
    assert list(read_cdb(path, "x.cdb").items()) == [(b"k", b"v")]
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.cdb"]


def test_keys_of_one_hash_are_told_apart():
    assert cdb_hash(b"bC") == cdb_hash(b"cb")
    base = Cdb(build_cdb([(b"bC", b"1"), (b"cb", b"2")]), "x.cdb")
    assert (base.get(b"bC"), base.get(b"cb")) == (b"1", b"2")


@pytest.mark.parametrize("at", [2048, 2052], ids=["key", "data"])
def test_a_length_beyond_the_end_is_refused(at):
    octets = bytearray(build_cdb([(b"one", b"Hello")]))
    octets[at : at + 4] = b"\xff\xff\xff\x7f"
    with pytest.raises(ConfigErrors, match="a record up to octet"):
        Cdb(bytes(octets), "x.cdb").get(b"one")
    with pytest.raises(ConfigErrors, match="a record up to octet"):
        list(Cdb(bytes(octets), "x.cdb").items())
