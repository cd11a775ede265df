import pytest

from indimail.delivery.replier import REQUESTS, edited, requested


@pytest.mark.parametrize(
    ("local", "inlocal", "values"),
    [
        ("joe-robot-get-a-b-c", "joe-robot", ("get-a-b-c", "a-b-c", "b-c", "c")),
        ("JOE-robot-Help", "joe-Robot", ("Help", "", "", "")),
        ("joe-robot-", "joe-robot", ("", "", "", "")),
        ("help", "", ("help", "", "", "")),
        ("joe-robot", "joe-robot", None),
        ("joe-robots-get", "joe-robot", None),
    ],
)
def test_what_is_asked_for(local: str, inlocal: str, values: tuple[str, ...] | None) -> None:
    found = None if values is None else dict(zip(REQUESTS, values, strict=True))
    assert requested(local, inlocal) == found


def test_fields_come_and_go() -> None:
    fields = [b"Return-Path: <a>\n b\n", b"SUBJECT : x\n", b"To: y"]
    assert edited(fields, {"return-path", "subject"}, b"A: b\n") == b"A: b\nTo: y\n"
