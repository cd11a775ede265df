"""Quotas as they are written, and what counts."""

from pathlib import Path

import pytest

from indimail.manage.quota import Usage, octets_of, parse_quota, usage


@pytest.mark.parametrize(("text", "stored"), [
    ("NOQUOTA", "NOQUOTA"), ("noquota", "NOQUOTA"), ("1000", "1000"), ("50k", "51200"),
    ("50M", "52428800"), ("1g", "1073741824"), ("5000S,10C", "5000,10"), ("5000,10", "5000,10"),
    ("50M,1000", "52428800,1000"), ("0x10", "16"), ("010", "8"), ("0", "0"),
    ("", None), ("08", None), ("50T", None), ("-5", None), ("5 0", None), ("+5M", None),
])  # fmt: skip
def test_a_quota_as_it_is_stored(text: str, stored: str | None) -> None:
    assert parse_quota(text) == stored


@pytest.mark.parametrize(("stored", "octets"), [
    ("NOQUOTA", 0), ("", 0), ("0S", 0), ("52428800", 52428800), ("5000S,10C", 5000), ("1M", 1048576),
    ("08", 0),
])  # fmt: skip
def test_the_octets_of_a_stored_quota(stored: str, octets: int) -> None:
    assert octets_of(stored) == octets


def test_trash_and_hidden_files_do_not_count(tmp_path: Path) -> None:
    for name, size in (
        ("new/1.x,S=100", 1),  # the name is believed
        ("cur/2.x:2,S", 10),
        ("tmp/3.x", 10),
        (".Sent/cur/4.x", 1000),
        (".Trash/cur/5.x", 10),
        ("new/.hidden", 10),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
    assert usage(str(tmp_path)) == Usage(octets=1110, messages=3)
    assert usage(str(tmp_path / "missing")) == Usage(0, 0)
