"""SRS: a forward's sender at a domain of ours, from which a bounce finds the way back.

    srs = Srs("srs.example.org", (Secret("x"),), Rule("control/srs_domain", 1))
    srs.rewritten(Address.parse("ana@example.net"), now)
        -> SRS0=vmyz=2W=example.net=ana@srs.example.org
    srs.original(Address.parse("srs0=VMYZ=2w=example.net=ana@srs.example.org"), now)
        -> ana@example.net, or Forged("the hash is none of ours")

``SRS0=hash=day=domain=local`` is what the first forwarder makes.  The next one leaves all behind its
tag opaque, ``SRS1=hash=first host==hash=day=domain=local``, and any later one puts its own hash in
place of the one before it, so an address does not grow with each hop and a bounce takes two at most.

The hash is HMAC-SHA1 in base64, cut short; case counts nowhere, as hosts on the way change it.  The
first secret signs, each of them verifies, so that a secret can be followed by another.  Behind
SRS0 and SRS1 the separator may be ``=``, ``+`` or ``-``.  Units: days since the epoch, modulo 1024.

Sources: spec/smtp.md 8.6; Shevek, "The Sender Rewriting Scheme", 2004; libsrs2.
Not here: which senders are rewritten (`serve.returning`), what a forgery is told (`policy.signing`).
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from indimail.mail.address import Address
from indimail.mail.secret import Secret
from indimail.mail.verdict import Rule

SEPARATORS: Final = "=+-"
LONGEST_HASH: Final = 27  # characters of a SHA-1 in base64, without its padding
DAY: Final = 86_400
_DAYS: Final = 1024  # until the two characters of a day begin again
_DIGITS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_FIRST, _LATER = "srs0", "srs1"
_TAG: Final = len(_FIRST)


@dataclass(frozen=True, slots=True)
class Forged:
    """Why an address with a tag of SRS is none that we made, or no longer one."""

    reason: str


@dataclass(frozen=True, slots=True)
class Srs:
    """Our domain of rewritten senders, and its secrets (at least one); `rule` is the domain's line.

    `always`: senders of domains of ours are rewritten too, and what is forwarded to somebody here.
    """

    domain: str
    secrets: tuple[Secret, ...]
    rule: Rule
    max_age: int = 7
    hash_length: int = 4
    hash_min: int = 4
    separator: str = SEPARATORS[0]
    always: bool = False

    def rewritten(self, sender: Address, now: float) -> Address:
        """Return the sender of a forward; one that is of our domain already as it is."""
        if sender.domain == self.domain:
            return sender
        tag, rest = _tagged(sender.local)
        if tag == _FIRST:
            return self._later(sender.domain, rest)
        if tag == _LATER:
            _, host, opaque = _fields(rest[1:], 3)
            if host and opaque:
                return self._later(host, opaque)
        day = _written(now)
        signed = self._hash(self.secrets[0], day, sender.domain, sender.local)
        return self._at(f"SRS0{self.separator}{signed}={day}={sender.domain}={sender.local}")

    def _later(self, host: str, opaque: str) -> Address:
        """Return the sender for what another forwarder, `host`, rewrote first."""
        signed = self._hash(self.secrets[0], host, opaque)
        return self._at(f"SRS1{self.separator}{signed}={host}={opaque}")

    def _at(self, local: str) -> Address:
        return Address(local, self.domain)

    def is_rewritten(self, address: Address) -> bool:
        """Tell whether an address looks like one of ours, forged or not."""
        return address.domain == self.domain and bool(_tagged(address.local)[0])

    def original(self, address: Address, now: float | None) -> Address | Forged:
        """Return where mail for a rewritten sender goes; without a time its age does not count."""
        found = self._before(address, now)
        if isinstance(found, Address) and self.is_rewritten(found):
            return self._before(found, now)  # we were the first forwarder, and a later one too
        return found

    def _before(self, address: Address, now: float | None) -> Address | Forged:
        tag, rest = _tagged(address.local)
        if tag == _LATER:
            signed, host, opaque = _fields(rest[1:], 3)
            if not (host and opaque):
                return Forged("it is cut short")
            if not self._is_ours(signed, host, opaque):
                return _NOT_OURS
            return Address(f"SRS0{opaque}", host.lower())
        signed, day, domain, local = _fields(rest[1:], 4)
        if not (domain and local):
            return Forged("it is cut short")
        if not self._is_ours(signed, day, domain, local):
            return _NOT_OURS
        if now is not None and (age := _age(day, now)) > self.max_age:
            return Forged(f"it is {age} days old, and counts for {self.max_age}")
        return Address(local, domain.lower())

    def _is_ours(self, signed: str, *parts: str) -> bool:
        """Compare with the hash under each secret, in a time that does not tell where they differ."""
        if not self.hash_min <= len(signed) <= LONGEST_HASH:
            return False
        given = folded(signed)
        return any(
            hmac.compare_digest(given, folded(_digest(secret, *parts)[: len(signed)]))
            for secret in self.secrets
        )

    def _hash(self, secret: Secret, *parts: str) -> str:
        return _digest(secret, *parts)[: self.hash_length]


_NOT_OURS: Final = Forged("the hash is none of ours")


def _tagged(local: str) -> tuple[str, str]:
    """Split a local part behind its tag, in lower case; the tag is empty where there is none."""
    tag, rest = local[:_TAG].lower(), local[_TAG:]
    return (tag, rest) if tag in (_FIRST, _LATER) and rest[:1] in tuple(SEPARATORS) else ("", local)


def _fields(text: str, count: int) -> list[str]:
    """Split at the first equals signs; what is missing is empty."""
    found = text.split("=", count - 1)
    return found + [""] * (count - len(found))


def _digest(secret: Secret, *parts: str) -> str:
    key = secret.reveal().encode("utf-8", "surrogateescape")
    octets = hmac.digest(key, b"".join(map(folded, parts)), hashlib.sha1)
    return base64.b64encode(octets).decode("ascii").rstrip("=")


def folded(text: str) -> bytes:
    """Return octets without case; of ASCII alone, as every implementation does."""
    return text.encode("utf-8", "surrogateescape").lower()


def _written(now: float) -> str:
    """Write a day in two characters."""
    high, low = divmod(int(now // DAY) % _DAYS, len(_DIGITS))
    return _DIGITS[high] + _DIGITS[low]


def _age(day: str, now: float) -> int:
    """Return how many days ago that was; a day to come, or none, is far away."""
    high, low = (_DIGITS.find(digit) for digit in day.upper()) if len(day) == 2 else (-1, -1)
    if min(high, low) < 0:
        return _DAYS
    return (int(now // DAY) - (high * len(_DIGITS) + low)) % _DAYS
