r"""A robot that answers by a program: what it was asked for, and the header of its replies.

    requested("joe-robot-get-file1", "joe-robot")      -> {"REQUEST": "get-file1", "REQUEST2": "file1", ...}
    edited(fields, {"return-path"}, b"Precedence: bulk\n")

Source: spec/delivery.md 7; replier(1) and replier-config(1) of the qtools.  Not here: running the
program, and the queue (`cli.replier`).
"""

from collections.abc import Collection, Iterable

from indimail.mail.header import field_name

REQUESTS = ("REQUEST", "REQUEST2", "REQUEST3", "REQUEST4")


def requested(local: str, inlocal: str) -> dict[str, str] | None:
    """Return the variables of what stands behind ``inlocal-``; None where it is not our address.

    Each one is what stands behind the first ``-`` of the one before.
    """
    prefix = f"{inlocal}-" if inlocal else ""
    if not local.lower().startswith(prefix.lower()):
        return None
    found = {}
    text = local[len(prefix) :]
    for name in REQUESTS:
        found[name] = text
        text = text.partition("-")[2]
    return found


def edited(fields: Iterable[bytes], removed: Collection[str], added: bytes) -> bytes:
    """Return a header with whole fields in front, and without those of some (lower-case) names."""
    kept = (field for field in fields if field_name(field) not in removed)
    return added + b"".join(field if field.endswith(b"\n") else field + b"\n" for field in kept)
