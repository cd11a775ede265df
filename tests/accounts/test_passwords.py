"""Passwords against vectors that others published or computed."""

import subprocess

import argon2
import pytest

from indimail.accounts import passwords
from indimail.accounts.libcrypt import crypt
from indimail.accounts.passwords import (
    METHODS,
    Checked,
    Method,
    check,
    default_method,
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
    # mkpasswd -m METHOD "correct horse", with each METHOD of whois 5.5.17.
    ("correct horse", "TiSWzsYqpb.u2", "DES"),  # descrypt
    ("correct horse", "$1$p9NDu4AJ$1rokMajLTzZ8TPcxLSf6F0", "MD5"),  # md5crypt
    (  # sha256crypt
        "correct horse",
        "$5$7ljLlWOK6gjAeDwc$kn79fzXXyeujYASONasdau/qpVpyJiWkVKrxg76pP94",
        "SHA-256",
    ),
    (  # sha512crypt
        "correct horse",
        "$6$LTUHl36AlkWjvPpk$lC1YR1hq5ZJdawoQzOsKrHFY8dMnoj7cQoOeTl7l23DCx2tguQWiFknXX1nynIVemzBd"
        "cnm7ymLJpljBFk/tL1",
        "SHA-512",
    ),
    (  # bcrypt
        "correct horse",
        "$2b$05$x4ZJwJwx4almuKViTbw0i.w0qYAbya7R.lG9ZFW94xKabJ6jtd0K2",
        "$2b$",
    ),
    (  # bcrypt-a
        "correct horse",
        "$2a$05$iZO8P399Xg8A61/urkJvz.scQ7mKY37bFqlj/jERDotwfmdXI0ZUq",
        "$2a$",
    ),
    (  # yescrypt
        "correct horse",
        "$y$j9T$MYR0q9YJ4T7RlfIGDRbGg/$SEnl9.0WE0/ul7KaeZVhV5aewApHm3J15l6wL2nCrPA",
        "YESCRYPT",
    ),
    # doveadm pw -s BLF-CRYPT -p "correct horse", of Dovecot 2.3.19.
    (
        "correct horse",
        "$2y$05$m6SOSvuPx0rY/.jtffObfOw7xx9DRF9VPm9dEjfX.iBcqRLB3nFkC",
        "$2y$",
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


RIGHT, WEAK, WRONG = Checked.RIGHT, Checked.WEAK, Checked.WRONG
VECTOR_OF = {label: (password, stored) for password, stored, label in VECTORS}


@pytest.mark.parametrize(("label", "method", "expected"), [
    # A stronger method is made today.
    ("MD5", Method.ARGON2ID, WEAK), ("SHA-256", Method.ARGON2ID, WEAK),
    ("$2y$", Method.ARGON2ID, WEAK), ("YESCRYPT", Method.ARGON2ID, WEAK),
    ("$2b$", Method.SHA512, WEAK), ("SHA-256", Method.SHA512, WEAK),
    # The same one, with fewer rounds than today.
    ("SHA-512", Method.SHA512, WEAK), ("SHA-256", Method.SHA256, WEAK),
    # Never the other way: argon2's vector has 64 MiB.
    ("ARGON2ID", Method.ARGON2ID, RIGHT), ("ARGON2ID", Method.SHA512, RIGHT),
    ("YESCRYPT", Method.SHA512, RIGHT), ("YESCRYPT", Method.YESCRYPT, RIGHT),
    ("MD5", Method.DES, RIGHT), ("MD5", Method.MD5, RIGHT), ("$2b$", Method.SHA256, RIGHT),
])  # fmt: skip
def test_a_hash_weaker_than_todays_is_to_be_made_anew(
    label: str, method: Method, expected: Checked
) -> None:
    password, stored = VECTOR_OF[label]
    assert check(Secret(stored), password.encode(), method) is expected
    assert check(Secret(stored), password.encode() + b"x", method) is WRONG


@pytest.mark.parametrize("method", METHODS.values())
def test_a_hash_made_today_is_not_weak_today(method: Method) -> None:
    assert check(hash_password("secret", method), b"secret", method) is RIGHT


def test_argon2id_with_less_memory_or_fewer_passes_is_weak() -> None:
    for memory, passes, expected in ((8192, 5, WEAK), (19 * 1024, 1, WEAK), (19 * 1024, 2, RIGHT)):
        stored = argon2.PasswordHasher(passes, memory, 1).hash("secret")
        assert check(Secret(stored), b"secret", Method.ARGON2ID) is expected


@pytest.mark.parametrize(("stored", "given", "expected"), [
    # crypt(3) of DES reads 8 characters of 7 bits, bcrypt 72 octets: mkpasswd -m descrypt and bcrypt.
    ("TiSWzsYqpb.u2", b"correct ", WEAK),
    ("TiSWzsYqpb.u2", b"correct horse", RIGHT),
    ("TiSWzsYqpb.u2", b"correct \xe9", RIGHT),
    ("TiSWzsYqpb.u2", b"\xe3orrect ", RIGHT),
])  # fmt: skip
def test_what_a_method_did_not_read_of_a_password_is_not_made_part_of_it(
    stored: str, given: bytes, expected: Checked
) -> None:
    assert check(Secret(stored), given, Method.ARGON2ID) is expected


def test_bcrypt_reads_72_octets_of_a_password() -> None:
    setting = b"$2b$04$CCCCCCCCCCCCCCCCCCCCC."
    stored = Secret((crypt(b"p" * 72, setting) or b"").decode())
    assert check(stored, b"p" * 72, Method.ARGON2ID) is WEAK
    assert check(stored, b"p" * 73, Method.ARGON2ID) is RIGHT
    assert check(stored, b"p" * 71, Method.ARGON2ID) is WRONG


@pytest.mark.parametrize("method", [Method.SHA512, Method.YESCRYPT, Method.ARGON2ID])
def test_nobody_and_no_hash_cost_what_a_wrong_password_costs(
    monkeypatch: pytest.MonkeyPatch, method: Method
) -> None:
    """One hash of the same method and cost, whoever asks for whom."""
    stored = hash_password("secret", method)
    costs: list[object] = []

    def counted(phrase: bytes, setting: bytes) -> bytes | None:
        costs.append(cost_of(setting.decode()))
        return crypt(phrase, setting)

    class Counted:
        def hash(self, _given: bytes) -> str:
            costs.append(cost_of(stored.reveal()))
            return stored.reveal()

        def verify(self, hashed: str, given: bytes) -> bool:
            argon2.extract_parameters(hashed)  # else it costs nothing
            costs.append(cost_of(hashed))
            return given == b"secret"

    monkeypatch.setattr(passwords, "crypt", counted)
    if method is Method.ARGON2ID:
        monkeypatch.setattr(passwords, "_ARGON2", Counted())
    for who in (stored, None, Secret(""), Secret("xxxxxxxx"), Secret("!"), Secret("secret")):
        costs.clear()
        assert check(who, b"wrong", method) is WRONG
        assert costs == [cost_of(stored.reveal())]


def cost_of(text: str) -> str:
    """Return what stands in front of a setting's salt."""
    return "$".join(text.split("$")[: 4 if "argon2" in text else 3])


def test_a_password_that_nobody_can_have_costs_nothing_whoever_is_asked_for() -> None:
    for given in (b"p" * 512, b"secret\0"):
        assert check(None, given, Method.SHA512) is WRONG
        assert check(hash_password("secret", Method.SHA512), given, Method.SHA512) is WRONG


@pytest.mark.parametrize(("url", "method"), [
    ("", Method.ARGON2ID),
    ("sqlite+pysqlite:///x", Method.ARGON2ID),
    ("postgresql+psycopg://u:p@h/d", Method.ARGON2ID),
    ("mysql+pymysql://u:p@h/d", Method.SHA512),
    ("mariadb+mariadbconnector://u:p@h/d", Method.SHA512),
])  # fmt: skip
def test_where_an_indimail_may_read_it_a_hash_is_one_that_it_knows(
    url: str, method: Method
) -> None:
    assert default_method(url) is method


@pytest.mark.parametrize(("text", "expected"), [
    ("DES", Method.DES), ("0", Method.DES), ("md5", Method.MD5), ("SHA-256\n", Method.SHA256),
    ("3", Method.SHA512), ("YESCRYPT", Method.YESCRYPT), ("argon2id", Method.ARGON2ID),
    ("5", None), ("SHA-1", None), ("", None), ("-1", None),
])  # fmt: skip
def test_a_method_has_indimails_name_or_number(text: str, expected: Method | None) -> None:
    assert method_named(text) is expected


@pytest.mark.interop
@pytest.mark.parametrize("arguments", [
    ["openssl", "passwd", "-1", "-salt", "Salt.Of8"],
    ["openssl", "passwd", "-5", "-salt", "Salt.Of8"],
    ["openssl", "passwd", "-6", "-salt", "Salt.Of8"],
    ["mkpasswd", "-m", "descrypt"], ["mkpasswd", "-m", "md5crypt"],
    ["mkpasswd", "-m", "sha256crypt"], ["mkpasswd", "-m", "sha512crypt"],
    ["mkpasswd", "-m", "bcrypt"], ["mkpasswd", "-m", "bcrypt-a"], ["mkpasswd", "-m", "yescrypt"],
    ["doveadm", "pw", "-s", "BLF-CRYPT", "-p"], ["doveadm", "pw", "-s", "SHA512-CRYPT", "-p"],
    ["doveadm", "pw", "-s", "ARGON2ID", "-p"],
], ids=" ".join)  # fmt: skip
def test_what_others_hashed_is_verified(arguments: list[str]) -> None:
    command = [needs(arguments[0]), *arguments[1:], "correct horse"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    stored = Secret(printed.rpartition("}")[2])  # doveadm puts {SCHEME} in front
    assert verify(stored, b"correct horse")
    assert not verify(stored, b"Correct horse")


@pytest.mark.interop
@pytest.mark.parametrize("name", METHODS)
def test_what_we_hash_is_verified_by_dovecot(name: str) -> None:
    scheme = "ARGON2ID" if name == "ARGON2ID" else "CRYPT"
    stored = f"{{{scheme}}}{hash_password('correct horse', METHODS[name]).reveal()}"
    for password, code in (("correct horse", 0), ("Correct horse", 75)):
        command = [needs("doveadm"), "pw", "-t", stored, "-p", password]
        assert subprocess.run(command, capture_output=True, check=False).returncode == code


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
