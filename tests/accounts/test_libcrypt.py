"""crypt(3) through ctypes, and a machine that cannot do it."""

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from indimail.accounts import libcrypt
from indimail.mail.errors import AccountsUnavailable

SHA512 = b"$6$rounds=1000$abcdefghijklmnop$"
YESCRYPT = b"$y$j75$LdJMENpBABJJ3hIHjB1Bi.$"


@pytest.fixture(autouse=True)
def _found_anew() -> Iterator[None]:
    libcrypt._library.cache_clear()
    yield
    libcrypt._library.cache_clear()


def load(monkeypatch: pytest.MonkeyPatch, **functions: Callable[..., object]) -> None:
    """Make the machine's libcrypt one with these functions; ctypes sets attributes on them."""
    library = SimpleNamespace(_name="libcrypt.so.1", **functions)
    monkeypatch.setattr(libcrypt.ctypes, "CDLL", lambda _name: library)


def sha512_alone(_phrase: bytes, setting: bytes, _data: object) -> bytes:
    """A crypt_r that knows one method, as glibc's own knows few."""
    return setting + b"hash" if setting.startswith(b"$6$") else b"*0"


def no_salt(*_arguments: object) -> None:
    """A crypt_gensalt_rn that knows no method."""


def test_a_hash_is_its_own_setting() -> None:
    hashed = libcrypt.crypt(b"secret", SHA512)
    assert hashed is not None
    assert hashed.startswith(SHA512)
    assert libcrypt.crypt(b"secret", hashed) == hashed
    assert libcrypt.crypt(b"Secret", hashed) != hashed


@pytest.mark.parametrize("setting", [b"", b"!", b"*0", b"$9$x$y", b"?secret", b"$2b$99$", b"$y$"])
def test_what_is_no_setting_gives_nothing(setting: bytes) -> None:
    assert libcrypt.crypt(b"secret", setting) is None


def test_a_setting_has_a_salt_of_its_own_and_the_cost_that_was_asked_for() -> None:
    first, second = (libcrypt.gensalt(b"$6$", 1234) for _ in range(2))
    assert first != second
    assert first.startswith(b"$6$rounds=1234$")


@pytest.mark.parametrize(("setting", "method"), [(YESCRYPT, r"\$y\$"), (b"TiSWzsYqpb.u2", "DES")])
def test_a_method_that_libcrypt_lacks_is_no_wrong_password(
    monkeypatch: pytest.MonkeyPatch, setting: bytes, method: str
) -> None:
    load(monkeypatch, crypt_r=sha512_alone, crypt_gensalt_rn=no_salt)
    assert libcrypt.crypt(b"secret", SHA512) == SHA512 + b"hash"
    assert libcrypt.crypt(b"secret", b"$9$x$y") is None
    with pytest.raises(AccountsUnavailable, match=f"^libcrypt.so.1 has no {method}: "):
        libcrypt.crypt(b"secret", setting)
    with pytest.raises(AccountsUnavailable, match=r"^libcrypt.so.1 has no \$y\$: "):
        libcrypt.gensalt(b"$y$")


def test_a_machine_without_libcrypt_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_name: str) -> object:
        raise OSError

    monkeypatch.setattr(libcrypt.ctypes, "CDLL", none)
    with pytest.raises(AccountsUnavailable, match=r"^no libcrypt on this machine"):
        libcrypt.crypt(b"secret", SHA512)


def test_a_libcrypt_that_makes_no_salts_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    load(monkeypatch, crypt_r=sha512_alone)
    with pytest.raises(AccountsUnavailable, match="is no libxcrypt"):
        libcrypt.crypt(b"secret", SHA512)
