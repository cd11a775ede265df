"""What a delivery would make of a recipient, asked while the client still waits (CHECKRECIPIENT).

`delivery.plan.foresee` gives it, `policy` turns it into a reply.

Source: spec/smtp.md 4.3.
"""

from enum import StrEnum


class Foreseen(StrEnum):
    """The fate of a recipient as far as it is known before its mail is."""

    DELIVERABLE = "deliverable"  # the delivery would not bounce it: it may still defer or discard
    ABSENT = "absent"
    INACTIVE = "inactive"
    LOCKED = "locked"
    UNKNOWN = "unknown"  # the accounts did not answer: 451
