r"""A message with octets above 127 made one without: part by part, in quoted-printable.

    to_seven_bit(b"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\ncaf\xc3\xa9\n")
        -> b"MIME-Version: ... \nContent-Transfer-Encoding: quoted-printable\n\ncaf=C3=A9\n"
    to_seven_bit(b"Subject: caf\xc3\xa9\n\nhi\n")  -> Stays("a header of it is not ASCII")

Only parts that have such octets change, and the labels of those they are in.  A part that is signed,
or of a type that takes no encoding, stays as it is, and so does the message.  One that says nothing
about itself is ``text/plain; charset=unknown-8bit`` (RFC 1428).  Where a soft line break would begin
a line with ``--``, which could be a boundary, a part goes in base64.

Lines end in LF, also in what is returned; the message is whole in memory, and again as large.
Sources: RFC 6152 3, RFC 2045 5 and 6, RFC 2046 5, RFC 1428, RFC 1847 2.1 (signed parts).
Not here: when it is needed (`smtp.client`).
"""

import re
from base64 import encodebytes
from binascii import b2a_qp
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from indimail.mail.header import field_name, split_header

DEEPEST: Final = 50  # parts in parts
_PLAIN_LABELS: Final = frozenset({"", "7bit", "8bit", "binary", "7-bit", "8-bit"})
_TYPE: Final = re.compile(r"\s*([\w.+-]+)\s*/\s*([\w.+-]+)", re.ASCII)
_BOUNDARY: Final = re.compile(
    r';\s*boundary\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))', re.ASCII | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Stays:
    """It cannot be converted; `why` ends a sentence."""

    why: str


def to_seven_bit(message: bytes) -> bytes | Stays:
    """Return the message in octets below 128, or why there is no such thing."""
    try:
        return _message(message, 0)
    except _StaysError as stays:
        return Stays(stays.why)


class _StaysError(Exception):
    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


def _message(octets: bytes, depth: int) -> bytes:
    """Convert a message, which says of itself that it is MIME."""
    if octets.isascii():
        return octets
    fields, body = split_header(octets)
    if not any(field_name(field) == "mime-version" for field in fields):
        fields.append(b"MIME-Version: 1.0\n")
    return _entity(fields, body, ("text", "plain"), depth)


def _part(octets: bytes, default: tuple[str, str], depth: int) -> bytes:
    if octets.isascii():
        return octets
    return _entity(*split_header(octets), default, depth)


def _entity(fields: list[bytes], body: bytes, default: tuple[str, str], depth: int) -> bytes:
    if depth > DEEPEST:
        raise _StaysError("its parts are nested too deeply")
    if not all(map(bytes.isascii, fields)):
        raise _StaysError("a header of it is not ASCII")
    value = _value(fields, "content-type")
    found = _TYPE.match(value)
    kind = (found[1].lower(), found[2].lower()) if found else default
    label = _value(fields, "content-transfer-encoding").strip().lower()
    match kind:
        case ("multipart", "signed" | "encrypted"):
            raise _StaysError("a part of it is signed or encrypted")
        case ("multipart", subtype):
            body, label = _multipart(body, _boundary(value), subtype, depth), "7bit"
        case ("message", "rfc822"):
            body, label = _message(body, depth + 1), "7bit"
        case ("message", subtype) if not subtype.startswith("global"):
            raise _StaysError(f"a part of it is message/{subtype}, which takes no encoding")
        case _ if label not in _PLAIN_LABELS:
            raise _StaysError(f"a part of it is not the {label[:20]} that it says")
        case _:
            if not value:
                fields = [*fields, b"Content-Type: text/plain; charset=unknown-8bit\n"]
            body, label = _encoded(body)
    return b"".join(_labelled(fields, label)) + b"\n" + body


def _value(fields: Iterable[bytes], name: str) -> str:
    """Return what a field says, the first of that name; empty where there is none."""
    for field in fields:
        if field_name(field) == name:
            return " ".join(field.partition(b":")[2].decode("ascii").split())
    return ""


def _boundary(value: str) -> bytes:
    found = _BOUNDARY.search(value)
    if found is None:
        raise _StaysError("its parts have no boundary")
    text = re.sub(r"\\(.)", r"\1", found[1]) if found[1] is not None else found[2]
    return text.encode()


def _labelled(fields: list[bytes], label: str) -> list[bytes]:
    """Return the fields with another Content-Transfer-Encoding, where the first one stood."""
    new = f"Content-Transfer-Encoding: {label}\n".encode()
    kept = []
    for field in fields:
        if field_name(field) != "content-transfer-encoding":
            kept.append(field)
        else:
            kept.append(new)
            new = b""
    return [*kept, new]


def _multipart(body: bytes, boundary: bytes, subtype: str, depth: int) -> bytes:
    default = ("message", "rfc822") if subtype == "digest" else ("text", "plain")
    line = re.compile(rb"^--" + re.escape(boundary) + rb"(--)?[ \t\r]*$\n?", re.MULTILINE)
    delimiters = list(line.finditer(body))
    if not delimiters:
        raise _StaysError("its parts cannot be told apart")
    closing = next((at for at, found in enumerate(delimiters) if found[1]), len(delimiters))
    opening, ends = delimiters[:closing], [*delimiters[1 : closing + 1], None]
    converted = [body[: delimiters[0].start()]]
    for begin, end in zip(opening, ends, strict=False):
        # The LF in front of a delimiter is a part of it.
        stop = len(body) if end is None else max(end.start() - 1, begin.end())
        converted += [begin[0], _part(body[begin.end() : stop], default, depth + 1)]
        converted.append(body[stop : end.start()] if end else b"")
    if closing < len(delimiters):
        converted.append(body[delimiters[closing].start() :])
    if not (converted[0].isascii() and converted[-1].isascii()):
        raise _StaysError("there is 8-bit text around its parts")
    return b"".join(converted)


def _encoded(body: bytes) -> tuple[bytes, str]:
    """Return a body encoded, and the label of that."""
    body = body.replace(b"\r\n", b"\n")
    if b"\r" in body:  # in what it takes for text, the library leaves these as they are
        encoded = b"\n".join(b2a_qp(line, istext=False) for line in body.split(b"\n"))
    else:
        encoded = b2a_qp(body)
    if b"=\n--" in encoded:
        return encodebytes(body.replace(b"\n", b"\r\n")), "base64"
    return encoded, "quoted-printable"
