"""BATV: senders of ours are signed on their way out, so that a bounce of what we never sent is told.

    batv = Batv(Secret("key"), rule)
    batv.signed(Address.parse("ana@example.org"), now)   -> prvs=0412a1b2c3=ana@example.org
    batv.examined(Address.parse("prvs=0412a1b2c3=ana@example.org"), now)
        -> Signature(ana@example.org, Mark.SIGNED)

The tag is ``0``, the day modulo 1000, and three octets of MD5 over ``0DDD``, the address and the key,
in hexadecimal.  The address is signed in lower case, as hosts on the way may change its case.
Units: days since the epoch.

Sources: spec/smtp.md 8.6; spec/queue.md 3.6; draft-levine-smtp-batv-01 (``prvs``).
Not here: which bounces are refused (`policy.signing`).
"""

import hashlib
import hmac
import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from indimail.mail.address import Address
from indimail.mail.match import EMPTY, DomainTable
from indimail.mail.secret import Secret
from indimail.mail.srs import DAY, folded
from indimail.mail.verdict import Rule

PREFIX: Final = "prvs="
_TAGGED: Final = re.compile(
    r"prvs=(0\d{3})([0-9a-f]{6})=(.+)", re.IGNORECASE | re.ASCII | re.DOTALL
)
_DAYS: Final = 1000  # until the three digits of a day begin again


class Mark(Enum):
    """What an address says of itself."""

    NONE = "no signature"
    SIGNED = "signed"
    STALE = "the signature is too old"
    WRONG = "the signature is none of ours"


@dataclass(frozen=True, slots=True)
class Signature:
    """An address without its tag, and what the tag is worth."""

    address: Address
    mark: Mark


@dataclass(frozen=True, slots=True)
class Batv:
    """The key; `rule` is its line.

    `ours` are the domains that we take mail for: of theirs alone are senders signed, as bounces of
    others do not come here.  Senders of `no_sign_locals`, and mail to `no_sign_remote`, go without.
    """

    key: Secret
    rule: Rule
    stale: int = 7
    ours: tuple[DomainTable, ...] = ()
    no_sign_locals: DomainTable = EMPTY
    no_sign_remote: DomainTable = EMPTY

    def takes(self, address: Address) -> bool:
        """Tell whether the address is ours, so that a tag on it can only be ours too."""
        return any(address.domain in table for table in self.ours)

    def expects(self, address: Address) -> bool:
        """Tell whether a bounce for this address has to bring a signature."""
        return self.takes(address) and address.domain not in self.no_sign_locals

    def signs(self, sender: Address, recipient: Address) -> bool:
        """Tell whether this sender of mail to this recipient is signed; one that has a tag is not."""
        return (
            self.expects(sender)
            and not _has_prefix(sender.local)
            and recipient.domain not in self.no_sign_remote
        )

    def signed(self, sender: Address, now: float) -> Address:
        """Sign a sender."""
        date = f"0{int(now // DAY) % _DAYS:03}"
        return Address(f"{PREFIX}{date}{self._hash(date, sender)}={sender.local}", sender.domain)

    def examined(self, address: Address, now: float) -> Signature:
        """Take the tag off."""
        found = _TAGGED.fullmatch(address.local)
        if found is None:
            return Signature(address, Mark.WRONG if _has_prefix(address.local) else Mark.NONE)
        date, given, local = found.groups()
        bare = Address(local, address.domain)
        if not hmac.compare_digest(given.lower(), self._hash(date, bare)):
            return Signature(bare, Mark.WRONG)
        age = (int(now // DAY) - int(date)) % _DAYS
        return Signature(bare, Mark.STALE if age > self.stale else Mark.SIGNED)

    def _hash(self, date: str, address: Address) -> str:
        key = self.key.reveal().encode("utf-8", "surrogateescape")
        octets = date.encode() + folded(str(address)) + key
        digest = hashlib.md5(octets, usedforsecurity=False)
        return digest.hexdigest()[:6]


def _has_prefix(local: str) -> bool:
    return local[: len(PREFIX)].lower() == PREFIX
