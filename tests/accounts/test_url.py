"""The address of the user database, as operators write it."""

import pytest

from indimail.accounts.url import accounts_url, check_url


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///db/indimail.db",
        "sqlite:////var/indimail/db/indimail.db",
        "mysql://indimail:s3cret@db.example.com/indimail",
        "mariadb://indimail:p%40ss%2Fword@127.0.0.1:3306/indimail",
        "mysql://indimail@/indimail?unix_socket=/run/mysqld/mysqld.sock",
        "mysql://indimail:x@db/indimail?ssl_ca=/etc/ssl/certs/ca-certificates.crt",
        "postgresql://indimail:x@[2001:db8::1]:5432/indimail?sslmode=verify-full",
        "postgres:///indimail",
    ],
)
def test_an_address_of_each_kind_is_taken(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "indimail.db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "oracle://u:s3cret@db/indimail",
        "mysql+pymysql://u:s3cret@db/indimail",
        "mysql://u:s3cret@db",
        "mysql://u:s3cret@db/",
        "mysql://u:s3cret@db/a/b",
        "mysql://u:s3@cret@db/indimail",
        "mysql://u:s3/cret@db/indimail",
        "mysql://u:s3cret@db:port/indimail",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="expected sqlite:///path, mysql://") as raised:
        check_url(url)
    assert "cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "whole"),
    [
        ("", "sqlite:////i/db/indimail.db"),
        ("sqlite:///db/users.db", "sqlite:////i/db/users.db"),
        ("sqlite:////srv/users.db", "sqlite:////srv/users.db"),
        ("mysql://u:x@db/indimail", "mysql://u:x@db/indimail"),
    ],
)
def test_a_relative_file_is_below_the_root(given: str, whole: str) -> None:
    assert accounts_url(given, "/i", "/i/db") == whole
