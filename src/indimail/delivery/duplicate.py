"""What a mail has in common with its duplicates: its header, without what each way adds.

    digest(b"Received: ...\nMessage-ID: <1@example.com>\nSubject: x\n\nhello")  -> "5e1f0a..."

A mail without a Message-ID has nothing that tells it from another one of the same writer, subject
and second: it has no digest, and is nobody's duplicate.

Source: spec/delivery.md 5.5 (6).  Not here: which were delivered (`mailbox.dupmd5`), what becomes of
a duplicate (`serve.attempt`).
"""

import hashlib
from typing import Final

from indimail.mail.header import field_name, split_header

INTERVAL: Final = 900  # ELIMINATE_DUPS_INT: seconds
DISCARDING: Final = "deliver_mail: discarding duplicate msg"
_LEFT_OUT: Final = frozenset({"received", "delivered-to", "x-delivered-to"})


def digest(message: bytes) -> str:
    """Return the MD5 of its header in hexadecimal; empty for a mail that is nobody's duplicate."""
    fields, _ = split_header(message)
    named = [(field_name(field), field) for field in fields]
    if not any(name == "message-id" for name, _ in named):
        return ""
    kept = b"".join(field for name, field in named if name not in _LEFT_OUT)
    return hashlib.md5(kept, usedforsecurity=False).hexdigest()


def discarding_duplicate(earlier: str) -> str:
    """Return what is said; `earlier` is the id of the mail that is there, where it is known."""
    return f"{DISCARDING}\nthe same as mail {earlier}" if earlier else DISCARDING
