"""The keys that an exchange of SCRAM is begun with, for who has some and for who has none.

    keys_for(account, Mechanism.SHA256, "ana@example.com", secret)      -> ScramKeys(...)

Who has the clear text alone has keys of it, made anew each time: that takes as long as the iterations
do.  Who has neither, and who does not exist, gets keys that nobody's password fits; their salt is the
same each time (`secret` is the server's) and their iterations are those of everybody, so that an
exchange tells nothing before its end.

Source: RFC 5802 5.1, 9; docs/adr/0024.  Not here: the exchange (`wire.sasl_server`), the column
(`accounts.scram`).
"""

import hashlib
import hmac
from typing import Final

from indimail.accounts.port import Account
from indimail.accounts.scram import (
    FEWEST,
    ITERATIONS,
    SALT_OCTETS,
    SHORTEST_SALT,
    Mechanism,
    ScramKeys,
    make_scram,
    parse_scram,
    split_stored,
)
from indimail.mail.secret import Secret

MOST: Final = 10_000_000  # iterations, of scramp


def keys_for(account: Account | None, mechanism: Mechanism, login: str, secret: bytes) -> ScramKeys:
    """Return the keys that an exchange goes on with; `login` is who the client says to be."""
    made_up = _made_up(mechanism, login, secret)
    if account is None:
        return made_up
    _, column = split_stored(account.password, account.scram)
    scram = parse_scram(column)
    keys = scram.keys
    if keys is not None and keys.mechanism is mechanism and _is_usable(keys):
        return keys
    if scram.clear is None:
        return made_up
    made = make_scram(scram.clear.reveal(), mechanism, salt=made_up.salt)
    return parse_scram(made or Secret("")).keys or made_up


def _is_usable(keys: ScramKeys) -> bool:
    return FEWEST <= keys.iterations <= MOST and len(keys.salt) >= SHORTEST_SALT


def _made_up(mechanism: Mechanism, login: str, secret: bytes) -> ScramKeys:
    """Return keys of nobody's password."""
    octets = login.encode("utf-8", "surrogateescape")

    def some(what: bytes, length: int) -> bytes:
        return hmac.digest(secret, what + b"\0" + octets, "sha512")[:length]

    length = hashlib.new(mechanism.value).digest_size
    return ScramKeys(
        mechanism, ITERATIONS, some(b"salt", SALT_OCTETS),
        some(mechanism.value.encode(), length), some(b"server", length),
    )  # fmt: skip
