"""crypt(3) of the machine's libcrypt, which knows the hashes that old databases hold.

    crypt(b"secret", b"$6$abcdefgh$...")     -> b"$6$abcdefgh$...", or None: that is no setting
    gensalt(b"$6$", 50_000)                  -> b"$6$rounds=50000$qUdbS6q..."

Other threads run meanwhile.  Raises AccountsUnavailable, with the reason, where there is no libcrypt
or where it lacks a method: then nobody can say that a password is wrong.

Sources: crypt(3), crypt(5), crypt_gensalt(3); docs/adr/0023.
"""

import ctypes
import ctypes.util
from functools import cache
from typing import Final

from indimail.mail.errors import AccountsUnavailable

LONGEST: Final = 511  # octets; crypt(3) takes no longer phrase

_DATA_OCTETS: Final = 131_232  # glibc's struct crypt_data; libxcrypt's is smaller
_SALT_OCTETS: Final = 192  # CRYPT_GENSALT_OUTPUT_SIZE

# A cheap setting of each method: who refuses it lacks the method, who takes it was given another
# one that is broken.
_SAMPLES: Final = {
    b"$1$": b"$1$abcdefgh$",
    b"$2a$": b"$2a$04$CCCCCCCCCCCCCCCCCCCCC.",
    b"$2b$": b"$2b$04$CCCCCCCCCCCCCCCCCCCCC.",
    b"$2y$": b"$2y$04$CCCCCCCCCCCCCCCCCCCCC.",
    b"$5$": b"$5$rounds=1000$abcdefgh$",
    b"$6$": b"$6$rounds=1000$abcdefgh$",
    b"$y$": b"$y$j75$LdJMENpBABJJ3hIHjB1Bi.$",
    b"": b"ab",  # DES
}


def crypt(phrase: bytes, setting: bytes) -> bytes | None:
    """Return the hash of a phrase; None where the setting belongs to no method."""
    hashed = _crypt(phrase, setting)
    if hashed is None:
        _check_has_method(setting)
    return hashed


def gensalt(prefix: bytes, count: int = 0) -> bytes:
    """Return a setting with a random salt, made by the system; count 0: the library's own cost."""
    library = _library()
    out = ctypes.create_string_buffer(_SALT_OCTETS)
    setting = library.crypt_gensalt_rn(prefix, count, None, 0, out, _SALT_OCTETS)
    if setting is None:
        raise _lacks(prefix)
    return bytes(setting)


def _crypt(phrase: bytes, setting: bytes) -> bytes | None:
    data = ctypes.create_string_buffer(_DATA_OCTETS)
    hashed = _library().crypt_r(phrase, setting, data)
    # A failure is NULL, or a text that begins with a star: no setting does.
    return None if hashed is None or hashed.startswith(b"*") else bytes(hashed)


def _check_has_method(setting: bytes) -> None:
    prefix = next((prefix for prefix in _SAMPLES if prefix and setting.startswith(prefix)), b"")
    if prefix or _looks_like_des(setting):
        sample = _SAMPLES[prefix]
        if _crypt(b"", sample) is None:
            raise _lacks(prefix)


def _looks_like_des(setting: bytes) -> bool:
    return len(setting) == 13 and setting.replace(b".", b"").replace(b"/", b"").isalnum()


def _lacks(prefix: bytes) -> AccountsUnavailable:
    method = prefix.decode() or "DES"
    return AccountsUnavailable(f"{_library()._name} has no {method}: such passwords need another")


@cache
def _library() -> ctypes.CDLL:
    for name in ("libcrypt.so.1", "libcrypt.so.2", ctypes.util.find_library("crypt")):
        try:
            library = ctypes.CDLL(name) if name else None
        except OSError:
            continue
        if library is not None:
            library.crypt_r.restype = ctypes.c_char_p
            library.crypt_r.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p)
            return _with_gensalt(library)
    raise AccountsUnavailable("no libcrypt on this machine: stored passwords cannot be verified")


def _with_gensalt(library: ctypes.CDLL) -> ctypes.CDLL:
    try:
        make = library.crypt_gensalt_rn
    except AttributeError:
        raise AccountsUnavailable(
            f"{library._name} is no libxcrypt: it makes no salts (crypt_gensalt_rn)"
        ) from None
    make.restype = ctypes.c_char_p
    make.argtypes = (
        ctypes.c_char_p,
        ctypes.c_ulong,
        ctypes.c_char_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int,
    )
    return library
