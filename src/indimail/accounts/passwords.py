"""Passwords: verify what any IndiMail stored, hash new ones.

    verify(Secret("$6$..."), b"secret")                   -> True or False
    check(Secret("$1$..."), b"secret", Method.ARGON2ID)   -> Checked.WEAK: right, to be hashed anew
    hash_password("secret", Method.ARGON2ID)              -> Secret('$argon2id$...')
    is_hash(Secret("secret"))                             -> False
    method_named("SHA-512")                               -> Method.SHA512

Whatever libcrypt knows is verified by it (``$1$ $2a$ $2b$ $2y$ $5$ $6$ $y$`` and DES), argon2 by
argon2-cffi.  A new password is argon2id, unless `-h` or a `hash_method` file names another, or an
IndiMail may read the same database (`default_method`).  A text stored as it is (`-e`) is no hash
and verifies nothing here.

Hashing takes 13 to 41 milliseconds on purpose (docs/operating.md has them): on the mail path, call
it from a thread (both libraries let other threads run meanwhile).

Sources: crypt(3), crypt(5); RFC 9106; spec/cluster-users.md 3.3, spec/delivery.md 2.2.
Not here: the scram column (`accounts.scram`), what a login does (`accounts.login`).
"""

import re
import secrets
from enum import Enum, auto
from hmac import compare_digest
from typing import Final

import argon2

from indimail.accounts.libcrypt import LONGEST, crypt, gensalt
from indimail.mail.secret import Secret


class Method(Enum):
    """How a new password is hashed: the names of `-h`; the value is crypt(5)'s prefix."""

    DES = ""
    MD5 = "$1$"
    SHA256 = "$5$"
    SHA512 = "$6$"
    YESCRYPT = "$y$"
    ARGON2ID = "$argon2id$"


class Checked(Enum):
    """What came of a password."""

    WRONG = auto()
    RIGHT = auto()
    WEAK = auto()  # right, and its hash is weaker than one that is made today


METHODS: Final = {
    "DES": Method.DES,
    "MD5": Method.MD5,
    "SHA-256": Method.SHA256,
    "SHA-512": Method.SHA512,
    "YESCRYPT": Method.YESCRYPT,
    "ARGON2ID": Method.ARGON2ID,
}

# IndiMail also takes the numbers of its names.
_NUMBERED: Final = (Method.DES, Method.MD5, Method.SHA256, Method.SHA512, Method.YESCRYPT)

# 19 MiB and two passes in one lane: the 64 MiB of RFC 9106 4 for each of many mail clients that
# log in at once would be most of a small machine.
_ARGON2: Final = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# About as long as argon2id; those of a hash that names none are crypt(5)'s.
_ROUNDS: Final = {Method.SHA256: 50_000, Method.SHA512: 50_000}
_UNNAMED_ROUNDS: Final = 5000

# By the beginning of a hash; DES, and what is not here, is 0.
_STRENGTH: Final = {
    "$1$": 1, "$2": 2, "$5$": 2, "$6$": 3, "$7$": 4, "$gy$": 4, "$y$": 4, "$argon2": 5,
}  # fmt: skip

# Whole ones: a column that was too short for its hashes cut them, and then nothing verifies.
_HASH: Final = re.compile(
    r"""\$1\$[^$:]{0,8}\$[./0-9A-Za-z]{22}
    | \$2[abxy]\$[0-9]{2}\$[./0-9A-Za-z]{53}
    | \$5\$(rounds=[0-9]+\$)?[^$:]{0,16}\$[./0-9A-Za-z]{43}
    | \$6\$(rounds=[0-9]+\$)?[^$:]{0,16}\$[./0-9A-Za-z]{86}
    | \$(y|gy|7)\$[^:]*\$[./0-9A-Za-z]{43}
    | \$argon2(id|i|d)\$[^:]+
    | _[./0-9A-Za-z]{19}
    | [./0-9A-Za-z]{13}""",
    re.VERBOSE,
)

# What a method reads of a password, in octets; DES reads 7 bits of each.
_DES_READS: Final = 8
_BCRYPT_READS: Final = 72

_LETTERS: Final = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"


def default_method(database_url: str) -> Method:
    """Return the method of a site that names none.

    IndiMail's tables are in MySQL or MariaDB, and its crypt(3) knows no argon2: what is stored
    there can be verified by both.
    """
    shared = database_url.startswith(("mysql", "mariadb"))
    return Method.SHA512 if shared else Method.ARGON2ID


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


def is_hash(stored: Secret) -> bool:
    """Tell whether a stored text has the form of a hash that is verified here.

    Thirteen letters may be a password as well as the DES hash of one: they count as the hash.
    """
    return _HASH.fullmatch(stored.reveal()) is not None


def verify(stored: Secret, given: bytes) -> bool:
    """Tell whether `given` is the password; raises AccountsUnavailable where nobody can say."""
    return _is_acceptable(given) and _compare(stored.reveal(), given) is True


def check(stored: Secret | None, given: bytes, method: Method) -> Checked:
    """Tell whether `given` is the password, and whether its hash is to be made anew.

    `method` is how the password would be hashed today.  Where there is nobody (None), or no hash,
    the answer takes as long as a hash of that method, so that it does not tell who exists.
    """
    if not _is_acceptable(given):
        return Checked.WRONG
    is_right = None if stored is None else _compare(stored.reveal(), given)
    if stored is None or is_right is None:
        _hash(given, method)
    if stored is None or not is_right:
        return Checked.WRONG
    return Checked.WEAK if _is_weak(stored.reveal(), given, method) else Checked.RIGHT


def hash_password(password: str, method: Method) -> Secret:
    """Return the hash of a new password, with a salt of its own.

    What was no UTF-8 when it was typed (surrogates) counts by its octets, as at a login; these are
    at most LONGEST.
    """
    return _hash(password.encode("utf-8", "surrogateescape"), method)


def random_password(length: int) -> str:
    """Return a random password of letters and digits that are not mistaken for one another."""
    return "".join(secrets.choice(_LETTERS) for _ in range(length))


def _hash(octets: bytes, method: Method) -> Secret:
    if method is Method.ARGON2ID:
        return Secret(_ARGON2.hash(octets))
    setting = gensalt(method.value.encode(), _ROUNDS.get(method, 0))
    hashed = crypt(octets, setting)
    if hashed is None:
        raise ValueError(f"{len(octets)} octets are no password: expected at most {LONGEST}")
    return Secret(hashed.decode("ascii"))


def _is_acceptable(given: bytes) -> bool:
    return len(given) <= LONGEST and b"\0" not in given


def _compare(stored: str, given: bytes) -> bool | None:
    """Tell whether a password is that of a hash; None where there is no hash to compare with."""
    if stored.startswith("$argon2"):
        try:
            return _ARGON2.verify(stored, given)
        except argon2.exceptions.VerifyMismatchError:
            return False
        except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
            return None
    if not stored.isascii() or len(stored) < 13:
        return None
    hashed = crypt(given, stored.encode())
    return None if hashed is None else compare_digest(hashed, stored.encode())


def _is_weak(stored: str, given: bytes, method: Method) -> bool:
    """Tell whether a hash of `method` is stronger than the stored one, which `given` fits."""
    if not _was_read_whole(stored, given):
        return False
    mine, theirs = _strength(method.value), _strength(stored)
    return theirs < mine or (theirs == mine and _costs_less(stored, method))


def _strength(text: str) -> int:
    found = (number for prefix, number in _STRENGTH.items() if text.startswith(prefix))
    return next(found, 0)


def _was_read_whole(stored: str, given: bytes) -> bool:
    """Tell whether all of a password counted.

    Else what follows may be a slip of the finger, and a hash of the whole would shut out its owner.
    """
    if stored.startswith("$2"):
        return len(given) <= _BCRYPT_READS
    return stored.startswith("$") or (len(given) <= _DES_READS and given.isascii())


def _costs_less(stored: str, method: Method) -> bool:
    """Tell whether a hash of the method was made with less work than one of today."""
    if method is Method.ARGON2ID:
        cost = argon2.extract_parameters(stored)
        return (
            cost.memory_cost < _ARGON2.memory_cost
            or cost.time_cost * cost.memory_cost < _ARGON2.time_cost * _ARGON2.memory_cost
        )
    if method not in _ROUNDS or not stored.startswith(method.value):
        return False
    _, named, rounds = stored.split("$")[2].rpartition("rounds=")
    return (int(rounds) if named else _UNNAMED_ROUNDS) < _ROUNDS[method]
