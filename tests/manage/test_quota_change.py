"""A new quota, and the file maildirsize."""

from pathlib import Path

import pytest

from indimail.manage.quota_change import new_quota, recount
from manage.site_tree import QuickDisk


@pytest.mark.parametrize(("stored", "wanted", "new"), [
    ("1000", "50M", "52428800"), ("1000", "50M,1000", "52428800S,1000C"), ("1000", "NOQUOTA", "NOQUOTA"),
    ("NOQUOTA", "1k", "1024"),
    ("52428800", "+5M", "57671680"), ("52428800", "-5M", "47185920"),
    ("52428800,1000", "+5M", "57671680,1000"), ("52428800S,1000C", "-5M", "47185920S,1000C"),
    ("50M", "+1k", "52429824"),
    ("52428800", "-50M", None), ("52428800", "-1g", None), ("NOQUOTA", "+5M", None),
    ("0", "+5M", None), ("52428800", "+", None), ("52428800", "+NOQUOTA", None),
    ("52428800", "+5M,10", None), ("52428800", "++5M", None), ("52428800", "much", None),
    ("52428800", "", None), ("1000", "9" * 19, None), ("1000", "9" * 31, None),
    ("1000", "50M," + "9" * 30, None),
])  # fmt: skip
def test_what_is_stored(stored: str, wanted: str, new: str | None) -> None:
    assert new_quota(stored, wanted) == new


@pytest.mark.parametrize(("stored", "first"), [
    ("1000", "1000S\n"), ("1000,5", "1000S,5C\n"), ("1000S,5C", "1000S,5C\n"), ("1k", "1024S\n"),
])  # fmt: skip
def test_maildirsize_says_limit_and_usage(tmp_path: Path, stored: str, first: str) -> None:
    for part in ("cur", "new", "tmp"):
        (tmp_path / part).mkdir()
    recount(QuickDisk(), str(tmp_path), stored)
    assert (tmp_path / "maildirsize").read_text() == first
    (tmp_path / "new/1.x,S=2048").touch()
    recount(QuickDisk(), str(tmp_path), stored)
    assert (tmp_path / "maildirsize").read_text() == f"{first}2048 1\n"


@pytest.mark.parametrize("stored", ["NOQUOTA", "0", ""])
def test_without_a_limit_there_is_no_file(tmp_path: Path, stored: str) -> None:
    (tmp_path / "maildirsize").write_text("1000S\n")
    for _ in range(2):
        recount(QuickDisk(), str(tmp_path), stored)
        assert not (tmp_path / "maildirsize").exists()
