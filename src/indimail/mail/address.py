"""Addresses: a local part as it was written, a domain in one spelling.

    Address.parse("Alice@Example.COM")  -> Address(local='Alice', domain='example.com')
    Address.parse("")                   -> NULL, the null reverse-path

The domain is lower-case from the moment it is parsed (A-labels or U-labels as they came: with
SMTPUTF8 both occur; `domain_key` makes them one).  The local part keeps its case (RFC 5321 2.4);
who compares local parts of ours uses `mailbox_key`.

Sources: RFC 5321 2.3.11, 2.4, 4.1.2; RFC 6531 3.3.  Not here: the syntax of a path in a command
(`smtp.command`), quoting in a header field (`mail.header`).
"""

from functools import lru_cache
from typing import Final, Self

import idna
from msgspec import Struct


class Address(Struct, frozen=True):
    """A mailbox: `local` is unquoted, `domain` lower-case and may be empty (qmail's lone box)."""

    local: str
    domain: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Split unquoted text at its last ``@``; no syntax is checked here."""
        local, at, domain = text.rpartition("@")
        return cls(local, domain.lower()) if at else cls(text, "")

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}" if self.domain else self.local

    def __bool__(self) -> bool:
        """False for the null reverse-path only."""
        return bool(self.local or self.domain)

    @property
    def mailbox_key(self) -> str:
        """The spelling under which a mailbox of ours is looked up."""
        return f"{self.local.lower()}@{domain_key(self.domain)}"

    @property
    def is_ascii(self) -> bool:
        """False where only SMTPUTF8 can carry it (RFC 6531)."""
        return self.local.isascii() and self.domain.isascii()


NULL: Final = Address("", "")


@lru_cache(maxsize=4096)
def domain_key(domain: str) -> str:
    """Return the A-label spelling, lower-case; what is no valid IDN stays as it is."""
    if domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return domain.lower()


def parents(domain: str) -> list[str]:
    """Return the suffixes of a domain that begin with a dot, longest first.

    qmail's search order: ``a.b.c`` gives ``.b.c``, ``.c``.
    """
    found = []
    at = domain.find(".")
    while at >= 0:
        found.append(domain[at:])
        at = domain.find(".", at + 1)
    return found
