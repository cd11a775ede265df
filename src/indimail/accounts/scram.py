"""What CRAM and SCRAM clients are verified by: the column scram.

    parse_scram(Secret("{CRAM}secret"))                     -> Scram(clear=...)
    parse_scram(Secret("{SCRAM-SHA-256}4096,..."))          -> Scram(keys=ScramKeys(...))
    make_scram("secret", Mechanism.SHA256)                  -> Secret("{SCRAM-SHA-256}65536,...")
    answers(clear, b"<1.2@mx.example.com>", "b913...", "md5")   -> True: CRAM-MD5 knew it
    form_of(Secret("$6$..."), Secret("{CRAM}secret"))       -> Form.CLEAR

The forms are IndiMail's (`-m`, `-C`, both): ``{SCRAM-SHA-256}iterations,salt,StoredKey,ServerKey``
and behind it, with the clear text, ``:SaltedPassword in hex:secret``; ``{CRAM}secret``.  Where the
column is empty pw_passwd may hold all of it, with the hash behind the last comma (`split_stored`).

The keys do not let anybody log in, but guesses can be tried on them: 65,536 rounds of PBKDF2, the
most that Cyrus SASL's clients compute (docs/adr/0024).

Sources: RFC 2195, RFC 5802 3, RFC 7677, RFC 4013; spec/cluster-users.md 3.4.
Not here: the conversation of SCRAM (scramp has it), the hash in pw_passwd (`accounts.passwords`).
"""

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from dataclasses import dataclass
from enum import Enum, Flag, auto
from typing import Final

from indimail.mail.secret import Secret

SCRAM_LENGTH: Final = 255
ITERATIONS: Final = 65_536
FEWEST: Final = 4096  # RFC 7677 4
SALT_OCTETS: Final = 16
SHORTEST_SALT: Final = 12  # octets, of scramp

_CRAM: Final = "{CRAM}"


class Mechanism(Enum):
    """A SCRAM mechanism; the value is the name of its hash."""

    SHA1 = "sha1"
    SHA256 = "sha256"


class Form(Flag):
    """What is stored besides the hash, and lets a user log in by more than the password itself."""

    CLEAR = auto()  # CRAM, and SCRAM of any hash
    SHA1 = auto()  # keys of SCRAM-SHA-1
    SHA256 = auto()


MECHANISMS: Final = {"SCRAM-SHA-1": Mechanism.SHA1, "SCRAM-SHA-256": Mechanism.SHA256}
_PREFIXES: Final = {f"{{{name}}}": mechanism for name, mechanism in MECHANISMS.items()}


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What a server of SCRAM needs of a password."""

    mechanism: Mechanism
    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes


@dataclass(frozen=True, slots=True)
class Scram:
    """The column, read; None: no such thing in it."""

    clear: Secret | None = None
    keys: ScramKeys | None = None


def parse_scram(stored: Secret) -> Scram:
    """Read the column; what is no form of it holds nothing."""
    text = stored.reveal()
    if text.startswith(_CRAM):
        return Scram(clear=Secret(text.removeprefix(_CRAM)))
    for prefix, mechanism in _PREFIXES.items():
        if text.startswith(prefix):
            return _parse_keys(mechanism, text.removeprefix(prefix))
    return Scram()


def split_stored(password: Secret, scram: Secret) -> tuple[Secret, Secret]:
    """Return the hash and the column scram, also where pw_passwd holds both."""
    text = password.reveal()
    if scram or not text.startswith((_CRAM, *_PREFIXES)):
        return password, scram
    front, _, hashed = text.rpartition(",")
    return Secret(hashed), Secret(front)


def form_of(password: Secret, scram: Secret) -> Form:
    """Return what the columns of a user hold."""
    read = parse_scram(split_stored(password, scram)[1])
    keys = read.keys.mechanism if read.keys is not None else None
    return (
        (Form.CLEAR if read.clear is not None else Form(0))
        | (Form.SHA1 if keys is Mechanism.SHA1 else Form(0))
        | (Form.SHA256 if keys is Mechanism.SHA256 else Form(0))
    )


def make_scram(
    password: str,
    mechanism: Mechanism | None,
    *,
    clear: bool = False,
    salt: bytes = b"",
    iterations: int = ITERATIONS,
) -> Secret | None:
    """Return the column for a password: keys, its clear text, both or nothing.

    None where there can be no such column: SCRAM has no form of the password (RFC 4013: it is no
    UTF-8, or has characters that nobody types), or it is longer than the column.
    """
    # As slow as all else that a command imports, and nothing that --help needs.
    from scramp.utils import ScramException, saslprep  # noqa: PLC0415

    try:
        text = _CRAM + password if clear else ""
        if mechanism is not None:
            salt = salt or secrets.token_bytes(SALT_OCTETS)
            prepared = saslprep(password).encode()
            salted = hashlib.pbkdf2_hmac(mechanism.value, prepared, salt, iterations)
            text = _keys_text(mechanism, iterations, salt, salted)
            text += f":{salted.hex()}:{password}" if clear else ""
        text.encode()
    except (ScramException, UnicodeEncodeError):
        return None
    return Secret(text) if len(text) <= SCRAM_LENGTH else None


def answers(secret: Secret, challenge: bytes, response: str, digest: str) -> bool:
    """Tell whether a CRAM client knew the secret: its keyed hash of the challenge, in hex."""
    right = hmac.new(secret.reveal().encode(), challenge, digest).hexdigest()
    return hmac.compare_digest(right.encode(), response.encode("utf-8", "surrogateescape"))


def _keys_text(mechanism: Mechanism, iterations: int, salt: bytes, salted: bytes) -> str:
    """Return StoredKey and ServerKey (RFC 5802 3) as they are stored."""
    client_key = hmac.digest(salted, b"Client Key", mechanism.value)
    stored_key = hashlib.new(mechanism.value, client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", mechanism.value)
    prefix = next(prefix for prefix, named in _PREFIXES.items() if named is mechanism)
    octets = (b64encode(value).decode() for value in (salt, stored_key, server_key))
    return prefix + ",".join([str(iterations), *octets])


def _parse_keys(mechanism: Mechanism, text: str) -> Scram:
    """Read what stands behind the prefix; the clear text at the end may have any character."""
    fields = text.split(",", 3)
    if len(fields) != 4 or not fields[0].isdecimal():
        return Scram()
    server_key, has_clear, rest = fields[3].partition(":")
    _, _, clear = rest.partition(":")
    try:
        salt, stored, server = (
            b64decode(field, validate=True) for field in (fields[1], fields[2], server_key)
        )
    except ValueError:
        return Scram()
    keys = ScramKeys(mechanism, int(fields[0]), salt, stored, server)
    return Scram(Secret(clear) if has_clear else None, keys)
