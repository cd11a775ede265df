import pytest

from indimail.mail.secret import Secret, mask


def test_a_secret_is_not_printed_however_it_is_asked() -> None:
    secret = Secret("s3cret")
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r}", f"{[secret]}", "%s" % secret]  # noqa: UP031
    assert not [text for text in shown if "s3cret" in text]
    assert secret.reveal() == "s3cret"


def test_secrets_are_compared_by_what_they_hold() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert Secret("\udce9") == Secret("\udce9")
    assert {Secret("a"): 1}[Secret("a")] == 1
    assert (bool(Secret("")), bool(Secret("x"))) == (False, True)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("mysql://u:s3cret@db/x", "mysql://u:***@db/x"),
        ('url = "postgresql://u:s3@cr:et/@db/x', 'url = "postgresql://u:***@db/x'),
        ("mysql://u@db/x?password=s3cret&ssl_ca=a", "mysql://u@db/x?password=***&ssl_ca=a"),
        ("mysql://u@db:3306/x", "mysql://u@db:3306/x"),
        ("smtp:[::1]:25 and alice@example.com", "smtp:[::1]:25 and alice@example.com"),
    ],
)
def test_a_password_in_a_url_is_masked(text: str, masked: str) -> None:
    assert mask(text) == masked
