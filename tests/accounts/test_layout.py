"""Where homes lie (spec/cluster-users.md 6.2)."""

import pytest

from indimail.accounts.layout import bucket_after, counter_table, group, home, next_bucket


@pytest.mark.parametrize(("name", "expected"), [
    ("alice", "A2E"), ("Eve", "A2E"), ("frank", "F2K"), ("kim", "F2K"), ("lea", "L2P"),
    ("pat", "L2P"), ("quinn", "Q2S"), ("sam", "Q2S"), ("tom", "T2Zsym"), ("zoe", "T2Zsym"),
    ("1st", "T2Zsym"), ("", "T2Zsym"),
])  # fmt: skip
def test_the_first_letter_chooses_the_group(name: str, expected: str) -> None:
    assert group(name) == expected


@pytest.mark.parametrize(("bucket", "expected"), [
    ("", "0"), ("0", "1"), ("9", "A"), ("Z", "a"), ("z", "0/0"), ("0/z", "1/0"),
    ("z/z", "0/0/0"), ("0/z/z", "1/0/0"), ("z/z/z", "z/z/z"),
])  # fmt: skip
def test_the_next_bucket(bucket: str, expected: str) -> None:
    assert next_bucket(bucket) == expected


def test_the_hundredth_user_opens_a_bucket() -> None:
    first: dict[str, int] = {}
    bucket = ""
    for count in range(1, 12_501):
        bucket = bucket_after(count, bucket, 100)
        first.setdefault(bucket, count)
    assert [first[b] for b in ("", "0", "1", "z", "0/0", "1/0")] == [1, 100, 200, 6200, 6300, 12500]


def test_a_home_and_the_name_of_its_counter() -> None:
    assert home("/home/mail", "manny", "example.com", "") == "/home/mail/L2P/example.com/manny"
    assert home("/m", "zoe", "example.com", "0/A") == "/m/T2Zsym/example.com/0/A/zoe"
    assert counter_table("/home", "A2E") == "dir_control_home_A2E"
    assert counter_table("/", "T2Zsym") == "dir_controlroot_T2Z"
    assert counter_table("/srv/mail", "Q2S") == "dir_control_srv_mail_Q2S"
