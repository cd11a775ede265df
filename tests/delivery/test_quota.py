"""Quotas as they are written (spec/delivery.md 1.3), as maildirsize begins (8.3), and 8.4."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indimail.delivery.quota import UNLIMITED, Quota, Usage, parse_definition, parse_quota


@pytest.mark.parametrize(("text", "quota"), [
    ("NOQUOTA", UNLIMITED), ("noquota", UNLIMITED), ("", UNLIMITED), ("0", UNLIMITED),
    ("0S", UNLIMITED), ("1000", Quota(1000)), ("50k", Quota(51200)), ("50M", Quota(52428800)),
    ("1g", Quota(1073741824)), ("5000S,10C", Quota(5000, 10)), ("5000,10", Quota(5000, 10)),
    ("50M,1000", Quota(52428800, 1000)), ("50MS,1000C", Quota(52428800, 1000)),
    ("50SM", Quota(52428800)), ("2S,10Ck", Quota(2048, 10)), ("2,10m", Quota(2097152, 10)),
    ("1k,2m", Quota(1024, 2)), ("0S,5C", Quota(0, 5)), ("0x10", Quota(16)), ("0x10,0x2", Quota(16, 2)),
    ("010", Quota(8)), ("010,010", Quota(8, 8)),
    ("08", None), ("1,08", None), ("50T", None), ("-5", None), ("5 0", None), ("+5M", None),
    ("10C", None), ("1,2,3", None), ("S", None), (",5", None), ("5,", None),
    ("\u0661", None), ("1\n", None), ("9" * 81, None),
])  # fmt: skip
def test_a_quota_is_read(text: str, quota: Quota | None) -> None:
    assert parse_quota(text) == quota


@pytest.mark.parametrize(("quota", "stored", "definition"), [
    (UNLIMITED, "NOQUOTA", "0S"), (Quota(5000), "5000", "5000S"),
    (Quota(5000, 10), "5000,10", "5000S,10C"), (Quota(0, 10), "0,10", "0S,10C"),
])  # fmt: skip
def test_a_quota_is_written(quota: Quota, stored: str, definition: str) -> None:
    assert (str(quota), quota.definition) == (stored, definition)


SIZES = st.integers(0, 1 << 63)


@given(st.builds(Quota, SIZES, SIZES))
def test_what_is_written_is_read(quota: Quota) -> None:
    assert parse_quota(str(quota)) == quota
    assert parse_quota(quota.definition) == quota
    assert parse_definition(quota.definition) == quota


@pytest.mark.fuzz
@given(st.text() | st.text("0123456789xkKmMgGsScC, ", max_size=40))
def test_any_text_is_a_quota_or_none(text: str) -> None:
    for quota in (parse_quota(text), parse_definition(text)):
        assert quota is None or min(quota.octets, quota.messages) >= 0


@pytest.mark.parametrize(("line", "quota"), [
    ("5000S", Quota(5000)), ("5000S,10C", Quota(5000, 10)), ("10C,5000S", Quota(5000, 10)),
    ("10C", Quota(0, 10)), ("5000S,3X", Quota(5000)), (" 5000S   ", Quota(5000)),
    ("0S", UNLIMITED), ("NOQUOTA", UNLIMITED),
    ("", None), ("5000", None), ("1234 1", None), ("\0\0\0", None), ("S", None), ("5000S,", None),
])  # fmt: skip
def test_the_definition_in_maildirsize_is_read(line: str, quota: Quota | None) -> None:
    assert parse_definition(line) == quota


@pytest.mark.parametrize(("quota", "usage", "arriving", "over"), [
    (Quota(1000), Usage(900, 5), 100, False),
    (Quota(1000), Usage(900, 5), 101, True),
    (Quota(1000), Usage(-50, 0), 1000, False),
    (Quota(0, 5), Usage(10**9, 4), 10**9, False),
    (Quota(0, 5), Usage(0, 5), 1, True),
    (Quota(1000, 5), Usage(1, 5), 1, True),
    (UNLIMITED, Usage(10**12, 10**9), 10**12, False),
])  # fmt: skip
def test_over_quota(quota: Quota, usage: Usage, arriving: int, over: bool) -> None:
    assert quota.is_over(usage, arriving) is over


@pytest.mark.parametrize(("quota", "usage", "exceeded"), [
    (Quota(1000), Usage(1000, 5), False), (Quota(1000), Usage(1001, 5), True),
    (Quota(0, 5), Usage(1, 5), False), (Quota(0, 5), Usage(1, 6), True),
    (UNLIMITED, Usage(10**12, 10**9), False),
])  # fmt: skip
def test_a_limit_that_is_exceeded_already(quota: Quota, usage: Usage, exceeded: bool) -> None:
    assert quota.is_exceeded(usage) is exceeded
