"""What DNS says, as values.

    Answer(Found.RECORDS, (Exchanger(10, "mx1.example.com"),), ttl=300.0, name="example.com")
    Answer(Found.NONE, ttl=300.0, name="example.com")     # there is the name, without such records
    Answer(Found.FAILED, reason="127.0.0.1:53: SERVFAIL")

Names are lower-case A-labels without a dot at the end, addresses in the spelling of `mail.ip`; the
exchanger of a null MX (RFC 7505) is the empty name.

Sources: RFC 1035 3.2.2; RFC 3596 (AAAA); RFC 2308 (no name, no data).  Not here: asking
(`net.dns`), what follows for mail (`delivery.mx`).
"""

from enum import StrEnum

from msgspec import Struct


class Type(StrEnum):
    """The types of records that we ask for."""

    A = "A"
    AAAA = "AAAA"
    MX = "MX"
    PTR = "PTR"


class Found(StrEnum):
    """What kind of answer it is; all but the last are DNS's word."""

    RECORDS = "records"
    NONE = "no such record"
    NO_NAME = "no such name"
    FAILED = "no answer"


class Exchanger(Struct, frozen=True, order=True):
    """A record of type MX; the smaller preference is the better."""

    preference: int
    host: str


class Answer(Struct, frozen=True):
    """The answer to one question.

    `records` are addresses (A, AAAA), names (PTR) or `Exchanger` in the order they came, never empty with
    `Found.RECORDS` and always with the others.  `name` is the one at the end of CNAMEs, `ttl` in
    seconds the smallest on the way (for negative answers that of RFC 2308 5; 0: not said).
    `stale` records are older than their TTL, for want of a newer answer.
    """

    found: Found
    records: tuple[Exchanger | str, ...] = ()
    ttl: float = 0.0
    name: str = ""
    reason: str = ""
    stale: bool = False

    @property
    def addresses(self) -> tuple[str, ...]:
        """The records of an answer to A or AAAA."""
        return tuple(record for record in self.records if isinstance(record, str))

    @property
    def names(self) -> tuple[str, ...]:
        """The records of an answer to PTR."""
        return self.addresses

    @property
    def exchangers(self) -> tuple[Exchanger, ...]:
        """The records of an answer to MX."""
        return tuple(record for record in self.records if isinstance(record, Exchanger))
