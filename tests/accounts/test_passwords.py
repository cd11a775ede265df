"""Passwords against vectors that others published or computed."""

import subprocess

import pytest

from indimail.accounts.passwords import (
    METHODS,
    Method,
    hash_password,
    method_label,
    method_named,
    random_password,
    verify,
)
from indimail.mail.secret import Secret
from support import needs

VECTORS = [
    # The manual of PHP's crypt().
    ("rasmuslerdorf", "rl.3StKT.4T8M", "DES"),
    ("rasmuslerdorf", "$1$rasmusle$rISCgZzpwk3UhDidwXvin0", "MD5"),
    # openssl passwd -1, -5, -6.
    ("secret", "$1$abcdefgh$cHJi5PXp/ki/ktXzqlk6I1", "MD5"),
    ("secret", "$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.", "SHA-256"),
    (
        "secret",
        "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/"
        "cZ/1GM/O6IND4WQhG.",
        "SHA-512",
    ),
    # "Unix crypt using SHA-256 and SHA-512", its test programs.
    ("Hello world!", "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5", "SHA-256"),
    (
        "Hello world!",
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFC"
        "oEOfaS35inz1",
        "SHA-512",
    ),
    # crypt_blowfish, its test program.
    ("U*U", "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "$2b$"),
    # yescrypt, TESTS-OK.
    (
        "pleaseletmein",
        "$y$jD5.7$LdJMENpBABJJ3hIHjB1Bi.$HboGM6qPrsK.StKYGt6KErmUYtioHreJd98oIugoNB6",
        "YESCRYPT",
    ),
    # The reference implementation of argon2, test.c.
    (
        "password",
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "ARGON2ID",
    ),
]


@pytest.mark.parametrize(("password", "stored", "label"), VECTORS)
def test_a_stored_hash_is_verified(password: str, stored: str, label: str) -> None:
    assert verify(Secret(stored), password.encode())
    assert not verify(Secret(stored), password.encode()[1:])
    assert not verify(Secret(stored), b"")
    assert method_label(Secret(stored)) == label


@pytest.mark.parametrize(("stored", "given"), [
    ("", b""),
    ("secret", b"secret"),  # a text stored as it is
    ("xxxxxxxx", b"xxxxxxxx"),
    ("*0", b"x"),
    ("!", b"!"),
    ("$9$unknown$hash", b"x"),
    ("$argon2id$broken", b"x"),
    ("$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.", b"secret\0more"),
    ("$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM", b"secret"),
    ("p\xe4ssword12345", b"x"),
])  # fmt: skip
def test_what_is_no_hash_never_verifies(stored: str, given: bytes) -> None:
    assert not verify(Secret(stored), given)


@pytest.mark.parametrize("name", METHODS)
def test_a_new_hash_verifies_and_has_its_own_salt(name: str) -> None:
    first, second = (hash_password("g\xe4nseblümchen", METHODS[name]) for _ in range(2))
    assert verify(first, "g\xe4nseblümchen".encode())
    assert not verify(first, b"other")
    assert first != second
    assert len(first.reveal()) <= 128
    assert method_label(first) == name


@pytest.mark.parametrize("flag", ["-1", "-5", "-6"])
def test_openssl_computes_the_same(flag: str) -> None:
    command = [needs("openssl"), "passwd", flag, "-salt", "Salt.Of8", "correct horse"]
    stored = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    assert verify(Secret(stored), b"correct horse")


@pytest.mark.parametrize(("text", "expected"), [
    ("DES", Method.DES), ("0", Method.DES), ("md5", Method.MD5), ("SHA-256\n", Method.SHA256),
    ("3", Method.SHA512), ("YESCRYPT", Method.YESCRYPT), ("argon2id", Method.ARGON2ID),
    ("5", None), ("SHA-1", None), ("", None), ("-1", None),
])  # fmt: skip
def test_a_method_has_indimails_name_or_number(text: str, expected: Method | None) -> None:
    assert method_named(text) is expected


def test_a_random_password_is_as_long_as_asked_and_another_each_time() -> None:
    assert len(random_password(12)) == 12
    assert random_password(12) != random_password(12)


def test_a_secret_prints_stars() -> None:
    secret = Secret("hunter2")
    assert f"{secret} {secret!r} {[secret]}" == "*** *** [***]"
    assert secret.reveal() == "hunter2"
    assert secret == Secret("hunter2")
    assert secret != Secret("hunter3")
    assert secret != "hunter2"
    assert not Secret("")
