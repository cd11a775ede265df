"""spec/queue.md 4.2, 4.4: ``box-@host-@[]``."""

import pytest

from indimail.delivery.verp import expanded, reduced


@pytest.mark.parametrize(
    ("sender", "recipient", "found"),
    [
        ("list-@example.com-@[]", "bob@example.org", "list-bob=example.org@example.com"),
        ("list-@example.com-@[]", "bob", "list-bob@example.com"),
        ("list-@example.com-@[]", '"a@b"@example.org', 'list-"a@b"=example.org@example.com'),
        ("eve@example.net", "bob@example.org", "eve@example.net"),
        ("", "bob@example.org", ""),
        ("#@[]", "bob@example.org", "#@[]"),  # of a double bounce
        ("-@[]", "bob@example.org", "-@[]"),
    ],
)
def test_a_sender_names_the_recipient_of_its_copy(sender: str, recipient: str, found: str) -> None:
    assert expanded(sender, recipient) == found


@pytest.mark.parametrize(
    ("sender", "found"),
    [("list-@example.com-@[]", "list-@example.com"), ("eve@example.net", "eve@example.net"),
     ("", ""), ("#@[]", "#@[]")],
)  # fmt: skip
def test_a_report_about_all_goes_to_the_list(sender: str, found: str) -> None:
    assert reduced(sender) == found
