"""A message's header as a program hands it in: its fields.

    split_header(b"To: a@b\\n c\\n\\nbody")        -> ([b"To: a@b\\n c\\n"], b"body")

Sources: RFC 5322 2.2.  Not here: the addresses in a field (`mail.addresses`), what is added to a
header (`mail.compose`).
"""

import re
from typing import Final

_FIELD: Final = re.compile(rb"([!-9;-~]+)[ \t]*:")


def split_header(message: bytes) -> tuple[list[bytes], bytes]:
    """Return the fields, each with its folded lines and LF, and what follows the empty line.

    A line that is neither field nor continuation begins the body (it had no empty line).
    """
    fields: list[bytes] = []
    at = 0
    while at < len(message):
        end = message.find(b"\n", at) + 1 or len(message)
        line = message[at:end]
        if line in {b"\n", b"\r\n"}:
            return fields, message[end:]
        if line[:1] in {b" ", b"\t"} and fields:
            fields[-1] += line
        elif _FIELD.match(line):
            fields.append(line)
        else:
            return fields, message[at:]
        at = end
    return fields, b""


def begins_body(line: bytes) -> bool:
    """Tell whether a line can be in no header: the empty one, or neither field nor continuation."""
    return line[:1] not in {b" ", b"\t"} and _FIELD.match(line) is None


def field_name(field: bytes) -> str:
    """Return a field's name, in lower case."""
    return field.partition(b":")[0].strip().lower().decode("ascii", "replace")
