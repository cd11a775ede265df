import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime

import pytest

from indimail.mail import dates
from indimail.mail.dates import header_date

ZONES = [
    ("UTC", "+0000"),
    ("Asia/Kolkata", "+0530"),
    ("America/St_Johns", "-0330"),
    ("XST11", "-1100"),  # POSIX: west of Greenwich
]


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    def change(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()
        dates._of_second.cache_clear()

    yield change
    monkeypatch.undo()
    time.tzset()
    dates._of_second.cache_clear()


def test_a_date_is_written_as_rfc_5322_has_it(zone) -> None:
    zone("UTC")
    assert header_date(1_795_475_700.999) == "Mon, 23 Nov 2026 23:15:00 +0000"
    assert header_date(0) == "Thu, 1 Jan 1970 00:00:00 +0000"


@pytest.mark.parametrize(("name", "offset"), ZONES)
def test_the_offset_is_that_of_the_machine_in_winter(zone, name, offset) -> None:
    zone(name)
    written = header_date(1_768_000_000)
    assert written.endswith(f" {offset}")
    assert parsedate_to_datetime(written).timestamp() == 1_768_000_000
