"""Passwords: verify what any IndiMail stored, hash new ones.

    verify(account.password, b"secret")               -> True or False
    hash_password("secret", Method.ARGON2ID)          -> Secret('$argon2id$...')
    method_named("SHA-512")                           -> Method.SHA512

Whatever libcrypt knows is verified by it (``$1$ $2b$ $5$ $6$ $y$`` and 13-character DES), argon2
by argon2-cffi.  A new password is argon2id, unless `-h` or a `hash_method` file names another.
A text stored as it is (`-e`) is no hash and verifies nothing here.

Hashing takes tens of milliseconds on purpose: on the mail path, call it from a thread (both
libraries let other threads run meanwhile).

Sources: crypt(3), crypt(5); RFC 9106; spec/cluster-users.md 3.3, spec/delivery.md 2.2.
Not here: the scram column, CRAM and SCRAM (with SMTP AUTH).
"""

import ctypes
import ctypes.util
import secrets
from enum import Enum
from functools import cache
from hmac import compare_digest
from typing import Final

import argon2

from indimail.mail.errors import AccountsUnavailable
from indimail.mail.secret import Secret

LONGEST: Final = 512  # octets; crypt(3) takes no longer phrase


class Method(Enum):
    """How a new password is hashed: the names of `-h`; the value is crypt(5)'s prefix."""

    DES = ""
    MD5 = "$1$"
    SHA256 = "$5$"
    SHA512 = "$6$"
    YESCRYPT = "$y$"
    ARGON2ID = "$argon2id$"


METHODS: Final = {
    "DES": Method.DES,
    "MD5": Method.MD5,
    "SHA-256": Method.SHA256,
    "SHA-512": Method.SHA512,
    "YESCRYPT": Method.YESCRYPT,
    "ARGON2ID": Method.ARGON2ID,
}
DEFAULT_METHOD: Final = Method.ARGON2ID

# IndiMail also takes the numbers of its names.
_NUMBERED: Final = (Method.DES, Method.MD5, Method.SHA256, Method.SHA512, Method.YESCRYPT)

# 19 MiB and two passes in one lane, about 20 ms: the 64 MiB of RFC 9106 4 for each of many
# mail clients that log in at once would be most of a small machine.
_ARGON2: Final = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

_CRYPT_DATA_OCTETS: Final = 131_232  # glibc's struct crypt_data; libxcrypt's is smaller
_SALT_OCTETS: Final = 192  # CRYPT_GENSALT_OUTPUT_SIZE
_LETTERS: Final = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def method_named(text: str) -> Method | None:
    """Return the method that `-h`, PASSWORD_HASH or a `hash_method` file names, or None."""
    text = text.strip()
    if text.isdecimal() and int(text) < len(_NUMBERED):
        return _NUMBERED[int(text)]
    return METHODS.get(text.upper())


def method_label(stored: Secret) -> str:
    """Return the name of the method a stored password was hashed with."""
    text = stored.reveal()
    if text.startswith("$"):
        named = (name for name, way in METHODS.items() if way.value and text.startswith(way.value))
        return next(named, "$".join(text.split("$")[:2]) + "$")
    return "DES" if len(text) == 13 else "clear text"


def verify(stored: Secret, given: bytes) -> bool:
    """Tell whether `given` is the password; raises AccountsUnavailable without libcrypt."""
    text = stored.reveal()
    if not text or len(given) > LONGEST or b"\0" in given:
        return False
    if text.startswith("$argon2"):
        return _verify_argon2(text, given)
    try:
        setting = text.encode("ascii")
    except UnicodeEncodeError:
        return False
    hashed = _crypt(given, setting)
    return len(hashed) >= 13 and compare_digest(hashed, setting)


def hash_password(password: str, method: Method = DEFAULT_METHOD) -> Secret:
    """Return the hash of a new password, with a salt of its own.

    What was no UTF-8 when it was typed (surrogates) counts by its octets, as at a login.
    """
    octets = password.encode("utf-8", "surrogateescape")
    if method is Method.ARGON2ID:
        return Secret(_ARGON2.hash(octets))
    hashed = _crypt(octets, _gensalt(method.value.encode()))
    return Secret(hashed.decode("ascii"))


def random_password(length: int) -> str:
    """Return a random password of letters and digits that are not mistaken for one another."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def _verify_argon2(stored: str, given: bytes) -> bool:
    try:
        return _ARGON2.verify(stored, given)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


@cache
def _libcrypt() -> ctypes.CDLL:
    for name in ("libcrypt.so.1", "libcrypt.so.2", ctypes.util.find_library("crypt")):
        try:
            library = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if library is not None:
            library.crypt_r.restype = ctypes.c_char_p
            library.crypt_r.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
            return library
    raise AccountsUnavailable("no libcrypt on this machine: stored passwords cannot be verified")


def _crypt(phrase: bytes, setting: bytes) -> bytes:
    """Return crypt(3) of the phrase; an unknown setting gives a text that no hash equals."""
    data = ctypes.create_string_buffer(_CRYPT_DATA_OCTETS)
    hashed = _libcrypt().crypt_r(phrase, setting, data)
    return bytes(hashed) if hashed is not None else b"*"


def _gensalt(prefix: bytes) -> bytes:
    """Return a setting with a random salt; libcrypt takes the randomness from the system."""
    out = ctypes.create_string_buffer(_SALT_OCTETS)
    make = _libcrypt().crypt_gensalt_rn
    make.restype = ctypes.c_char_p
    make.argtypes = (
        ctypes.c_char_p,
        ctypes.c_ulong,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int,
    )
    setting = make(prefix, 0, None, 0, out, _SALT_OCTETS)
    if setting is None:
        raise AccountsUnavailable(f"libcrypt cannot make a salt for {prefix.decode()!r}")
    return bytes(setting)
